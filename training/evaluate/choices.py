"""Samples go in; for each of their questions the options of a multiple choice come out.

A file of its own because wrong options decide what a choice measures: they are right answers to
other questions of the same leaf, so that knowing the leaf's words is not enough, and none of them
may be the right answer in other words. The options of a question were all taught or are all new:
else a student would be led to what it has seen, whatever is asked.
"""

import hashlib
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rapidfuzz.distance import Levenshtein

from training.data import Sample
from training.seen import plain

FEWEST, MOST = 4, 5  # options, the right one among them
LOOKED_AT = 64  # answers of a leaf, and of a branch, that are looked at for one question

_Ring = list[tuple[str, str]]


class Pool:
    """The answers of `taught` and of `other` samples, by leaf and by branch, each in the order of
    its hash.
    """

    def __init__(self, taught: Iterable[Sample], other: Iterable[Sample]) -> None:
        taught = tuple(taught)
        self._known = {plain(sample.answer) for sample in taught}
        found: dict[tuple[bool, str, str], set[str]] = defaultdict(set)
        for sample in (*taught, *other):
            if len(sample.messages) > 1 and (answer := sample.answer.strip()):
                known = plain(answer) in self._known
                found[known, "leaf", sample.leaf].add(answer)
                found[known, "branch", sample.branch].add(answer)
        self._rings = {key: _ring(answers) for key, answers in found.items()}

    def options(self, sample: Sample) -> tuple[str, ...]:
        """The answer of `sample` and up to four others, of its leaf first, then of its branch;
        none where there are fewer than three.

        They are drawn by the hash of the sample's id: another order of the build changes nothing.
        """
        answer = sample.answer.strip()
        if not answer:
            return ()
        chosen, known = [answer], plain(answer) in self._known
        for key in ((known, "leaf", sample.leaf), (known, "branch", sample.branch)):
            for other in _from(self._rings.get(key, []), sample.id):
                if len(chosen) == MOST:
                    break
                if not any(near(other, one) for one in chosen):
                    chosen.append(other)
        return tuple(chosen) if len(chosen) >= FEWEST else ()


def _ring(answers: Iterable[str]) -> _Ring:
    return sorted((hashlib.sha256(one.encode()).hexdigest(), one) for one in answers)


def _from(ring: _Ring, id: str) -> Iterator[str]:
    """The answers of a ring, from a place on that `id` decides."""
    begin = bisect_left(ring, (hashlib.sha256(id.encode()).hexdigest(), ""))
    for step in range(min(len(ring), LOOKED_AT)):
        yield ring[(begin + step) % len(ring)][1]


def near(left: str, right: str) -> bool:
    """Whether two answers may say the same: one is in the other, word by word, but for case,
    punctuation, articles, numbers in words, and one letter of a word of five or more.
    """
    a, b = sorted((_words(left), _words(right)), key=len)
    if not a:
        return not b or left.strip() == right.strip()
    return any(
        all(_alike(x, y) for x, y in zip(a, b[at:], strict=False))
        for at in range(len(b) - len(a) + 1)
    )


_ARTICLES = frozenset(("a", "an", "the"))
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}


def _words(text: str) -> Sequence[str]:
    text = re.sub(r"(?<=\d),(?=\d{3})", "", plain(text))
    return [_NUMBERS.get(word, word) for word in text.split() if word not in _ARTICLES]


def _alike(left: str, right: str) -> bool:
    if left == right:
        return True
    long = min(len(left), len(right)) >= 5 and not any(c.isdigit() for c in left + right)
    return long and Levenshtein.distance(left, right, score_cutoff=1) <= 1
