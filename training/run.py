"""A build, a recipe and a folder go in; a trained student comes out, stage by stage.

A file of its own because this is the order of the whole: base, each phase on the one before, the
control. A stage is done when its folder exists, and folders appear whole, so the same command goes
on after any crash.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from compiler.codes import E701, F608, F612, F621
from compiler.diagnostics import Report, counted
from training.choose import Questions, questions
from training.data import Build, read_json
from training.encode import Limits, Sequences, encode
from training.machine import Hardware, settle, whole_folder, write_text
from training.order import order
from training.recipe import BASE, CONTROL, Embedded, Phase, Recipe
from training.replay import Drawn, own_of, samples_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers import PreTrainedTokenizerBase as Tokenizer

RUN = "run.json"
STAGE = "stage.json"
WORK = "work"
MERGED = "merged"
EVALUATION = "evaluation.json"
EVALUATED = "evaluated"  # answers, by the weights that gave them


@dataclass(frozen=True, slots=True)
class Stage:
    """One student to make: `phase` trained on what `after` left; replay or not."""

    name: str
    phase: Phase
    after: str
    replay: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A trained student: its folder, the stages that are there, and the model they started from."""

    folder: Path
    base: str
    stages: tuple[str, ...]
    fingerprint: str
    threads: int

    def where(self, stage: str) -> str:
        """The folder or name to load `stage` from."""
        return self.base if stage == BASE else str(self.folder / stage)


def stages(recipe: Recipe, build: Build) -> tuple[Stage, ...]:
    """The stages of a recipe, in order; no control where there is no replay to leave out."""
    found, after = [], BASE
    for phase in recipe.phases:
        found.append(Stage(phase.name, phase, after, recipe.replay))
        after = phase.name
    last = found[-1]
    placed = last.phase.data == "phase2" and any(sample.replay for sample in build.phase2)
    replays = last.phase.replay.share > 0 if last.phase.replay else placed
    if recipe.control and recipe.replay and replays:
        found.append(replace(last, name=CONTROL, replay=False))
    return tuple(found)


def difference(out: Path, build: Build, recipe: Recipe) -> str:
    """What the run in `out` is of, where these cannot go on with it: "another build" or "another
    recipe"; else an empty text.
    """
    found = read_json(out / RUN, "run")
    if not found:
        return ""
    if found["fingerprint"] != build.fingerprint:
        return "another build"
    same = _identity(found["recipe"]) == _identity(recipe.as_json())
    return "" if same else "another recipe"


def may_use(out: Path, recipe: Recipe, report: Report) -> bool:
    """Whether a run of `recipe` takes nothing of others in `out`; F612 where it would."""
    found = read_json(out / RUN, "run")
    hint = "name a new or an empty folder with `--out`"
    if found is None:
        report.add(F612, f"`{out / RUN}` is not the record of a run", hint=hint)
        return False
    foreign = sorted({*_NAMES, *_phases(recipe.as_json())} - _made(found))
    taken = [name for name in foreign if (out / name).exists()]
    if taken:
        names = ", ".join(f"`{name}`" for name in taken)
        report.add(F612, f"`{out}` holds {names}, which no run of ours made", hint=hint)
    return not taken


def open_run(out: Path, build: Build, recipe: Recipe, fresh: bool, report: Report) -> bool:
    """Makes `out` ready to start or to go on; deletes what our earlier run made, where `fresh`.

    F608 where it holds another run, F612 where it holds what is not ours.
    """
    what = "" if fresh else difference(out, build, recipe)
    if what:
        hint = "start over with `--fresh`, or name another folder with `--out`"
        report.add(F608, f"`{out}` holds a run of {what}", hint=hint)
        return False
    if not may_use(out, recipe, report):
        return False
    found = read_json(out / RUN, "run") or {}
    if found and not fresh:
        return True
    for name in sorted(_made(found)):
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    run = {"fingerprint": build.fingerprint, "recipe": recipe.as_json(), "stages": []}
    write_text(out / RUN, json.dumps(run, indent=1) + "\n")
    return True


_NAMES = (BASE, CONTROL, MERGED, WORK, EVALUATION, EVALUATED)


def _made(run: Mapping[str, Any]) -> set[str]:
    """The names that a run may have made in its folder; none where there is no run."""
    return {*_NAMES, *_phases(run["recipe"])} if run else set()


def _phases(recipe: Mapping[str, Any]) -> list[str]:
    return [phase["name"] for phase in recipe.get("phases", ())]


_FREE = ("threads", "checkpoint_seconds", "control", "merge")


def _identity(value: object) -> object:
    """`value` without the settings that may change between two parts of a run."""
    value = json.loads(json.dumps(value))
    return {k: v for k, v in value.items() if k not in _FREE} if isinstance(value, dict) else value


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class _Given:
    """What a stage is trained on, and what its checkpoints are asked."""

    drawn: Drawn
    sequences: Sequences
    questions: Questions


def _given(
    build: Build, recipe: Recipe, stage: Stage, tokenizer: "Tokenizer", report: Report
) -> _Given:
    """Reads a stage's samples; reports what is left out, empty, or too little."""
    from training.phase import warn_of_few

    phase = replace(stage.phase, name=stage.name)
    earlier = recipe.phases[: recipe.phases.index(stage.phase)]
    drawn = samples_of(build, phase, replace(recipe, replay=stage.replay), earlier, report)
    limits = Limits(recipe.min_characters, recipe.min_tokens, recipe.max_length)
    sequences = encode(stage.name, drawn.samples, tokenizer, limits, report)
    if sequences.samples:
        lengths, taught = sequences.lengths, sequences.taught
        warn_of_few(phase, order(lengths, taught, phase, recipe), report)
    before = [sample for one in earlier for sample in own_of(build, one.data)]
    return _Given(drawn, sequences, questions(build, drawn.own, before))


