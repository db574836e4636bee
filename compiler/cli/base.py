"""What every command shares: options, the taxonomy's folder, and how findings are printed.

Parsing only: every command says what it needs, imports it then, and hands over.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.diagnostics import Report, clean
from compiler.render import RENDERERS
from compiler.source import BRANCHES, LEAF_NAME

if TYPE_CHECKING:
    from rich.console import Console

BUILD = Path("out/build")

TaxonomyOption = Annotated[
    Path | None,
    typer.Option(
        "--taxonomy",
        metavar="DIR",
        help="The taxonomy's folder. Without it: `./taxonomy`, or the current folder.",
        show_default=False,
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="REV", help="Read a git revision, not the files on disk."),
]


def known_form(form: str) -> str:
    """The name of a format. Raises typer.BadParameter."""
    if form not in RENDERERS:
        raise typer.BadParameter(f"`{form}` is not one of {', '.join(RENDERERS)}")
    return form


FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="|".join(RENDERERS),
        callback=known_form,
        help="How findings are printed.",
    ),
]


def taxonomy_folder(named: Path | None, paths: Sequence[str] = ()) -> Path:
    """The taxonomy that a command works on; a usage error where there is none.

    Without a name it is the one here, else the one in which the first of `paths` lies.
    """
    if named is not None:
        if not named.is_dir():
            raise typer.BadParameter(f"`{named}` is not a folder", param_hint="--taxonomy")
        return named
    here = Path("taxonomy") if Path("taxonomy").is_dir() else Path()
    is_here = here != Path() or _has_branch(here) or _is_bare(here)
    for name in paths[:1]:
        inside = is_here and Path(name).resolve().is_relative_to(here.resolve())
        if not inside and (found := _above(Path(name))):
            return found
    if is_here:
        return here
    if found := _above(Path()):
        return found
    raise typer.BadParameter(
        f"no taxonomy here: neither `taxonomy` nor one of {', '.join(f'`{b}`' for b in BRANCHES)} "
        "is a folder of the current one; name it with `--taxonomy DIR`"
    )


def _is_bare(folder: Path) -> bool:
    """Whether a folder is a git repository without a work tree."""
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _has_branch(folder: Path) -> bool:
    return any((folder / branch).is_dir() for branch in BRANCHES)


def _above(path: Path) -> Path | None:
    """The taxonomy that a path lies in, told by the branch on the way; a lone leaf's folder."""
    whole = path.resolve()
    for folder in (whole, *whole.parents):
        if folder.name in BRANCHES and folder.is_dir():
            return folder.parent
    return whole.parent if whole.name == LEAF_NAME and whole.is_file() else None


def finish(report: Report, form: str, root: Path) -> None:
    """Prints a report; raises Exit(1) where it has errors."""
    put(report, form, root)
    if report.errors:
        raise typer.Exit(1)


@contextmanager
def reading_a_build() -> Iterator[None]:
    """Ends the command with a finding where a build cannot be read."""
    from compiler.builds import DamagedError

    try:
        yield
    except DamagedError as found:
        report = Report()
        found.tell(report)
        finish(report, "human", Path())


def put(report: Report, form: str, root: Path) -> None:
    """Prints a report, in colour where a terminal shows it to people."""
    if form == "human" and sys.stdout.isatty():
        from rich.text import Text

        from compiler.render.human import pieces

        console().print(Text.assemble(*pieces(_seen_from_here(report, root))), soft_wrap=True)
    elif text := rendered(report, form, root):
        sys.stdout.write(f"{text}\n")


def rendered(report: Report, form: str, root: Path) -> str:
    """A report in one of the formats; all but JSON name files from the current folder."""
    return RENDERERS[form](report if form == "json" else _seen_from_here(report, root))


def _seen_from_here(report: Report, root: Path) -> Report:
    folder = from_here(root)
    return report if folder == "." or folder.startswith("..") else report.under(folder)


def from_here(root: Path) -> str:
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
