"""The command `calibrate`: how well assertions and judges agree with people's grades."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from compiler.cli.asking import JudgeOption, named_teacher
from compiler.cli.base import (
    AtOption,
    TaxonomyOption,
    finish,
    print_table,
    rendered,
    taxonomy_folder,
)
from compiler.codes import M316
from compiler.diagnostics import Report, counted
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.calibrate.calibration import Branch, Calibration, Graded
    from compiler.calibrate.measure import Figures
    from compiler.calibrate.verdict import Judging
    from compiler.curriculum import Curriculum, GateSettings
    from compiler.source import Source

T = TypeVar("T")
_FORMS = ("human", "json")


def _known_form(form: str) -> str:
    if form not in _FORMS:
        raise typer.BadParameter(f"`{form}` is not one of {', '.join(_FORMS)}")
    return form


def calibrate(
    taxonomy: TaxonomyOption = None,
    judge: JudgeOption = None,
    gate: Annotated[
        bool,
        typer.Option("--gate", help="Fail where a gate is not reached, as with CI=true."),
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="|".join(_FORMS), callback=_known_form, help="How it is printed."
        ),
    ] = "human",
    at: AtOption = None,
) -> None:
    """Measure assertions and judges on people's grades, and choose assertions."""
    from compiler.calibrate.calibration import read_graded, report_gate, strict
    from compiler.curriculum import read
    from compiler.source import BRANCHES, in_branch, leaf_files, open_source

    root, report = taxonomy_folder(taxonomy), Report()
    try:
        source = open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    curriculum = read(source, report)
    if curriculum is None:
        finish(report, form, root)
        return
    report.inherit(curriculum.policy)
    if gate or in_ci():
        strict(report)
    graded = read_graded(source, report)
    _test_there(source, report)
    made = None if report.errors else _calibrated(graded, curriculum, judge, root, report)
    if made is None:
        finish(report, form, root)
        return
    has_leaves = {in_branch(path) for path in leaf_files(source.paths)}
    report_gate(made, [b for b in BRANCHES if b in has_leaves], curriculum.gate, report)
    if form == "json":
        typer.echo(_as_json(made, curriculum.gate, report, root))
        raise typer.Exit(1 if report.errors else 0)
    for branch in (*made.branches, *([made.whole] if len(made.branches) > 1 else ())):
        _print(branch)
    finish(report, form, root)


def in_ci() -> bool:
    """Whether this is a run of continuous integration, as its services say themselves."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _test_there(source: "Source", report: Report) -> None:
    """An error where there is nothing to measure, nor to measure by."""
    from compiler.calibrate.grades import FOLDER

    if not any(path.startswith(FOLDER) for path in source.paths):
        report.add(
            M316,
            f"the taxonomy has no folder `{FOLDER}`",
            hint="grade samples of a build with `trivium grade`",
        )


def _calibrated(
    graded: "Graded", curriculum: "Curriculum", judge: str | None, root: Path, report: Report
) -> "Calibration | None":
    """The calibration; the judge is set up only where some assertion has to be asked about. None
    where it cannot be.
    """
    from compiler.calibrate.calibration import calibrate, of_conditions

    if not graded.needs_judge:
        return of_conditions(graded, curriculum.gate)

    async def work(judging: "Judging") -> "Calibration":
        return await calibrate(graded, curriculum.gate, judging)

    return with_judge(judge, curriculum, root, report, work)


def with_judge(
    named: str | None,
    curriculum: "Curriculum",
    root: Path,
    report: Report,
    work: "Callable[[Judging], Awaitable[T]]",
) -> T | None:
    """What `work` makes with an open judge: the named one, else the settings'. None where the judge
    cannot be asked, or where what it was asked is an error.
    """
    from compiler.calibrate.verdict import Judging
    from compiler.curriculum import TeacherSpec
    from compiler.journal import Journal

    try:
        spec = TeacherSpec.named(named) if named else curriculum.judge or curriculum.teacher
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--judge") from wrong
    who = named_teacher(spec, root, report)
    if who is None:
        return None

    async def run(judging: Judging) -> T | None:
        try:
            if failure := await who.open():
                report.add(failure.code, failure.detail, hint="check the endpoint and try again")
                return None
            return await work(judging)
        finally:
            await who.close()

    with Journal(home() / "journal.sqlite") as journal:
        judging = Judging(who, journal)
        made = asyncio.run(run(judging))
    judging.report(report)
    typer.echo(
        f"asked the judge {counted(judging.tally.asked, 'question')}; "
        f"{counted(judging.tally.journaled, 'answer')} came from the journal",
        err=True,
    )
    return None if report.errors else made


def _print(branch: "Branch") -> None:
    """One branch: what was graded, and a table of what measures it."""
    graded = branch.graded
    typer.echo(
        f"{branch.name}: {counted(graded.good + graded.bad, 'graded sample')}, "
        f"{graded.good:,} good and {graded.bad:,} bad"
    )
    rows = [
        [f"{'*' if line.chosen else ' '} {line.name}", *_cells(line.figures)]
        for line in branch.lines
    ]
    head = ["", "coverage", "95%", "false failures", "95%", "alignment", "MCC", "skipped"]
    print_table(head, rows)
    chosen = ", ".join(one.id for one in branch.chosen) or "none"
    typer.echo(f"* chosen: {chosen}\n")


def _cells(figures: "Figures") -> list[str]:
    from compiler.calibrate.calibration import shown
    from compiler.calibrate.measure import wilson

    def between(of: tuple[float, float] | None) -> str:
        return f"{of[0]:.1%} to {of[1]:.1%}" if of else "-"

    def number(of: float | None) -> str:
        return "undefined" if of is None else f"{of:.3f}"

    return [
        shown(figures.coverage),
        between(wilson(figures.failed_bad, figures.bad)),
        shown(figures.false_failures),
        between(wilson(figures.failed_good, figures.good)),
        number(figures.alignment),
        number(figures.mcc),
        f"{figures.skipped:,}",
    ]


def _as_json(made: "Calibration", gate: "GateSettings", report: Report, root: Path) -> str:
    import json
    from dataclasses import asdict

    def branch(one: "Branch") -> dict[str, object]:
        return {
            "branch": one.name,
            "good": one.graded.good,
            "bad": one.graded.bad,
            "chosen": [assertion.id for assertion in one.chosen],
            "lines": [line.as_json() for line in one.lines],
        }

    return json.dumps(
        {
            "gate": asdict(gate),
            "branches": [branch(one) for one in made.branches],
            "all": branch(made.whole),
            "findings": [json.loads(line) for line in rendered(report, "json", root).splitlines()],
        },
        indent=2,
    )
