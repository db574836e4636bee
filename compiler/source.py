"""A path or a git revision goes in; the taxonomy's files come out.

A pass of its own so that nothing further right knows whether text came from the work tree or from a
commit. Paths are relative to the taxonomy's folder and use `/`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

BRANCHES = ("knowledge", "foundational_skills", "compositional_skills")
LEAF_NAME = "qna.yaml"


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
        """Every file of the taxonomy, sorted."""

    def read(self, path: str) -> bytes:
        """The bytes of one of `paths`."""


class WorkTree:
    """The files of a folder as they are now; hidden folders and links are left out."""

    revision = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def paths(self) -> tuple[str, ...]:
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = (Path(folder) / name for name in names)
            found += [
                f.relative_to(self.root).as_posix()
                for f in files
                if f.is_file() and not f.is_symlink()
            ]
        return tuple(sorted(found))

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


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
            if isinstance(item, git.Blob)
            and str(item.path).startswith(prefix)
            and item.mode != git.Blob.link_mode
        }

    @cached_property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self._blobs))

    def read(self, path: str) -> bytes:
        data: bytes = self._blobs[path].data_stream.read()
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
    return tuple(
        path
        for path in source.paths
        if path.endswith("/" + LEAF_NAME)
        or path == LEAF_NAME
        or (in_branch(path) and path.lower().endswith((".yaml", ".yml")))
    )
