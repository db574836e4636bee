"""Ten turns of the flywheel: a model that learns from its own last curriculum, with people's share
and without; and how varied texts are, counted by hand.
"""

import math
import os
import random
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.diversity import diversity
from compiler.expand import Origin, Sample, sample_id
from compiler.leaf import words
from compiler.mix import mix
from compiler.prompt import Message
from compiler.spool import Kept
from tests.conftest import SEED

CYCLES, WRITES, SEEDS = 10, 1200, 60
LEAVES = ("knowledge/a", "knowledge/b", "knowledge/c")


def sample(number, answer, leaf, generation):
    question = f"question {number} of {generation}?"
    messages = (Message("user", question), Message("assistant", answer))
    kind = "synthetic" if generation else "seed"
    origin = Origin(kind, "", "", "ada", (), (), generation=generation)
    return Sample(sample_id(messages), messages, "knowledge", leaf, origin, question, answer)


def zipf(chance, number):
    """Answers as people give them: a few often, most of them once."""
    ranks = range(1, 400)
    return [f"answer{r}" for r in chance.choices(ranks, [1 / r for r in ranks], k=number)]


def lossy(chance, learned, number):
    """What a model writes that prefers what it has seen often, a little more than it was seen."""
    seen = Counter(learned)
    names = sorted(seen)
    return chance.choices(names, [seen[name] ** 1.4 for name in names], k=number)


@cache
def turn(floor, cap=0):
    """The different answers of each cycle's teacher, and all samples that were ever emitted."""
    chance = random.Random(int(os.environ[SEED]))
    people = [sample(i, answer, LEAVES[i % 3], 0) for i, answer in enumerate(zipf(chance, SEEDS))]
    learned = [s.answer for s in people]
    settings = MixSettings(validation=0, replay=0, min_human=floor, max_generation=cap)
    distinct, emitted = [], []
    for cycle in range(1, CYCLES + 1):
        written = lossy(chance, learned, WRITES)
        distinct.append(len(set(written)))
        made = [*people, *(sample(i, a, LEAVES[i % 3], cycle) for i, a in enumerate(written))]
        kept = [
            Kept(place, s.id, s.branch, s.leaf, s.origin.kind == "seed")
            for place, s in enumerate(made)
        ]
        mixture = mix(kept, settings, 0, Report(), lambda one, made=made: made[one.place], least=0)
        placed = [made[p.sample.place] for p in mixture.phase1]
        assert {s.id for s in placed} >= {s.id for s in people}
        learned = [s.answer for s in placed]
        emitted += placed
    return distinct, emitted


def test_what_people_wrote_keeps_the_flywheel_from_narrowing():
    shrunk = {}
    for floor in (0.0, 0.2, 0.6):
        distinct, _ = turn(floor)
        shrunk[floor] = 1 - distinct[-1] / distinct[0]
    assert shrunk[0.6] < 0.1
    assert shrunk[0.0] > 0.5
    assert shrunk[0.6] < shrunk[0.2] < shrunk[0.0]


def test_no_sample_is_further_from_people_than_the_cap():
    assert max(s.origin.generation for s in turn(0.2, cap=3)[1]) == 3
    assert max(s.origin.generation for s in turn(0.2)[1]) == CYCLES


def test_diversity_is_what_counting_by_hand_says():
    found = diversity(["a b a", "B c.", "", "a b c d"], ["x", "x", "y", "z"])
    assert (found.texts, found.words, found.leaves) == (4, 9, 3)
    assert found.distinct_1 == round(4 / 9, 6)
    assert found.distinct_2 == round(4 / 6, 6)
    assert found.entropy == 1.5
    assert found.most_entropy == round(math.log2(3), 4)
    assert diversity([], []).as_json()["distinct_2"] == 0.0


@pytest.mark.parametrize("room", [3, 50, 10**6])
def test_diversity_agrees_with_sets_however_little_fits_in_memory(room, monkeypatch):
    monkeypatch.setattr("compiler.diversity._ROOM", room)
    chance = random.Random(int(os.environ[SEED]))
    texts = [" ".join(zipf(chance, chance.randrange(12))) for _ in range(200)]
    said = [words(text) for text in texts]
    pairs = [pair for one in said for pair in pairwise(one)]
    found = diversity(texts, ["x"] * len(texts))
    assert found.distinct_1 == round(len({w for one in said for w in one}) / found.words, 6)
    assert found.distinct_2 == round(len(set(pairs)) / len(pairs), 6)
