"""A path or a git revision goes in; the taxonomy's files come out.

A pass of its own so that nothing further right knows whether text came from the work tree or from a
commit. Paths are relative to the taxonomy's folder and use `/`.
"""

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

BRANCHES = ("knowledge", "foundational_skills", "compositional_skills")
LEAF_NAME = "qna.yaml"
LINK = "it is a link, and links are not followed"
_NAME = "its name is not UTF-8"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as bytes; `path` is what diagnostics show."""

    path: str
    data: bytes

    @property
    def blob(self) -> str:
        """The file's git blob id (40 hex digits)."""
        return blob_id(self.data)


def blob_id(data: bytes) -> str:
    """The id that git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class Source(Protocol):
    """Where a taxonomy is read from."""

    @property
    def revision(self) -> str:
        """The commit's full hash, or "" for a work tree."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file of the taxonomy that can be read, sorted."""

    @property
    def unread(self) -> Mapping[str, str]:
        """What cannot be read, and why; a folder ends in `/`."""

    def read(self, path: str) -> bytes:
        """The bytes of one of `paths`. Raises OSError."""


class WorkTree:
    """The files of a folder as they are now; hidden folders and links are left out."""

    revision = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def paths(self) -> tuple[str, ...]:
        return self._seen[0]

    @property
    def unread(self) -> Mapping[str, str]:
        return self._seen[1]

    @cached_property
    def _seen(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        why: dict[str, str] = {}

        def closed(wrong: OSError) -> None:
            why[f"{self._inside(Path(wrong.filename))}/"] = _said(wrong)

        for folder, folders, names in os.walk(self.root, onerror=closed):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in folders:
                path = Path(folder, name)
                if path.is_symlink():
                    why[f"{self._inside(path)}/"] = LINK
                elif name == LEAF_NAME:
                    why[self._inside(path)] = "it is a folder"
            for name in names:
                why[self._inside(Path(folder, name))] = _why_unread(Path(folder, name))
        return _sorted_out(why)

    def _inside(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


def _why_unread(file: Path) -> str:
    """Why a file of a folder cannot be read; "" where it can."""
    try:
        mode = file.lstat().st_mode
    except OSError as wrong:
        return _said(wrong)
    if stat.S_ISLNK(mode):
        return LINK
    if not stat.S_ISREG(mode):
        return "it is no plain file"
    return "" if os.access(file, os.R_OK) else "permission denied"


def _said(wrong: OSError) -> str:
    return (wrong.strerror or str(wrong)).lower()


def _sorted_out(why: Mapping[str, str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The paths that can be read, and the others as they can be written, with the reason."""
    paths: list[str] = []
    unread: dict[str, str] = {}
    for path, reason in sorted(why.items()):
        written = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if reason or written != path:
            unread[written] = reason or _NAME
        else:
            paths.append(path)
    return tuple(paths), unread


class Revision:
    """The files of a commit, read from git's objects; the work tree is not touched.

    Raises ValueError where `root` is in no repository or `name` names no commit.
    """

    def __init__(self, root: Path, name: str) -> None:
        import git

        try:
            repo = git.Repo(root, search_parent_directories=True)
            commit = repo.commit(name)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as wrong:
            raise ValueError(f"`{root}` is not in a git repository") from wrong
        except (git.BadName, git.GitCommandError, ValueError, IndexError) as wrong:
            raise ValueError(f"`{name}` names no commit of this repository") from wrong
        self.revision = commit.hexsha
        top = Path(repo.working_tree_dir or repo.git_dir).resolve()
        inside = root.resolve()
        prefix = inside.relative_to(top).as_posix() + "/" if repo.working_tree_dir else ""
        prefix = "" if prefix == "./" else prefix
        self._blobs: Mapping[str, git.Blob] = {
            str(item.path).removeprefix(prefix): item
            for item in commit.tree.traverse()
            if isinstance(item, git.Blob) and str(item.path).startswith(prefix)
        }
        self.paths, self.unread = _sorted_out(dict(self._whys()))

    def _whys(self) -> Iterator[tuple[str, str]]:
        """Every file and why it is left out, "" where it is not; a link to a folder as a folder."""
        folders = {str(up) for path in self._blobs for up in PurePosixPath(path).parents}
        for path, blob in self._blobs.items():
            if blob.mode != blob.link_mode:
                yield path, ""
                continue
            with suppress(OSError):
                to = self.read(path).decode("utf-8", "replace")
                if posixpath.normpath(posixpath.join(posixpath.dirname(path), to)) in folders:
                    yield f"{path}/", LINK
                    continue
            yield path, LINK

    def read(self, path: str) -> bytes:
        import git

        try:
            data: bytes = self._blobs[path].data_stream.read()
        except (git.ODBError, ValueError) as wrong:  # a partial or damaged clone
            raise OSError(f"git has no object for `{path}`") from wrong
        return data


def open_source(root: Path, at: str | None = None) -> Source:
    """The taxonomy under `root`, at git revision `at` if one is named. Raises ValueError."""
    if at:
        return Revision(root, at)
    if not root.is_dir():
        raise ValueError(f"`{root}` is not a folder")
    return WorkTree(root)


def in_branch(path: str) -> str:
    """The branch that `path` belongs to: its right-most folder that is one; "" for none."""
    for part in reversed(path.split("/")[:-1]):
        if part in BRANCHES:
            return part
    return ""


def leaf_files(source: Source) -> tuple[str, ...]:
    """The paths a check looks at: leaf files, and misnamed YAML files inside a branch."""
    return tuple(path for path in source.paths if _is_leaf(path))


def is_lost(path: str) -> bool:
    """Whether an unread path is a leaf file, or a folder of a branch, which may hold some."""
    return _is_leaf(path) or path == "./" or bool(path.endswith("/") and in_branch(path))


def _is_leaf(path: str) -> bool:
    return (
        path.endswith("/" + LEAF_NAME)
        or path == LEAF_NAME
        or bool(in_branch(path) and path.lower().endswith((".yaml", ".yml")))
    )
