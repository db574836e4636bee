"""Texts and the leaves that they are of go in; how varied they are comes out.

A file of its own because models that learn from what models wrote lose the rare first, and nothing
else in a build shows it: the numbers are reported for every cycle, and compared.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

from compiler.leaf import words

_ROOM = 4_000_000  # pairs that wait in memory before they are sorted in


@dataclass(frozen=True, slots=True)
class Diversity:
    """`distinct_1` and `distinct_2` are the different words, and pairs of neighbouring words, as
    shares of all (distinct-n: Li et al., arXiv 1510.03055, section 5.2); texts of about the same
    total length can be compared. `entropy` is that of the leaves in bits, `most_entropy` what it
    would be if all of the `leaves` had as many texts.
    """

    texts: int
    words: int
    distinct_1: float
    distinct_2: float
    leaves: int
    entropy: float
    most_entropy: float

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def diversity(texts: Iterable[str], leaves: Iterable[str]) -> Diversity:
    """The diversity of texts, each with its leaf; they are read once and not kept."""
    import numpy as np

    known: dict[str, int] = {}
    counts: Counter[str] = Counter()
    total = pairs = 0
    waiting = array("Q")
    seen = np.empty(0, np.uint64)
    for text, leaf in zip(texts, leaves, strict=True):
        counts[leaf] += 1
        said = [known.setdefault(word, len(known)) for word in words(text)]
        total += len(said)
        pairs += max(len(said) - 1, 0)
        waiting.extend(a << 32 | b for a, b in pairwise(said))
        if len(waiting) > _ROOM:
            seen, waiting = np.union1d(seen, np.frombuffer(waiting, np.uint64)), array("Q")
    seen = np.union1d(seen, np.frombuffer(waiting, np.uint64))
    shares = [count / counts.total() for count in counts.values()]
    return Diversity(
        counts.total(),
        total,
        _share(len(known), total),
        _share(len(seen), pairs),
        len(counts),
        round(math.fsum(-share * math.log2(share) for share in shares) + 0.0, 4),
        round(math.log2(len(counts)), 4) if counts else 0.0,
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
