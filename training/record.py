"""The rows that each process was trained on go in; the proof of a phase's order comes out.

A file of its own because it is held against the order that was drawn: that every sequence was
trained on once, in its step, on one process or on several, killed in between or not.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.data import Sample
from training.machine import write_text
from training.order import Order


def rows_of(work: Path, process: int) -> Path:
    """The file of the rows that one process was trained on, a line a step."""
    return work / f"rows-{process}.jsonl"


class Recorder(TrainerCallback):
    """Writes down which rows this process was trained on; `seen` is emptied at every step."""

    def __init__(self, work: Path, process: int, seen: list[int]) -> None:
        self.path, self.seen = rows_of(work, process), seen

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        line = {"step": state.global_step, "rows": self.seen}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.seen.clear()


def write_order(work: Path, path: Path, order: Order, samples: Sequence[Sample]) -> None:
    """Writes a phase's samples in order, a line a step: {"step", "samples", "replayed"}.

    Raises OrderError where the processes were trained on other rows than those of the order.
    """
    trained: dict[int, list[int]] = defaultdict(list)
    for part in sorted(work.glob("rows-*.jsonl")):
        for line in part.read_text("utf-8").splitlines():
            said = json.loads(line)
            trained[said["step"]] += said["rows"]
    lines = []
    for number, step in enumerate(sorted(trained)):
        rows = sorted(trained[step])
        if step != number + 1 or rows != list(range(number * order.step, step * order.step)):
            raise OrderError(f"step {step} was trained on the rows {rows}")
        ids = [samples[one] for row in rows for one in order[row]]
        replayed = sum(sample.replay for sample in ids)
        line = {"step": step, "samples": [sample.id for sample in ids], "replayed": replayed}
        lines.append(json.dumps(line) + "\n")
    write_text(path, "".join(lines))


class OrderError(Exception):
    """A phase was trained on other sequences than those of its order."""
