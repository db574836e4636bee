"""A set's size and a similarity go in; by how many of its rarest members others find it comes out.

A file of its own because sets of hashes and the words of texts are looked up in the same way, which
misses no pair. Two sets that are alike share one of their rarest members (prefix filtering:
Chaudhuri, Ganti, Kaushik, "A primitive operator for similarity joins in data cleaning", 2006), and
the smaller set shows fewer of them than the larger (Xiao, Wang, Lin, Yu, "Efficient similarity
joins for near duplicate detection", 2008). With a few more of the rarest they share as many more.
Put into one group fewer than they share, two of these are together: such a pair is a mark of both
sets, and sets that are not alike hardly ever share one.
"""

import math
from functools import lru_cache
from typing import NamedTuple

_SLACK = 1e-9  # so that no rounding of a product asks for a member too many
_LONG = 1024  # members: more of them have too many pairs


class Reach(NamedTuple):
    """How many of its rarest members a set shows to a larger set and to a smaller one, besides one
    more for each group; among how many groups it shows them to larger sets; and to any set.
    """

    to_larger: int
    to_smaller: int
    groups: int
    all_groups: tuple[int, ...]


@lru_cache(maxsize=4096)
def reach(size: int, similarity: float) -> Reach:
    """For a set of this size, from 1, and all whose Jaccard similarity with it is at least this."""
    # Sets of sizes n <= m share at least similarity * m, and similarity / (1 + similarity) of
    # n + m. All else may be missing in the other set; one member more, and one is shared.
    to_larger = size - _share(size, 2 * similarity / (1 + similarity)) + 1
    to_smaller = size - _share(size, similarity) + 1
    all_groups = {_groups(n, similarity) for n in range(_share(size, similarity), size + 1)}
    return Reach(to_larger, to_smaller, _groups(size, similarity), tuple(sorted(all_groups)))


def _groups(size: int, similarity: float) -> int:
    """A power of two for two sets of which the smaller has this size; 0, which makes each member a
    mark by itself, where they may share one only, or are so long that nobody else has the rarest.
    """
    shared = _share(size, 2 * similarity / (1 + similarity))
    if shared < 2 or size > _LONG:
        return 0
    return 1 << max(0, min(size // 8, shared - 1).bit_length() - 1)


def _share(size: int, share: float) -> int:
    """The least whole number of members that is this share of a size."""
    return math.ceil(share * size - _SLACK)
