"""The claim of the two phases, in miniature: replay keeps the facts; without it they are forgotten.

Methods, A5: a key has a number that nothing foretells, then strings are reversed. The share of
replay stands in curriculum.yaml; the control is the same phase 2 on a build with none.
"""

import os
import random
from collections import Counter
from dataclasses import replace

import pytest

from compiler.diagnostics import Report
from tests.conftest import SEED
from tests.training.mixed import mixed, recalled, sample, trained
from training import recipe as recipes
from training.recipe import Replay
from training.replay import samples_of

FACTS, SKILLS, ASKED = 40, 100, 60
RECIPE = """\
student: {kind: embedded, layers: 1, hidden: 32, heads: 2, vocabulary: 264}
method: full
max_length: 256
threads: 1
checkpoint_seconds: 1000
phases:
  - {name: phase1, data: phase1, learning_rate: 0.004, epochs: 70, warmup_steps: 10}
  - {name: phase2, data: phase2, learning_rate: 0.004, epochs: 60, warmup_steps: 10}
"""


def material(seed):
    """Facts, and a skill to train on and to be asked: strings whose three places have letters of
    their own, so that one layer can tell the places.
    """
    chance = random.Random(seed)
    keys = [f"{a}{b}" for a in "ABCDEFGH" for b in "0123456789"]
    facts = [
        sample(key, str(chance.randrange(100, 1000)), "knowledge/keys")
        for key in chance.sample(keys, FACTS)
    ]
    strings = [a + b + c for a in "abcdef" for b in "ijklmn" for c in "qrstuv"]
    chance.shuffle(strings)
    skill = [sample(one, one[::-1], "compositional_skills/reverse") for one in strings]
    return facts, skill[:SKILLS], skill[SKILLS : SKILLS + ASKED]


def build_of(folder, seed, replay):
    facts, skill, _ = material(seed)
    settings = f"seed: {seed}\nmix: {{replay: {replay}, validation: 0}}\n"
    return mixed(folder, [*facts, *skill], settings)


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return recipes.read(str(tmp_path / "recipe.yaml"), Report())


@pytest.mark.slow
def test_replay_keeps_what_its_absence_loses(tmp_path, recipe):
    seed = int(os.environ[SEED]) % 10**6
    recipe = replace(recipe, seed=seed)
    facts, _, asked = material(seed)
    told, first = {"seed": seed}, None
    for share in (1.0, 0.0):
        build = build_of(tmp_path / f"build-{share}", seed, share)
        first = trained(build, recipe, tmp_path / f"student-{share}", first)
        told[share] = recalled(first / "phase2", facts), recalled(first / "phase2", asked)
    told["phase1"] = recalled(first / "phase1", facts), recalled(first / "phase1", asked)
    assert told["phase1"][0] >= 0.9, told
    assert told["phase1"][1] <= 0.2, told
    assert told[1.0][0] >= 0.9, told
    assert told[0.0][0] <= 0.2, told
    assert told[1.0][1] >= 0.9, told
    assert told[0.0][1] >= 0.9, told


def test_the_recipe_s_replay_and_the_mix_s_are_of_the_same_samples(tmp_path, recipe):
    """At one point they must be equal: where all of phase 1 is repeated once."""
    phase1, phase2 = recipe.phases

    def drawn(build, phase):
        return samples_of(build, phase, recipe, [phase1], Report())

    everything, half = (build_of(tmp_path / str(share), 5, share) for share in (1.0, 0.5))
    ours = drawn(everything, replace(phase2, replay=Replay(FACTS / SKILLS)))
    theirs = drawn(everything, phase2)
    assert Counter(one.id for one in ours.replayed) == Counter(one.id for one in theirs.replayed)
    assert ours.share == theirs.share == FACTS / SKILLS
    assert ours.own == theirs.own
    assert all(one.replay for one in ours.replayed)
    assert drawn(half, phase2).share == FACTS / SKILLS / 2
    without = replace(recipe, replay=False)
    assert not samples_of(everything, phase2, without, [phase1], Report()).replayed
