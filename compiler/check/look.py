"""What a check may look at, and what it says.

The ground that all checks stand on, kept apart so that each part of the package is only checks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from compiler.codes import Code
from compiler.diagnostics import Note, Span
from compiler.leaf import Leaf
from compiler.source import Source
from compiler.tree import Path, Tree


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says; `check` puts it into the report."""

    code: Code
    message: str
    span: Span
    hint: str
    notes: tuple[Note, ...] = ()


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say that a check needs, in tokens: the teacher's context, a chunk."""

    context: int = 4096
    chunk: int = 250


@dataclass(frozen=True)
class Look:
    """What a check may look at: one leaf, its tree, and the files around it.

    `grams` is shared by all leaves: a document's path and a length to the runs of so many words.
    """

    leaf: Leaf
    tree: Tree
    source: Source
    files: frozenset[str]
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]]
    limits: Limits = Limits()

    @cached_property
    def texts(self) -> tuple[tuple[Path, str], ...]:
        """Every text of the leaf with its path."""
        return tuple(_texts(self.tree.value, ()))

    def read(self, path: str) -> bytes:
        """The bytes of one of `files`; none where it breaks while it is read."""
        try:
            return self.source.read(path)
        except OSError:
            return b""

    def named(self, *keys: str) -> Iterator[tuple[Path, str]]:
        """The texts under one of these keys."""
        return ((path, text) for path, text in self.texts if path[-1] in keys)


def _texts(value: object, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*at, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, (*at, i))


def short(text: str) -> str:
    """A text in backticks on one line, cut for a message."""
    line = " ".join(text.split())
    return f"`{line if len(line) <= 60 else line[:57] + '...'}`"


def same(text: str) -> str:
    """What makes two texts the same: case and white space do not count."""
    return " ".join(text.casefold().split())
