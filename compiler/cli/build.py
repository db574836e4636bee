"""The command `compile`: a taxonomy becomes a two-phase curriculum."""

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.asking import Asked, JudgeOption, TeacherOption, prepare_asked
from compiler.cli.base import BUILD, AtOption, TaxonomyOption, finish, taxonomy_folder
from compiler.codes import R408
from compiler.diagnostics import Report, counted
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.calibrate.verdict import Judging
    from compiler.cluster import Cluster
    from compiler.cost import Ran, Timed
    from compiler.emit import Product
    from compiler.expand import Engine, Outcome
    from compiler.journal import Journal
    from compiler.program import Program
    from compiler.teacher import Teacher

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", metavar="local|ray", help="One process, or the workers of a Ray cluster."
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="A running cluster, such as `auto`; else Ray is started on this machine.",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        help="Ray's workers; by default one for a CPU.",
        show_default=False,
    ),
]
GpusOption = Annotated[
    float,
    typer.Option(
        "--worker-gpus",
        metavar="N",
        min=0,
        help="GPUs of each of Ray's workers.",
        show_default=False,
    ),
]
UNPARSABLE = 0.1


def compile(
    taxonomy: TaxonomyOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The build folder.")] = BUILD,
    teacher: TeacherOption = None,
    judge: JudgeOption = None,
    at: AtOption = None,
    engine: EngineOption = "local",
    ray_address: AddressOption = "",
    workers: WorkersOption = 0,
    worker_gpus: GpusOption = 0.0,
) -> None:
    """Compile a taxonomy into a two-phase curriculum."""
    cluster = _cluster(engine, ray_address, workers, worker_gpus)
    root, report = taxonomy_folder(taxonomy), Report()
    program, asked = prepare_asked(root, teacher, judge, at, report)
    if program and asked:
        _compile(program, asked, cluster, out, report)
    finish(report, "human", root)


def _compile(
    program: "Program", asked: Asked, cluster: "Cluster | None", out: Path, report: Report
) -> None:
    """Compiles and prints the books; what stopped it is then in `report`."""
    from compiler.calibrate.calibration import strict
    from compiler.calibrate.verdict import Judging
    from compiler.cli import costs
    from compiler.cli.calibrate import in_ci
    from compiler.cost import Timed, write_run
    from compiler.emit import emit
    from compiler.journal import Journal
    from compiler.page import NAME
    from compiler.page import write as write_page
    from compiler.teacher.extractive import NOTICE

    _test_writable(out)
    if in_ci():
        strict(report)
    with Journal(home() / "journal.sqlite") as journal:
        engine = Timed(_engine(asked, journal, cluster))
        judging = Judging(asked.judge, journal)
        apart = asked.judge if cluster else None
        try:
            product, made = asyncio.run(_expand(program, engine, judging, apart, report))
        except KeyboardInterrupt:
            typer.echo(
                "stopped; every answer so far is in the journal: run the same command again",
                err=True,
            )
            raise typer.Exit(130) from None
        if product is None:
            return
        manifest = emit(product, out)
        engine.tally.add(judging.tally)
        ran = _ran(program, asked, engine, made, journal)
        write_run(ran, out)
        write_page(out, journal, out / NAME, report)
    tally = ran.tally
    typer.echo(
        f"asked {counted(tally.asked, 'question')}; "
        f"{counted(tally.journaled, 'answer')} came from the journal"
    )
    if not asked.by_rule:
        costs.print_run(ran)
        _report_unparsable(ran, report)
    if ran.teacher.startswith("extractive"):
        typer.echo(f"note: {NOTICE}")
    costs.print_books(manifest)
    costs.print_rivals(out)
    typer.echo(f"written to {out}; look through it: {out / NAME}")


def _cluster(engine: str, address: str, workers: int, gpus: float) -> "Cluster | None":
    """Where the workers are; None where this process does it all."""
    if engine == "local":
        if address or workers or gpus:
            raise typer.BadParameter("Ray's options go with `--engine ray`", param_hint="--engine")
        return None
    if engine != "ray":
        raise typer.BadParameter(f"`{engine}` is neither local nor ray", param_hint="--engine")
    if find_spec("ray") is None:
        hint = "install it: `pip install 'trivium[ray]'`"
        raise typer.BadParameter(f"Ray is not installed; {hint}", param_hint="--engine")
    from compiler.cluster import Cluster

    return Cluster(address, workers, gpus)


def _engine(asked: Asked, journal: "Journal", cluster: "Cluster | None") -> "Engine":
    """Where the expansion runs."""
    if cluster is None:
        from compiler.expand import Local

        return Local(asked.teacher, asked.judge, journal)
    from compiler.cluster import Spread, Teachers

    for spec in (asked.spec, asked.judge_spec):
        if spec.kind in ("batch", "run-batch"):
            raise typer.BadParameter(
                f"a teacher of kind `{spec.kind}` works in one process", param_hint="--engine"
            )
    teachers = Teachers(asked.spec, asked.judge_spec, asked.folder)
    return Spread(cluster, teachers, home() / "journal.sqlite")


def _ran(program: "Program", asked: Asked, engine: "Timed", made: int, journal: "Journal") -> "Ran":
    """What the run took; its rate is noted for later plans."""
    from compiler.cli import costs
    from compiler.cost import Ran, pair
    from compiler.plan import plan as make_plan

    tally = engine.tally
    scale, _ = (
        costs.scale(program, asked.spec, asked.folder, engine.teacher)
        if tally.prompt_tokens
        else ({}, 0)
    )
    planned = make_plan(program.units, program.pipelines, asked.teacher, None, asked.judge, scale)
    if tally.asked and not asked.by_rule:
        journal.note_run(
            pair(engine.teacher, engine.judge),
            tally.asked,
            tally.prompt_tokens,
            tally.completion_tokens,
            engine.seconds,
        )
    told = asked.told(planned, left=False)
    specs = {"teacher": asked.spec, "judge": asked.judge_spec}
    prices = {name: spec.prices for name, spec in specs.items() if spec.prices}
    return Ran(engine.teacher, engine.judge, tally, made, engine.seconds, planned, told, prices)


def _report_unparsable(ran: "Ran", report: Report) -> None:
    from compiler.cost import unread

    bad, total = unread(ran.tally)
    if bad > UNPARSABLE * total:
        report.add(
            R408,
            f"{bad:,} of {total:,} replies could not be read at first, "
            f"{bad - ran.tally.repaired:,} not when asked again either",
            hint="take a larger model, or an endpoint that has structured output; `drops.jsonl` "
            "holds the texts (D501)",
        )


def _test_writable(out: Path) -> None:
    """Raises OSError where the build could not be written, before anything is asked."""
    place = out.resolve()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"`{place}` is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"`{place}` cannot be written to")


async def _expand(
    program: "Program",
    engine: "Engine",
    judging: "Judging",
    apart: "Teacher | None",
    report: Report,
) -> "tuple[Product | None, int]":
    """The product, and how many samples the teacher wrote for it.

    `apart` is the judge of this process where the engine runs in others.
    """
    from compiler.driver import expand
    from compiler.progress import Progress

    made = 0
    with Progress("unit", len(program.units)) as progress:

        def step(outcome: "Outcome") -> None:
            nonlocal made
            made += len(outcome.samples)
            progress.step(f"{made:,} samples")

        try:
            if apart and program.graded.needs_judge and (failure := await apart.open()):
                report.add(failure.code, failure.detail, hint="check the endpoint and try again")
                return None, made
            product = await expand(program, engine, report, step, home(), judging)
        finally:
            if apart:
                await apart.close()
    return product, made
