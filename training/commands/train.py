"""`trivium train`: a build and a recipe go in, a student comes out."""

import json
from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD
from compiler.diagnostics import Report
from training import card, data, machine, run
from training import launch as launches
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
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="The student, in place of the recipe's: a name on the hub, or a folder.",
            show_default=False,
        ),
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run stopped (it does so anyway).")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="DEVICE:GB",
            help="Plan for another machine, such as `cuda:24` or `cpu:16`.",
            show_default=False,
        ),
    ] = "",
    launch: Annotated[
        Path | None,
        typer.Option(
            "--launch",
            metavar="FILE",
            help="Train in as many processes as a file of `accelerate config` says.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--tokens-per-second",
            metavar="RATE",
            min=0.001,
            help="What the time of a plan rests on; else an earlier run's, or an assumption.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a student on a build, phase by phase."""
    if fresh and resume:
        raise typer.BadParameter("`--fresh` and `--resume` exclude each other")
    if not plan and (as_json or on or rate):
        raise typer.BadParameter("`--json`, `--on` and `--tokens-per-second` belong to `--plan`")
    report = Report()
    if (chosen := recipes.read(recipe, report, model)) is None:
        fail(report)
    if (build := data.read(build_folder, report)) is None:
        fail(report)
    launched = launches.read(launch, chosen, report) if launch else None
    if launch and launched is None:
        fail(report)
    if plan:
        _plan(build, chosen, out, on, rate, as_json, report)
        return
    if (launched is None or launched.first) and not run.open_run(out, build, chosen, fresh, report):
        fail(report)
    if launched and launched.processes > 1:
        words = ["train", f"--data={build_folder}", f"--out={out}", f"--recipe={recipe}"]
        _launch(launched, [*words, f"--model={model}"] if model else words, out, report)
        return
    with extra(report):
        machine.prepare(chosen.model)
        try:
            if run.train(build, chosen, out, report, console()) and machine.share()[0] == 0:
                card.write(out, build_folder, report)
        except KeyboardInterrupt:
            typer.echo("stopped; run the same command again to go on", err=True)
            raise typer.Exit(INTERRUPTED) from None
    finish(report)
    typer.echo(f"the student is in {out}; next: trivium evaluate", err=True)


def _launch(launch: launches.Launch, words: list[str], out: Path, report: Report) -> None:
    """Trains in several processes; the first of them says how it went."""
    with extra(report):
        status, said = launches.start(launch, words, out / run.WORK / launches.LOGS, report)
    if said:
        typer.echo(said, err=True)
    finish(report)
    if status:
        raise typer.Exit(status)


def _plan(
    build: data.Build,
    recipe: recipes.Recipe,
    out: Path,
    on: str,
    rate: float | None,
    as_json: bool,
    report: Report,
) -> None:
    """Prints the plan, then what was found."""
    from training import plan as plans
    from training.plan import room as rooms
    from training.plan.table import shown

    try:
        room = rooms.named(on, recipe.threads) if on else rooms.here(recipe.threads)
    except ValueError:
        hint = "write a device and its memory in GB, such as `cuda:24` or `cpu:16`"
        raise typer.BadParameter(hint, param_hint="--on") from None
    rate = rate or (None if on else plans.measured(out, recipe))
    with extra(report):
        machine.prepare(recipe.model)
        made = plans.plan(build, recipe, report, room, rate)
    if made:
        typer.echo(json.dumps(made.as_json(), indent=1) if as_json else shown(made))
    finish(report)
