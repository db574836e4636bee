"""The commands that look at a taxonomy: `check`, and `explain` for what it says."""

import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from compiler.cli.base import FormatOption, TaxonomyOption, console, finish, taxonomy_folder
from compiler.codes import CATALOGUE, LETTERS, Code
from compiler.diagnostics import Report
from compiler.resources import PAGES


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files or folders, from the current folder or from the taxonomy. Without: all.",
            show_default=False,
        ),
    ] = None,
    taxonomy: TaxonomyOption = None,
    form: FormatOption = "human",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="REV", help="Read a git revision, not the files on disk."),
    ] = None,
) -> None:
    """Check the leaves of a taxonomy."""
    from compiler.front import read_checked
    from compiler.source import open_source

    root = taxonomy_folder(taxonomy)
    report = Report()
    try:
        source = open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    only = [_inside(name, root, source.paths) for name in paths] if paths else None
    read_checked(source, report, only)
    finish(report, form, root)


def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="[CODE|NAME]", help="Such as `T105` or `missing-answer`."),
    ] = None,
) -> None:
    """Show the page of a code, or list all codes."""
    screen = console()
    if code is None:
        letter = ""
        for entry in CATALOGUE.values():
            if entry.id[0] != letter:
                screen.print(("\n" if letter else "") + LETTERS[entry.id[0]])
                letter = entry.id[0]
            screen.print(f"  {entry.id}  {entry.name:24} {entry.summary}", soft_wrap=True)
        return
    found = _find(code)
    page = PAGES / f"{found.id}.md"
    text = page.read_text("utf-8") if page.is_file() else f"# {found}\n\n{found.summary}\n"
    if screen.is_terminal:
        from rich.markdown import Markdown

        screen.print(Markdown(text))
    else:
        sys.stdout.write(text)


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


def _find(word: str) -> Code:
    from rapidfuzz import process

    if found := CATALOGUE.get(word.upper()):
        return found
    names = {code.name: code for code in CATALOGUE.values()}
    if found := names.get(word.lower()):
        return found
    near = process.extractOne(word, [*CATALOGUE, *names], score_cutoff=60)
    hint = f"did you mean `{near[0]}`?" if near else "`trivium explain` lists them all"
    raise typer.BadParameter(f"no code `{word}`; {hint}", param_hint="CODE")
