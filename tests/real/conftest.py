"""The real inputs, where they lie beside the checkout; a real vLLM, where it is installed."""

import json
import os
import random
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from compiler.resources import TAXONOMY
from tests.conftest import SEED

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
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    from training.student import make_tokenizer

    folder = tmp_path_factory.mktemp("model") / "small"
    texts = [path.read_text("utf-8") for path in sorted(TAXONOMY.rglob("*.md"))]
    tokenizer = make_tokenizer(SimpleNamespace(texts=lambda: texts), 4000)
    set_seed(random.Random(os.environ[SEED]).randrange(2**32))
    size = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(size).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


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
