"""`trivium run`: the whole road, from a taxonomy to a report."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.asking import TeacherOption
from compiler.cli.base import BUILD, TaxonomyOption, print_table, taxonomy_folder
from compiler.cli.build import compile
from compiler.cli.check import check
from compiler.diagnostics import Report
from compiler.resources import TAXONOMY
from training import data, run
from training import recipe as recipes
from training.commands.base import REPORT, STUDENT, RecipeOption, fail
from training.commands.evaluate import evaluate
from training.commands.report import write_page
from training.commands.train import train


def whole_road(
    taxonomy: TaxonomyOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for everything.")
    ] = Path("out"),
    teacher: TeacherOption = None,
    recipe: RecipeOption = "tiny-cpu",
) -> None:
    """Check, compile, train, evaluate and report."""
    build, student, page = (out / path.relative_to("out") for path in (BUILD, STUDENT, REPORT))
    report = Report()
    chosen = recipes.read(recipe, report)
    if chosen is None or not run.may_use(student, chosen, report):
        fail(report)
    root = _taxonomy(taxonomy)
    _head(1, f"check: {root}")
    check(taxonomy=root)
    _head(2, f"compile: {build}")
    compile(taxonomy=root, out=build, teacher=teacher)
    _head(3, f"train: {student}")
    if (made := data.read(build, report)) is None:
        fail(report)
    if what := run.difference(student, made, chosen):
        typer.echo(f"`{student}` holds a run of {what}: that one is deleted, to start over")
    train(build, student, recipe, fresh=bool(what))
    _head(4, f"evaluate: {student}")
    evaluate(build, student)
    _head(5, "report")
    write_page(build, student, page)
    typer.echo()
    print_table(
        [f"everything is in {out}", ""],
        [
            [f"  {build}", "the curriculum: phase1.jsonl, phase2.jsonl, manifest.json, README.md"],
            [f"  {build}/explore.html", "what was kept and dropped, to look through"],
            [f"  {student}", "the student after each stage, its log and evaluation"],
            [f"  {page}", "the report; open it in a browser"],
            ["next:", ""],
            [f"  trivium chat --student {student}", "talk to the student"],
            [
                f"  trivium show ID --data {build}",
                "the story of a sample; ids are in samples.jsonl",
            ],
        ],
        left=(0, 1),
    )


def _head(number: int, what: str) -> None:
    """The line that a step of the road begins with."""
    typer.echo(f"\n[{number}/5] {what}\n")


def _taxonomy(named: Path | None) -> Path:
    """The taxonomy that every command would take here; where there is none, the shipped one."""
    try:
        return taxonomy_folder(named)
    except typer.BadParameter:
        if named is not None:
            raise
        typer.echo("no taxonomy here: the one that Trivium ships is taken")
        return TAXONOMY
