"""A stage and the model that it begins with go in; the folder of the stage comes out.

A file of its own because all of a stage is done or nothing: it is trained in a folder of work, and
its own folder appears when it is whole, or F614 says why it cannot.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from compiler.codes import F603, F608, F614, F616, F621
from compiler.diagnostics import Report, counted
from compiler.progress import Progress
from training import checkpoint
from training.choose import Choice, Questions, questions
from training.data import Build, Sample
from training.encode import Limits, Sequences, encode, fits
from training.machine import RUNS, Hardware, link_folder, no_room, whole_folder, write_text
from training.mistakes import PREFERENCES
from training.order import order
from training.pairs import encode_pairs
from training.recipe import Phase, Recipe
from training.replay import Drawn, own_of, samples_of
from training.where import tie

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers import PreTrainedTokenizerBase as Tokenizer

    from training.phase import PhaseRun
    from training.watch import Outcome

STAGE = "stage.json"
LOG, ORDER = "log.jsonl", "order.jsonl"
WORK = "work"


@dataclass(frozen=True, slots=True)
class Stage:
    """One student to make: `phase` trained on what `after` left; replay or not."""

    name: str
    phase: Phase
    after: str
    replay: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What a stage is trained on, and what its checkpoints are asked."""

    drawn: Drawn
    sequences: Sequences
    questions: Questions


def given(
    build: Build, recipe: Recipe, stage: Stage, tokenizer: "Tokenizer", report: Report
) -> Given:
    """Reads a stage's samples; reports what is left out, empty, or too little."""
    from training.phase import warn_of_few

    phase = replace(stage.phase, name=stage.name)
    earlier = recipe.phases[: recipe.phases.index(stage.phase)]
    drawn = samples_of(build, phase, replace(recipe, replay=stage.replay), earlier, report)
    read = encode_pairs if phase.data == PREFERENCES else encode
    limits = Limits(recipe.min_characters, recipe.min_tokens, recipe.max_length)
    with Progress(f"{stage.name}: samples read", len(drawn.samples)) as progress:
        sequences = read(stage.name, drawn.samples, tokenizer, limits, report, progress.step)
    if sequences.samples:
        lengths, taught = sequences.lengths, sequences.taught
        warn_of_few(phase, order(lengths, taught, phase, recipe), report)
    before = [sample for one in earlier for sample in own_of(build, one.data)]

    def can_ask(sample: Sample) -> bool:
        return fits(sample, tokenizer, limits)

    return Given(drawn, sequences, questions(build, sequences.samples, before, can_ask))


def train(
    stage: Stage,
    given: Given,
    recipe: Recipe,
    model: "PreTrainedModel",
    out: Path,
    hardware: Hardware,
    report: Report,
    console: Console,
) -> bool:
    """Trains one stage and writes its folder; False where F603, F608, F616 or F621 says why."""
    from training import phase as phases
    from training import record, together
    from training.preference import PreferenceRun

    work = out / WORK / stage.name
    phase = replace(stage.phase, name=stage.name)
    kind = PreferenceRun if phase.data == PREFERENCES else phases.PhaseRun
    run = kind(phase, given.sequences, given.questions, recipe, work, hardware, console, report)
    try:
        with room(out, report, lambda: run.needed):
            _, outcome, choice = run.train(model, given.sequences.tokenizer)
            together.told(lambda: _write(stage, given, run, out, outcome, choice))
    except phases.DivergedError as found:
        hint = "lower `learning_rate`, or raise `warmup_steps`, and start over with `--fresh`"
        report.add(F621, str(found), hint=hint)
        return False
    except record.OrderError as found:
        report.add(F608, f"{stage.name}: {found}", hint="start over with `--fresh`")
        return False
    except phases.MixedError:
        message = f"{stage.name}: `packing: true` mixes samples in this student"
        report.add(F603, message, hint="write `packing: false` in the recipe")
        return False
    except phases.ShardedError as found:
        hint = "launch it as before, or start over with `--fresh`"
        report.add(F616, str(found), hint=hint)
        return False
    if report.errors:
        return False
    console.print(
        f"{stage.name}: {counted(outcome.steps, 'step')}, loss {outcome.loss:.3f}, "
        f"{outcome.seconds:.0f} s, stopped because {WHY[outcome.why]}",
        soft_wrap=True,
    )
    if choice:
        console.print(f"{stage.name}: step {choice.kept} is kept: {choice.reason}", soft_wrap=True)
    return True


def _write(
    stage: Stage,
    given: Given,
    run: "PhaseRun",
    out: Path,
    outcome: "Outcome",
    choice: Choice | None,
) -> None:
    """Writes the folder of a stage that was trained."""
    from training import record

    with whole_folder(out / stage.name) as part:
        link_folder(run.chosen(choice.kept if choice else outcome.steps), part)
        tie(part, out / stage.name)
        given.sequences.tokenizer.save_pretrained(part)
        (part / "README.md").unlink(missing_ok=True)  # an empty model card
        shutil.copy(run.work / LOG, part)
        record.write_order(run.work, part / ORDER, run.order, given.sequences.samples)
        if (run.work / RUNS).is_dir():
            shutil.copytree(run.work / RUNS, part / RUNS)
        told = {
            "stage": stage.name,
            **asdict(outcome),
            "processes": run.hardware.processes,
            "samples": given.sequences.account.as_json(),
            "order": {
                "own": len(given.drawn.own),
                "replayed": len(given.drawn.replayed),
                "share": round(given.drawn.share, 4),
            },
            "choice": choice.as_json() if choice else None,
            **run.told,
            "done": True,
        }
        write_text(part / STAGE, json.dumps(told, indent=1) + "\n")
    shutil.rmtree(run.work)


WHY = {
    "loss": "the loss is low enough",
    "epochs": "all epochs are done",
    "time": "the time is up",
}


@contextmanager
def room(out: Path, report: Report, needed: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """F614 where the block cannot write into `out`; what was cut short is deleted. `needed` tells
    about how many bytes it wants to write (0: not known).
    """
    try:
        yield
    except BaseException as wrong:  # a writer of PyTorch raises no Exception
        why = no_room(wrong)
        if not why:
            raise
        checkpoint.tidy(out / WORK)
        free = shutil.disk_usage(out if out.exists() else out.parent).free
        message = f"`{out}` cannot be written: {why}, {_size(free)} are free"
        wanted = f"about {_size(needed())}" if needed() else "a student"
        hint = f"make room for {wanted} there, and run the same command again: it goes on"
        report.add(F614, message, hint=hint)


def _size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
