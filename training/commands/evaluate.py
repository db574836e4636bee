"""`trivium evaluate`: a build and models go in, scores, differences and gates come out."""

import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from compiler.cli.base import BUILD, TaxonomyOption
from compiler.codes import E702, F609
from compiler.diagnostics import Report, counted
from training import card, data, machine, run
from training.commands.base import INTERRUPTED, STUDENT, Data, console, extra, fail, finish
from training.commands.judging import JudgeName, open_judge

EVALUATION = STUDENT.with_name("evaluation")


def evaluate(
    build_folder: Data = BUILD,
    student: Annotated[
        Path | None,
        typer.Option(
            "--student",
            metavar="DIR",
            help="The folder of `trivium train`; else out/student, where no --model is named.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME=MODEL",
            help="One more to ask: a folder or a name on the hub, by the name NAME, which may be "
            "left out of a path; repeat it for several.",
        ),
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option(
            "--general",
            metavar="FILE",
            help="General questions in place of those that Trivium ships (JSON Lines).",
        ),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="End with status 1 where too much was forgotten.")
    ] = False,
    max_forgetting: Annotated[
        float,
        typer.Option(
            "--max-forgetting",
            metavar="SHARE",
            min=0,
            max=1,
            help="What a gate allows to be lost, as a share of the questions.",
        ),
    ] = 0.05,
    judge: JudgeName = None,
    taxonomy: TaxonomyOption = None,
    harness: Annotated[
        Path | None,
        typer.Option(
            "--harness",
            metavar="DIR",
            help="Also write the held-out questions there, as tasks of lm-evaluation-harness.",
        ),
    ] = None,
    leaves: Annotated[bool, typer.Option("--leaves", help="Show every leaf.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for the result; else that of the student, or out/evaluation.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure the stages of a student, or any models."""
    named = _named(model or [])
    if student is None and not named:
        student = STUDENT
    if gate and student is None:
        raise typer.BadParameter("`--gate` is about a student: name it with `--student`")
    report = Report()
    build = data.read(build_folder, report)
    if build is None:
        fail(report)
    if not build.heldout:
        hint = "hold some seed examples back when building"
        report.add(E702, "the build has no held-out questions", hint=hint)
    found = run.find(student, report) if student else None
    if found:
        run.may_ask(found, build, report)
    if report.errors:
        fail(report)
    for name in named:
        if found and name in found.stages:
            raise typer.BadParameter(f"`{name}` is a stage of the student: use another name")
    with extra(report):
        machine.prepare(next((w for w in named.values() if not machine.is_here(w)), _base(found)))
        from training import evaluate as evaluation
        from training.evaluate import gates, models, table
        from training.evaluate import general as questions
        from training.evaluate.harness import export_harness

        asked = questions.read(general or questions.SHIPPED, report)
        more = [models.Model(*one) for one in named.items()]
        if harness and not report.errors:
            taught = models.taught([*(models.stages(found) if found else ()), *more])
            tasks = export_harness(build, harness, report, taught)
            said = counted(len(tasks), "task") if tasks else "nothing: no question is left to ask"
            if not report.errors:
                console().print(f"lm-evaluation-harness: {said}{f' in {harness}' if tasks else ''}")
        if asked is None or report.errors:
            fail(report)
        try:
            with open_judge(judge, taxonomy, report) if judge else nullcontext() as believed:
                if not report.errors:
                    _look_for(named, report)
                if report.errors:
                    fail(report)
                result = evaluation.evaluate(
                    build,
                    found,
                    report,
                    console(),
                    models=more,
                    questions=asked,
                    judge=believed,
                    limit=max_forgetting,
                    folder=out or (None if found else EVALUATION),
                )
        except KeyboardInterrupt:
            typer.echo("stopped; run the same command again to go on", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if result is None:
            fail(report)
        if found and out is None and found.fingerprint == build.fingerprint:
            card.write(found.folder, build_folder, report)
        if gate:
            gates.tell(result["gates"], report)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        width = None if sys.stdout.isatty() else 120
        table.show(result, Console(width=width, highlight=False, markup=False), leaves=leaves)
        for line in believed.lines() if believed else ():
            typer.echo(line)
    finish(report)


def _base(found: run.Run | None) -> str:
    return found.base if found else ""


def _named(given: list[str]) -> dict[str, str]:
    """The models of `--model`, by name."""
    named: dict[str, str] = {}
    for one in given:
        name, named_so, where = one.partition("=")
        if not named_so and "/" in one:
            name, where = Path(one).name, one
        if not re.fullmatch(r"[\w.-]+", name) or not where:
            raise typer.BadParameter(f"`--model {one}`: write NAME=MODEL")
        if name in named:
            raise typer.BadParameter(f"two models are named `{name}`")
        named[name] = where
    return named


def _look_for(named: dict[str, str], report: Report) -> None:
    """F609 for each model that is a path, and not there: others are asked for hours before it."""
    for where in named.values():
        is_path = where.startswith((".", "/", "~")) or where.count("/") > 1
        if is_path and not Path(where).expanduser().is_dir():
            hint = "correct the path after `--model`"
            report.add(F609, f"there is no folder `{where}`", hint=hint)
