"""Samples and the held-out questions go in; a verdict on each comes out: keep it, or drop it for a
named reason.

A pass of its own because what a teacher wrote is not yet a curriculum. Order matters (the first of
two duplicates stays), so samples are judged in the canonical order of their leaves and units. Near
duplicates are found exactly, by the rarest word pairs of each question: two that are alike share
one of them (prefix filtering: Chaudhuri, Ganti, Kaushik, "A primitive operator for similarity joins
in data cleaning", 2006).
"""

import math
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain

from compiler.codes import D502, D503, D504, D505, D506, D513, Code
from compiler.curriculum import SiftSettings
from compiler.expand import Sample
from compiler.expand.print import Print, print_of
from compiler.leaf import words

HEAD = 3
_COUNTERS = 2**22


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is None where the sample is kept; `other` is the sample or seed that it is too near
    to.
    """

    sample: Sample
    code: Code | None = None
    detail: str = ""
    other: str = ""


def sift(
    samples: Iterable[Sample],
    held_out: Sequence[Sample],
    settings: SiftSettings,
    budget: int,
    prints: Iterable[Print] | None = None,
) -> Iterator[Verdict]:
    """One Verdict per sample, in order; give the human seeds first. `samples` are read twice.

    `budget` is the most synthetic samples that one leaf may keep; a human's seeds are not counted.
    `prints` are those of the samples, where somebody has made them already.
    """
    made = map(print_of, samples) if prints is None else prints
    known = _Neighbours(_Prints(chain(map(print_of, held_out), made)), settings.near_duplicate)
    for number, sample in enumerate(held_out):
        known.add(number, sample, D506)
    kept: Counter[str] = Counter()
    for number, sample in enumerate(samples, len(held_out)):
        human = sample.origin.kind == "seed"
        verdict = _short(sample, settings) or known.verdict(number, sample, exact_only=human)
        if verdict is None and not human and kept[sample.leaf] >= budget:
            verdict = Verdict(sample, D513, f"the leaf has its {budget} samples")
        if verdict is None:
            verdict = Verdict(sample)
            known.add(number, sample, D505 if human else D504)
            kept[sample.leaf] += not human
        yield verdict


def _short(sample: Sample, settings: SiftSettings) -> Verdict | None:
    for part, least in (
        ("question", settings.min_question_words),
        ("answer", settings.min_answer_words),
    ):
        number = len(words(getattr(sample, part)))
        if number < least:
            return Verdict(sample, D502, f"the {part} has {number} of at least {least} words")
    return None


def jaccard(a: Set[int], b: Set[int]) -> float:
    """The size of the intersection over that of the union."""
    return len(a & b) / len(a | b) if a or b else 1.0


class _Prints:
    """What is compared of each sample, by its number: 64-bit hashes, flat in memory."""

    def __init__(self, prints: Iterable[Print]) -> None:
        self._keys = array("Q")
        self._pairs = array("Q")
        self._ends = array("Q", [0])
        self._counts = array("I", bytes(4 * _COUNTERS))
        for key, pairs in prints:
            self._keys.append(key)
            self._pairs.extend(pairs)
            self._ends.append(len(self._pairs))
            for pair in pairs:
                self._counts[pair % _COUNTERS] += 1

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, number: int) -> int:
        """The hash of all words of the question and its context."""
        return self._keys[number]

    def pairs(self, number: int) -> frozenset[int]:
        """The hashes of the word pairs of the question."""
        return frozenset(self._pairs[self._ends[number] : self._ends[number + 1]])

    def rarest(self, pairs: Collection[int], similarity: float) -> list[int]:
        """The pairs of which one is among the rarest of every other question as similar as this.

        Any order of the pairs would do; of rare ones the fewest questions have to be compared.
        """
        number = len(pairs) - math.ceil(round(similarity * len(pairs), 9)) + 1
        return sorted(pairs, key=lambda pair: (self._counts[pair % _COUNTERS], pair))[:number]


class _Index:
    """Which numbers were put under a hash, in a few bytes each; others may be found with them."""

    def __init__(self, size: int) -> None:
        self._heads = array("i", [-1]) * (size + 1)
        self._numbers = array("i")
        self._before = array("i")

    def put(self, hash: int, number: int) -> None:
        at = hash % len(self._heads)
        self._before.append(self._heads[at])
        self._heads[at] = len(self._numbers)
        self._numbers.append(number)

    def find(self, hash: int) -> Iterator[int]:
        """What was put under `hash`, the last first."""
        at = self._heads[hash % len(self._heads)]
        while at >= 0:
            yield self._numbers[at]
            at = self._before[at]


class _Neighbours:
    """What was kept so far; finds the kept sample that a new one repeats."""

    def __init__(self, prints: _Prints, threshold: float) -> None:
        self.prints = prints
        self.threshold = threshold
        self.exact = _Index(len(prints))
        self.near = _Index(2 * len(prints))
        self.kept: list[tuple[str, Code] | None] = [None] * len(prints)
        self.held: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}

    def add(self, number: int, sample: Sample, code: Code) -> None:
        """Keeps a sample; `code` is that of what repeats it."""
        self.kept[number] = sample.id, code
        self.exact.put(self.prints.key(number), number)
        for pair in self.prints.rarest(self.prints.pairs(number), self.threshold):
            self.near.put(pair, number)
        if code is D506:
            said = words(sample.question)
            held = sample.id, " ".join(said), " ".join(words(sample.context))
            self.held.setdefault(tuple(said[:HEAD]), []).append(held)

    def verdict(self, number: int, sample: Sample, exact_only: bool) -> Verdict | None:
        """Why it repeats one that was kept; a human's seed only if it says the very same."""
        if same := self._same(number):
            other, code = same
            repeated = code is D504 or (code is D505 and exact_only)
            return Verdict(sample, D503 if repeated else code, "the same words", other)
        if exact_only:
            return None
        if held := self._holds(sample):
            return Verdict(sample, D506, "it holds the whole question", held)
        similarity, place = self._nearest(number)
        if (near := self.kept[place]) is None or similarity < self.threshold:
            return None
        other, code = near
        return Verdict(sample, code, f"similarity {similarity:.2f}", other)

    def _same(self, number: int) -> tuple[str, Code] | None:
        """The first that was kept of those with the same words."""
        key, first = self.prints.key(number), number
        for other in self.exact.find(key):
            if self.prints.key(other) == key:
                first = other
        return self.kept[first]

    def _nearest(self, number: int) -> tuple[float, int]:
        """The highest similarity to a kept sample, and the number of the first that has it; 0 and
        `number` where none comes into question.
        """
        pairs = self.prints.pairs(number)
        near = {
            other
            for pair in self.prints.rarest(pairs, self.threshold)
            for other in self.near.find(pair)
        }
        found = [(jaccard(pairs, self.prints.pairs(other)), -other) for other in near]
        similarity, place = max(found, default=(0.0, -number))
        return similarity, -place

    def _holds(self, sample: Sample) -> str:
        """The id of a held-out question that stands word for word in the sample's; else ""."""
        said = words(sample.question)
        text, mark = f" {' '.join(said)} ", " ".join(words(sample.context))
        for start in range(len(said) - HEAD + 1):
            for id, question, context in self.held.get(tuple(said[start : start + HEAD]), ()):
                if context == mark and f" {question} " in text:
                    return id
        return ""
