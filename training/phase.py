"""A model and a phase's sequences go in; the trained model and its Outcome come out.

A file of its own because one phase is one run of TRL's SFTTrainer, whatever the student: this file
chooses the trainer's arguments, keeps checkpoints from which a killed run goes on, and asks at some
of them what the student knows.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig

from compiler.codes import F610
from compiler.diagnostics import Report, counted
from training.ask import ask
from training.choose import Candidate, Choice, Questions, choose, may_win
from training.encode import Sequences
from training.machine import Hardware
from training.order import Order, order
from training.recipe import Phase, Recipe
from training.trainer import Batches, Trainer
from training.watch import LOG, MARK, Outcome, Spent, Watch, cut, signals

FEW_STEPS = 30
ORDER = "order.jsonl"
CANDIDATES = "candidates.jsonl"


def batches(phase: Phase, packing: bool, hardware: Hardware) -> tuple[int, int]:
    """Sequences per forward pass, and passes per step, on each process.

    A packed sequence is long enough to keep a CPU busy: there each goes alone, and more passes
    make the same step.
    """
    each = phase.batch * phase.accumulation // hardware.processes
    if packing and hardware.device == "cpu":
        return 1, each
    return math.gcd(phase.batch, each), each // math.gcd(phase.batch, each)


def warn_of_few(phase: Phase, order: Order, report: Report) -> None:
    """F610 where the phase has too few steps for the student to learn anything."""
    if order.steps < FEW_STEPS:
        report.add(
            F610,
            f"{phase.name}: only about {counted(order.steps, 'step')}",
            hint="raise `epochs`, lower `batch` or `accumulation`, or build more samples",
        )


class PhaseRun:
    """One phase on its way: where it writes, what it has to train on, and what it is asked.

    `work` gets checkpoints, `log.jsonl` (a line a step), `order.jsonl` (which samples each step
    trained on) and, where checkpoints are chosen from, `candidates.jsonl` and their weights.
    """

    def __init__(
        self,
        phase: Phase,
        sequences: Sequences,
        questions: Questions,
        recipe: Recipe,
        work: Path,
        hardware: Hardware,
        console: Console,
    ) -> None:
        self.phase, self.sequences, self.questions = phase, sequences, questions
        self.recipe, self.work, self.hardware, self.console = recipe, work, hardware, console
        self.order = order(sequences.lengths, sequences.taught, phase, recipe)
        self.candidates: list[Candidate] = []

    def train(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> tuple[PreTrainedModel, Outcome, Choice | None]:
        """Trains `model`, from the last whole checkpoint in `work` if there is one; the model of
        the chosen checkpoint, where the phase has a choice.

        Raises KeyboardInterrupt after a signal, DivergedError where the loss is no number.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        checkpoint = last_checkpoint(self.work)
        spent = Spent(**json.loads((checkpoint / MARK).read_text())) if checkpoint else Spent()
        begun = int(checkpoint.name.partition("-")[2]) if checkpoint else 0
        if self.hardware.first:
            for name in (LOG, ORDER, CANDIDATES):
                cut(self.work / name, begun)
        self.candidates = self._known()
        trainer = self._trainer(model)
        steps = _spread(self.phase.choose.checkpoints, self.order.steps) if self._chooses else ()
        watch = Watch(
            self.phase,
            spent,
            self.work,
            self.recipe.checkpoint_seconds,
            self.console,
            _by_step(self.order.tokens, self.order.step),
            _by_step(self.order.taught, self.order.step),
            self.hardware.first,
            frozenset(steps),
            lambda step: self._measure(step, trainer, tokenizer),
        )
        trainer.add_callback(watch)
        trainer.add_callback(_Recorder(self, trainer))
        with signals(watch.interrupt), watch.shown():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if watch.why == "interrupted":
            raise KeyboardInterrupt
        outcome = watch.outcome(trainer.state.global_step)
        if watch.why == "diverged":
            raise DivergedError(self.phase.name, outcome.steps)
        if not self._chooses:
            return trainer.model, outcome, None
        self._measure(outcome.steps, trainer, tokenizer)
        choice = choose(self.candidates, self.phase.choose.tolerance)
        return trainer.model, outcome, choice

    def chosen(self, step: int) -> Path:
        """The folder of the weights of the candidate at `step`."""
        return self.work / f"candidate-{step}"

    @property
    def _chooses(self) -> bool:
        return self.phase.choose is not None

    def _trainer(self, model: PreTrainedModel) -> Trainer:
        one_pass, passes = batches(self.phase, self.recipe.packing, self.hardware)
        cuda = self.hardware.device == "cuda"
        pad = self.sequences.tokenizer.pad_token_id
        arguments = SFTConfig(
            output_dir=str(self.work),
            num_train_epochs=1,  # the order holds all of them
            per_device_train_batch_size=one_pass,
            gradient_accumulation_steps=passes,
            learning_rate=self.phase.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=self.phase.warmup_steps,
            max_length=None,
            seed=self.recipe.seed,
            use_cpu=self.hardware.device == "cpu",
            bf16=self.hardware.bf16,
            activation_checkpointing=self.hardware.checkpoints(self.recipe.checkpointing),
            dataloader_pin_memory=cuda,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            save_total_limit=2,
            report_to=list(self.recipe.trackers) or "none",
            run_name=self.phase.name,
            disable_tqdm=True,
        )
        flat = "flash" in str(getattr(model.config, "_attn_implementation", ""))
        trainer = Trainer(model, arguments, Batches(self.sequences, self.order, pad, flat))
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _known(self) -> list[Candidate]:
        """The candidates of an earlier part of the run, whose weights are there."""
        path = self.work / CANDIDATES
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [Candidate(**json.loads(line)) for line in lines]

    def _measure(self, step: int, trainer: Trainer, tokenizer: PreTrainedTokenizerBase) -> None:
        """Asks the student at `step`, and keeps its weights where they may be chosen."""
        if any(one.step == step for one in self.candidates):
            return
        model = trainer.accelerator.unwrap_model(trainer.model)
        asked = (*self.questions.new, *self.questions.retained)
        model.eval()
        answers = [answer.text for answer in ask(model, tokenizer, asked)]
        model.train()
        found = self.questions.score(step, answers)
        trainer.save_model(str(self.chosen(step)))
        self.candidates.append(found)
        if self.hardware.first:
            with (self.work / CANDIDATES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            useful = may_win(self.candidates)
            for one in self.candidates:
                if one.step not in useful:
                    shutil.rmtree(self.chosen(one.step), ignore_errors=True)


class DivergedError(Exception):
    """The loss of a phase became infinite, or no number."""

    def __init__(self, phase: str, step: int) -> None:
        super().__init__(f"{phase}: the loss at step {step} is no number")
        self.phase, self.step = phase, step


class _Recorder(TrainerCallback):
    """Writes down which samples each step was trained on: `order.jsonl`, a line a step; of other
    processes than the first `order-N.jsonl`.
    """

    def __init__(self, run: PhaseRun, trainer: Trainer) -> None:
        self.run, self.trainer = run, trainer
        number = run.hardware.process
        self.path = run.work / (ORDER if not number else f"order-{number}.jsonl")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        sequences, order = self.run.sequences, self.run.order
        samples = [sequences.samples[n] for row in self.trainer.seen for n in order[row]]
        self.trainer.seen.clear()
        line = {"step": state.global_step, "samples": [sample.id for sample in samples]}
        line["replayed"] = sum(one.replay for one in samples)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def last_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [path.parent for path in work.glob(f"checkpoint-*/{MARK}")]
    return max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)


def _spread(count: int, steps: int) -> tuple[int, ...]:
    """`count` steps spread evenly, the last among them."""
    return tuple(sorted({max(1, round(steps * one / count)) for one in range(1, count + 1)}))


def _by_step(counts: Sequence[int], size: int) -> list[int]:
    return [sum(counts[at : at + size]) for at in range(0, len(counts), size)]
