"""`trivium train`: a build and a recipe go in, a student comes out."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD
from compiler.diagnostics import Report
from training import data, machine, run
from training import recipe as recipes
from training.commands.base import (
    INTERRUPTED,
    STUDENT,
    Data,
    RecipeOption,
    console,
    extra,
    fail,
    finish,
)


def train(
    build_folder: Data = BUILD,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the student.")
    ] = STUDENT,
    recipe: RecipeOption = "tiny-cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run stopped (it does so anyway).")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained, and stop.")
    ] = False,
) -> None:
    """Train a student on a build, phase by phase."""
    if fresh and resume:
        raise typer.BadParameter("`--fresh` and `--resume` exclude each other")
    report = Report()
    if (chosen := recipes.read(recipe, report)) is None:
        fail(report)
    if (build := data.read(build_folder, report)) is None:
        fail(report)
    if not plan and not run.open_run(out, build, chosen, fresh, report):
        fail(report)
    with extra(report):
        machine.prepare(chosen.model)
        if plan:
            for line in run.plan(build, chosen, report):
                typer.echo(line)
        else:
            try:
                run.train(build, chosen, out, report, console())
            except KeyboardInterrupt:
                typer.echo("stopped; run the same command again to go on", err=True)
                raise typer.Exit(INTERRUPTED) from None
    finish(report)
    if not plan:
        typer.echo(f"the student is in {out}; next: trivium evaluate", err=True)
