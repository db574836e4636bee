"""What training costs, and what replay is for: figures of the trainer beside their goals.

`replay` trains an invented curriculum with five shares of replay, and all of it at once; `lora` its
second phase with adapters (both in bench/forgetting.py). `speed` sets our trainer beside TRL's
SFTTrainer as it comes, `overhead` beside one that does nothing but train, both on the build of the
shipped taxonomy; `start` times `trivium train --plan` (bench/speed.py); `gpu` needs one (bench/
gpu.py). Times are CPU seconds of one process on one thread, where nothing else is said. Exit status
1 where a goal is missed. Run it with `python bench/train.py [--only PART]`; all of it takes about
15 minutes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import forgetting
import gpu
import speed
from goals import Goals, fresh

FALL = 0.06  # about two standard errors of what three seeds are asked
KINDS = ("trained phrasing", "other phrasing", "skill")


def table(runs):
    """Means over seeds, a line a run, and the lowest and highest of each."""
    print(f"{'':28}" + "".join(f"{kind:>24}" for kind in KINDS))
    for name in runs[0]:
        cells = []
        for column in range(len(KINDS)):
            told = [run[name][column] for run in runs]
            cells.append(f"{statistics.mean(told):.2f} ({min(told):.2f} to {max(told):.2f})")
        print(f"{name:28}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def replay(goals, scratch, rounds, seeds):
    runs = []
    for seed in range(seeds):
        (scratch / f"seed-{seed}").mkdir()
        runs.append(fresh(forgetting.response, scratch / f"seed-{seed}", seed))
    table(runs)

    def mean(name, column):
        return statistics.mean(run[name][column] for run in runs)

    names = [f"replay {share:.0%}" for share in forgetting.SHARES]
    for column, kind in enumerate(KINDS[:2]):
        first = mean("phase 1", column)
        goals.say(f"no replay: recalled, {kind}", mean(names[0], column), 0.1)
        kept = mean("replay 30%", column) / first
        goals.say(f"replay 30%: of what phase 1 recalled, {kind}", kept, 0.8, True)
        means = [mean(name, column) for name in names]
        falls = max(one - other for one, other in pairwise(means))
        goals.say(f"from a share to the next it falls by, {kind}", max(0.0, falls), FALL)
        apart = abs(mean("replay 30%", column) - mean(forgetting.BY_RECIPE, column))
        goals.say(f"30% by the recipe: apart from the mix's, {kind}", apart, 0.1)


def lora(goals, scratch, rounds, seeds):
    (scratch / "lora").mkdir()
    told = fresh(forgetting.adapters, scratch / "lora", 0)
    table([{name: figures[:3] for name, figures in told.items()}])
    for name, (*_, steps, weights) in told.items():
        if weights:
            print(f"{name}: {steps} steps, {weights:.0%} of the weights trained")


PARTS = {
    "replay": replay,
    "lora": lora,
    "speed": lambda goals, scratch, rounds, seeds: speed.throughput(goals, scratch, rounds),
    "overhead": lambda goals, scratch, rounds, seeds: speed.overhead(goals, scratch, rounds),
    "start": lambda goals, scratch, rounds, seeds: speed.start(goals, scratch, rounds),
    "gpu": lambda goals, scratch, rounds, seeds: gpu.gpu(goals, scratch, rounds),
}


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--only", choices=PARTS, action="append", help="one part; repeatable")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--seeds", type=int, default=3, help="of the part `replay`")
    said = asked.parse_args()
    goals = Goals()
    with tempfile.TemporaryDirectory() as top:
        for name in said.only or PARTS:
            PARTS[name](goals, Path(top), said.rounds, said.seeds)
    print(json.dumps({"rounds": said.rounds, "seeds": said.seeds, "cpus": os.cpu_count()}))
    sys.exit(goals.missed)


if __name__ == "__main__":
    main()
