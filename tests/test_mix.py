"""The two phases: routing, steps, budgets, people's share, the replay, and the same order every
time.
"""

import os
import random
from collections import Counter
from dataclasses import replace

import pytest

from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.expand import Origin, Sample, sample_id
from compiler.mix import mix
from compiler.prompt import Message
from compiler.spool import Kept
from compiler.worth import Worth
from tests.conftest import SEED


def samples(seed=3):
    draw = random.Random(seed)
    sizes = {"knowledge/a": 40, "knowledge/b": 10, "foundational_skills/c": 10}
    sizes["compositional_skills/d"] = 25
    made = [
        Kept(0, sample_id([Message("user", f"{leaf} {i}?")]), leaf.split("/")[0], leaf, False)
        for leaf, number in sizes.items()
        for i in range(number)
    ]
    made = [replace(one, place=place) for place, one in enumerate(made)]
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


class Pool:
    """Kept samples with texts of known length; `text` reads them as a build does."""

    def __init__(self):
        self.draw = random.Random(int(os.environ[SEED]))
        self.samples = []

    def add(self, leaf, answer=5, question=5, kind="synthetic", **said):
        number = len(self.samples)
        words = [f"w{self.draw.randrange(10**9)}" for _ in range(question + answer)]
        asked, told = " ".join(words[:question]), " ".join(words[question:])
        messages = (Message("user", asked), Message("assistant", told))
        origin = Origin(kind, "", "", "ada", (), (), generation=said.pop("generation", 0))
        made = Sample(
            sample_id(messages), messages, leaf.split("/")[0], leaf, origin, asked, told, **said
        )
        self.samples.append(made)
        return Kept(number, made.id, made.branch, leaf, kind == "seed")

    def text(self, kept):
        return self.samples[kept.place]

    def words(self, placed, people=None):
        found = [self.text(p.sample) for p in placed]
        return sum(
            len(m.content.split())
            for s in found
            if people is None or (s.origin.kind == "seed") == people
            for m in s.messages
        )

    def mix(self, kept, report=None, least=1, **settings):
        wanted = MixSettings(**{"validation": 0, "replay": 0, **settings})
        return mix(kept, wanted, 0, Report() if report is None else report, self.text, least)


def test_phase_1_asks_for_short_answers_of_knowledge_first():
    pool = Pool()
    kept = [pool.add("knowledge/a", answer=pool.draw.randrange(1, 60)) for _ in range(80)]
    kept += [pool.add("foundational_skills/b", answer=3) for _ in range(20)]
    kept += [pool.add("compositional_skills/c") for _ in range(5)]
    placed = pool.mix(kept, short_answer=20, replay=0.5)
    steps = [p.step for p in placed.phase1]
    assert steps == sorted(steps)
    assert set(steps) == {1, 2}
    assert {p.step for p in placed.phase2} == {0}
    lengths = {1: [], 2: []}
    for p in placed.phase1:
        if p.sample.branch == "knowledge":
            lengths[p.step].append(len(pool.text(p.sample).answer.split()))
        else:
            assert p.step == 2
    assert max(lengths[1]) <= 20 < min(lengths[2])
    everything = pool.mix(kept, short_answer=60, replay=0.5)
    assert {p.step for p in everything.phase1 if p.sample.branch == "knowledge"} == {1}


def test_a_budget_is_even_over_leaves_and_cuts_nothing_of_people():
    pool = Pool()
    sizes = {"knowledge/a": 50, "knowledge/b": 8, "knowledge/c": 4}
    kept = [pool.add(leaf) for leaf, number in sizes.items() for _ in range(number)]
    seeds = [pool.add("knowledge/a", kind="seed") for _ in range(6)]
    mixed = pool.mix([*seeds, *kept], phase1=30)
    count = Counter(p.sample.leaf for p in mixed.phase1 if not p.sample.human)
    assert count == {"knowledge/a": 12, "knowledge/b": 8, "knowledge/c": 4}
    assert {p.sample.id for p in mixed.phase1} >= {s.id for s in seeds}
    assert [c.code.id for c in mixed.cut] == ["D513"] * 38
    assert len(pool.mix([*seeds, *kept], phase1=3).phase1) == 6
    assert not pool.mix([*seeds, *kept], phase1=68).cut


def test_a_budget_keeps_what_the_judges_liked_best():
    pool = Pool()
    kept = [pool.add("knowledge/a", scores={"rating": i % 3 + 1}) for i in range(30)]
    mixed = pool.mix(kept, phase1=10)
    assert {pool.text(p.sample).scores["rating"] for p in mixed.phase1} == {3}


