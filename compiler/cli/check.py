"""The command that looks at a taxonomy, and mends what is safe to mend."""

import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.base import (
    AtOption,
    FormatOption,
    TaxonomyOption,
    home,
    known_form,
    put,
    rendered,
    taxonomy_folder,
)
from compiler.diagnostics import Report
from compiler.source import Overlay, Source, WorkTree, open_source

if TYPE_CHECKING:
    from compiler.source.revision import Change

STDIN = "-"
MOST_STDIN = 50_000_000


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
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Look at every file anew.")] = False,
) -> None:
    """Check the leaves of a taxonomy."""
    from compiler import front
    from compiler.cache import Cache
    from compiler.progress import Progress

    outputs = [_output(text) for text in output or ()]
    asked = _asked(paths or [], taxonomy, at, diff, stdin_path)
    report = Report()
    with (
        Cache(None if no_cache else home() / "check.sqlite") as cache,
        Progress("file", 0) as progress,
    ):

        def step(done: int, total: int) -> None:
            progress.total = total
            progress.step()

        front.check(asked.source, report, asked.only, asked.change, cache, step)
    for kind, file in outputs:
        text = rendered(report, kind, asked.root)
        file.write_text(f"{text}\n" if text else "", "utf-8")
    put(report, form, asked.root)
    if summary:
        sys.stdout.flush()
        summary.write_text(_summary(asked, report), "utf-8")
    if report.errors:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What to look at; `only` is None for every leaf file."""

    root: Path
    source: Source
    only: tuple[str, ...] | None
    change: "Change | None"


def _asked(
    paths: list[str],
    taxonomy: Path | None,
    at: str | None,
    diff: str | None,
    stdin_path: str | None,
) -> _Asked:
    """What the options mean; a usage error where they contradict each other."""
    from compiler.front import changed_files

    if at and diff:
        raise typer.BadParameter("`--at` and `--diff` exclude each other: use `--diff BASE..REV`")
    if STDIN in paths:
        if paths != [STDIN] or at or diff:
            raise typer.BadParameter("`-` is read alone, and beside the files on disk")
        if not stdin_path:
            raise typer.BadParameter("`-` needs `--stdin-path PATH`, for a path says what it is")
        return _asked_of_stdin(stdin_path, taxonomy)
    if stdin_path:
        raise typer.BadParameter("`--stdin-path` goes with the path `-`")
    root = taxonomy_folder(taxonomy, [] if at or diff else paths)
    change = None
    try:
        if diff:
            from compiler.source.revision import open_change  # git is slow to start

            change = open_change(root, diff)
        source = change.source if change else open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--diff" if diff else "--at") from wrong
    only = tuple(_inside(name, root, source.paths) for name in paths) if paths else None
    if change:
        changed = changed_files(change)
        only = tuple(
            path
            for path in changed
            if only is None or any(o == "." or f"{path}/".startswith(f"{o}/") for o in only)
        )
    return _Asked(root, source, only, change)


def _asked_of_stdin(stdin_path: str, taxonomy: Path | None) -> _Asked:
    """The standard input in the place of a file, which need not be there."""
    root = Path()
    with suppress(typer.BadParameter):
        root = taxonomy_folder(taxonomy, [stdin_path])
    path = _inside(stdin_path, root, (stdin_path,))
    source = Overlay(WorkTree(root), path, sys.stdin.buffer.read(MOST_STDIN))
    return _Asked(root, source, (path,), None)


def _summary(asked: _Asked, report: Report) -> str:
    """The Markdown for a pull request: also what the leaves without an error would add."""
    from compiler.driver import prepare
    from compiler.journal import Journal
    from compiler.plan import plan
    from compiler.summary import additions, preview, summarise
    from compiler.teacher.extractive import Extractive

    files = [path for path in report.files or () if not report.errors_at(path)]
    program = prepare(asked.source, home() / "documents", Report(), files) if files else None
    if program is None:
        return summarise(report)
    with Journal(home() / "journal.sqlite") as journal:
        made = plan(program.units, program.pipelines, Extractive(), journal)
    return summarise(report, additions(program, made, files), preview(program, files))


def _output(text: str) -> tuple[str, Path]:
    form, colon, file = text.partition(":")
    if not colon or not file:
        raise typer.BadParameter(f"`{text}` is not FORMAT:FILE", param_hint="--output")
    return known_form(form), Path(file)


def _inside(name: str, root: Path, known: Collection[str]) -> str:
    """The path of `name` in the taxonomy, seen from the current folder or from there."""
    typed = PurePosixPath(Path(name)).as_posix()
    top, asked = root.resolve(), Path(name).resolve()
    if not asked.is_relative_to(top):
        return typed
    here = asked.relative_to(top).as_posix()
    for path in (here, typed):
        if path == "." or any(p == path or p.startswith(f"{path}/") for p in known):
            return path
    return typed
