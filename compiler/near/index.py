"""Numbers go in, each under its marks; those under one mark come out, the last first.

A file of its own because near duplicates and novel texts are both found so, in a few bytes for each
number: a list of Python's for each mark would take many times that.
"""

from array import array
from collections.abc import Iterator


class Index:
    """Which numbers, below 2**31, were put under a mark. Marks are those from 0 up to `marks`, or
    any where that is not said.
    """

    def __init__(self, marks: int | None = None) -> None:
        self._heads = _Heads() if marks is None else array("i", [-1]) * marks
        self._numbers = array("i")
        self._before = array("i")

    def put(self, mark: int, number: int) -> None:
        self._before.append(self._heads[mark])
        self._heads[mark] = len(self._numbers)
        self._numbers.append(number)

    def find(self, mark: int) -> Iterator[int]:
        """What was put under `mark`, the last first."""
        at = self._heads[mark]
        while at >= 0:
            yield self._numbers[at]
            at = self._before[at]


class _Heads(dict[int, int]):
    """-1 for a mark that has none, without taking it in."""

    def __missing__(self, _: int) -> int:
        return -1
