"""Paths and options of `trivium check` go in; which files of which source are meant comes out."""

import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import typer

from compiler.cli.base import taxonomy_folder
from compiler.source import Overlay, Source, WorkTree, in_branch, is_within, open_source

if TYPE_CHECKING:
    from compiler.source.revision import Change

STDIN = "-"
MOST_STDIN = 50_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at; `only` is None for every leaf file, `within` what the paths allow."""

    root: Path
    source: Source
    only: tuple[str, ...] | None
    change: "Change | None" = None
    within: tuple[str, ...] = (".",)


def asked(
    paths: list[str],
    taxonomy: Path | None,
    at: str | None,
    diff: str | None,
    stdin_path: str | None,
) -> Wanted:
    """What the options mean; a usage error where they contradict each other."""
    from compiler.front import changed_files

    if at == "" or diff == "":
        raise typer.BadParameter("the name of a git revision is empty")
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
    root = taxonomy_folder(taxonomy, paths)
    change = None
    try:
        if diff:
            from compiler.source.revision import open_change  # git is slow to start

            change = open_change(root, diff)
        source = change.source if change else open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--diff" if diff else "--at") from wrong
    if at and not any(in_branch(path) for path in source.paths):
        raise typer.BadParameter(f"`{at}` holds no leaf of a taxonomy here", param_hint="--at")
    only = tuple(_inside(name, root, source.paths) for name in paths) if paths else None
    if change is None:
        return Wanted(root, source, only)
    within = only or (".",)
    known = (*source.paths, *change.base.paths, *change.deleted)
    for name in within:
        if not any(is_within(path, (name,)) for path in known):
            raise typer.BadParameter(f"`{name}` is no file or folder of the taxonomy")
    changed = tuple(path for path in changed_files(change) if is_within(path, within))
    return Wanted(root, source, changed, change, within)


def _asked_of_stdin(stdin_path: str, taxonomy: Path | None) -> Wanted:
    """The standard input in the place of a file, which need not be there."""
    root = Path()
    with suppress(typer.BadParameter):
        root = taxonomy_folder(taxonomy, [stdin_path])
    whole, top = _whole(stdin_path), root.resolve()
    here = whole.relative_to(top).as_posix() if whole.is_relative_to(top) else stdin_path
    path = stdin_path if (root / stdin_path).is_file() else here
    source = Overlay(WorkTree(root), path, sys.stdin.buffer.read(MOST_STDIN))
    return Wanted(root, source, (path,))


def _inside(name: str, root: Path, known: Collection[str]) -> str:
    """The path of `name` in the taxonomy, seen from the current folder or from there."""
    typed = PurePosixPath(Path(name)).as_posix()
    top, asked = root.resolve(), _whole(name)
    if not asked.is_relative_to(top):
        return typed
    here = asked.relative_to(top).as_posix()
    for path in (here, typed):
        if path == "." or any(p == path or p.startswith(f"{path}/") for p in known):
            return path
    return typed


def _whole(name: str) -> Path:
    """The whole path of a name; a link at its end is not followed."""
    path = Path(name)
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
