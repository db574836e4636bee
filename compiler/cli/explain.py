"""The command that shows the page of a code."""

import sys
from typing import Annotated

import typer

from compiler.cli.base import console
from compiler.codes import CATALOGUE, LETTERS, Code
from compiler.resources import PAGES


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
