"""What a comparison with other leaves needs of a leaf: numbers and places.

A file of its own because these facts are kept from run to run: they hold no text, so that twenty
thousand leaves fit in memory, and comparing asks nothing else of a leaf.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from compiler.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Asked:
    """One question; `question` and `answer` are hashes.

    `pairs` are 32-bit hashes of its word pairs, each once and sorted; those of short words, which
    are mostly common ones, are the largest. Near duplicates have the same `guard`: a hash of the
    question's numbers and, for a skill, of the context that it is asked of.
    """

    span: Span
    question: str
    answer: str
    guard: int
    pairs: bytes

    def unpacked(self) -> "array[int]":
        """The hashes of the pairs."""
        return array("I", self.pairs)


@dataclass(frozen=True, slots=True)
class Facts:
    """One leaf; `leaf` is its folder, `author` where `created_by` stands."""

    leaf: str
    file: str
    branch: str
    kind: str
    created_by: str
    author: Span
    asked: tuple[Asked, ...]


def contributors(facts: Iterable[Facts]) -> dict[str, dict[str, list[Facts]]]:
    """The leaves of each branch by who wrote them."""
    found: dict[str, dict[str, list[Facts]]] = {}
    for one in facts:
        found.setdefault(one.branch, {}).setdefault(one.created_by.casefold(), []).append(one)
    return found
