"""The choice of a checkpoint: by what is new and what was retained, of equals the earlier."""

import os
import random
from dataclasses import replace

import pytest

from tests.conftest import SEED
from training.choose import ASKED, Candidate, choose, may_win, questions
from training.data import Build, Sample

CHANCE = random.Random(os.environ[SEED])


@pytest.mark.parametrize(
    "scores, kept",
    [
        ([(0.2, 0.9), (0.8, 0.9), (0.6, 0.9)], 2),  # it peaks in the middle
        ([(0.2, 0.9), (0.8, 0.5), (0.6, 0.9)], 3),  # the best at what is new forgot
        ([(0.2, 0.9), (0.8, 0.89), (0.6, 0.9)], 2),  # so little is no loss
        ([(0.5, 0.9), (0.5, 0.9), (0.5, 0.9)], 1),
        ([(0.5, None), (0.7, None), (0.6, None)], 2),
        ([(0.9, 0.1), (0.1, 0.9)], 2),
    ],
)
def test_the_rule(scores, kept):
    candidates = [Candidate(i, *one) for i, one in enumerate(scores, 1)]
    found = choose(candidates, 0.02)
    assert found.kept == kept
    assert found.candidates == tuple(candidates)
    assert f"new {candidates[kept - 1].new:.2f}" in found.reason
    assert ("the last one" in found.reason) == (kept < len(scores))


def test_what_is_thrown_away_on_the_way_is_never_what_is_chosen():
    for _ in range(300):
        candidates = [
            Candidate(i, CHANCE.randint(0, 5) / 5, CHANCE.randint(0, 5) / 5) for i in range(1, 8)
        ]
        there = set()
        for seen in range(1, 8):
            there = (there | {seen}) & may_win(candidates[:seen])
        for tolerance in (0.0, 0.1, 0.5, 1.0):
            assert choose(candidates, tolerance).kept in there


def samples(leaf, count, **more):
    messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "yes"})
    return tuple(
        Sample(f"{leaf} {n} {more}", messages, leaf.split("/")[0], leaf, **more)
        for n in range(count)
    )


def test_what_is_asked_is_in_no_phase_where_that_can_be():
    own, before = samples("skill/a", 50) + samples("skill/b", 3), samples("knowledge/c", 9)
    aside = samples("skill/a", 2, context="aside") + samples("knowledge/c", 200, context="aside")
    build = Build("", before, own, aside, samples("skill/a", 5, context="held out"))
    asked = questions(build, own, before, lambda one: True)
    assert {one.leaf for one in asked.new} == {"skill/a", "skill/b"}
    assert all(one.context == "aside" for one in asked.new if one.leaf == "skill/a")
    assert len([one for one in asked.new if one.leaf == "skill/b"]) == 3
    assert len(asked.retained) == ASKED
    assert all(one.context == "aside" for one in asked.retained)
    found = asked.score(7, ["yes"] * len(asked.new) + ["no"] * ASKED)
    assert found == Candidate(7, 1.0, 0.0)


def test_what_training_leaves_out_is_not_asked():
    own, before = samples("skill/a", 5) + samples("skill/b", 5), samples("knowledge/c", 9)
    aside = samples("skill/a", 9, context="long") + samples("skill/b", 2, context="long")
    aside += samples("skill/b", 1, context="aside") + samples("knowledge/c", 1, context="long")
    build = Build("", before, own, aside, ())
    trained = own + samples("knowledge/c", 2, replay=True)  # which is still of an earlier phase
    asked = questions(build, trained, before, lambda one: one.context != "long")
    assert {(one.leaf, one.context) for one in asked.new} == {("skill/a", ""), ("skill/b", "aside")}
    assert {one.context for one in asked.retained} == {""}
    assert len(asked.retained) == 9


def test_the_last_is_kept_where_nothing_can_be_asked():
    documents = [replace(one, messages=one.messages[1:]) for one in samples("knowledge/a", 3)]
    build = Build("", tuple(documents), (), tuple(documents), ())
    asked = questions(build, documents, samples("skill/b", 1), lambda one: True)
    candidates = [asked.score(step, [answer]) for step, answer in ((1, "yes"), (2, "no"))]
    assert candidates == [Candidate(1, None, 1.0), Candidate(2, None, 0.0)]
    found = choose(candidates, 0.02)
    assert (found.kept, found.reason) == (2, "nothing could be asked of this phase")
    assert may_win(candidates) == {2}


def test_a_leaf_counts_as_much_as_another():
    own = samples("skill/a", 30) + samples("skill/b", 2)
    asked = questions(Build("", (), own, (), ()), own, (), lambda one: True)
    answers = ["yes" if one.leaf == "skill/b" else "" for one in asked.new]
    assert asked.score(1, answers) == Candidate(1, 0.5, None)
