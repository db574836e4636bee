"""A leaf goes in; its facts come out."""

from array import array
from hashlib import blake2b
from itertools import pairwise
from zlib import crc32

from compiler.check.facts import Asked, Facts
from compiler.diagnostics import Span
from compiler.leaf import KnowledgeLeaf, Leaf, Seed, words

MOST_WORDS = 400
SHORT_PAIR = 8


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
