"""The real inputs, where they lie beside the checkout."""

import json
import subprocess
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2].parent / "shared" / "real"


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not REAL.is_dir():
            item.add_marker(pytest.mark.skip(reason="no real inputs beside the checkout"))


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
