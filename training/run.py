"""A build, a recipe and a folder go in; a trained student comes out, stage by stage.

A file of its own because this is the order of the whole: base, each phase on the one before, the
control. A stage is done when its folder exists, and folders appear whole, so the same command goes
on after any crash.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from compiler.codes import E701, F608, F612, F623
from compiler.diagnostics import Report
from training import seen
from training import stage as making
from training.data import Build, Sample, read_json
from training.machine import Hardware, alone, drop, settle, share, whole_folder, write_text
from training.recipe import BASE, CONTROL, Embedded, Recipe, test_hardware, test_trackers
from training.replay import samples_of
from training.stage import STAGE, WORK, Stage, room
from training.where import RUN, merged_base

MERGED = "merged"
EVALUATION = "evaluation.json"
EVALUATED = "evaluated"  # answers, by the weights that gave them
_CARD = "README.md"


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
    foreign = sorted(_of(recipe.as_json()) - _made(found))
    taken = [name for name in foreign if (out / name).exists()]
    if taken:
        names = ", ".join(f"`{name}`" for name in taken)
        report.add(F612, f"`{out}` holds {names}, which no run of ours made", hint=hint)
    return not taken


def open_run(out: Path, build: Build, recipe: Recipe, fresh: bool, report: Report) -> bool:
    """Makes `out` ready to start or to go on; deletes what our earlier run made, where `fresh`.

    F608 where it holds another run, F612 where it holds what is not ours, F614 where it cannot be
    written. Of several processes only the first one does this.
    """
    if share()[0]:
        return True
    what = "" if fresh else difference(out, build, recipe)
    if what:
        hint = "start over with `--fresh`, or name another folder with `--out`"
        report.add(F608, f"`{out}` holds a run of {what}", hint=hint)
        return False
    if not may_use(out, recipe, report):
        return False
    found = read_json(out / RUN, "run") or {}
    if found and not fresh:
        with room(out, report):
            _mark(build, recipe, out)
            return True
        return False
    with room(out, report), _alone(out, report) as free:
        if not free:
            return False
        for name in sorted(_made(found)):
            drop(out / name)
        run = {"fingerprint": build.fingerprint, "recipe": recipe.as_json(), "stages": []}
        write_text(out / RUN, json.dumps(run, indent=1) + "\n")
        _mark(build, recipe, out)
        return True
    return False


def _mark(build: Build, recipe: Recipe, out: Path) -> None:
    """Writes down what the run is taught, and what its base was, where that is not there yet."""
    if seen.read(out) is None:
        seen.write(out, taught(build, recipe), seen.find(recipe.model) or ())


def taught(build: Build, recipe: Recipe) -> list[Sample]:
    """All that a phase of the recipe trains on: its own samples, those it repeats, pairs."""
    drawn = (
        samples_of(build, phase, recipe, recipe.phases[:i], Report())
        for i, phase in enumerate(recipe.phases)
    )
    return [sample for one in drawn for sample in one.samples]


_NAMES = (BASE, CONTROL, MERGED, WORK, EVALUATION, EVALUATED, seen.FILE, _CARD)


def _made(run: Mapping[str, Any]) -> set[str]:
    """The names that a run may have made in its folder; none where there is no run."""
    return _of(run["recipe"]) if run else set()


def _of(recipe: Mapping[str, Any]) -> set[str]:
    """The names that a run of a recipe may make in its folder."""
    phases = _phases(recipe)
    return {*_NAMES, *phases, *(merged_base(Path(), name).name for name in (BASE, *phases))}


def _phases(recipe: Mapping[str, Any]) -> list[str]:
    return [phase["name"] for phase in recipe.get("phases", ())]


_FREE = ("threads", "checkpoint_seconds", "checkpointing", "control", "merge", "trackers")


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


def train(build: Build, recipe: Recipe, out: Path, report: Report, console: Console) -> bool:
    """Makes every stage that is not there yet; False where the report has errors.

    Several processes that a launcher started do this together; only the first writes and speaks.
    """
    from training import together

    hardware = settle(recipe.threads, recipe.precision)
    test_trackers(recipe, report)
    test_hardware(recipe, hardware, report)
    if report.errors:
        return False
    if not hardware.first:
        console = Console(quiet=True)
    with room(out, report), _alone(out, report, hardware.first) as free:
        if free:
            with together.of(hardware):
                return _stages(build, recipe, out, hardware, report, console)
    return False


@contextmanager
def _alone(out: Path, report: Report, first: bool = True) -> Iterator[bool]:
    """Whether no other run of a command trains in `out`; F623 where one does."""
    if not first:
        yield True
        return
    with alone(out) as free:
        if not free:
            hint = "wait for it, or name another folder with `--out`"
            report.add(F623, f"another process trains in `{out}`", hint=hint)
        yield free


def _stages(
    build: Build, recipe: Recipe, out: Path, hardware: Hardware, report: Report, console: Console
) -> bool:
    from training import fit, prepare, student, together

    def make_base() -> None:
        if isinstance(recipe.student, Embedded) and not (out / BASE).is_dir():
            made = student.make_tokenizer(build, recipe.student.vocabulary)
            with whole_folder(out / BASE) as part:
                student.make_model(recipe.student, made, recipe).save_pretrained(part)
                made.save_pretrained(part)

    together.told(make_base)
    base = recipe.model or str(out / BASE)
    tokenizer = student.load_tokenizer(base, report)
    if tokenizer is None:
        return False
    fit.test(base, tokenizer, recipe, report)
    planned = stages(recipe, build)
    todo = together.told(lambda: [s for s in planned if not (out / s.name / STAGE).is_file()])
    given = {stage.name: making.given(build, recipe, stage, tokenizer, report) for stage in todo}
    if report.errors:
        return False
    for stage in planned:
        if stage not in todo:
            console.print(f"{stage.name}: done before")
            continue
        model = prepare.model_of(
            stage.phase, stage.after, recipe, base, out, tokenizer, hardware, report
        )
        if model is None:
            return False
        ready = given[stage.name]
        if not making.train(stage, ready, recipe, model, out, hardware, report, console):
            return False
        together.told(lambda: _record(build, recipe, out))

    def end() -> None:
        if recipe.merge and recipe.lora and not (out / MERGED).is_dir():
            prepare.merge(str(out / recipe.phases[-1].name), base, out / MERGED, tokenizer, report)
        _record(build, recipe, out)
        shutil.rmtree(out / WORK, ignore_errors=True)

    together.told(end)
    return True


def _record(build: Build, recipe: Recipe, out: Path) -> None:
    """Writes run.json from what the stages' folders say, and what was taught beside all weights."""
    planned = stages(recipe, build)
    done = [_read(out / stage.name / STAGE) for stage in planned]
    for folder in (out / name for name in (*(stage.name for stage in planned), MERGED)):
        if folder.is_dir() and not (folder / seen.FILE).exists():
            seen.keep(str(folder), folder)
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


def may_ask(found: Run, build: Build, report: Report) -> bool:
    """Whether a student can be asked what is in `build`: it is its own, or marks tell what the
    student was taught; else F608.
    """
    if found.fingerprint == build.fingerprint or seen.read(found.folder) is not None:
        return True
    hint = "name its build with `--data`, or train again"
    report.add(F608, f"`{found.folder}` was trained on another build", hint=hint)
    return False
