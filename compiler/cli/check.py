"""The command that looks at a taxonomy, and mends what is safe to mend."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.asked import Wanted, asked
from compiler.cli.base import (
    AtOption,
    FormatOption,
    TaxonomyOption,
    known_form,
    put,
    rendered,
)
from compiler.diagnostics import Report
from compiler.resources import home
from compiler.source import Settled


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH|-]...",
            help="Files or folders, from the current folder or from the taxonomy; `-` is the "
            "standard input. Without: all.",
            show_default=False,
        ),
    ] = None,
    taxonomy: TaxonomyOption = None,
    at: AtOption = None,
    diff: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="BASE[..HEAD]",
            help="Check what a change adds to a git revision: up to HEAD, else up to the files on "
            "disk.",
        ),
    ] = None,
    stdin_path: Annotated[
        str | None,
        typer.Option("--stdin-path", metavar="PATH", help="Which file the standard input is."),
    ] = None,
    form: FormatOption = "human",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="FORMAT:FILE",
            help="Write the findings to a file too; may be given several times.",
            show_default=False,
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            metavar="FILE",
            help="Write a Markdown summary, for a pull request's comment; fetches the documents.",
            show_default=False,
        ),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what is safe to mend, and check what is left.")
    ] = False,
    diff_only: Annotated[
        bool,
        typer.Option("--diff-only", help="Show what `--fix` would change, and change nothing."),
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Look at every file anew.")] = False,
) -> None:
    """Check the leaves of a taxonomy."""
    from compiler import front
    from compiler.cache import Cache
    from compiler.progress import Progress

    outputs = [_output(text) for text in output or ()]
    wanted = asked(paths or [], taxonomy, at, diff, stdin_path)
    if fix or diff_only:
        from compiler.cli.mend import mend

        if mend(wanted, is_shown_only=diff_only):
            return
    report = Report()
    with (
        Cache(None if no_cache else home() / "check.sqlite") as cache,
        Progress("file", 0) as progress,
    ):

        def step(done: int, total: int) -> None:
            progress.total = total
            progress.step()

        front.check(wanted.source, report, wanted.only, wanted.change, cache, wanted.within, step)
    put(report, form, wanted.root)
    sys.stdout.flush()
    for kind, file in outputs:
        text = rendered(report, kind, wanted.root)
        file.write_text(f"{text}\n" if text else "", "utf-8")
    if summary:
        summary.write_text(_summary(wanted, report), "utf-8")
    if report.errors:
        raise typer.Exit(1)


def _summary(wanted: Wanted, report: Report) -> str:
    """The Markdown for a pull request: also what the leaves without an error would add."""
    from compiler.plan import plan
    from compiler.program import prepare
    from compiler.summary import additions, preview, summarise
    from compiler.teacher.extractive import Extractive

    files = [path for path in report.files or () if not report.errors_at(path)]
    source = Settled(wanted.source, wanted.change.base) if wanted.change else wanted.source
    program = prepare(source, home() / "documents", Report(), files) if files else None
    if program is None:
        return summarise(report)
    made = plan(program.units, program.pipelines, Extractive(), None)
    return summarise(report, additions(program, made, files), preview(program, files))


def _output(text: str) -> tuple[str, Path]:
    form, colon, file = text.partition(":")
    if not colon or file in ("", "-"):
        raise typer.BadParameter(f"`{text}` is not FORMAT:FILE", param_hint="--output")
    return known_form(form), Path(file)
