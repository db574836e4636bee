"""Many sets of hashes go in; by what sets that are alike find each other comes out.

A file of its own because it looks at all sets at once, and so leaves out what only one set has.
What a mark is, `reach` says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.near.reach import reach

Hashes = NDArray[np.uint64]
Whole = NDArray[np.int64]
Truth = NDArray[np.bool_]

_AT_ONCE = 2**20  # for a bounded memory
_COUNTERS = 2**24
_SHARED = np.uint64(2**56)
_REST = np.uint64(2**56 - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: what 2**64 is by the golden ratio


def rarest_first(hashes: Hashes, ends: Whole) -> Hashes:
    """Each set's members, in ascending order and the rarest first, from as many hashes.

    A member's highest byte is the logarithm of how many sets have it, by counters that some hashes
    share, and 0 where that is one; the others are those of its hash.
    """
    counts = _counts(hashes)
    levels = np.minimum(8 * np.log2(np.maximum(counts, 1)), 255).astype(np.uint64) << 56
    members = np.empty_like(hashes)
    for at in range(0, len(hashes), _AT_ONCE):
        some = hashes[at : at + _AT_ONCE]
        members[at : at + _AT_ONCE] = levels[_counters(some, len(counts))] | some & _REST
    for size, numbers in _by_size(ends):
        places = ends[numbers][:, None] + np.arange(size)
        members[places] = np.sort(members[places], axis=1)
    return members


@dataclass(frozen=True, slots=True)
class Marks:
    """`marks` of all sets, one set after the other, where they begin and end, and how many differ.

    A mark is a number from 0, doubled; 1 is added where the set shows it to larger sets too.
    """

    marks: NDArray[np.int32]
    ends: Whole
    number: int


def marks_of(members: Hashes, ends: Whole, similarity: float) -> Marks:
    """What finds every two sets whose Jaccard similarity is at least this: they share a mark, and
    the smaller one shows it to larger ones. Marks that would find nothing are left out.

    `members` are those of `rarest_first`.
    """
    nothing = np.empty(0, np.uint64), np.empty(0, np.int64)
    found = zip(nothing, *_pairs(members, ends, similarity), strict=True)
    pairs, owners = map(np.concatenate, found)
    counts = _counts(pairs)
    several = counts[_counters(pairs, len(counts))] > 1
    pairs, owners = pairs[several], owners[several]
    order = np.argsort(pairs)
    known, owners = _numbered(pairs[order]), owners[order]
    counts = np.bincount(known)
    shown = np.bincount(known[owners & 1 == 1], minlength=len(counts))
    useful = (counts > 1) & (shown > 0)
    kept = useful[known]
    numbers = (np.cumsum(useful) - 1)[known[kept]]
    marks = (owners[kept] >> 1) << 32 | numbers << 1 | owners[kept] & 1
    marks.sort()
    of_each = np.bincount(marks >> 32, minlength=len(ends) - 1)
    ends = np.append(0, np.cumsum(of_each))
    return Marks((marks & 0xFFFFFFFF).astype(np.int32), ends, int(useful.sum()))


def _pairs(members: Hashes, ends: Whole, similarity: float) -> Iterator[tuple[Hashes, Whole]]:
    """Pairs of members, each as one hash; and whose they are, doubled, with 1 for the shown."""
    for size, numbers in _by_size(ends):
        to_larger, to_smaller, own, all_groups = reach(size, similarity)
        rarest = np.arange(min(size, to_smaller + max(all_groups)))
        left, right = np.triu_indices(len(rarest)) if any(all_groups) else (rarest, rarest)
        for some in np.array_split(numbers, len(numbers) * len(left) // _AT_ONCE + 1):
            looked_up = members[ends[some][:, None] + rarest]
            a, b = looked_up[:, left], looked_up[:, right]
            marks = np.zeros(a.shape, bool)
            for groups in all_groups:
                marks |= _together(a, b, groups) & (right < to_smaller + groups)
            marks &= a >= _SHARED
            shown = _together(a, b, own) & (right < to_larger + own)
            owners = np.broadcast_to(some[:, None], a.shape)
            yield (a * _MIX ^ b)[marks], (owners << 1 | shown)[marks]


def _together(a: Hashes, b: Hashes, groups: int) -> Truth:
    """Which pairs are within a group; without groups each member is a mark by itself."""
    other = a ^ b
    together: Truth = (other == 0) if groups == 0 else (other != 0) & (other & (groups - 1) == 0)
    return together


def _by_size(ends: Whole) -> Iterator[tuple[int, Whole]]:
    """The sizes of the sets, and the numbers of those that have it; without the empty ones."""
    sizes = np.diff(ends)
    order = np.argsort(sizes, kind="stable")
    starts = np.flatnonzero(np.diff(sizes[order], prepend=0))
    for numbers in np.split(order, starts)[1:]:
        yield int(sizes[numbers[0]]), numbers


def _counters(hashes: Hashes, number: int) -> Whole:
    """Which of the counters each hash has; their number is a power of two."""
    return (hashes & (number - 1)).view(np.int64)


def _counts(hashes: Hashes) -> Whole:
    """How many hashes came to each counter: at least as many as equal each of them."""
    number = min(_COUNTERS, 2 << len(hashes).bit_length())
    return np.bincount(_counters(hashes, number), minlength=number)


def _numbered(ordered: Hashes) -> NDArray[np.int32]:
    """0 for the first value and for those equal to it, 1 for the next value, and so on."""
    changes = np.ones(len(ordered), bool)
    changes[1:] = ordered[1:] != ordered[:-1]
    return np.cumsum(changes, dtype=np.int32) - 1
