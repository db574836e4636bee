"""The commands that go on from a checked taxonomy: `plan`, `compile`, `show`."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.base import (
    BUILD,
    AtOption,
    TaxonomyOption,
    finish,
    home,
    print_table,
    taxonomy_folder,
)
from compiler.codes import E703, F605, M303
from compiler.diagnostics import Report, Span, clean, counted

if TYPE_CHECKING:
    from compiler.curriculum import TeacherSpec
    from compiler.driver import Program
    from compiler.expand import Outcome, Tally
    from compiler.teacher import Teacher

TeacherOption = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="NAME",
        help="extractive, scripted:FILE, or http://HOST:PORT/v1[#MODEL]; else curriculum.yaml's.",
        show_default=False,
    ),
]


def plan(
    taxonomy: TaxonomyOption = None, teacher: TeacherOption = None, at: AtOption = None
) -> None:
    """Say what a compile would ask, leaf by leaf."""
    from compiler.journal import Journal
    from compiler.plan import plan as make_plan

    root, report = taxonomy_folder(taxonomy), Report()
    program, spec = _prepare(root, teacher, at, report)
    if program is None or spec is None:
        finish(report, "human", root)
        return
    model = named_teacher(spec, root, report)
    if model is None:
        finish(report, "human", root)
        return
    if not model.model:
        asyncio.run(_connect(model))
    with Journal(home() / "journal.sqlite") as journal:
        made = make_plan(program.units, program.pipelines, model, journal)
    names = [
        "chunks",
        "units",
        "samples",
        "calls",
        "prompt_tokens",
        "completion_tokens",
        "journaled",
    ]
    rows = [[line.leaf, *(f"{getattr(line, n):,}" for n in names)] for line in made.lines]
    rows.append(["all leaves", *(f"{made.total(n):,}" for n in names)])
    if not model.model:
        rows = [[*row[:-1], "?"] for row in rows]
    print_table(
        ["leaf", "chunks", "units", "samples", "calls", "prompt tok.", "reply tok.", "journaled"],
        rows,
    )
    dial = program.curriculum.samples_per_leaf
    typer.echo(
        f"\n`samples_per_leaf: {dial}` asks for {dial} samples of each leaf; a unit is one call\n"
        "for several of them, and each is then judged. Tokens are estimates without a\n"
        "tokenizer, and a ceiling: what a judge turns down is asked no further. `journaled`\n"
        "counts the units whose first question is answered already.\n"
        f"teacher: {model.model or f'{spec.urls[0][0]}, which did not say what it serves'}"
    )
    finish(report, "human", root)


def compile(
    taxonomy: TaxonomyOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The build folder.")] = BUILD,
    teacher: TeacherOption = None,
    at: AtOption = None,
) -> None:
    """Compile a taxonomy into a two-phase curriculum."""
    root, report = taxonomy_folder(taxonomy), Report()
    _compile(root, out, teacher, at, report)
    finish(report, "human", root)


def _compile(root: Path, out: Path, teacher: str | None, at: str | None, report: Report) -> None:
    """Compiles and prints the books; what stopped it is then in `report`."""
    from compiler.emit import emit
    from compiler.teacher.extractive import NOTICE

    program, spec = _prepare(root, teacher, at, report)
    if program is None or spec is None:
        return
    asked = named_teacher(spec, root, report)
    judging = program.curriculum.judge
    judge = asked if judging in (None, spec) else named_teacher(judging, root, report)
    if asked is None or judge is None:
        return
    _test_writable(out)
    try:
        product, tally = asyncio.run(_expand(program, asked, judge, report))
    except KeyboardInterrupt:
        typer.echo(
            "stopped; every answer so far is in the journal: run the same command again", err=True
        )
        raise typer.Exit(130) from None
    if product is None:
        return
    manifest = emit(product, out)
    typer.echo(
        f"asked {counted(tally.asked, 'question')}; "
        f"{counted(tally.journaled, 'answer')} came from the journal"
    )
    if tally.prompt_tokens or tally.completion_tokens:
        typer.echo(
            f"tokens of what was asked: {tally.prompt_tokens:,} of prompts, "
            f"{tally.completion_tokens:,} of replies"
        )
    if asked.model.startswith("extractive"):
        typer.echo(f"note: {NOTICE}")
    _print_books(manifest)
    typer.echo(f"written to {out}")


def _test_writable(out: Path) -> None:
    """Raises OSError where the build could not be written, before anything is asked."""
    place = out.resolve()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"`{place}` is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"`{place}` cannot be written to")


async def _connect(teacher: "Teacher") -> None:
    """Lets an endpoint name the model that it serves; it may be away."""
    await teacher.open()
    await teacher.close()


async def _expand(
    program: "Program", teacher: "Teacher", judge: "Teacher", report: Report
) -> "tuple[Any, Tally]":
    from compiler.driver import expand
    from compiler.expand import Local
    from compiler.journal import Journal
    from compiler.progress import Progress

    with (
        Journal(home() / "journal.sqlite") as journal,
        Progress("unit", len(program.units)) as progress,
    ):
        made = 0

        def step(outcome: "Outcome") -> None:
            nonlocal made
            made += len(outcome.samples)
            progress.step(f"{made:,} samples")

        engine = Local(teacher, judge, journal)
        return await expand(program, engine, report, step), engine.tally


def _prepare(
    root: Path, teacher: str | None, at: str | None, report: Report
) -> "tuple[Program | None, TeacherSpec | None]":
    from compiler.curriculum import TeacherSpec
    from compiler.driver import prepare
    from compiler.source import open_source

    try:
        named = TeacherSpec.named(teacher) if teacher else None
        source = open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    program = prepare(source, home() / "documents", report)
    return program, named or (program.curriculum.teacher if program else None)


def named_teacher(spec: "TeacherSpec", root: Path, report: Report) -> "Teacher | None":
    """The teacher; a script's path counts from the current folder, then from the taxonomy."""
    from compiler.teacher.make import make_teacher

    here = Path() if spec.file and Path(spec.file).is_file() else root
    try:
        return make_teacher(spec, here, lambda text: typer.echo(text, err=True))
    except (OSError, TypeError, ValueError) as wrong:
        report.add(M303, f"the script `{spec.file}` cannot be read: {wrong}", Span(spec.file))
        return None


