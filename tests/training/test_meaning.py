"""A real model embeds what the sift compares; it lies here because its libraries are heavy."""

import os
from types import SimpleNamespace

import numpy
import pytest

from compiler.curriculum import MeaningSettings, SiftSettings
from compiler.diagnostics import Report
from compiler.resources import TAXONOMY
from compiler.sift import open_references, sift
from compiler.source import open_source
from tests.conftest import SEED
from tests.test_sift import sample

TEXTS = [
    "Where does the chickadee hide its seeds for the winter?",
    "Tell me where the chickadee hides seeds for the winter.",
    "Compute 12 * 7 by hand, step by step.",
    "",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import LlamaConfig, LlamaModel, set_seed

    from training.student import make_tokenizer

    texts = [path.read_text("utf-8") for path in sorted(TAXONOMY.rglob("*.md"))[:1]]
    tokenizer = make_tokenizer(SimpleNamespace(texts=lambda: texts), 300)
    set_seed(int(os.environ[SEED]) % 2**31)
    size = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    folder = tmp_path_factory.mktemp("model")
    LlamaModel(size).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def opened(model, folder):
    report = Report()
    settings = SiftSettings(meaning=MeaningSettings(model, 0.95), near_duplicate=1)
    return settings, open_references(settings, open_source(folder), folder, report), report


def test_a_vector_is_the_mean_of_a_texts_own_tokens(model, tmp_path):
    _, references, report = opened(model, tmp_path)
    assert not report.diagnostics
    together = references.embed(TEXTS)
    alone = numpy.concatenate([references.embed([text]) for text in TEXTS[:3]])
    assert numpy.allclose(together[:3], alone, atol=1e-5)
    assert numpy.allclose(numpy.linalg.norm(alone, axis=1), 1, atol=1e-5)
    assert numpy.isfinite(together).all()
    assert not numpy.allclose(alone[0], alone[2], atol=1e-3)


def test_the_sift_drops_what_means_the_same_to_the_model(model, tmp_path):
    settings, references, _ = opened(model, tmp_path)
    made = [sample(text) for text in TEXTS[:3]]
    cosines = references.embed(TEXTS[:3]) @ references.embed(TEXTS[:3]).T
    found = [v.code.id if v.code else "" for v in sift(made, [], settings, references=references)]
    assert (found[1] == "D532") == (cosines[0, 1] >= 0.95)
    assert (found[2] == "D532") == (max(cosines[2, 0], cosines[2, 1] * (found[1] == "")) >= 0.95)


def test_a_model_that_is_not_there_is_reported(tmp_path):
    _, references, report = opened(str(tmp_path / "none"), tmp_path)
    assert references.embed is None
    assert [d.code.id for d in report.diagnostics] == ["M314"]
