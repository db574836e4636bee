"""`trivium check --fix`: repairs the files, or shows what it would change."""

import os
import sys
import tempfile
from pathlib import Path

import typer

from compiler.cli.asked import Wanted
from compiler.cli.base import from_here
from compiler.codes import T127, Severity
from compiler.curriculum import Curriculum
from compiler.curriculum import read as read_curriculum
from compiler.diagnostics import Report, clean, counted
from compiler.fix import Fixed, fix
from compiler.front import files_of
from compiler.progress import Progress
from compiler.source import (
    ATTRIBUTION_NAME,
    MAX_BYTES,
    Overlay,
    SourceFile,
    WorkTree,
    beside,
)


def mend(wanted: Wanted, is_shown_only: bool) -> bool:
    """Whether nothing is left to check: the diff was shown, or the standard input was mended.

    Only files on disk are written to. Raises Exit(1) where a diff was asked for and there is one.
    """
    source = wanted.source
    if not isinstance(source, WorkTree | Overlay):
        raise typer.BadParameter("a revision is not written to: `--fix` goes with files on disk")
    fixed = _fixed(wanted)
    if isinstance(source, Overlay) and not is_shown_only:
        sys.stdout.flush()
        sys.stdout.buffer.write(next((one.data for one in fixed), source.data))
        return True
    for one in fixed:
        if is_shown_only:
            _show(one, from_here(wanted.root))
        else:
            _write(wanted.root / one.before.path, one.data)
            _tell(one)
    if is_shown_only and fixed:
        raise typer.Exit(1)
    if not is_shown_only:
        typer.echo(f"mended {counted(len(fixed), 'file')}", err=True)
    return is_shown_only


def _fixed(wanted: Wanted) -> list[Fixed]:
    """The files that a repair changes."""
    found = []
    files = files_of(wanted.source, wanted.only)
    policy = (read_curriculum(wanted.source, Report()) or Curriculum()).policy
    known = frozenset(wanted.source.paths)
    with Progress("file", len(files)) as progress:
        for path in files:
            if wanted.source.size(path) <= MAX_BYTES:
                is_attributed = beside(path, ATTRIBUTION_NAME) in known
                may_renew = is_attributed or policy.severity(T127, path) is not Severity.ERROR
                one = fix(SourceFile(path, wanted.source.read(path)), may_renew)
                found += [one] if one.data != one.before.data else []
            progress.step()
    return found


def _show(one: Fixed, folder: str) -> None:
    """The diff, with paths as seen from here; to a terminal without what could steer it."""
    text = one.diff(folder)
    if sys.stdout.isatty():
        text = "".join(f"{clean(line)}\n" for line in text.split("\n")[:-1])
    sys.stdout.write(text)


def _tell(one: Fixed) -> None:
    """Names each kind of repair once, where it was first made."""
    kinds: dict[str, list[int]] = {}
    for repair in one.repairs:
        code = f" ({repair.code.id})" if repair.code else ""
        kinds.setdefault(f"{repair.message}{code}", []).append(repair.span.line)
    for said, lines in kinds.items():
        more = f", and {counted(len(lines) - 1, 'time')} more" if lines[1:] else ""
        typer.echo(clean(f"{one.before.path}:{lines[0]}: {said}{more}"), err=True)


def _write(file: Path, data: bytes) -> None:
    """Puts the file there whole, or not at all."""
    mode = file.stat().st_mode
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".trivium-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        Path(name).chmod(mode & 0o7777)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
