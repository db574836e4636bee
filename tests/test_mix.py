"""The two phases: routing, the replay share, balance over leaves, and the same order every time."""

import random
from dataclasses import replace

import pytest

from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.expand import sample_id
from compiler.mix import mix
from compiler.prompt import Message
from compiler.spool import Kept


def samples(seed=3):
    draw = random.Random(seed)
    sizes = {"knowledge/a": 40, "knowledge/b": 10, "foundational_skills/c": 10}
    sizes["compositional_skills/d"] = 25
    made = [
        Kept(0, sample_id([Message("user", f"{leaf} {i}?")]), leaf.split("/")[0], leaf, False)
        for leaf, number in sizes.items()
        for i in range(number)
    ]
    draw.shuffle(made)
    return made


@pytest.mark.parametrize("share, replayed", [(0, 0), (0.1, 6), (0.5, 30), (1, 60)])
def test_phase_2_replays_that_share_of_phase_1(share, replayed):
    mixture = mix(samples(), MixSettings(replay=share, validation=0), 0, Report())
    assert len(mixture.phase1) == 60
    assert len(mixture.phase2) == 25 + replayed
    assert sum(p.replay for p in mixture.phase2) == replayed
    first = {p.sample.id for p in mixture.phase1}
    assert all((p.sample.id in first) == p.replay for p in mixture.phase2)


def test_replay_is_balanced_over_leaves():
    mixture = mix(samples(), MixSettings(replay=0.5, validation=0), 0, Report())
    count = {}
    for placed in mixture.phase2:
        if placed.replay:
            count[placed.sample.leaf] = count.get(placed.sample.leaf, 0) + 1
    assert count == {"knowledge/a": 20, "knowledge/b": 5, "foundational_skills/c": 5}


def test_the_order_depends_on_content_and_seed_alone():
    one = mix(samples(3), MixSettings(), 0, Report())
    assert mix(samples(4), MixSettings(), 0, Report()) == one
    assert mix(samples(3), MixSettings(), 1, Report()) != one


def test_an_empty_phase_is_said():
    report = Report()
    mix([s for s in samples() if s.branch == "knowledge"], MixSettings(), 0, report)
    assert [d.code.id for d in report.diagnostics] == ["M308"]


def test_samples_kept_aside_are_in_no_phase_and_never_a_human_s():
    made = samples()
    human = [replace(s, human=True) for s in made[:40]]
    mixture = mix([*human, *made[40:]], MixSettings(validation=0.2), 0, Report())
    assert len(mixture.validation) == 9
    aside = {sample.id for sample in mixture.validation}
    placed = [p.sample.id for p in (*mixture.phase1, *mixture.phase2) if not p.replay]
    assert not aside & set(placed)
    assert not aside & {p.sample.id for p in mixture.phase2}
    assert len(aside) + len(placed) == len(made)
    assert not any(sample.human for sample in mixture.validation)
