"""Benchmarks go in; the item that a sample gives away comes out (D531).

A file of its own because this compares texts in part, where all other comparisons are of questions
as a whole. The rule is Cosmopedia's (Ben Allal et al., 2024: a run of ten words shared, and more
than half of the item in matched blocks of more than five characters), with words for its
characters, so that case and punctuation hide nothing; items under twenty words, which it would
hardly ever find, have to be there for four fifths with half of their words in a row, and those
under ten whole.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from zlib import crc32

from compiler.codes import D531
from compiler.datasets import Entry
from compiler.expand import Sample
from compiler.sift.look import Verdict, is_human
from compiler.terms import tokens

RUN, SHARE, BLOCK = 10, 0.5, 5
_SHORT, _SHORT_SHARE = 20, 0.8
_LEAST_HELD = 5


class Leaks:
    """The items of all benchmarks; their texts are kept in memory."""

    def __init__(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """`entries`: each with the name of its file."""
        self._names: list[str] = []
        self._items: list[str] = []
        self._runs: dict[int, dict[int, array[int]]] = {}
        self._asked: dict[str, int] = {}
        for name, entry in entries:
            said = tokens(entry.question)
            if not said:
                continue
            number = len(self._items)
            self._names.append(f"{name}:{entry.line}")
            self._items.append(" ".join(said))
            self._asked.setdefault(self._items[-1], number)
            if len(said) >= _LEAST_HELD:
                length = _length(len(said))
                places = self._runs.setdefault(length, {})
                for run in set(_runs(said, length)):
                    places.setdefault(run, array("i")).append(number)

    def verdict(self, number: int, sample: Sample) -> Verdict | None:
        """The file and line of an item that a synthetic sample holds, and how much of it; the first
        of those of which it holds most.
        """
        if is_human(sample) or not self._items:
            return None
        asked = self._asked.get(" ".join(tokens(sample.question)))
        if asked is not None:
            return Verdict(sample, D531, "the same words", self._names[asked])
        said = tokens(f"{sample.context}\n{sample.question}\n{sample.answer}")
        found = [(self._share(said, item), -item) for item in sorted(self._near(said))]
        share, item = max(found, default=(0.0, 0))
        detail = f"it holds {share:.0%} of the item"
        return Verdict(sample, D531, detail, self._names[-item]) if share else None

    def keep(self, number: int, sample: Sample) -> None:
        """Nothing: samples are not compared with each other."""

    def _near(self, said: Sequence[str]) -> set[int]:
        """The items that share a run of words with these."""
        return {
            number
            for length, places in self._runs.items()
            for run in _runs(said, length)
            for number in places.get(run, ())
        }

    def _share(self, said: Sequence[str], number: int) -> float:
        """How much of an item's characters are there in blocks; 0 where that is not enough."""
        item = self._items[number].split(" ")
        least, whole = _least(len(item)), len(self._items[number])
        there = set(said)
        if sum(len(word) + 1 for word in item if word in there) <= least * whole:
            return 0.0  # what cannot be enough is not compared in order
        blocks = SequenceMatcher(None, said, item, autojunk=False).get_matching_blocks()
        sizes = (len(" ".join(item[b.b : b.b + b.size])) for b in blocks)
        share = sum(size for size in sizes if size > BLOCK) / whole
        return share if share > least else 0.0


def _length(words: int) -> int:
    """Of how many words a run has to be shared with an item of so many."""
    if words < RUN:
        return words
    return RUN if words >= _SHORT else words // 2


def _least(words: int) -> float:
    if words < RUN:
        return 0.99
    return SHARE if words >= _SHORT else _SHORT_SHARE


def _runs(said: Sequence[str], length: int) -> Iterator[int]:
    """A hash of each run of so many words; what it finds is compared as text."""
    for start in range(len(said) - length + 1):
        run = " ".join(said[start : start + length])
        yield crc32(run.encode("utf-8", "surrogatepass"))
