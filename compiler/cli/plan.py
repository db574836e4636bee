"""The command `plan`: what a compile would ask, and what that costs."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.asking import JudgeOption, TeacherOption, prepare_asked
from compiler.cli.base import AtOption, TaxonomyOption, finish, taxonomy_folder
from compiler.diagnostics import Report
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.teacher import Teacher


def plan(
    taxonomy: TaxonomyOption = None,
    teacher: TeacherOption = None,
    judge: JudgeOption = None,
    at: AtOption = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="TOKENS_PER_SECOND",
            min=0.001,
            help="How many reply tokens all requests together get; else what was measured.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say what a compile would ask and cost, leaf by leaf."""
    from compiler.cli import costs
    from compiler.cost import pair
    from compiler.journal import Journal, Rate
    from compiler.plan import plan as make_plan
    from compiler.progress import Progress

    root, report = taxonomy_folder(taxonomy), Report()
    program, asked = prepare_asked(root, teacher, judge, at, report)
    if program is None or asked is None:
        finish(report, "human", root)
        return
    for spec, who in ((asked.spec, asked.teacher), (asked.judge_spec, asked.judge)):
        if not who.model and spec.kind == "openai":
            asyncio.run(_connect(who))
    model, judging = asked.teacher.model, asked.judge.model
    scale, counted_prompts = costs.scale(program, asked.spec, asked.folder, model)
    with (
        Journal(home() / "journal.sqlite") as journal,
        Progress("unit", len(program.units)) as progress,
    ):
        made = make_plan(
            program.units,
            program.pipelines,
            asked.teacher,
            journal,
            asked.judge,
            scale,
            progress.step,
        )
        known = Rate(rate, 0.0) if rate else journal.rate(pair(model, judging))
    costs.print_plan(made, knows_model=bool(model))
    dial = program.curriculum.samples_per_leaf
    typer.echo(
        f"\n`samples_per_leaf: {dial}` asks for {dial} samples of each leaf; a unit is one call\n"
        "for several of them, and each is then judged. It is a ceiling: what a judge turns down\n"
        "is asked no further. `journaled` counts the answers that are there already."
    )
    if not asked.by_rule:
        costs.print_tokens(counted_prompts)
        costs.print_time(asked.told(made, left=True), known, given=bool(rate))
        costs.print_money(made, asked.spec, asked.judge_spec)
    typer.echo(f"teacher: {model or f'{asked.spec.urls[0][0]}, which did not say what it serves'}")
    if asked.judge is not asked.teacher:
        typer.echo(f"judge: {judging or asked.judge_spec.urls[0][0]}")
    finish(report, "human", root)


async def _connect(teacher: "Teacher") -> None:
    """Lets an endpoint name the model that it serves; it may be away."""
    await teacher.open()
    await teacher.close()
