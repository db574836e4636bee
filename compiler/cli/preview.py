"""The command that shows what a leaf asks of the teacher: `preview`."""

import asyncio
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.asking import TeacherOption, named_teacher
from compiler.cli.base import (
    AtOption,
    TaxonomyOption,
    console,
    finish,
    taxonomy_folder,
)
from compiler.codes import T111
from compiler.diagnostics import Report, Span, clean, counted
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.expand import Outcome
    from compiler.lower import Unit
    from compiler.pipeline import Pipeline
    from compiler.preview import Prompt, Trial
    from compiler.program import Program
    from compiler.source import Source
    from compiler.teacher import Teacher

_Line = tuple[str, str]
_HEAD, _STAGE, _ROLE, _ASIDE, _DROP = "bold", "bold cyan", "yellow", "bright_black", "red"


def preview(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A leaf: its folder, or the `qna.yaml` in it.")
    ],
    taxonomy: TaxonomyOption = None,
    units: Annotated[
        int, typer.Option("--units", metavar="N", min=0, help="How many units to show.")
    ] = 1,
    ask: Annotated[
        int,
        typer.Option(
            "--ask", metavar="N", min=0, help="Ask the teacher for N samples, and show them."
        ),
    ] = 0,
    teacher: TeacherOption = None,
    at: AtOption = None,
) -> None:
    """Show the prompts that a leaf makes, or a few samples."""
    from compiler.curriculum import TeacherSpec
    from compiler.preview import program_of
    from compiler.source import open_source

    root, report = taxonomy_folder(taxonomy, [] if at else [path]), Report()
    try:
        named = TeacherSpec.named(teacher) if teacher else None
        source = open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    file = _leaf_file(path, root, source, report)
    program = program_of(file, source, home() / "documents", report) if file else None
    if program is None:
        finish(report, "human", root)
        return
    spec = named or program.curriculum.teacher
    model = named_teacher(spec, root, report)
    judging = program.curriculum.judge
    judge = model if judging in (None, spec) else named_teacher(judging, root, report)
    if model is None or judge is None:
        finish(report, "human", root)
        return
    _print(_overview(program, model))
    for number, unit in enumerate(program.units[:units], 1):
        _print(_unit(number, len(program.units), unit, program.pipelines[unit.pipeline]))
    if ask and report.errors:
        _print([("", ""), (_ASIDE, "nothing is asked while the leaf has errors")])
    elif ask:
        _print(_trial(asyncio.run(_ask(program, model, judge, ask, report)), model, ask))
    if report.diagnostics:
        typer.echo("")
        finish(report, "human", root)


def _leaf_file(path: str, root: Path, source: "Source", report: Report) -> str:
    """The leaf file that a path means, seen from the current folder or from the taxonomy; "" where
    it is none, which is then reported.
    """
    from rapidfuzz import process

    from compiler.source import LEAF_NAME, leaf_files

    files = [file for file in leaf_files(source.paths) if file.rpartition("/")[2] == LEAF_NAME]
    whole, top = Path(path).resolve(), root.resolve()
    here = whole.relative_to(top).as_posix() if whole.is_relative_to(top) else ""
    for name in (here, Path(path).as_posix()):
        found = [file for file in files if name in (file, ".") or file.startswith(f"{name}/")]
        if f"{name}/{LEAF_NAME}" in found:
            return f"{name}/{LEAF_NAME}"
        if len(found) == 1:
            return found[0]
        if found:
            raise typer.BadParameter(_several(path, found), param_hint="PATH")
    folders = [file.rpartition("/")[0] for file in files]
    near = process.extractOne(here or path, folders, score_cutoff=70)
    hint = f"did you mean `{near[0]}`?" if near else "name a folder that holds a `qna.yaml`"
    report.add(T111, f"`{path}` is no leaf of the taxonomy", Span(path), hint)
    return ""


def _several(path: str, found: Collection[str]) -> str:
    shown = ", ".join(f"`{file.rpartition('/')[0]}`" for file in sorted(found)[:5])
    more = ", ..." if len(found) > 5 else ""
    return clean(f"`{path}` holds {len(found)} leaves; name one: {shown}{more}")


