"""Evaluation: the metrics against values worked out by hand; the whole against a student."""

import json
import math

import pytest
from rich.console import Console

from compiler.diagnostics import Report
from training import metrics, run
from training.data import Sample


@pytest.fixture(scope="module")
def evaluation():
    from training import evaluate

    return evaluate


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "f1"),
    [
        ("The Osten.", "the  osten", 1, 1),
        ("The Osten", "The Osten!", 1, 1),
        ("Osten", "The Osten", 0, 2 * 1 * 0.5 / 1.5),
        ("a b c d", "c d e f", 0, 0.5),
        ("a a b", "a b b", 0, 2 / 3),
        ("one, two", "one two", 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("", "x", 0, 0),
        ("x y", "z", 0, 0),
    ],
)
def test_metrics(answer, reference, exact, f1):
    assert metrics.exact_match(answer, reference) == exact
    assert metrics.token_f1(answer, reference) == pytest.approx(f1)


def test_scores(evaluation):
    def one(reference):
        messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": reference})
        return Sample("i", messages, "knowledge", "knowledge/x")

    given = [evaluation.Answer("yes", 1.0, 2), evaluation.Answer("no way", 5.0, 1)]
    found = evaluation.score([(one("Yes."), given[0]), (one("no"), given[1])])
    assert found["n"] == 2
    assert found["exact_match"] == 0.5
    assert found["f1"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert found["loss"] == 2.0
    assert found["perplexity"] == pytest.approx(math.exp(2), abs=0.01)


def test_batches_change_nothing(evaluation, build, trained):
    """Left padding and sorting must not change an answer or its loss."""
    from training import student

    found = run.find(trained, Report())
    tokenizer = student.load_tokenizer(found.where("phase2"), Report())
    model = student.load_model(found.where("phase2"), Report()).eval()
    asked = build.heldout[:12]
    together = evaluation.ask(model, tokenizer, asked)
    alone = [evaluation.ask(model, tokenizer, [one])[0] for one in asked]
    for a, b in zip(together, alone, strict=True):
        assert a.nll == pytest.approx(b.nll, rel=1e-4)
        assert a.tokens == b.tokens
        assert a.text.startswith(b.text) or b.text.startswith(a.text)


def test_evaluation_of_a_student(evaluation, build, trained, monkeypatch):
    found = run.find(trained, Report())
    result = evaluation.evaluate(build, found, Report(), Console(quiet=True))
    assert result["stages"] == ["base", "phase1", "phase2", "control"]
    assert json.loads((trained / "evaluation.json").read_text()) == result
    taught = result["sets"]["trained"]["phase1"]
    assert taught["leaves"]["knowledge/river"]["n"] == evaluation.PER_LEAF
    assert taught["all"]["n"] == sum(leaf["n"] for leaf in taught["leaves"].values())
    assert taught["all"]["n"] == sum(branch["n"] for branch in taught["branches"].values())
    asked = result["sets"]["heldout"]["base"]
    assert asked["all"]["n"] == len(build.heldout)
    assert asked["all"]["perplexity"] == pytest.approx(math.exp(asked["all"]["loss"]), rel=1e-3)
    assert set(result["answers"][0]["answers"]) == set(result["stages"])

    def never(*_):
        raise AssertionError("asked again")

    with monkeypatch.context() as changed:
        changed.setattr(evaluation, "ask", never)
        assert evaluation.evaluate(build, found, Report(), Console(quiet=True)) == result
    for kept in (trained / "evaluated").iterdir():
        kept.write_text("[{")
    (trained / "evaluation.json").write_text("")
    assert evaluation.evaluate(build, found, Report(), Console(quiet=True)) == result
