"""The real inputs, where they lie beside the checkout; a real vLLM, where it is installed."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import SEED
from tests.small import save_small_model

REAL = Path(__file__).parents[2].parent / "shared" / "real"
VLLM = os.environ.get("TRIVIUM_VLLM_PYTHON", "")


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        if "vllm_python" in item.fixturenames:
            if not VLLM:
                reason = "TRIVIUM_VLLM_PYTHON names no Python with vLLM; `make test-vllm` does"
                item.add_marker(pytest.mark.skip(reason=reason))
        elif not REAL.is_dir():
            item.add_marker(pytest.mark.skip(reason="no real inputs beside the checkout"))


@pytest.fixture(scope="session")
def vllm_python():
    """The Python that has vLLM."""
    return Path(VLLM).absolute()


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """The folder of a Llama of 4 million random weights, with a tokenizer and a chat template."""
    folder = tmp_path_factory.mktemp("model") / "small"
    return save_small_model(folder, random.Random(os.environ[SEED]).randrange(2**32))


@pytest.fixture(scope="session")
def real():
    return REAL


@pytest.fixture(scope="session")
def taxonomy(tmp_path_factory):
    """A clone of InstructLab's public taxonomy, at `main`."""
    clone = tmp_path_factory.mktemp("real") / "taxonomy"
    bundle = REAL / "taxonomy.bundle"
    subprocess.run(["git", "clone", "-q", "-b", "main", bundle, clone], check=True)
    return clone


@pytest.fixture(scope="session")
def contributions(taxonomy, real):
    """What InstructLab's validator says of each file of each pull request, and the file."""
    lines = [json.loads(line) for line in (real / "verdicts.jsonl").open()]
    named = "".join(f"origin/{v['branch']}:{v['path']}\n" for v in lines)
    out = subprocess.run(
        ["git", "-C", taxonomy, "cat-file", "--batch"],
        input=named.encode(),
        capture_output=True,
        check=True,
    ).stdout
    at, found = 0, []
    for verdict in lines:
        start = out.index(b"\n", at) + 1
        size = int(out[at:start].split()[-1])
        found.append((verdict, out[start : start + size]))
        at = start + size + 1
    return found


@pytest.fixture
def mirrored(monkeypatch):
    """Points git at the bundles, for every document repository that has one."""
    rules = []
    for bundle in sorted((REAL / "documents").glob("*.bundle")):
        address = f"https://github.com/{bundle.stem.replace('--', '/', 1)}"
        rules += [(bundle, address), (bundle, f"{address}.git")]
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(rules)))
    for i, (bundle, address) in enumerate(rules):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{i}", f"url.{bundle}.insteadOf")
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{i}", address)