def _overview(program: "Program", teacher: "Teacher") -> Iterator[_Line]:
    from compiler.journal import Journal
    from compiler.plan import plan

    with Journal(home() / "journal.sqlite") as journal:
        line = plan(program.units, program.pipelines, teacher, journal).lines[0]
    pipeline = program.pipelines[line.pipeline]
    chunks = f"{counted(line.chunks, 'chunk')} of its document, " if line.chunks else ""
    known = (
        f"; {counted(line.journaled, 'answer')} of them in the journal" if line.journaled else ""
    )
    yield _HEAD, line.leaf
    yield "", f"pipeline {pipeline.name}: {pipeline.about}"
    each = counted(line.samples // max(1, line.units), "sample")
    yield (
        "",
        f"{chunks}{counted(line.units, 'unit')} for {each} each: at "
        f"most {counted(line.calls, 'call')}, {line.prompt_tokens:,} tokens of prompts, "
        f"{line.completion_tokens:,} of replies{known}",
    )
    yield (
        _ASIDE,
        "Tokens are estimates without a tokenizer. For what the teacher has yet to write, a seed "
        "example stands in.",
    )


def _unit(number: int, total: int, unit: "Unit", pipeline: "Pipeline") -> Iterator[_Line]:
    from compiler.preview import prompts

    about = f"seed examples {', '.join(seed.rpartition('#')[2] for seed in unit.seeds)}"
    if unit.chunk:
        about = f"{unit.chunk.document}, characters {unit.chunk.start} to {unit.chunk.end}; {about}"
    yield "", ""
    yield _HEAD, f"unit {number} of {total}: {about}"
    shown = prompts(unit, pipeline)
    for prompt in shown:
        yield "", ""
        yield from _prompt(prompt)
    calls = sum(prompt.calls for prompt in shown)
    tokens = sum(prompt.calls * prompt.tokens for prompt in shown)
    yield "", ""
    yield _ASIDE, f"this unit: at most {counted(calls, 'call')}, about {tokens:,} tokens of prompts"


def _prompt(prompt: "Prompt") -> Iterator[_Line]:
    who = "the judge" if prompt.to_judge else "the teacher"
    times = "once" if prompt.calls == 1 else f"up to {prompt.calls} times"
    yield _STAGE, f"stage {prompt.stage}: asks {who} {times}, about {prompt.tokens:,} tokens"
    if prompt.stand_ins:
        names = ", ".join(f"`{name}`" for name in prompt.stand_ins)
        yield _ASIDE, f"stand-ins: {names}"
    if prompt.wrong:
        yield _DROP, f"it fails when it is rendered: {prompt.wrong}"
    for message in prompt.messages:
        yield _ROLE, f"{message.role}:"
        yield from _indented(message.content)


async def _ask(
    program: "Program", teacher: "Teacher", judge: "Teacher", wanted: int, report: Report
) -> "Trial":
    from compiler.journal import Journal
    from compiler.preview import try_out
    from compiler.progress import Progress

    with (
        Journal(home() / "journal.sqlite") as journal,
        Progress("unit", math.ceil(wanted / program.units[0].want)) as progress,
    ):

        def step(outcome: "Outcome") -> None:
            progress.total = max(progress.total, progress.done + 1)
            progress.step()

        trial = await try_out(program, teacher, judge, journal, wanted, step)
    if failure := trial.failure:
        report.add(failure.code, failure.detail, hint="check the endpoint and try again")
    return trial


def _trial(trial: "Trial", teacher: "Teacher", wanted: int) -> Iterator[_Line]:
    from compiler.teacher.extractive import NOTICE

    samples = trial.samples[:wanted]
    yield "", ""
    yield (
        _HEAD,
        f"{counted(len(samples), 'sample')} of {teacher.model or 'the teacher'} "
        f"({counted(trial.units, 'unit')}: asked {counted(trial.asked, 'question')}, "
        f"{counted(trial.journaled, 'answer')} came from the journal)",
    )
    for number, sample in enumerate(samples, 1):
        yield "", ""
        scores = ", ".join(f"{name}: {value}" for name, value in sample.scores.items())
        yield _STAGE, f"sample {number}{f' ({scores})' if scores else ''}"
        for message in sample.messages:
            yield _ROLE, f"{message.role}:"
            yield from _indented(message.content)
    more = len(trial.samples) - len(samples)
    if teacher.model.startswith("extractive"):
        yield "", ""
        yield _ASIDE, f"note: {NOTICE}"
    if more:
        yield "", ""
        yield _ASIDE, f"{counted(more, 'more sample')} of the same answers"
    if trial.losses:
        yield "", ""
        yield _STAGE, f"dropped: {len(trial.losses)}"
    for loss in trial.losses:
        yield _DROP, f"{loss.code}: {loss.detail}"
        yield from _indented(loss.text[:300])


def _indented(text: str) -> Iterator[_Line]:
    return (("", f"  {line}".rstrip()) for line in text.split("\n"))


def _print(lines: "Sequence[_Line] | Iterator[_Line]") -> None:
    """Prints lines with their styles; what a file or a teacher wrote cannot steer the terminal."""
    from rich.text import Text

    screen = console()
    for style, line in lines:
        screen.print(Text(clean(line), style), soft_wrap=True)
