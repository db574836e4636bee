"""Prints of samples go in; of those that were added, the nearest to another comes out, by Jaccard.

A file of its own because it is what is asked one sample after the other. It compares hashes and
knows no sample; what is worth comparing at all, the marks say.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from compiler.near.index import Index
from compiler.near.marks import marks_of, rarest_first


def jaccard(a: frozenset[int], b: Sequence[int]) -> float:
    """The size of the intersection over that of the union; no member of `b` stands there twice."""
    shared = len(a.intersection(b))
    return shared / (len(a) + len(b) - shared)


class Near:
    """Sets of hashes by number, 0 for the first print; those that are added are compared with.

    `prints` are read once: a key, which only the very same share, and a set, of 64-bit hashes.
    `threshold` is the least Jaccard similarity that counts, above 0 and at most 1; ValueError for
    another. `len` is the number of prints.
    """

    def __init__(self, prints: Iterable[tuple[int, frozenset[int]]], threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"a Jaccard similarity is above 0 and at most 1, not {threshold}")
        self._threshold = threshold
        keys, hashes, self._ends = array("Q"), array("Q"), array("q", [0])
        for key, pairs in prints:
            keys.append(key)
            hashes.extend(pairs)
            self._ends.append(len(hashes))
        ends = np.array(self._ends)
        known, alike = np.unique(np.array(keys), return_inverse=True)
        self._alike, self._first = alike.data, array("i", [-1]) * len(known)
        members = rarest_first(np.asarray(hashes), ends)
        self._members = members.data
        marks = marks_of(members, ends, threshold)
        self._marks, self._mark_ends = marks.marks.data, marks.ends.data
        self._index = Index(marks.number)
        self._turns = array("i", [-1]) * len(keys)
        self._added = 0

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, number: int) -> None:
        """From now on others are compared with this one; to add it again changes nothing."""
        if self._turns[number] >= 0:
            return
        self._turns[number] = self._added
        self._added += 1
        if self.same(number) is None:
            self._first[self._alike[number]] = number
        for mark in self._marks_of(number):
            self._index.put(mark >> 1, number << 1 | mark & 1)

    def same(self, number: int) -> int | None:
        """The first that was added of those with the same key."""
        first = self._first[self._alike[number]]
        return first if first >= 0 else None

    def nearest(self, number: int) -> tuple[float, int] | None:
        """The highest similarity to one that was added, and the first added of those that have it;
        None where none reaches the threshold.
        """
        candidates = self._candidates(number)
        if not candidates:
            return None
        own = frozenset(self._set(number))
        found = [
            (similarity, -self._turns[other], other)
            for other in candidates
            if (similarity := jaccard(own, self._set(other))) >= self._threshold
        ]
        similarity, _, other = max(found, default=(0.0, 0, -1))
        return (similarity, other) if found else None

    def _candidates(self, number: int) -> set[int]:
        """Those that were added and share a mark, if the smaller of the two shows it."""
        size, found = self._size(number), set()
        for mark in self._marks_of(number):
            for put in self._index.find(mark >> 1):
                if (put if self._size(put >> 1) <= size else mark) & 1:
                    found.add(put >> 1)
        return found

    def _size(self, number: int) -> int:
        return self._ends[number + 1] - self._ends[number]

    def _set(self, number: int) -> memoryview:
        return self._members[self._ends[number] : self._ends[number + 1]]

    def _marks_of(self, number: int) -> memoryview:
        return self._marks[self._mark_ends[number] : self._mark_ends[number + 1]]
