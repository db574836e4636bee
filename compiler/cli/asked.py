"""Paths and options of `trivium check` go in; which files of which source are meant comes out."""

import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import typer

from compiler.cli.base import taxonomy_folder
from compiler.source import Overlay, Source, WorkTree, open_source

if TYPE_CHECKING:
    from compiler.source.revision import Change

STDIN = "-"
MOST_STDIN = 50_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at; `only` is None for every leaf file."""

    root: Path
    source: Source
    only: tuple[str, ...] | None
    change: "Change | None"


def asked(
    paths: list[str],
    taxonomy: Path | None,
    at: str | None,
    diff: str | None,
    stdin_path: str | None,
) -> Asked:
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
    return Asked(root, source, only, change)


def _asked_of_stdin(stdin_path: str, taxonomy: Path | None) -> Asked:
    """The standard input in the place of a file, which need not be there."""
    root = Path()
    with suppress(typer.BadParameter):
        root = taxonomy_folder(taxonomy, [stdin_path])
    path = _inside(stdin_path, root, (stdin_path,))
    source = Overlay(WorkTree(root), path, sys.stdin.buffer.read(MOST_STDIN))
    return Asked(root, source, (path,), None)


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
