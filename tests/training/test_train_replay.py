"""The claim of the two phases, in miniature: replay keeps the facts; without it they are forgotten.

The control is the same phase 2 without its replay samples, through the same command path.
"""

import random

from rich.console import Console

from compiler.diagnostics import Report
from tests.training.builds import make_build
from training import data, run
from training import recipe as recipes

RECIPE = """\
student: {kind: embedded, layers: 1, hidden: 64, heads: 2, vocabulary: 420}
method: full
max_length: 64
threads: 1
control: true
phases:
  - {name: phase1, data: phase1, learning_rate: 0.003, epochs: 100, accumulation: 2,
     warmup_steps: 10, stop_at_loss: 0.03}
  - {name: phase2, data: phase2, learning_rate: 0.003, epochs: 40, accumulation: 2,
     warmup_steps: 10, stop_at_loss: 0.03}
"""


def test_replay_keeps_what_its_absence_loses(tmp_path, train_on):
    from training import evaluate

    seed = random.SystemRandom().randrange(10**6)
    build = data.read(make_build(tmp_path / "build", seed, replay=0.6), Report())
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = recipes.read(str(tmp_path / "recipe.yaml"), Report())
    found = run.find(train_on(build, recipe), Report())
    sets = evaluate.evaluate(build, found, Report(), Console(quiet=True))["sets"]

    def kept(stage):
        return sets["trained"][stage]["branches"]["knowledge"]["exact_match"]

    told = {stage: kept(stage) for stage in found.stages} | {"seed": seed}
    assert told["base"] == 0, told
    assert told["phase1"] >= 0.8, told
    assert told["phase2"] >= 0.6, told
    assert told["control"] <= told["phase2"] - 0.3, told
