"""The steps of a phase go in; its log, its progress and the wish to save or stop come out.

A file of its own because the trainer calls it at every step, whatever it trains: samples or
preference pairs, on one process or several.
"""

import json
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training import checkpoint, together
from training.checkpoint import Mark
from training.machine import Hardware, write_text
from training.recipe import Phase

LINE_SECONDS = 10.0
SAVING = 20
"""Training takes at least so many times as long as the checkpoints."""
LOG = "log.jsonl"
OF_PAIRS = {"margin": "rewards/margins", "accuracy": "rewards/accuracies"}
"""What a step says of preference pairs, besides: see `training.preference`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase went; `loss` is the mean over its last epoch's steps, 4 to 50 of them (nats per
    token), `why` it stopped.

    `taught` are the tokens that had a label.
    """

    steps: int
    tokens: int
    taught: int
    seconds: float
    loss: float
    why: str


class Ended(Exception):  # noqa: N818
    """The checkpoint that a phase goes on from is its end: there is nothing to train."""


class Watch(TrainerCallback):
    """Looks at every step: writes the log, shows progress, asks for checkpoints, stops.

    `mark` is that of the checkpoint from which the phase goes on. `tokens` and `taught` are the
    counts of each step on all processes. Only the first process writes and speaks. `on_candidate`
    is called with each step of `candidates` when its checkpoint is written.

    A phase ends (`why` is not "") at its last step, or with its loss, its time, or a loss that is
    no number; the checkpoint of its end says so, and raises Ended when the phase is begun again
    from there. It is `interrupted` by a signal, and then goes on at the next run.
    """

    def __init__(
        self,
        phase: Phase,
        mark: Mark,
        work: Path,
        save_seconds: float,
        console: Console,
        tokens: Sequence[int],
        taught: Sequence[int],
        hardware: Hardware,
        candidates: frozenset[int] = frozenset(),
        on_candidate: Callable[[int], None] = lambda step: None,
    ) -> None:
        self.phase, self.mark, self.work = phase, mark, work
        self.save_seconds, self.console, self.hardware = save_seconds, console, hardware
        self.tokens, self.taught = _running(tokens), _running(taught)
        self.candidates, self.on_candidate = candidates, on_candidate
        self.why, self.interrupted, self.signalled = mark.why, False, False
        self.losses: deque[float] = deque(maxlen=1)
        self.started = self.saved = self.spoke = time.monotonic()
        self.saving = 0.0  # seconds that the last checkpoint took
        self.first_step = 0
        self.log = self.work / LOG
        self.progress: Progress | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume counted."""
        return self.mark.seconds + time.monotonic() - self.started

    @property
    def loss(self) -> float:
        return sum(self.losses) / len(self.losses) if self.losses else math.nan

    def outcome(self, steps: int) -> Outcome:
        """How the phase went, after its last step."""
        return Outcome(
            steps,
            self.tokens[steps],
            self.taught[steps],
            round(self.seconds, 1),
            round(self.loss, 4),
            self.why,
        )

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """A signal: stop after this step, or at once when asked twice."""
        if self.signalled:
            raise KeyboardInterrupt
        self.signalled = True
        if self.hardware.first:
            self.console.print("stopping after this step, with a checkpoint; again: at once")

    def heed(self) -> None:
        """Raises KeyboardInterrupt on all processes where one was signalled to stop."""
        if any(together.any_of(self.signalled)):
            raise KeyboardInterrupt

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        per_epoch = max(1, state.max_steps // self.phase.epochs)
        self.losses = deque(maxlen=min(50, max(4, per_epoch)))
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        for line in lines[-(self.losses.maxlen or 1) :]:
            self.losses.append(json.loads(line)["loss"])
        self.first_step = state.global_step
        self.started = self.saved = self.spoke = time.monotonic()
        if state.global_step in self.candidates:  # the run was stopped before it was asked
            self.on_candidate(state.global_step)
        if self.why:
            raise Ended

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        late = bool(self.phase.max_seconds) and self.seconds >= self.phase.max_seconds
        pause = max(self.save_seconds, SAVING * self.saving) if self.save_seconds else 0.0
        due = time.monotonic() - self.saved >= pause
        self.interrupted, late, due = together.any_of(self.signalled, late, due)
        if state.global_step >= state.max_steps:
            self.why = "epochs"
        elif late:
            self.why = "time"
        control.should_save = due or self.interrupted or state.global_step in self.candidates

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        if "loss" not in logs:
            return
        step, loss = state.global_step, round(logs["loss"], 5)
        self.losses.append(loss)
        line = {
            "step": step,
            "loss": loss,
            "tokens": self.tokens[step],
            "taught": self.taught[step],
            "lr": logs["learning_rate"],
            "seconds": round(self.seconds, 2),
        }
        line |= {name: round(logs[key], 5) for name, key in OF_PAIRS.items() if key in logs}
        limit, full = self.phase.stop_at_loss, len(self.losses) == self.losses.maxlen
        if not math.isfinite(loss) or not math.isfinite(logs.get("grad_norm", 0.0)):
            self.why = "diverged"  # with such a gradient, all weights are no numbers now
        elif limit and full and self.loss < limit and self.why != "time":
            self.why = "loss"
        control.should_training_stop = bool(self.why) or self.interrupted
        control.should_save = (control.should_save or bool(self.why)) and self.why != "diverged"
        args.save_only_model = bool(self.why) and not self.hardware.sharded
        if self.hardware.first:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._show(state)
        if control.should_save:
            self.saved = time.monotonic()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        step = state.global_step
        together.wait()  # every process writes its part
        together.told(lambda: self._seal(step))
        self.saving = time.monotonic() - self.saved
        self.saved = time.monotonic()
        if step in self.candidates and not self.interrupted:
            self.on_candidate(step)
            self.saved = time.monotonic()

    def _seal(self, step: int) -> None:
        folder = checkpoint.folder_of(self.work, step)
        checkpoint.seal(folder, self.seconds, self.why, self.hardware.sharded)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keeps a line of progress on a terminal; elsewhere a line is printed now and then."""
        if not (self.hardware.first and self.console.is_terminal):
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[say]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as self.progress:
            self.progress.add_task(self.phase.name, total=1.0, say="")
            yield

    def _show(self, state: TrainerState) -> None:
        now = time.monotonic()
        steps, took = state.global_step - self.first_step, now - self.started
        done_tokens = self.tokens[state.global_step] - self.tokens[self.first_step]
        speed = done_tokens / max(took, 1e-9)
        left = (state.max_steps - state.global_step) * took / max(steps, 1)
        if self.phase.max_seconds:
            left = min(left, self.phase.max_seconds - self.seconds)
        left = max(0, round(left))
        say = (
            f"step {state.global_step}  loss {self.loss:.3f}  {speed:,.0f} tokens/s  "
            f"at most {left // 60}:{left % 60:02d} left"
        )
        if self.progress:
            done = self.seconds / max(self.seconds + left, 1e-9)
            self.progress.update(self.progress.task_ids[0], completed=done, say=say)
        elif now - self.spoke >= LINE_SECONDS:
            self.spoke = now
            self.console.print(f"{self.phase.name}: {say}")


@contextmanager
def signals(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Lets Ctrl-C and a plain kill call `stop`; a second Ctrl-C ends at once."""
    try:
        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: nobody can press Ctrl-C here
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cut(path: Path, step: int) -> None:
    """Takes out the lines after `step`, which will be made again."""
    kept = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            break
    write_text(path, "".join(kept))


def _running(counts: Sequence[int]) -> list[int]:
    """Sums of the first 0, 1, ... of `counts`."""
    sums = [0]
    for count in counts:
        sums.append(sums[-1] + count)
    return sums
