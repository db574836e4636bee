"""One file of a taxonomy: its bytes, its name, and what its path says of it.

Kept apart from the places that files are read from, because everything further right speaks of
files and nothing there asks where they came from.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

BRANCHES = ("knowledge", "foundational_skills", "compositional_skills")
LEAF_NAME = "qna.yaml"
ATTRIBUTION_NAME = "attribution.txt"
SETTINGS_NAME = "curriculum.yaml"
MAX_BYTES = 2_000_000  # of a leaf file
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

    def size(self, path: str) -> int:
        """How many bytes one of `paths` has. Raises OSError."""

    def blob(self, path: str) -> str:
        """The git blob id of one of `paths`. Raises OSError."""

    def read(self, path: str) -> bytes:
        """The bytes of one of `paths`. Raises OSError."""


def in_branch(path: str) -> str:
    """The branch that `path` belongs to: its right-most folder that is one; "" for none."""
    for part in reversed(path.split("/")[:-1]):
        if part in BRANCHES:
            return part
    return ""


def is_within(path: str, folders: Collection[str]) -> bool:
    """Whether a path is one of the files or folders, or lies in one; `.` is everything."""
    return any(f == "." or f"{path}/".startswith(f"{f}/") for f in folders)


def beside(path: str, name: str) -> str:
    """The path of the file `name` in the folder of the file `path`."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}"


def leaf_files(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths a check looks at: leaf files, and misnamed YAML files inside a branch."""
    return tuple(path for path in paths if is_leaf(path))


def is_leaf(path: str) -> bool:
    """Whether a check looks at `path` as at a leaf."""
    return (
        path.endswith("/" + LEAF_NAME)
        or path == LEAF_NAME
        or bool(path.lower().endswith((".yaml", ".yml")) and in_branch(path))
    )


def is_lost(path: str) -> bool:
    """Whether an unread path is a leaf file, or a folder of a branch, which may hold some."""
    return is_leaf(path) or path == "./" or bool(path.endswith("/") and in_branch(path))


def sort_out(why: Mapping[str, str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Paths with why each cannot be read ("" where it can) become those that can, and the others
    as they can be written, with the reason.
    """
    paths: list[str] = []
    unread: dict[str, str] = {}
    for path, reason in sorted(why.items()):
        written = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if reason or written != path:
            unread[written] = reason or _NAME
        else:
            paths.append(path)
    return tuple(paths), unread
