"""`trivium evaluate`: a build and a student go in, scores come out."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from compiler.cli.base import BUILD
from compiler.codes import E702, F608
from compiler.diagnostics import Report
from training import data, machine, run
from training.commands.base import STUDENT, Data, Student, console, extra, fail, finish


def evaluate(
    build_folder: Data = BUILD,
    student: Student = STUDENT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure every stage of a student."""
    report = Report()
    build = data.read(build_folder, report)
    if build is None:
        fail(report)
    if not build.heldout:
        hint = "hold some seed examples back when building"
        report.add(E702, "the build has no held-out questions", hint=hint)
    found = run.find(student, report)
    if found and found.fingerprint != build.fingerprint:
        hint = "name its build with `--data`, or train again"
        report.add(F608, f"`{student}` was trained on another build", hint=hint)
    if found is None or report.errors:
        fail(report)
    with extra(report):
        machine.prepare(found.base)
        from training import evaluate as evaluation

        result = evaluation.evaluate(build, found, report, console())
        if result is None:
            fail(report)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        evaluation.table(result, Console(width=None if sys.stdout.isatty() else 110))
    finish(report)
