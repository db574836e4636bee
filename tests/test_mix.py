"""The two phases: routing, the replay share, balance over leaves, and the same order every time."""

import random

import pytest

from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.mix import mix
from tests.test_sift import sample as make


def samples(seed=3):
    draw = random.Random(seed)
    sizes = {"knowledge/a": 40, "knowledge/b": 10, "foundational_skills/c": 10}
    made = [make(f"{leaf} {i}?", leaf=leaf) for leaf, n in sizes.items() for i in range(n)]
    made += [make(f"skill {i}?", leaf="compositional_skills/d") for i in range(25)]
    draw.shuffle(made)
    return [_branch(s) for s in made]


def _branch(sample):
    from dataclasses import replace

    return replace(sample, branch=sample.leaf.split("/")[0])


@pytest.mark.parametrize("share, replayed", [(0, 0), (0.1, 6), (0.5, 30), (1, 60)])
def test_phase_2_replays_that_share_of_phase_1(share, replayed):
    mixture = mix(samples(), MixSettings(replay=share), 0, Report())
    assert len(mixture.phase1) == 60
    assert len(mixture.phase2) == 25 + replayed
    assert sum(p.replay for p in mixture.phase2) == replayed
    first = {p.sample.id for p in mixture.phase1}
    assert all((p.sample.id in first) == p.replay for p in mixture.phase2)


def test_replay_is_balanced_over_leaves():
    mixture = mix(samples(), MixSettings(replay=0.5), 0, Report())
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
