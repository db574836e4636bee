"""The command `explore`: a page on which one can look through a build."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD, finish
from compiler.diagnostics import Report
from compiler.resources import home


def explore(
    build: Annotated[Path, typer.Argument(metavar="BUILD", help="The build folder.")] = BUILD,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            dir_okay=False,
            help="The page to write; else explore.html in the build folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write an HTML page to look through a build."""
    from compiler.journal import Journal
    from compiler.page import NAME, write

    report = Report()
    page = out or build / NAME
    with Journal(home() / "journal.sqlite") as journal:
        if not write(build, journal, page, report):
            finish(report, "human", Path())
    typer.echo(page)
