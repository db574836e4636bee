"""A model and a phase's token sequences go in; the trained model and its Outcome come out.

A file of its own because one phase is one run of TRL's SFTTrainer, whatever the student: this file
chooses the trainer's arguments, decides when to stop, and keeps checkpoints from which a killed run
goes on.
"""

import json
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from datasets import Dataset
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from compiler.codes import F610
from compiler.diagnostics import Report, counted
from training.encode import Sequences
from training.machine import Hardware, write_text
from training.recipe import Phase, Recipe

FEW_STEPS = 30
LINE_SECONDS = 10.0
MARK = "trivium.json"
LOG = "log.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase went; `loss` is the mean of its last epoch (nats per token), `why` it stopped."""

    steps: int
    tokens: int
    seconds: float
    loss: float
    why: str


@dataclass(slots=True)
class Spent:
    """What a phase has used so far; kept with every checkpoint, so that a resume counts on."""

    seconds: float = 0.0
    tokens: int = 0


def batches(phase: Phase, packing: bool, hardware: Hardware) -> tuple[int, int]:
    """Sequences per forward pass, and passes per step.

    Packed sequences of one pass are laid end to end under one dense mask, whose cost grows with
    the square of their number: on a CPU each goes alone, and more passes make the same step.
    """
    if packing and hardware.device == "cpu":
        return 1, phase.batch * phase.accumulation
    return phase.batch, phase.accumulation


def planned_steps(phase: Phase, sequences: Sequences, recipe: Recipe) -> int:
    """About how many steps the phase takes at most (packs are taken to be full)."""
    count = len(sequences.input_ids)
    packs = math.ceil(sequences.tokens / recipe.max_length) if recipe.packing else count
    return max(1, math.ceil(packs / (phase.batch * phase.accumulation))) * phase.epochs


def warn_of_few(phase: Phase, sequences: Sequences, recipe: Recipe, report: Report) -> None:
    """F610 where the phase has too few steps for the student to learn anything."""
    steps = planned_steps(phase, sequences, recipe)
    if steps < FEW_STEPS:
        report.add(
            F610,
            f"{phase.name}: only about {counted(steps, 'step')}",
            hint="raise `epochs`, lower `batch` or `accumulation`, or build more samples",
        )


def train(
    phase: Phase,
    sequences: Sequences,
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    work: Path,
    hardware: Hardware,
    console: Console,
) -> tuple[PreTrainedModel, Outcome]:
    """Trains `model` on `sequences`, from the last checkpoint in `work` if there is one.

    Writes checkpoints and `log.jsonl` to `work`. Raises KeyboardInterrupt after a signal.
    """
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = last_checkpoint(work)
    spent = Spent(**json.loads((checkpoint / MARK).read_text())) if checkpoint else Spent()
    _cut_log(work / LOG, int(checkpoint.name.partition("-")[2]) if checkpoint else 0)
    one_pass, passes = batches(phase, recipe.packing, hardware)
    arguments = SFTConfig(
        output_dir=str(work),
        num_train_epochs=phase.epochs,
        per_device_train_batch_size=one_pass,
        gradient_accumulation_steps=passes,
        learning_rate=phase.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=phase.warmup_steps,
        max_length=recipe.max_length,
        packing=recipe.packing,
        packing_strategy="bfd",
        seed=recipe.seed,
        use_cpu=hardware.device == "cpu",
        bf16=hardware.bf16,
        activation_checkpointing=hardware.device != "cpu",
        dataloader_pin_memory=hardware.device == "cuda",
        logging_steps=1,
        save_strategy="no",
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )
    rows = Dataset.from_dict({"input_ids": sequences.input_ids, "labels": sequences.labels})
    trainer = _Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    watch = _Watch(phase, spent, work, recipe.checkpoint_seconds, console)
    trainer.add_callback(watch)
    with _signals(watch.interrupt), watch.shown():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if watch.why == "interrupted":
        raise KeyboardInterrupt
    state = trainer.state
    return trainer.model, Outcome(
        state.global_step, watch.tokens, round(watch.seconds, 1), round(watch.loss, 4), watch.why
    )


def last_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [path.parent for path in work.glob(f"checkpoint-*/{MARK}")]
    return max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)


def _cut_log(path: Path, step: int) -> None:
    """Takes out the lines after `step`, which will be trained again."""
    kept = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            break
    write_text(path, "".join(kept))


class _Trainer(SFTTrainer):
    """TRL's trainer without its model cards."""

    def create_model_card(self, *args: object, **options: object) -> None:
        """A checkpoint is no model to publish."""


@contextmanager
def _signals(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
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


class _Watch(TrainerCallback):
    """Looks at every step: writes the log, shows progress, asks for checkpoints, stops."""

    def __init__(
        self, phase: Phase, spent: Spent, work: Path, save_seconds: float, console: Console
    ) -> None:
        self.phase, self.spent, self.work = phase, spent, work
        self.save_seconds, self.console = save_seconds, console
        self.why = "epochs"
        self.tokens = spent.tokens
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
        for line in self.log.read_text("utf-8").splitlines()[-(self.losses.maxlen or 1) :]:
            self.losses.append(json.loads(line)["loss"])
        self.first_step = state.global_step
        self.started = self.saved = self.spoke = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self.why == "interrupted":
            control.should_save = control.should_training_stop = True
        elif self.phase.max_seconds and self.seconds >= self.phase.max_seconds:
            self.why = "time"
            control.should_training_stop = True
        elif time.monotonic() - self.saved >= self.save_seconds:
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
        self.losses.append(logs["loss"])
        self.tokens = self.spent.tokens + int(logs["num_tokens"])
        line = {
            "step": state.global_step,
            "loss": round(logs["loss"], 5),
            "tokens": self.tokens,
            "lr": logs["learning_rate"],
            "seconds": round(self.seconds, 2),
        }
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        limit, full = self.phase.stop_at_loss, len(self.losses) == self.losses.maxlen
        if limit and full and self.loss < limit and self.why == "epochs":
            self.why = "loss"
            control.should_training_stop = True
        self._show(state)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        folder = self.work / f"checkpoint-{state.global_step}"
        write_text(folder / MARK, json.dumps(asdict(Spent(self.seconds, self.tokens))))
        self.saved = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keeps a line of progress on a terminal; elsewhere a line is printed now and then."""
        if not self.console.is_terminal:
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
        speed = (self.tokens - self.spent.tokens) / max(took, 1e-9)
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
