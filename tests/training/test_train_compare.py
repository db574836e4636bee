"""Intervals of differences: against simulations whose truth is known, with controls that fail."""

import os
import random
from importlib import import_module

import numpy as np
import pytest


@pytest.fixture(scope="module")
def compare():
    module = import_module("training.evaluate.compare")
    before, module.RESAMPLES = module.RESAMPLES, 2000
    module._few.cache_clear()
    yield module
    module.RESAMPLES = before
    module._few.cache_clear()


@pytest.fixture
def draw():
    seed = int(os.environ.get("TRIVIUM_TEST_SEED", random.SystemRandom().randrange(2**31)))
    print("seed", seed)
    return np.random.default_rng(seed)


def column(values):
    from training.evaluate.scores import Column

    return Column.of([float(value) for value in values])


def covered(compare, truth, draws):
    """How often the interval holds the truth."""
    found = [compare.compare("exact_match", *draw) for draw in draws]
    return np.mean([one.low <= truth <= one.high for one in found])


def alone(draw, n):
    """Answers of two models: the second is right at 0.15 more of the questions."""
    kind = draw.choice(4, size=n, p=[0.30, 0.25, 0.10, 0.35])  # both, second, first, none
    first, second = np.isin(kind, (0, 2)), np.isin(kind, (0, 1))
    return column(first), column(second), ["leaf"] * n


def together(draw, leaves, each):
    """The second model knows a leaf or does not: its questions go one way together."""
    gained = draw.random(leaves) < 0.4
    after = np.repeat(gained, each) & (draw.random(leaves * each) < 0.9)
    names = [f"leaf {i // each}" for i in range(leaves * each)]
    return column(np.zeros(leaves * each)), column(after), names


@pytest.mark.parametrize("n", [12, 60])
def test_the_interval_holds_the_truth_as_often_as_it_says(compare, draw, n):
    assert covered(compare, 0.15, (alone(draw, n) for _ in range(300))) >= 0.89


def test_it_is_no_wider_than_it_must_be(compare, draw):
    """The control of the test above: wide intervals would hold every truth."""
    normal = 2 * 1.96 * np.sqrt((0.35 - 0.15**2) / 200)
    found = [compare.compare("f1", *alone(draw, 200)) for _ in range(40)]
    assert np.mean([one.high - one.low for one in found]) == pytest.approx(normal, rel=0.1)


def test_questions_of_one_leaf_are_no_independent_ones(compare, draw):
    drawn = [together(draw, 15, 8) for _ in range(150)]
    assert covered(compare, 0.36, drawn) >= 0.86
    single = [(a, b, [f"{i}" for i in range(len(of))]) for a, b, of in drawn]
    assert covered(compare, 0.36, single) <= 0.75


def test_what_was_resampled_is_said(compare, draw):
    first, second, names = together(draw, 15, 8)
    found = compare.compare("f1", first, second, names)
    assert (found.n, found.units, found.by) == (120, 15, "leaf")
    few = compare.compare("f1", first, second, [f"leaf {i % 5}" for i in range(120)])
    assert (few.n, few.units, few.by) == (120, 120, "question")


def test_a_planted_difference_is_found_and_named(compare, draw):
    before = column(draw.random(80) < 0.3)
    after = column(np.maximum(before.above, draw.random(80) < 0.5))
    leaf = ["x"] * 80
    assert compare.compare("exact_match", before, after, leaf).verdict == "improved"
    assert compare.compare("exact_match", after, before, leaf).verdict == "regressed"
    assert compare.compare("loss", nats(2.0), nats(1.5), leaf).verdict == "improved"
    assert compare.compare("loss", nats(1.5), nats(2.0), leaf).verdict == "regressed"


def nats(mean):
    from training.evaluate.scores import Column

    tokens = np.arange(80) % 7 + 1.0
    return Column(mean * tokens, tokens)


def test_equal_models_show_no_change(compare, draw):
    values = column(draw.random(80))
    found = compare.compare("f1", values, values, ["x"] * 80)
    assert (found.difference, found.low, found.high, found.verdict) == (0, 0, 0, "no change")
    verdicts = []
    for _ in range(200):  # two draws of one ability
        drawn = [column(draw.random(60) < 0.6) for _ in range(2)]
        verdicts.append(compare.compare("f1", *drawn, ["x"] * 60).verdict)
    assert verdicts.count("no change") >= 180


def test_few_questions_prove_nothing(compare):
    zeros, ones = (column([value] * 5) for value in (0, 1))
    found = compare.compare("exact_match", zeros, ones, list("abcde"))
    assert (found.difference, found.low, found.high, found.verdict) == (1, None, None, "too few")
    zeros, ones = (column([value] * 6) for value in (0, 1))
    assert compare.compare("exact_match", zeros, ones, list("abcdef")).verdict == "improved"


def test_only_what_both_were_measured_on_counts(compare):
    from training.evaluate.scores import Column

    first = Column.of([1.0, None, 0.0, 1.0])
    second = Column.of([0.0, 1.0, None, 1.0])
    assert compare.compare("judged", first, second, list("abcd")).n == 2
    assert compare.compare("judged", first, Column.of([None] * 4), list("abcd")) is None
    tokens = [Column(np.ones(4), np.full(4, n)) for n in (3.0, 4.0)]
    assert compare.compare("loss", *tokens, list("abcd")) is None, "another tokenizer"


def test_the_mean_of_a_loss_is_over_tokens(compare):
    from training.evaluate.scores import Column

    first = Column(np.array([2.0, 90.0]), np.array([1.0, 9.0]))
    second = Column(np.array([1.0, 90.0]), np.array([1.0, 9.0]))
    assert compare.compare("loss", first, second, ["a", "b"]).difference == -0.1


def test_many_units_are_drawn_in_parts_and_twice_the_same(compare, draw):
    n = 3000
    first, second = column(draw.random(n)), column(draw.random(n) + 0.02)
    units = [str(i) for i in range(n)]
    found = compare.compare("f1", first, second, units)
    assert found == compare.compare("f1", first, second, units)
    wanted = 1.96 * np.std(second.above - first.above) / np.sqrt(n)
    assert (found.high - found.low) / 2 == pytest.approx(wanted, rel=0.1)