def _print_books(manifest: Mapping[str, Any]) -> None:
    from compiler.codes import CATALOGUE

    rows = []
    for account in manifest["passes"]:
        reasons = [f"{n} {CATALOGUE[code].name} ({code})" for code, n in account["dropped"].items()]
        rows.append(
            [
                account["name"],
                f"{account['in']:,}",
                f"{account['kept']:,}",
                ", ".join(reasons) or "none",
            ]
        )
    print_table(["pass", "in", "kept", "dropped"], rows, left=(0, 3))
    books = {account["name"]: account for account in manifest["passes"]}
    human = books["sift"]["in"] - books["expand"]["kept"]
    typer.echo(f"sift takes what expand kept and {counted(human, 'human seed example')}")
    skipped = [leaf for leaf in manifest["leaves"] if leaf["skipped"]]
    for leaf in skipped:
        code = CATALOGUE[leaf["skipped"]]
        typer.echo(clean(f"skipped {leaf['leaf']}: {code}"))
    files = manifest["files"]
    replay = files["phase2.jsonl"].get("replay", 0)
    typer.echo(
        f"phase 1: {counted(files['phase1.jsonl']['count'], 'sample')}; "
        f"phase 2: {files['phase2.jsonl']['count']:,}, of which {replay:,} replay; "
        f"kept aside: {files['validation.jsonl']['count']:,}; "
        f"held out: {counted(files['heldout.jsonl']['count'], 'question')}"
    )


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A sample's id, or its first digits.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The build folder.")] = BUILD,
) -> None:
    """Tell the whole story of one sample."""
    from compiler.journal import Journal
    from compiler.story import find, tell

    report = Report()
    if not (data / "manifest.json").is_file():
        report.add(F605, f"`{data}` holds no finished build", hint="run `trivium compile` first")
        finish(report, "human", data)
    try:
        found = find(data, id)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="ID") from wrong
    if found is None:
        report.add(
            E703, f"no sample's id begins with `{id}`", hint=f"ids are in {data}/samples.jsonl"
        )
        finish(report, "human", data)
        return
    with Journal(home() / "journal.sqlite") as journal:
        for line in tell(*found, journal).splitlines():
            typer.echo(clean(line))
