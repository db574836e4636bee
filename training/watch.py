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
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.machine import write_text
from training.recipe import Phase

LINE_SECONDS = 10.0
MARK = "trivium.json"
LOG = "log.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase went; `loss` is the mean of its last epoch (nats per token), `why` it stopped.

    `taught` are the tokens that had a label.
    """

    steps: int
    tokens: int
    taught: int
    seconds: float
    loss: float
    why: str


@dataclass(slots=True)
class Spent:
    """Seconds that a phase took before; kept with every checkpoint, so that a resume counts on."""

    seconds: float = 0.0


class Watch(TrainerCallback):
    """Looks at every step: writes the log, shows progress, asks for checkpoints, stops.

    `tokens` and `taught` are the counts of each step on all processes. Only the first process
    writes and speaks. `on_candidate` is called with the step where a checkpoint may be chosen:
    at each of `candidates`, and at the end.
    """

    def __init__(
        self,
        phase: Phase,
        spent: Spent,
        work: Path,
        save_seconds: float,
        console: Console,
        tokens: Sequence[int],
        taught: Sequence[int],
        first: bool = True,
        candidates: frozenset[int] = frozenset(),
        on_candidate: Callable[[int], None] = lambda step: None,
    ) -> None:
        self.phase, self.spent, self.work = phase, spent, work
        self.save_seconds, self.console = save_seconds, console
        self.tokens, self.taught = _running(tokens), _running(taught)
        self.first, self.candidates, self.on_candidate = first, candidates, on_candidate
        self.why = "epochs"
        self.losses: deque[float] = deque(maxlen=1)
        self.started = self.saved = self.spoke = time.monotonic()
        self.first_step = 0
        self.log = self.work / LOG
        self.progress: Progress | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume counted."""
        return self.spent.seconds + time.monotonic() - self.started

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
        if self.why == "interrupted":
            raise KeyboardInterrupt
        self.why = "interrupted"
        self.console.print("stopping after this step")

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

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        late = bool(self.phase.max_seconds) and self.seconds >= self.phase.max_seconds
        due = time.monotonic() - self.saved >= self.save_seconds
        interrupted, late, due = _agreed(self.why == "interrupted", late, due)
        if interrupted:
            self.why = "interrupted"
            control.should_save = control.should_training_stop = True
        elif late:
            self.why = "time"
            control.should_training_stop = True
        elif due:
            control.should_save = True

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
        step = state.global_step
        self.losses.append(logs["loss"])
        if not math.isfinite(logs["loss"]):
            self.why = "diverged"
            control.should_training_stop, control.should_save = True, False
        elif step in self.candidates and self.why != "interrupted":
            self.on_candidate(step)
        line = {
            "step": step,
            "loss": round(logs["loss"], 5),
            "tokens": self.tokens[step],
            "taught": self.taught[step],
            "lr": logs["learning_rate"],
            "seconds": round(self.seconds, 2),
        }
        if self.first:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        limit, full = self.phase.stop_at_loss, len(self.losses) == self.losses.maxlen
        if limit and full and self.loss < limit and self.why == "epochs":
            self.why = "loss"
            control.should_training_stop = True
        if self.first:
            self._show(state)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self.first:
            folder = self.work / f"checkpoint-{state.global_step}"
            write_text(folder / MARK, json.dumps(asdict(Spent(self.seconds))))
        self.saved = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keeps a line of progress on a terminal; elsewhere a line is printed now and then."""
        if not (self.first and self.console.is_terminal):
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


def _agreed(*flags: bool) -> list[bool]:
    """The flags that any process has set: all of them must stop or save at the same step."""
    if not dist.is_initialized():
        return list(flags)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    said = torch.tensor([int(flag) for flag in flags], device=device)
    dist.all_reduce(said, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in said.tolist()]


def _running(counts: Sequence[int]) -> list[int]:
    """Sums of the first 0, 1, ... of `counts`."""
    sums = [0]
    for count in counts:
        sums.append(sums[-1] + count)
    return sums
