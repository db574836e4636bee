"""Near duplicates by Jaccard: each answer against brute force, and few comparisons."""

import os
import random

import pytest

import compiler.near.added
import compiler.near.marks
from compiler.near import Near
from compiler.near.reach import reach
from tests.conftest import SEED


def random_sets(draw, number, sizes):
    """Sets of hashes, most of them an earlier set with a few changes."""
    hashes = [draw.getrandbits(64) for _ in range(draw.choice((6, 20, 100, 1000)))]
    made = []
    for _ in range(number):
        one = set(draw.choice(made)) if made and draw.random() < 0.7 else set()
        one = one or set(draw.choices(hashes, k=draw.choice(sizes)))
        for _ in range(draw.choice((0, 1, 1, 2, 3, 8))):
            one ^= {draw.choice(hashes)}
        made.append(frozenset(one))
    return made


def differing(draw, threshold, sizes):
    """How many answers differ from those of brute force, and how many sets were near to one."""
    sets = random_sets(draw, 90, sizes)
    keys = [draw.randrange(40) for _ in sets]
    near, added, wrong, hits = Near(zip(keys, sets, strict=True), threshold), [], 0, 0
    assert len(near) == len(sets)
    for number in draw.sample(range(len(sets)), len(sets)):
        own = sets[number]
        found = [
            (similarity, -turn, other)
            for turn, other in enumerate(added)
            if own & sets[other]
            and (similarity := len(own & sets[other]) / len(own | sets[other])) >= threshold
        ]
        best = max(found, default=None)
        wrong += near.nearest(number) != (best and (best[0], best[2]))
        assert near.same(number) == next((n for n in added if keys[n] == keys[number]), None)
        hits += bool(found)
        if draw.random() < 0.8:
            near.add(number)
            added.append(number)
    return wrong, hits


THRESHOLDS = (0.1, 0.3, 0.5, 2 / 3, 0.7, 0.7, 5 / 6, 0.85, 1)
SIZES = (0, 1, 2, 3, 6, 12, 18, 40, 150)


def test_every_answer_is_that_of_brute_force():
    draw = random.Random(f"{os.environ[SEED]}-near")
    told = [differing(draw, threshold, SIZES) for threshold in THRESHOLDS * 3]
    assert sum(wrong for wrong, _ in told) == 0
    assert sum(hits for _, hits in told) > 500


@pytest.mark.parametrize("field", ["to_larger", "to_smaller"])
def test_a_set_that_showed_fewer_of_its_members_would_be_missed(monkeypatch, field):
    def less(size, similarity):
        found = reach(size, similarity)
        return found._replace(**{field: getattr(found, field) - 3})

    monkeypatch.setattr(compiler.near.marks, "reach", less)
    draw = random.Random(f"{os.environ[SEED]}-near")
    told = [differing(draw, threshold, SIZES) for threshold in THRESHOLDS * 3]
    assert sum(wrong for wrong, _ in told) > 0


def test_very_long_sets_find_each_other_too():
    draw = random.Random(os.environ[SEED])
    long = [draw.getrandbits(64) for _ in range(1700)]
    sets = [frozenset(long[:1300]), frozenset(long[200:]), frozenset(long[:1000])]
    near = Near(enumerate(sets), 0.7)
    near.add(0)
    assert near.nearest(1) is None  # 1,100 of 1,700
    assert near.nearest(2) == (1000 / 1300, 0)
    near.add(1)
    near.add(2)
    assert near.nearest(0) == (1, 0)


def compared(monkeypatch, sets, threshold):
    """How many are kept when each that is near to a kept one is dropped; and comparisons."""
    count = 0

    def counting(a, b):
        nonlocal count
        count += 1
        return jaccard(a, b)

    jaccard = compiler.near.added.jaccard
    with monkeypatch.context() as patch:
        patch.setattr(compiler.near.added, "jaccard", counting)
        near = Near(enumerate(sets), threshold)
        for number in range(len(sets)):
            if near.nearest(number) is None:
                near.add(number)
    return sum(near.same(n) is not None for n in range(len(sets))), count


def test_sets_of_one_template_that_are_not_alike_are_hardly_compared(monkeypatch):
    """Of twelve members nine are the template's, so two share 9 of 15: 0.6."""
    draw = random.Random(os.environ[SEED])
    template = [draw.getrandbits(64) for _ in range(9)]
    sets = [frozenset(template + [draw.getrandbits(64) for _ in range(3)]) for _ in range(2000)]
    kept, count = compared(monkeypatch, sets, 0.7)
    assert kept == 2000
    assert count < 0.01 * 2000 * 2000 / 2
    kept, count = compared(monkeypatch, sets, 0.6)
    assert (kept, count) == (1, 1999)
    kept, count = compared(monkeypatch, [frozenset([*template, n]) for n in range(2000)], 0.7)
    assert (kept, count) == (1, 1999)


def test_what_was_added_first_is_named():
    sets = [frozenset(range(10))] * 3
    near = Near([(7, sets[0]), (7, sets[1]), (8, sets[2])], 0.5)
    assert near.same(0) is None
    assert near.nearest(0) is None
    near.add(1)
    near.add(0)
    near.add(1)
    assert (near.same(0), near.same(1), near.same(2)) == (1, 1, None)
    assert near.nearest(2) == (1, 1)


def test_nothing_is_near_to_nothing():
    near = Near([(1, frozenset()), (1, frozenset())], 0.5)
    near.add(0)
    assert near.nearest(1) is None
    assert near.same(1) == 0
    assert len(Near([], 0.5)) == 0


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_no_other_threshold_is_a_similarity(threshold):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Near([], threshold)
