"""What the commands of training share: options, a console, how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from compiler.codes import F611
from compiler.diagnostics import Report
from compiler.render import RENDERERS
from training import machine

STUDENT, REPORT = Path("out/student"), Path("out/report.html")
ERRORS, INTERRUPTED = 1, 130

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The build folder of `trivium compile`.")
]
Student = Annotated[
    Path, typer.Option("--student", metavar="DIR", help="The folder of `trivium train`.")
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", metavar="NAME", help="A built-in recipe (tiny-cpu, lora, ...) or a YAML file."
    ),
]


def console() -> Console:
    """Where progress is shown: the standard error."""
    return Console(stderr=True, highlight=False, markup=False)


@contextmanager
def extra(report: Report) -> Iterator[None]:
    """Says which package is missing, where one of those that training needs is."""
    try:
        yield
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in machine.EXTRA:
            raise
        hint = "pip install 'trivium[train]'"
        report.add(F611, f"the package `{package}` is not installed", hint=hint)
        fail(report)


def finish(report: Report) -> None:
    """Prints what was found; ends the command where it has errors."""
    if report.diagnostics:
        typer.echo(RENDERERS["human"](report), err=True)
    if report.errors:
        raise typer.Exit(ERRORS)


def fail(report: Report) -> NoReturn:
    """Prints what was found, and ends the command."""
    finish(report)
    raise typer.Exit(ERRORS)
