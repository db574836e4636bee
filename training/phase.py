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
from typing import Any

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from transformers import Trainer as AnyTrainer
from trl import SFTConfig

from compiler.codes import F610
from compiler.diagnostics import Report, counted
from training import checkpoint, fit, together
from training.ask import Question, asking
from training.checkpoint import step_of
from training.choose import Candidate, Choice, Questions, choose, may_win
from training.encode import Sequences
from training.machine import RUNS, Hardware, track, whole_folder
from training.mistakes import PREFERENCES
from training.order import FEW_STEPS, Order, order
from training.recipe import Phase, Recipe
from training.record import Recorder
from training.trainer import Batches, Trainer
from training.watch import LOG, Ended, Outcome, Watch, cut, signals

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

    `work` gets checkpoints, `log.jsonl` (a line a step), `rows-N.jsonl` (what process N trained on)
    and the weights of the end, or those of the candidates and `candidates.jsonl`.
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
        report: Report,
    ) -> None:
        self.phase, self.sequences, self.questions = phase, sequences, questions
        self.recipe, self.work, self.hardware = recipe, work, hardware
        self.console, self.report = console, report
        self.order = order(sequences.lengths, sequences.taught, phase, recipe)
        self.candidates: list[Candidate] = []
        self.told: dict[str, object] = {}  # what else stage.json says
        self.needed = 0  # bytes of a checkpoint and a student, about; known when `train` has begun

    def train(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> tuple[PreTrainedModel, Outcome, Choice | None]:
        """Trains `model`, from the last whole checkpoint in `work` if there is one; the weights lie
        in `chosen(step)` then, with `step` that of the choice, or the last.

        Raises KeyboardInterrupt after a signal, DivergedError where the loss is no number,
        ShardedError where the checkpoint is of another kind of launch, MixedError where packed
        samples would see each other.
        """
        together.join(self.hardware)
        found = together.told(self._begin)
        mark, begun = checkpoint.read(found), step_of(found)
        if found and mark.sharded != self.hardware.sharded:
            how = "shared its weights out" if mark.sharded else "did not share its weights out"
            raise ShardedError(
                f"`{found}` is of a launch that {how}, which this one does otherwise"
            )
        self.candidates = self._known()
        track(self.recipe.trackers, self.work / RUNS)
        trainer = self._trainer(model)
        # A student whose weights will be shared out is whole on no device, and is not tried.
        tried = self._packs and not self.hardware.sharded
        if tried and any(together.any_of(fit.mixes(model, self.hardware.bf16))):
            raise MixedError
        self.needed = _bytes(trainer.model)
        steps = _spread(self.phase.choose.checkpoints, self.order.steps) if self._chooses else ()
        watch = Watch(
            self.phase,
            mark,
            self.work,
            self.recipe.checkpoint_seconds,
            self.console,
            _by_step(self.order.tokens, self.order.step),
            _by_step(self.order.taught, self.order.step),
            self.hardware,
            frozenset(steps),
            lambda step: self._measure(step, trainer, tokenizer, watch),
        )
        trainer.add_callback(watch)
        trainer.add_callback(Recorder(self.work, self.hardware.process, trainer.seen))
        with signals(watch.interrupt), watch.shown():
            try:
                trainer.train(resume_from_checkpoint=str(found) if found else None)
                end = trainer.state.global_step
            except Ended:
                end = begun
            if "wandb" in self.recipe.trackers and self.hardware.first:
                import wandb

                wandb.finish()  # the next phase is a run of its own
            if watch.why == "diverged":
                raise DivergedError(self.phase.name, end)
            if not watch.why:
                raise KeyboardInterrupt
            outcome = watch.outcome(end)
            choice = None
            if self._chooses:
                self._measure(end, trainer, tokenizer, watch)
                choice = self._choice()
            else:
                self._write(end, trainer)
            watch.heed()
        return trainer.model, outcome, choice

    def chosen(self, step: int) -> Path:
        """The folder of the weights of the candidate at `step`."""
        return self.work / f"candidate-{step}"

    def settings(self, packing: bool) -> dict[str, Any]:
        """The trainer's arguments, whatever it trains on."""
        one_pass, passes = batches(self.phase, packing, self.hardware)
        cuda = self.hardware.device == "cuda"
        return {
            "output_dir": str(self.work),
            "num_train_epochs": 1,  # the order holds all of them
            "per_device_train_batch_size": one_pass,
            "gradient_accumulation_steps": passes,
            "learning_rate": self.phase.learning_rate,
            "lr_scheduler_type": "constant_with_warmup",
            "warmup_steps": self.phase.warmup_steps,
            "max_length": None,
            "seed": self.recipe.seed,
            "use_cpu": self.hardware.device == "cpu",
            "bf16": self.hardware.bf16,
            "activation_checkpointing": self.hardware.checkpoints(self.recipe.checkpointing),
            "dataloader_pin_memory": cuda,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "no",  # `Watch` asks for checkpoints
            "report_to": list(self.recipe.trackers) or "none",
            "run_name": self.phase.name,
            "project": "trivium",
            "disable_tqdm": True,
            "ddp_find_unused_parameters": False,
            "accelerator_config": {"use_configured_state": self.hardware.processes > 1},
        }

    @property
    def _chooses(self) -> bool:
        return self.phase.choose is not None

    @property
    def _packs(self) -> bool:
        return self.recipe.packing and self.phase.data != PREFERENCES

    def _trainer(self, model: PreTrainedModel) -> Trainer:
        pad = self.sequences.tokenizer.pad_token_id
        flat = "flash" in str(getattr(model.config, "_attn_implementation", ""))
        given = Batches(self.sequences, self.order, pad, flat)
        trainer = Trainer(model, SFTConfig(**self.settings(self.recipe.packing)), given)
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _begin(self) -> Path | None:
        """The checkpoint to go on from; nothing in `work` is of later steps then."""
        self.work.mkdir(parents=True, exist_ok=True)
        found = checkpoint.newest(self.work, self.phase.name, self.report)
        logs = (self.work / LOG, self.work / CANDIDATES, *self.work.glob("rows-*.jsonl"))
        for path in logs:
            cut(path, step_of(found))
        return found

    def _known(self) -> list[Candidate]:
        """The candidates of an earlier part of the run."""
        path = self.work / CANDIDATES
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [Candidate(**json.loads(line)) for line in lines]

    def _measure(
        self, step: int, trainer: AnyTrainer, tokenizer: PreTrainedTokenizerBase, watch: Watch
    ) -> None:
        """Asks the student at `step`, and keeps its weights where they may be chosen.

        All processes ask alike: of a student whose weights are shared out none can answer alone.
        """
        if any(one.step == step for one in self.candidates):
            return
        asked = [Question(one) for one in (*self.questions.new, *self.questions.retained)]
        model, answers = trainer.accelerator.unwrap_model(trainer.model), {}
        model.eval()
        for some in asking(model, tokenizer, asked):
            answers |= some
            watch.heed()
        model.train()
        texts = [answers[number].text for number in range(len(asked))]
        found = together.told(lambda: self.questions.score(step, texts))
        self._write(step, trainer)
        self.candidates.append(found)
        together.told(self._note)

    def _note(self) -> None:
        """Writes the last candidate down, and deletes the weights of those that cannot win now."""
        with (self.work / CANDIDATES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self.candidates[-1])) + "\n")
        useful = may_win(self.candidates)
        for one in self.candidates:
            if one.step not in useful:
                shutil.rmtree(self.chosen(one.step), ignore_errors=True)

    def _choice(self) -> Choice:
        """The choice among the candidates; among those whose weights are there, where a damaged
        checkpoint had some of them measured twice, and not quite alike.
        """
        choice = choose(self.candidates, self.phase.choose.tolerance)
        if together.told(self.chosen(choice.kept).is_dir):
            return choice
        there = together.told(lambda: [self.chosen(one.step).is_dir() for one in self.candidates])
        left = [one for one, here in zip(self.candidates, there, strict=True) if here]
        return choose(left, self.phase.choose.tolerance)

    def _write(self, step: int, trainer: AnyTrainer) -> None:
        """Writes the student at `step` as a plain folder; every process gives its part of it."""
        model, weights = trainer.accelerator.unwrap_model(trainer.model), None
        if self.hardware.sharded:  # here tied weights are two tensors: one is enough
            whole = trainer.accelerator.get_state_dict(trainer.model)
            tied = getattr(model, "all_tied_weights_keys", {})
            weights = {name: one for name, one in whole.items() if name not in tied}

        def write() -> None:
            with whole_folder(self.chosen(step)) as part:
                model.save_pretrained(part, state_dict=weights)

        together.told(write)


class DivergedError(Exception):
    """The loss of a phase became infinite, or no number."""

    def __init__(self, phase: str, step: int) -> None:
        super().__init__(f"{phase}: the loss at step {step} is no number")
        self.phase, self.step = phase, step


class MixedError(Exception):
    """The student lets packed samples see each other."""


class ShardedError(Exception):
    """A phase that shared its weights out is to go on without, or the reverse."""


def _bytes(model: PreTrainedModel) -> int:
    """About what a checkpoint and a student take: the weights twice, AdamW's two numbers each."""
    learned = [one for one in model.parameters() if one.requires_grad]
    kept = learned if hasattr(model, "peft_config") else list(model.parameters())
    return sum(2 * one.nbytes for one in kept) + sum(8 * one.numel() for one in learned)


def _spread(count: int, steps: int) -> tuple[int, ...]:
    """`count` steps spread evenly, the last among them."""
    return tuple(sorted({max(1, round(steps * one / count)) for one in range(1, count + 1)}))


def _by_step(counts: Sequence[int], size: int) -> list[int]:
    return [sum(counts[at : at + size]) for at in range(0, len(counts), size)]
