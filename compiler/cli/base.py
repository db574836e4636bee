"""What every command shares: the application, its options, how findings are printed, and the exit
status.

Parsing only: every command says what it needs, imports it then, and hands over. Exit status: 0
clean, 1 errors, 2 usage, 3 our bug.
"""

import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from compiler import __version__
from compiler.codes import B902, B903, Code
from compiler.diagnostics import OpenAccountError, Report, clean
from compiler.render import RENDERERS
from compiler.source import BRANCHES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

BUILD = Path("out/build")

app = typer.Typer(
    name="trivium",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TaxonomyOption = Annotated[
    Path | None,
    typer.Option(
        "--taxonomy",
        metavar="DIR",
        help="The taxonomy's folder. Without it: `./taxonomy`, or the current folder.",
        show_default=False,
    ),
]


def _known_form(form: str) -> str:
    if form not in RENDERERS:
        raise typer.BadParameter(f"`{form}` is not one of {', '.join(RENDERERS)}")
    return form


FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="|".join(RENDERERS),
        callback=_known_form,
        help="How findings are printed.",
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"trivium {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A curriculum compiler for language models. `trivium run` shows the whole road.

    Exit status: 0 clean, 1 errors, 2 usage, 3 a bug of ours.
    """


def taxonomy_folder(named: Path | None) -> Path:
    """The taxonomy that a command works on; a usage error where there is none."""
    if named is not None:
        if not named.is_dir():
            raise typer.BadParameter(f"`{named}` is not a folder", param_hint="--taxonomy")
        return named
    if Path("taxonomy").is_dir():
        return Path("taxonomy")
    if any(Path(branch).is_dir() for branch in BRANCHES):
        return Path()
    raise typer.BadParameter(
        f"no taxonomy here: neither `taxonomy` nor one of {', '.join(f'`{b}`' for b in BRANCHES)} "
        "is a folder of the current one; name it with `--taxonomy DIR`"
    )


def finish(report: Report, form: str, root: Path) -> None:
    """Prints a report; raises Exit(1) where it has errors."""
    if form == "github" and (folder := _from_here(root)) != ".":
        report = report.under(folder)
    text = RENDERERS[form](report)
    screen = console()
    if form == "human" and screen.is_terminal:
        screen.print(_coloured(text), soft_wrap=True)
    elif text:
        sys.stdout.write(text + "\n")
    if report.errors:
        raise typer.Exit(1)


def guarded(app: typer.Typer) -> NoReturn:
    """Runs a command line; what nobody expected becomes one line and exit status 3."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, sqlite3.Error) as wrong:
        if os.environ.get("TRIVIUM_DEBUG"):
            raise
        _last_words(B903, wrong, "look at the path, its permissions and the space left")
        sys.exit(1)
    except Exception as wrong:
        if os.environ.get("TRIVIUM_DEBUG"):
            raise
        code = wrong.code if isinstance(wrong, OpenAccountError) else B902
        hint = "this is our bug; please report it to the project with the command and the"
        _last_words(code, wrong, f"{hint} traceback that TRIVIUM_DEBUG=1 shows")
        sys.exit(3)
    sys.exit(0)


def _last_words(code: Code, wrong: Exception, hint: str) -> None:
    said = clean(" ".join(str(wrong).split()))[:300]
    with suppress(OSError):
        sys.stderr.write(
            f"error[{code.id}] {code.name}: {type(wrong).__name__}: {said}\n   = help: {hint}\n"
        )


def _from_here(root: Path) -> str:
    """The taxonomy's folder as seen from the current one."""
    return Path(os.path.relpath(root.resolve())).as_posix()


def console() -> "Console":
    """Standard output as rich sees it."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> None:
    """Prints a plain table; the columns `left` are aligned to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo(clean("  ".join(cells).rstrip()))


_COLOURS = (
    (r"^error\[\w+\]", "bold red"),
    (r"^warning\[\w+\]", "bold yellow"),
    (r"^ *-->", "blue"),
    (r"^ *\d* \|", "blue"),
    (r"^ +\| +(\^+)", "bold red"),
    (r"^ += (?:help|note|more):", "cyan"),
)


def _coloured(text: str) -> "Text":
    from rich.text import Text

    shown = Text(text)
    for pattern, style in _COLOURS:
        shown.highlight_regex(re.compile(pattern, re.M), style)
    return shown