def train(build: Build, recipe: Recipe, out: Path, report: Report, console: Console) -> bool:
    """Makes every stage that is not there yet; False where the report has errors."""
    from training import student

    hardware = settle(recipe.threads, recipe.precision)
    if isinstance(recipe.student, Embedded) and not (out / BASE).is_dir():
        tokenizer = student.make_tokenizer(build, recipe.student.vocabulary)
        with whole_folder(out / BASE) as part:
            student.make_model(recipe.student, tokenizer, recipe).save_pretrained(part)
            tokenizer.save_pretrained(part)
    base = recipe.model or str(out / BASE)
    tokenizer = student.load_tokenizer(base, report)
    if tokenizer is None:
        return False
    todo = [s for s in stages(recipe, build) if not (out / s.name / STAGE).is_file()]
    given = {stage.name: _given(build, recipe, stage, tokenizer, report) for stage in todo}
    if report.errors:
        return False
    for stage in stages(recipe, build):
        if stage not in todo:
            console.print(f"{stage.name}: done before")
            continue
        where = base if stage.after == BASE else str(out / stage.after)
        model = student.load_model(
            where, report, base=base, bf16=hardware.bf16 and recipe.lora is not None, trainable=True
        )
        if model is None:
            return False
        if recipe.lora and stage.after == BASE:
            model = student.with_adapters(model, recipe.lora)
        if not _train(stage, given[stage.name], recipe, model, out, hardware, report, console):
            return False
        _record(build, recipe, out)
    if recipe.merge and recipe.lora and not (out / MERGED).is_dir():
        _merge(str(out / recipe.phases[-1].name), base, out, tokenizer, report)
    _record(build, recipe, out)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return True


def _train(
    stage: Stage,
    given: _Given,
    recipe: Recipe,
    model: "PreTrainedModel",
    out: Path,
    hardware: Hardware,
    report: Report,
    console: Console,
) -> bool:
    """Trains one stage and writes its folder; False, and F621, where its loss is no number."""
    from training import phase as phases

    work, tokenizer = out / WORK / stage.name, given.sequences.tokenizer
    phase = replace(stage.phase, name=stage.name)
    run = phases.PhaseRun(phase, given.sequences, given.questions, recipe, work, hardware, console)
    try:
        trained, outcome, choice = run.train(model, tokenizer)
    except phases.DivergedError as found:
        hint = "lower `learning_rate`, or raise `warmup_steps`; `--fresh` starts over"
        report.add(F621, str(found), hint=hint)
        return False
    with whole_folder(out / stage.name) as part:
        if choice:
            shutil.copytree(run.chosen(choice.kept), part, dirs_exist_ok=True)
            (part / "training_args.bin").unlink(missing_ok=True)
        else:
            trained.save_pretrained(part)
        tokenizer.save_pretrained(part)
        (part / "README.md").unlink(missing_ok=True)  # an empty model card
        for name in (phases.LOG, phases.ORDER):
            shutil.copy(work / name, part)
        record = {
            "stage": stage.name,
            **asdict(outcome),
            "samples": given.sequences.account.as_json(),
            "order": {
                "own": len(given.drawn.own),
                "replayed": len(given.drawn.replayed),
                "share": round(given.drawn.share, 4),
            },
            "choice": choice.as_json() if choice else None,
            "done": True,
        }
        write_text(part / STAGE, json.dumps(record, indent=1) + "\n")
    shutil.rmtree(work)
    console.print(
        f"{stage.name}: {counted(outcome.steps, 'step')}, loss {outcome.loss:.3f}, "
        f"{outcome.seconds:.0f} s, stopped because {_WHY[outcome.why]}",
    )
    if choice:
        console.print(f"{stage.name}: step {choice.kept} is kept: {choice.reason}")
    return True


_WHY = {
    "loss": "the loss is low enough",
    "epochs": "all epochs are done",
    "time": "the time is up",
}


def _merge(where: str, base: str, out: Path, tokenizer: "Tokenizer", report: Report) -> None:
    """Writes the last phase's model with its adapter merged in, in the base's 16 or 32 bits."""
    from training import student

    model = student.load_model(where, report, base=base)
    if model is not None:
        with whole_folder(out / MERGED) as part:
            model.merge_and_unload().save_pretrained(part)
            tokenizer.save_pretrained(part)


def _record(build: Build, recipe: Recipe, out: Path) -> None:
    """Writes run.json from what the stages' folders say."""
    done = [_read(out / stage.name / STAGE) for stage in stages(recipe, build)]
    run = {
        "fingerprint": build.fingerprint,
        "recipe": recipe.as_json(),
        "stages": [record for record in done if record],
    }
    write_text(out / RUN, json.dumps(run, indent=1) + "\n")


def find(folder: Path, report: Report) -> Run | None:
    """The trained student in `folder`; E701 where there is none."""
    found = read_json(folder / RUN, "run")
    if found is None:
        hint = "train again, into another folder"
        report.add(E701, f"`{folder / RUN}` is not the record of a run", hint=hint)
        return None
    names = [s["stage"] for s in found.get("stages", ()) if (folder / s["stage"]).is_dir()]
    if not names:
        report.add(E701, f"`{folder}` holds no trained student", hint="run `trivium train` first")
        return None
    recipe = found["recipe"]
    return Run(
        folder,
        recipe["student"].get("model", str(folder / BASE)),
        (BASE, *names),
        found["fingerprint"],
        recipe["threads"],
    )
