"""`trivium report`: a build and a student go in, one page comes out."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD
from compiler.codes import E704
from compiler.diagnostics import Report
from training import data
from training.commands.base import REPORT, STUDENT, Data, fail, finish


def report(
    build_folder: Data = BUILD,
    student: Annotated[
        Path | None,
        typer.Option(
            "--student",
            metavar="DIR",
            help="The folder of `trivium train`; else out/student, where there is one.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", dir_okay=False, help="The page to write."),
    ] = REPORT,
) -> None:
    """Write one HTML page on a build and its student."""
    write_page(build_folder, student, out)
    typer.echo(out)


def write_page(build_folder: Path, student: Path | None, out: Path) -> None:
    """Writes the page; ends the command where a file of the input is damaged."""
    report = Report()
    if data.read(build_folder, report) is None:
        fail(report)
    if student and not (student / "evaluation.json").is_file():
        hint = f"run `trivium evaluate --student {student}` first"
        report.add(E704, f"`{student}` was not evaluated", hint=hint)
        fail(report)
    if student is None and (STUDENT / "evaluation.json").is_file():
        student = STUDENT
    from training import report as pages

    pages.write(build_folder, student, out, report)
    finish(report)
