"""Texts go in, one after the other; whether each repeats an earlier one comes out.

A file of its own because the verb `unique` compares the drafts of one unit with each other and with
what people wrote, whatever the measure.
"""

from itertools import pairwise
from typing import Protocol

from compiler.leaf import words
from compiler.novelty import Novelty


class Novel(Protocol):
    """What was accepted so far."""

    def repeats(self, text: str) -> str:
        """What an accepted text has in common with this one; "" where it is new."""

    def add(self, text: str) -> None: ...


class Exact:
    """Two texts are the same where their words are."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def repeats(self, text: str) -> str:
        return "the same words" if tuple(words(text)) in self._known else ""

    def add(self, text: str) -> None:
        self._known.add(tuple(words(text)))


class Plain:
    """Two texts are the same where their characters are; any white space is as good as another."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def repeats(self, text: str) -> str:
        return "the same text" if " ".join(text.split()) in self._known else ""

    def add(self, text: str) -> None:
        self._known.add(" ".join(text.split()))


class Near:
    """Two texts are the same from a Jaccard similarity of their word pairs on."""

    def __init__(self, below: float) -> None:
        self._below = below
        self._pairs: list[frozenset[tuple[str, str]]] = []
        self._having: dict[tuple[str, str], list[int]] = {}

    def repeats(self, text: str) -> str:
        pairs = _pairs(text)
        others = {number for pair in pairs for number in self._having.get(pair, ())}
        near = (len(pairs & self._pairs[n]) / len(pairs | self._pairs[n]) for n in others)
        similarity = max(near, default=0.0)
        return f"similarity {similarity:.2f}" if similarity >= self._below else ""

    def add(self, text: str) -> None:
        pairs = _pairs(text)
        for pair in pairs:
            self._having.setdefault(pair, []).append(len(self._pairs))
        self._pairs.append(pairs)


class RougeL:
    """Two texts are the same from a ROUGE-L on (Self-Instruct, arXiv 2212.10560, section 2.2)."""

    def __init__(self, below: float) -> None:
        self._novelty = Novelty(below)

    def repeats(self, text: str) -> str:
        found = self._novelty.nearest(text)
        return f"ROUGE-L {float(found[0]):.2f}" if found else ""

    def add(self, text: str) -> None:
        self._novelty.add(text, "")


def novel(by: str, below: float) -> Novel:
    """The measure of that name: `exact`, `text`, `near` or `rouge-l`."""
    if by in ("exact", "text"):
        return Exact() if by == "exact" else Plain()
    return Near(below) if by == "near" else RougeL(below)


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(["", *words(text), ""]))
