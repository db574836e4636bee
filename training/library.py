"""A build, a recipe and a folder go in; a trained student comes out, to talk to and to evaluate.

A file of its own because it is the door for programs: what the commands print and end with, here is
returned and raised. Nothing heavy is imported before it is needed.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from compiler.diagnostics import Report, Severity
from training import card, data, machine, run
from training import recipe as recipes

if TYPE_CHECKING:
    from training.talk import Talk


class TrainingError(Exception):
    """What the commands would end with: a finding on each line of its text, with its code."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n".join(_said(report, Severity.ERROR)) or "the work was not finished")


@dataclass(slots=True)
class Student:
    """A trained student in its folder; `warnings` is what was found while it was made or read."""

    folder: Path
    build: Path
    warnings: tuple[str, ...] = ()
    _talks: dict[str, "Talk"] = field(default_factory=dict, repr=False)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that can answer: `base`, those of the recipe, and `control` where there is
        one.
        """
        return self._run().stages

    def answer(self, text: str, stage: str = "") -> str:
        """The greedy answer to a question that stands alone; of the last phase, or of `stage`.

        The weights are loaded at the first question. Raises ValueError for an unknown stage,
        TrainingError where the weights cannot be loaded.
        """
        stage = stage or [name for name in self.stages if name != recipes.CONTROL][-1]
        if stage not in self.stages:
            raise ValueError(f"no stage `{stage}`; there are {', '.join(self.stages)}")
        if stage not in self._talks:
            self._talks[stage] = self._talk(stage)
        talk = self._talks[stage]
        talk.forget()
        return talk.ask(text).text

    def evaluate(self, console: Console | None = None) -> dict[str, Any]:
        """Asks every stage the build's questions, and writes and returns evaluation.json's content
        (that of another build than the student's into `evaluation`, beside its folder); what was
        asked before is only read. Raises TrainingError.
        """
        report, found = Report(), self._run()
        build = _built(self.build, report)
        if not run.may_ask(found, build, report):
            raise TrainingError(report)
        machine.prepare(found.base)
        from training import evaluate as evaluation

        result = evaluation.evaluate(build, found, report, console or Console(quiet=True))
        if result is None:
            raise TrainingError(report)
        own = found.fingerprint == build.fingerprint
        if own and not card.write(self.folder, self.build, report):
            raise TrainingError(report)
        self.warnings = tuple(_said(report, Severity.WARNING))
        return result

    def _run(self) -> run.Run:
        report = Report()
        if (found := run.find(self.folder, report)) is None:
            raise TrainingError(report)
        return found

    def _talk(self, stage: str) -> "Talk":
        report, found = Report(), self._run()
        machine.prepare(found.base)
        from training.talk import Talk

        hardware = machine.settle(found.threads)
        talk = Talk.of(found.where(stage), found.base, hardware, report)
        if talk is None:
            raise TrainingError(report)
        return talk


def train(
    build: str | Path,
    recipe: str | recipes.Recipe,
    out: str | Path,
    *,
    fresh: bool = False,
    console: Console | None = None,
) -> Student:
    """Trains a student on the build in a folder, by the name of a recipe, its file, or a Recipe.

    Goes on where an earlier run of the same stopped; `fresh` starts over. Silent without a
    `console`. Raises TrainingError; after a KeyboardInterrupt the same call goes on.
    """
    report, build, out = Report(), Path(build), Path(out)
    chosen = recipes.read(recipe, report) if isinstance(recipe, str) else recipe
    made = _built(build, report)
    if chosen is None or not run.open_run(out, made, chosen, fresh, report):
        raise TrainingError(report)
    machine.prepare(chosen.model)
    if not run.train(made, chosen, out, report, console or Console(quiet=True)):
        raise TrainingError(report)
    if not card.write(out, build, report):
        raise TrainingError(report)
    return Student(out, build, tuple(_said(report, Severity.WARNING)))


def load(folder: str | Path, build: str | Path) -> Student:
    """The student that was trained in `folder`, on `build`. Raises TrainingError where there is
    none.
    """
    student = Student(Path(folder), Path(build))
    student._run()
    return student


def _built(folder: Path, report: Report) -> data.Build:
    build = data.read(folder, report)
    if build is None:
        raise TrainingError(report)
    return build


def _said(report: Report, severity: Severity) -> list[str]:
    """The findings of one kind, each in a line as the commands say it."""
    lines = []
    for one in report.diagnostics:
        if one.severity is severity:
            place = f"{one.span.path}:{one.span.line}: " if one.span else ""
            hint = f" ({one.hint})" if one.hint else ""
            lines.append(f"{place}{one.code.id} {one.code.name}: {one.message}{hint}")
    return lines