@pytest.mark.parametrize("floor", [0.2, 0.35, 0.6])
def test_people_write_the_share_that_is_wanted_of_each_phase(floor):
    pool = Pool()
    kept = []
    for leaf in ("knowledge/a", "knowledge/b", "compositional_skills/c"):
        kept += [pool.add(leaf, kind="seed", answer=pool.draw.randrange(1, 30)) for _ in range(8)]
        kept += [pool.add(leaf, answer=pool.draw.randrange(1, 30)) for _ in range(60)]
    report = Report()
    mixed = pool.mix(kept, report, min_human=floor, replay=0.5)
    for phase, share in zip((mixed.phase1, mixed.phase2), mixed.human, strict=True):
        assert pool.words(phase, people=True) / pool.words(phase) == pytest.approx(share, abs=1e-5)
        assert floor <= share < floor + 0.15
    assert {c.code.id for c in mixed.cut} == {"D540"}
    assert not any(c.sample.human for c in mixed.cut)
    left = Counter(p.sample.leaf for p in mixed.phase1 if not p.sample.human)
    assert max(left.values()) - min(left.values()) <= 1
    assert not report.diagnostics
    free = pool.mix(kept, replay=0.5)
    assert not free.cut
    assert all(share < 0.2 for share in free.human)


def test_a_floor_out_of_reach_is_an_error_that_names_the_leaf():
    pool = Pool()
    kept = [pool.add("knowledge/rich", kind="seed") for _ in range(6)]
    kept += [pool.add(leaf) for leaf in ("knowledge/poor", "knowledge/rich") for _ in range(20)]
    kept += [pool.add("knowledge/poor", kind="seed")]
    report = Report()
    mixed = pool.mix(kept, report, least=10, min_human=0.5)
    (found,) = [d for d in report.diagnostics if d.code.id == "M313"]
    assert "`knowledge/poor`" in found.message
    assert "0.25" in found.hint
    assert len(mixed.phase1) == len({p.sample.id for p in mixed.phase1}) == len(kept)
    reachable = Report()
    pool.mix(kept, reachable, least=10, min_human=0.25)
    assert not [d for d in reachable.diagnostics if d.code.id == "M313"]


def test_a_sample_too_far_from_people_is_in_no_phase():
    pool = Pool()
    kept = [pool.add("knowledge/a", generation=i % 5, kind="synthetic") for i in range(50)]
    mixed = pool.mix(kept, max_generation=2, replay=1)
    placed = [p.sample for p in (*mixed.phase1, *mixed.phase2)]
    assert max(pool.text(kept).origin.generation for kept in placed) == 2
    assert [c.code.id for c in mixed.cut] == ["D544"] * 20
    assert max(pool.text(p.sample).origin.generation for p in pool.mix(kept).phase1) == 4


WAYS = ("balanced", "all", "top")


def test_the_replay_is_of_every_leaf_of_any_or_of_the_best():
    pool = Pool()
    kept = [pool.add("knowledge/a", scores={"rating": i % 4}) for i in range(40)]
    kept += [pool.add("knowledge/b", scores={"rating": i % 4}) for i in range(20)]
    kept += [pool.add("compositional_skills/c")]

    def replayed(way, seed=0):
        settings = MixSettings(replay=0.25, replay_from=way, validation=0)
        placed = mix(kept, settings, seed, Report(), pool.text).phase2
        return [pool.text(p.sample) for p in placed if p.replay]

    found = {way: replayed(way) for way in WAYS}
    assert {way: len(samples) for way, samples in found.items()} == dict.fromkeys(WAYS, 15)
    for way in ("balanced", "top"):
        assert Counter(s.leaf for s in found[way]) == {"knowledge/a": 10, "knowledge/b": 5}
    assert {s.scores["rating"] for s in found["top"]} == {3}
    assert len({s.scores["rating"] for s in found["balanced"]}) > 1
    uneven = [Counter(s.leaf for s in replayed("all", seed))["knowledge/b"] for seed in range(20)]
    assert set(uneven) != {5}


def test_a_data_set_is_never_kept_aside_and_counts_as_people_where_people_wrote_it():
    pool = Pool()
    kept = [pool.add("sources/x", kind="source", generation=i % 2) for i in range(40)]
    mixed = pool.mix([replace(k, branch="knowledge") for k in kept], validation=0.5)
    assert not mixed.validation
    assert mixed.human[0] == 0.5


def test_what_is_kept_aside_goes_by_its_place_and_words_of_every_script_count():
    pool = Pool()
    twins = [pool.add("knowledge/a", answer=5) for _ in range(4)]
    twins = [replace(one, id=twins[0].id) for one in twins]
    mixed = pool.mix(twins, validation=0.5)
    assert (len(mixed.validation), len(mixed.phase1)) == (2, 2)
    chinese = pool.add("knowledge/b")
    told = (Message("user", "水是什么？"), Message("assistant", "水是一种没有颜色的液体。" * 9))
    pool.samples[-1] = replace(pool.samples[-1], messages=told)
    short = pool.add("knowledge/c", answer=25)
    assert [p.step for p in pool.mix([short, chinese], short_answer=25).phase1] == [1, 2]


@pytest.mark.parametrize(
    "kind, generation, people, made",
    [
        ("seed", 0, True, False),
        ("source", 0, True, False),
        ("source", 1, False, False),
        ("synthetic", 1, False, True),
    ],
)
def test_what_people_wrote_is_held_to_no_worth_and_no_grade(kind, generation, people, made):
    pool = Pool()
    pool.add("knowledge/a", kind=kind, generation=generation)
    (one,) = pool.samples
    assert (one.origin.of_people, one.origin.made) == (people, made)
    assert bool(Worth(0.5, 80, {one.id: 0.0}, 1.0).detail(one)) is not people
