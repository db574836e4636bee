"""A path as somebody typed it goes in; the folder of a new leaf comes out, or why it has none.

A pass of its own because it is the only one that prepares to write into a taxonomy: nothing is
overwritten, nothing lands outside of the branches, and a new folder has a name that `check` likes.
"""

import os
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compiler.resources import SCHEMAS
from compiler.schema import guess
from compiler.source import BRANCHES, LEAF_NAME

_EXAMPLE = "such as `knowledge/science/birds/wren`"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a new leaf, from the taxonomy's; `renamed` where it is not as it was typed."""

    path: str
    renamed: bool


def place_for(root: Path, typed: str) -> Place:
    """Where a leaf is to be written. Raises ValueError with what to type instead.

    The path counts from the taxonomy's folder or from the current one. A folder that is there keeps
    its name; of a new one, capitals, accents, spaces and punctuation are replaced.
    """
    parts = _parts(root, typed)
    names = list(parts)
    if (branch := names[0].casefold()) not in BRANCHES:
        raise ValueError(f"`{names[0]}` is no branch of a taxonomy; {guess(branch, BRANCHES)}")
    names[0] = branch
    folder = root
    for i, name in enumerate(names):
        if i and not os.path.lexists(folder / name):
            names[i] = _named(name)
        folder /= names[i]
        if folder.is_symlink():
            raise ValueError(f"`{'/'.join(names[: i + 1])}` is a link, and links are not followed")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"`{'/'.join(names[: i + 1])}` is a file, so no leaf can lie there")
    if len(names) < 2:
        raise ValueError(f"a leaf needs a folder of its own inside `{branch}`, {_EXAMPLE}")
    if inner := set(names[1:]).intersection(BRANCHES):
        raise ValueError(f"`{min(inner)}` is a branch, and cannot lie inside `{branch}`")
    path = "/".join(names)
    if os.path.lexists(folder / LEAF_NAME):
        raise ValueError(f"`{path}/{LEAF_NAME}` is there already; edit it, or name another folder")
    return Place(path, names != parts)


def _parts(root: Path, typed: str) -> list[str]:
    """The folders of the path from the taxonomy's own."""
    path = PurePosixPath(typed.strip().replace("\\", "/"))
    if path.is_absolute() or re.match(r"[A-Za-z]:|~", typed.strip()):
        raise ValueError(f"`{typed}` is an absolute path; count from the taxonomy, {_EXAMPLE}")
    if ".." in path.parts:
        raise ValueError(f"`{typed}` has `..`; count from the taxonomy, {_EXAMPLE}")
    parts = list(path.parts)
    if parts and parts[-1].casefold() == LEAF_NAME:
        parts.pop()
    top, here = root.resolve(), Path.cwd().joinpath(*parts)
    if parts and parts[0].casefold() not in BRANCHES and here.is_relative_to(top):
        parts = list(here.relative_to(top).parts)
    if not parts:
        raise ValueError(f"name the leaf's folder, {_EXAMPLE}")
    return parts


def _named(name: str) -> str:
    """A folder name of small letters, digits, `_` and `-`."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    better = re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_")
    if not re.search(r"[a-z0-9]", better):
        raise ValueError(f"the folder name `{name}` has no letter of a to z and no digit")
    return better


def schema_for(root: Path, path: str, name: str) -> tuple[str, Path | None]:
    """How the leaf at `path` names its schema `v3/knowledge`, and where a copy of it must be made.

    A relative path to a file of the same repository, so that it holds in every clone, without a
    network, and in every editor: to the one beside or in the taxonomy, else to a copy in it.
    """
    file = f"schemas/{name}.json"
    up = "../" * len(path.split("/"))
    if (root / file).is_file():
        return up + file, None
    if (root / ".." / file).is_file() and not (root / ".git").exists():
        return f"{up}../{file}", None
    return up + file, root / file


def schema_text(name: str) -> str:
    """The text of the schema `schemas/NAME.json`."""
    return (SCHEMAS / f"{name}.json").read_text("utf-8")


def write_all(files: Mapping[Path, str]) -> None:
    """Writes new files and their folders: all, or none. Raises OSError, FileExistsError too."""
    made: list[Path] = []
    try:
        for file, text in files.items():
            for folder in reversed(file.parents):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            with file.open("x", encoding="utf-8", newline="\n") as open_file:
                made.append(file)
                open_file.write(text)
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.unlink() if path.is_file() else path.rmdir()
        raise
