"""Samples go in; what is asked and answered in them comes out as numbers.

A file of its own because a build is larger than memory: of each sample a few bytes a word are kept,
and phrases are made of them in batches, whenever they are asked for.
"""

from array import array
from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.expand import Sample
from compiler.leaf import words

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BATCH = 2_000_000

Ints = npt.NDArray[Any]


class Read:
    """What is remembered of the samples: numbers only, but for one text of each repeated answer."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self.contributors: dict[str, int] = {}
        self.leaves: dict[str, int] = {}
        self.answers: dict[bytes, int] = {}
        self.texts: dict[int, str] = {}
        self._tokens, self._ends = array("I"), array("Q", [0])
        self._of, self._in, self._said = array("I"), array("I"), array("I")

    def take(self, sample: Sample) -> None:
        """Reads one sample: what is asked, of whom, and what is answered."""
        for message in sample.messages:
            if message.role != "assistant":
                said = words(message.content)
                self._tokens.extend(self.words.setdefault(w, len(self.words)) for w in said)
        self._ends.append(len(self._tokens))
        self._of.append(_number(self.contributors, sample.origin.contributor))
        self._in.append(_number(self.leaves, sample.leaf))
        text = " ".join(words(sample.answer)) or sample.answer.strip()
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if key in self.answers:
            self.texts.setdefault(self.answers[key], " ".join(sample.answer.split()))
        self._said.append(_number(self.answers, key))

    @cached_property
    def vocabulary(self) -> list[str]:
        """The words by their numbers, once all samples are read."""
        return list(self.words)

    @property
    def tokens(self) -> Ints:
        """The words of all questions, as numbers, one after the other."""
        return np.frombuffer(self._tokens, np.uint32)

    @property
    def ends(self) -> Ints:
        """Where each sample's words begin, and the last end."""
        return np.frombuffer(self._ends, np.uint64).astype(np.int64)

    @property
    def by(self) -> Ints:
        """The contributor of each sample."""
        return np.frombuffer(self._of, np.uint32).astype(np.int64)

    @property
    def leaf(self) -> Ints:
        """The leaf of each sample."""
        return np.frombuffer(self._in, np.uint32).astype(np.int64)

    @property
    def groups(self) -> Ints:
        """Contributor and answer of each sample as one number."""
        said = np.frombuffer(self._said, np.uint32).astype(np.int64)
        return self.by * len(self.answers) + said

    def said(self, sample: int) -> frozenset[int]:
        """The different words of a question."""
        ends = self._ends
        return frozenset(self._tokens[ends[sample] : ends[sample + 1]])


def _number(known: dict[Any, int], name: object) -> int:
    return known.setdefault(name, len(known))


def phrases(read: Read, length: int, samples: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """The phrases of `length` words of the samples, in batches: hash, sample, place; each once a
    sample.
    """
    ends, tokens = read.ends, read.tokens.astype(np.uint64)
    sizes = np.maximum(ends[samples + 1] - ends[samples] - length + 1, 0)
    for first, last in _batches(sizes):
        part, size = samples[first:last], sizes[first:last]
        sample = np.repeat(part, size)
        within = np.arange(len(sample)) - np.repeat(np.cumsum(size) - size, size)
        place = ends[sample] + within
        key = np.full(len(place), length, np.uint64)
        for offset in range(length):
            key = (key + tokens[place + offset] + np.uint64(1)) * _FACTOR
            key ^= key >> np.uint64(29)
        order = np.lexsort((place, key, sample))
        key, sample, place = key[order], sample[order], place[order]
        new = np.ones(len(key), bool)
        new[1:] = (key[1:] != key[:-1]) | (sample[1:] != sample[:-1])
        yield key[new], sample[new], place[new]


def _batches(sizes: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of samples with about `_BATCH` phrases each."""
    total = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + _BATCH, "right")))
        yield first, last
        first = last
