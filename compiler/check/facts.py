"""A leaf goes in; what a comparison with other leaves needs of it comes out, as numbers and places.

A file of its own because these facts are kept from run to run: they hold no text, so that twenty
thousand leaves fit in memory, and comparing asks nothing else of a leaf.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from zlib import crc32

from compiler.diagnostics import Span
from compiler.leaf import KnowledgeLeaf, Leaf, Seed, words

MOST_WORDS = 400
SHORT_PAIR = 8


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


def facts_of(leaf: Leaf, author: Span) -> Facts:
    """What comparisons need of a leaf."""
    is_skill = not isinstance(leaf, KnowledgeLeaf)
    asked = tuple(_asked(seed, is_skill) for seed in leaf.seeds)
    return Facts(leaf.path, leaf.file, leaf.branch, leaf.kind, leaf.created_by, author, asked)


def _asked(seed: Seed, is_skill: bool) -> Asked:
    told = words(seed.question)
    context = " ".join(seed.context.casefold().split()) if is_skill else ""
    numbers = [word for word in told if word[0].isdigit()]
    return Asked(
        seed.span,
        _hash("\0".join([*told, context]) if told else f"{seed.question}\0{context}"),
        _hash(" ".join(seed.answer.casefold().split())),
        crc32("\0".join([*numbers, context]).encode("utf-8", "surrogatepass")),
        _pairs(told[:MOST_WORDS]).tobytes(),
    )


def _pairs(told: list[str]) -> "array[int]":
    hashed = [(len(word), crc32(word.encode("utf-8", "surrogatepass"))) for word in told]
    return array(
        "I",
        sorted(
            {
                (a * 31 + b & 0x7FFFFFFF) | (0x80000000 if m + n < SHORT_PAIR else 0)
                for (m, a), (n, b) in pairwise(hashed)
            }
        ),
    )


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def contributors(facts: Iterable[Facts]) -> dict[str, dict[str, list[Facts]]]:
    """The leaves of each branch by who wrote them."""
    found: dict[str, dict[str, list[Facts]]] = {}
    for one in facts:
        found.setdefault(one.branch, {}).setdefault(one.created_by.casefold(), []).append(one)
    return found
