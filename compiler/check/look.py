"""What a check of one leaf may look at.

The ground that all checks stand on, kept apart so that each part of the package is only checks.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from compiler.check.finding import Limits
from compiler.documents.patterns import MAX_BYTES, named_documents
from compiler.leaf import KnowledgeLeaf, Leaf, Seed
from compiler.source import ATTRIBUTION_NAME, Source, SourceFile, beside
from compiler.tree import Path, Tree


@dataclass(frozen=True)
class Look:
    """What a check may look at: one leaf, its tree, `attribution.txt` beside it, and the documents
    of this taxonomy that it names. Nothing else: what was found is kept by these files' hashes.

    `grams` is shared by all leaves: a document's path and a length to the runs of so many words.
    """

    leaf: Leaf
    tree: Tree
    source: Source
    files: frozenset[str]
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]]
    limits: Limits

    @cached_property
    def texts(self) -> tuple[tuple[Path, str], ...]:
        """Every text of the leaf with its path."""
        found: list[tuple[Path, str]] = []
        _gather(self.tree.value, (), found)
        return tuple(found)

    @cached_property
    def joined(self) -> str:
        """All texts of the leaf, one after the other: to search at once what is mostly nowhere."""
        return "\n".join([text for _, text in self.texts])

    @cached_property
    def asked(self) -> dict[str, list[Seed]]:
        """The leaf's seeds by what makes their questions the same."""
        asked: dict[str, list[Seed]] = {}
        for seed in self.leaf.seeds:
            asked.setdefault(same(seed.question), []).append(seed)
        return asked

    @cached_property
    def attribution(self) -> SourceFile | None:
        """`attribution.txt` beside the leaf; None where there is none."""
        path = beside(self.leaf.file, ATTRIBUTION_NAME)
        return SourceFile(path, self.read(path)) if path in self.files else None

    @cached_property
    def documents(self) -> tuple[str, ...]:
        """The files of this taxonomy that the leaf's patterns name, sorted."""
        return named_documents(patterns_of(self.leaf), self.source.paths)

    def read(self, path: str) -> bytes:
        """The bytes of one of `files`; none where it breaks, or is larger than any document."""
        with suppress(OSError):
            if self.source.size(path) <= MAX_BYTES:
                return self.source.read(path)
        return b""

    def named(self, *keys: str) -> Iterator[tuple[Path, str]]:
        """The texts under one of these keys."""
        return ((path, text) for path, text in self.texts if path[-1] in keys)


def patterns_of(leaf: Leaf) -> tuple[str, ...]:
    """The patterns of a leaf whose document is a file of the same taxonomy; of others none."""
    is_here = isinstance(leaf, KnowledgeLeaf) and leaf.document.repo == "."
    return leaf.document.patterns if is_here and isinstance(leaf, KnowledgeLeaf) else ()


def _gather(value: object, at: Path, found: list[tuple[Path, str]]) -> None:
    """Adds every text in `value`, which lies at `at`, to `found`."""
    if isinstance(value, str):
        found.append((at, value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            _gather(inner, (*at, key), found)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _gather(inner, (*at, i), found)


def short(text: str) -> str:
    """A text in backticks on one line, cut for a message."""
    line = " ".join(text.split())
    return f"`{line if len(line) <= 60 else line[:57] + '...'}`"


def same(text: str) -> str:
    """What makes two texts the same: case and white space do not count."""
    return " ".join(text.casefold().split())
