"""The forest of educational value, on the functions of Python's own library: what it learns from a
few noisy labels, and that it drops nothing where it has learnt nothing."""

import ast
import os
import random
import re
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from compiler.expand import Origin, Sample, sample_id
from compiler.prompt import Message
from compiler.worth import Worth, worth
from compiler.worth.forest import auc
from tests.conftest import SEED

CHANCE = random.Random(os.environ[SEED])
LABELS = 600


def sample(text, kind="synthetic", **scores):
    messages = (Message("user", "Write it."), Message("assistant", text))
    origin = Origin(kind, "", "", "", (), ())
    return Sample(sample_id(messages), messages, "c", "l", origin, "Write it.", text, scores=scores)


@cache
def functions():
    """Functions of the library with a rubric's verdict: documented, short, not private."""
    found = {}
    for path in CHANCE.sample(sorted(Path(ast.__file__).parent.glob("*.py")), 60):
        text = path.read_text("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(text)))
        lines = text.split("\n")
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                own = lines[node.lineno - 1 : node.end_lineno]
                good = len(own) <= 40 and ast.get_docstring(node) and node.name[0] != "_"
                found["\n".join(own)] = bool(good)
    return CHANCE.sample(sorted(found.items()), 2 * LABELS)


def labelled(noise, number):
    """Samples of which the first `number` have labels, some of them wrong, and as many have none;
    and the verdict on each.
    """
    texts, truths = zip(*functions()[: 2 * number], strict=True)
    said = [truth != (CHANCE.random() < noise) for truth in truths[:number]]
    marks = [{"worth": "yes" if one else "no"} for one in said]
    marks += [{}] * (len(truths) - number)
    return [sample(text, **mark) for text, mark in zip(texts, marks, strict=True)], truths


def reached(found, samples, truths):
    """The AUC on the samples that nobody labelled, against the rubric itself."""
    scores = [found.scores[one.id] for one in samples[found.labels :]]
    return auc(np.array(truths[found.labels :], dtype=float), np.array(scores))


def test_it_learns_a_rubric_from_noisy_labels():
    samples, truths = labelled(0.1, LABELS)
    found = worth(samples, 0.17, 1)
    assert not found.reason
    assert found.labels == LABELS
    assert reached(found, samples, truths) >= 0.85
    assert 0.42 < found.control < 0.58 < found.auc
    kept = [truth for one, truth in zip(samples, truths, strict=True) if not found.detail(one)]
    assert abs(len(kept) - 0.17 * len(samples)) <= 1
    assert sum(kept) / len(kept) > 1.8 * sum(truths) / len(truths)
    dropped = next(one for one in samples if found.detail(one))
    assert found.detail(dropped).startswith("worth 0.")
    human = replace(dropped, origin=replace(dropped.origin, kind="seed"))
    assert found.detail(human) == ""


def test_it_bears_a_fifth_of_wrong_labels():
    samples, truths = labelled(0.2, 500)
    found = worth(samples, 0.17, 1)
    assert not found.reason
    assert reached(found, samples, truths) >= 0.75


WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


def graded(number, grade):
    """Short texts; those that speak of alpha are worth more, if the grades say so."""
    made = []
    for n in range(number):
        good = n % 2 == 0
        text = " ".join(["alpha" if good else "omega", *CHANCE.choices(WORDS[1:], k=8), str(n)])
        made.append(sample(text, **({"worth": grade(good)} if n < 80 else {})))
    return made


def test_grades_of_1_to_5_count_as_much_as_they_say_and_the_result_is_the_same_twice():
    samples = graded(200, lambda good: CHANCE.choice([4, 5] if good else [1, 2]))
    found = worth(samples, 0.5, 7)
    assert not found.reason
    kept = [one.answer[:5] for one in samples if not found.detail(one)]
    assert kept.count("alpha") >= 0.8 * len(kept)
    assert worth(iter([]), 0.5, 7) == Worth(0.5, 0, reason="0 samples are labelled, of at least 60")
    again = worth(list(samples), 0.5, 7)
    assert again == found
    assert len(found.model) == len(found.answers) == 16
    assert worth(samples[:50], 0.5, 7).answers not in ("", found.answers)
    assert found.as_json() | {"share": 0.5, "labels": 80, "reason": ""} == found.as_json()


@pytest.mark.slow
def test_a_forest_on_labels_by_chance_drops_nothing():
    """Chance passes for learning once in a hundred draws, so two of three are told in any case."""
    told = []
    for _ in range(3):
        samples = graded(200, lambda _: CHANCE.choice(["yes", "no"]))
        found = worth(samples, 0.17, 1)
        if found.reason:
            told.append(found.reason)
            assert not any(map(found.detail, samples))
            assert found.as_json()["threshold"] is None
    assert len(told) >= 2
    for reason in told:
        assert re.match(r"the forest learnt nothing: AUC 0\.\d\d, by chance up to 0\.", reason)


@pytest.mark.parametrize(
    "samples, reason",
    [
        (graded(59, lambda good: 5 if good else 1), "59 samples are labelled, of at least 60"),
        (graded(90, lambda _: "yes"), "80 of 80 labels are the same"),
        (graded(90, lambda _: "perhaps"), "0 samples are labelled, of at least 60"),
    ],
)
def test_too_few_labels_drop_nothing(samples, reason):
    found = worth(samples, 0.1, 1)
    assert found.reason == reason
    assert not any(map(found.detail, samples))
