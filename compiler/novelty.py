"""Texts go in, one after the other; which earlier text each is too like comes out, by ROUGE-L.

A file of its own because Self-Instruct (arXiv 2212.10560, section 2.2) compares each new text with
every one that was kept, and here that takes a few look-ups. It misses none. ROUGE-L (Lin, "ROUGE: a
package for automatic evaluation of summaries", 2004) counts what two texts have in common in the
same order, never more than the words that they share. So a text is looked up by pairs of its rarest
words, as sets are in `compiler.near.reach`; only what is found is compared.
"""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain, combinations
from sys import maxunicode
from typing import NamedTuple
from unicodedata import normalize

import regex
from rapidfuzz.distance import LCSseq

from compiler.near.index import Index
from compiler.near.reach import reach

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_PLAIN = regex.compile("[a-z0-9]+")
_ANY = regex.compile(rf"(?V1)[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]+")


def tokens(text: str) -> list[str]:
    """What is compared: in ASCII those of the package rouge-score, without its stemmer.

    In other texts runs of letters and digits, and each letter by itself where a script sets no
    spaces between its words.
    """
    if text.isascii():
        return list(_PLAIN.findall(text.lower()))
    return list(_ANY.findall(normalize("NFKC", text).casefold()))


class _Read(NamedTuple):
    """The numbers of a text's tokens, how many they are, and by which pairs of words it is found;
    true for those by which longer texts find it.
    """

    sequence: str | tuple[int, ...]
    size: int
    marks: dict[int, bool]


class Novelty:
    """What was kept so far. A text is new where its ROUGE-L F1 with each is below `threshold`.

    The threshold is taken as the decimal number that it is written as, and compared without
    rounding: 0.7 exactly is not below 0.7. (rouge-score divides floats; of 931 pairs of lengths
    below 200 at which this can be, its figure is too low for 40.) ValueError where it is not above
    0 and at most 1. A text without tokens is like no other.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"a ROUGE-L is above 0 and at most 1, not {threshold}")
        self._part, self._whole = Fraction(str(threshold)).as_integer_ratio()
        self._similarity = threshold / (2 - threshold)  # the same as a Jaccard similarity of words
        self._numbers: dict[str | tuple[str, int], int] = {}
        self._kept: list[tuple[str | tuple[int, ...], int, str]] = []
        self._index = Index()
        self._last = "", _Read("", 0, {})

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, text: str, label: str) -> None:
        """Later texts are compared with this one; `label` is what they hear of it."""
        read = self._read(text)
        for mark, shown in read.marks.items():
            self._index.put(mark, len(self._kept) << 1 | shown)
        self._kept.append((read.sequence, read.size, label))

    def nearest(self, text: str) -> tuple[float, str] | None:
        """The highest ROUGE-L F1 with a text that was added, and the first such text's label; None
        where the text is new.
        """
        read = self._read(text)
        found = []
        for number in self._candidates(read):
            sequence, size, _ = self._kept[number]
            both = read.size + size
            least = -(-self._part * both // (2 * self._whole))
            common = LCSseq.similarity(read.sequence, sequence, score_cutoff=least)
            if common >= least:
                found.append((2 * common / both, -number))
        similarity, place = max(found, default=(0.0, 0))
        return (similarity, self._kept[-place][2]) if found else None

    def _candidates(self, read: _Read) -> set[int]:
        """Those that share a mark with it, if the shorter of the two shows it to longer ones."""
        found = set()
        for mark, shown in read.marks.items():
            for put in self._index.find(mark):
                if (put if self._kept[put >> 1][1] <= read.size else shown) & 1:
                    found.add(put >> 1)
        return found

    def _read(self, text: str) -> _Read:
        if self._last[0] != text:
            sequence, words = [], []
            times: Counter[str] = Counter()
            for token in tokens(text):
                sequence.append(self._numbers.setdefault(token, len(self._numbers)))
                times[token] += 1
                # A word's second time is a word of its own: it is shared only by such a second.
                again = token if times[token] == 1 else (token, times[token])
                words.append(self._numbers.setdefault(again, len(self._numbers)))
            words.sort(reverse=True)  # the later a word was first seen, the rarer it is
            self._last = text, _Read(_compact(sequence), len(words), self._marks(words))
        return self._last[1]

    def _marks(self, words: list[int]) -> dict[int, bool]:
        marks: dict[int, bool] = {}
        if not words:
            return marks
        to_larger, to_smaller, own, all_groups = reach(len(words), self._similarity)
        for groups in all_groups:
            shown = to_larger + groups if groups == own else 0
            for left, right in _together(words[: to_smaller + groups], groups):
                mark = words[left] << 32 | words[right]
                marks[mark] = marks.get(mark, False) or right < shown
        return marks


def _together(words: list[int], groups: int) -> Iterable[tuple[int, int]]:
    """The places of two words in one group; without groups each word is a mark by itself."""
    places = range(len(words))
    if groups < 2:
        return combinations(places, 2) if groups else zip(places, places, strict=True)
    of: dict[int, list[int]] = {}
    for place in places:
        of.setdefault(words[place] % groups, []).append(place)
    return chain.from_iterable(combinations(group, 2) for group in of.values())


def _compact(numbers: list[int]) -> str | tuple[int, ...]:
    """As a string, which is compared faster, where each number has a character."""
    return tuple(numbers) if max(numbers, default=0) > maxunicode else "".join(map(chr, numbers))
