"""A model's name goes in; its small files come out, and the heads of its weights.

A file of its own because a plan reads what a model says of itself without loading it. A folder, the
hub's cache and the hub are asked in this order, for files of some kilobytes only.
"""

import json
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from compiler.codes import F609
from compiler.diagnostics import Report
from training.machine import is_here

MOST_HEAD = 100_000_000
"""Bytes of the head of a safetensors file, by its own rule."""


def file_of(model: str, name: str) -> Path | None:
    """The file `name` of a model; None where it has none, or it cannot be reached."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    if model.startswith((".", "/", "~")):
        return None
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    known = try_to_load_from_cache(model, name)
    if known is not None:  # its path, or a mark that the model has no such file
        return Path(known) if isinstance(known, str) else None
    try:
        return Path(hf_hub_download(model, name, local_files_only=is_here(model) or not _online()))
    except (OSError, ValueError):
        return None


@cache
def _online() -> bool:
    """Whether the hub answers: its library would try for half a minute for every file."""
    host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    try:
        with socket.create_connection((host.hostname or "", host.port or 443), timeout=3):
            return True
    except OSError:
        return False


def json_of(model: str, name: str) -> dict[str, Any]:
    """The mapping in a JSON file of a model; {} where there is none."""
    path = file_of(model, name)
    try:
        found = json.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def config_of(model: str, report: Report) -> dict[str, Any]:
    """`config.json`, that of the text where a model also sees; F609 and {} where there is none."""
    found = json_of(model, "config.json")
    if not found:
        message = f"`{model}` has no `config.json`"
        hint = f"name a folder, or fetch it where there is a network: `hf download {model}`"
        if model.startswith((".", "/", "~")) and not Path(model).expanduser().is_dir():
            message, hint = f"there is no folder `{model}`", "correct `model` in the recipe"
        elif file_of(model, "adapter_config.json"):
            hint = "it holds adapters only: name the folder `merged` of that run"
        report.add(F609, message, hint=hint)
    inner = found.get("text_config")
    return {**found, **inner} if isinstance(inner, dict) else found


def shapes_of(model: str) -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight, from the heads of the safetensors files; {} where a part
    of them is not on this machine.
    """
    index = json_of(model, "model.safetensors.index.json")
    names = sorted(set(index.get("weight_map", {}).values())) or ["model.safetensors"]
    shapes: dict[str, tuple[int, ...]] = {}
    for name in names:
        path = _local(model, name)
        if path is None:
            return {}
        shapes.update(_head(path))
    return shapes


def _local(model: str, name: str) -> Path | None:
    """A file of weights that is here: it is never fetched for a plan."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, name)
    return Path(found) if isinstance(found, str) else None


def _head(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What a safetensors file says of its tensors: eight bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(length)) if length <= MOST_HEAD else {}
    except (OSError, ValueError):
        return
    for name, tensor in head.items():
        if name != "__metadata__":
            yield name, tuple(tensor["shape"])
