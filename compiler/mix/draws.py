"""Weighed samples go in; some of them come out, the same ones for the same content and seed.

A file of its own because what is taken, what is left out and what is repeated must all be fair to
leaves, and in the same two senses: as many of each, or the same share of each.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from compiler.mix.weigh import Weighed
from compiler.spool import Kept


def even(samples: Iterable[Weighed], seed: int) -> list[tuple[int, Weighed]]:
    """The samples with their places in their leaves, from 0, the first of every leaf before any
    second; the best of a leaf come first.
    """
    by_leaf: defaultdict[str, list[Weighed]] = defaultdict(list)
    for w in sorted(samples, key=lambda w: (-w.quality, draw(w.kept, seed, "even"))):
        by_leaf[w.kept.leaf].append(w)
    ranked = [(place, w) for group in by_leaf.values() for place, w in enumerate(group)]
    return sorted(ranked, key=lambda one: (one[0], draw(one[1].kept, seed, "even")))


def balanced(
    samples: Iterable[Weighed], number: int, seed: int, salt: str, best: bool = False
) -> list[Weighed]:
    """`number` samples, the same share of every leaf as nearly as whole numbers allow; the `best`
    of each leaf, or any.
    """
    by_leaf: defaultdict[str, list[Weighed]] = defaultdict(list)
    for w in sorted(samples, key=lambda w: (-w.quality if best else 0.0, draw(w.kept, seed, salt))):
        by_leaf[w.kept.leaf].append(w)
    ranked = [
        ((place + 0.5) / len(group), leaf, w)
        for leaf, group in by_leaf.items()
        for place, w in enumerate(group)
    ]
    ranked.sort(key=lambda item: item[:2])
    return [w for _, _, w in ranked[:number]]


def draw(sample: Kept, seed: int, salt: str) -> bytes:
    """The place of a sample in a draw, which its content decides; `salt` names the draw."""
    return hashlib.sha256(f"{seed}\0{salt}\0{sample.leaf}\0{sample.id}".encode()).digest()
