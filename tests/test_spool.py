"""The spool: in by any order, out by that of the build, the same values, and hardly any memory."""

import os
import random
import tracemalloc
from collections import Counter
from dataclasses import replace

from compiler.codes import D501, D509, R402, R404
from compiler.expand import Drop, Outcome
from compiler.spool import Outcomes
from compiler.teacher import Failure
from tests.conftest import SEED
from tests.test_expand import units
from tests.test_sift import sample

TEXTS = ("", "plain", 'a "quoted" \\ one', "two\nlines\u2028and more", "Ελλάς 日本 🐦")
HALF = "half of a letter: \ud83d"


def drawn(draw, number):
    """A sample unlike all others, with every kind of text and score."""
    made = sample(f"{number} {draw.choice(TEXTS)}", draw.choice(TEXTS), context=draw.choice(TEXTS))
    origin = replace(
        made.origin, licences=("MIT",), seeds=("a#1", "a#2"), start=number, replies=(str(number),)
    )
    scores = draw.choice(({}, {"rating": 3, "kind": "good", "odds": draw.random()}))
    return replace(made, origin=origin, scores=scores, unmask=draw.random() < 0.5)


def outcomes(draw):
    """An outcome for each of some units: samples, drops, and failures."""
    made = []
    for number, unit in enumerate(units(300)):
        if draw.random() < 0.2:
            failure = Failure(draw.choice((R402, R404)), f"no to {number}")
            made.append(Outcome(number, unit, (), (), 1, failure))
            continue
        samples = tuple(drawn(draw, 10 * number + i) for i in range(draw.randrange(4)))
        drops = tuple(
            Drop(draw.choice((D501, D509, R402)), f"{number}.{i}", unit.leaf.path, "keep", HALF)
            for i in range(draw.randrange(3))
        )
        made.append(Outcome(number, unit, samples, drops, len(samples) + len(drops)))
    return made


def spooled(made, folder):
    kept = Outcomes(folder)
    for outcome in made:
        kept.put(outcome)
    return kept


def test_what_goes_in_in_any_order_comes_out_in_that_of_the_build(tmp_path):
    draw = random.Random(f"{os.environ[SEED]}-spool")
    made = outcomes(draw)
    mixed = draw.sample(made, len(made))
    kept = spooled(mixed, tmp_path)
    assert list(kept.samples) == [s for o in made for s in o.samples]
    assert list(kept.drops) == [d for o in made for d in o.drops]
    assert list(kept.samples) != [s for o in mixed for s in o.samples]
    assert [kept.samples[place] for place in kept.samples.places()] == list(kept.samples)


def test_seeds_come_first_and_what_is_sifted_last(tmp_path):
    made = outcomes(random.Random(f"{os.environ[SEED]}-spool"))
    kept = spooled(made, tmp_path)
    seeds = [sample(f"seed {n}", kind="seed") for n in range(3)]
    late = Drop(D501, "late", "knowledge/x", "sift", "text", ("reply",))
    kept.put_drop(late)
    for seed in seeds:
        kept.put_given(seed)
    assert list(kept.samples) == [*seeds, *(s for o in made for s in o.samples)]
    assert list(kept.drops) == [*(d for o in made for d in o.drops), late]


def test_the_counts_are_those_of_the_outcomes(tmp_path):
    draw = random.Random(f"{os.environ[SEED]}-spool")
    made = outcomes(draw)
    kept = spooled(draw.sample(made, len(made)), tmp_path)
    failed = [o.failure.code for o in made if o.failure]
    dropped = [d.code for o in made for d in o.drops]
    silent = {R402: [], R404: []}
    for outcome in made:
        if outcome.failure:
            silent[outcome.failure.code].append(outcome.failure.detail)
        silent[R402] += [d.detail for d in outcome.drops if d.code is R402]
    assert kept.answered == len(made) - len(failed)
    assert kept.records == sum(o.records for o in made)
    assert kept.failed == Counter(failed)
    assert kept.dropped == Counter(dropped)
    assert {code: (s.count, s.detail) for (_, code), s in kept.silent.items()} == {
        code: (len(details), details[0]) for code, details in silent.items() if details
    }


def test_nothing_of_it_can_be_left_on_disk(tmp_path):
    kept = spooled(outcomes(random.Random(1)), tmp_path)
    assert len(kept.samples) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_sample_takes_a_few_bytes_of_memory(tmp_path):
    def grown(put):
        tracemalloc.start()
        for number in range(1000):
            put(replace(one, question=str(number), answer=f"{number:2000}"))
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    one, in_memory = sample("q"), []
    kept = Outcomes(tmp_path)
    assert grown(kept.put_given) < 100 * 1000
    assert grown(in_memory.append) > 2000 * 1000
