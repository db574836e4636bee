"""Outcomes go in as their units are finished; samples and drops come out in the order of the build.

A file of its own because a build is larger than memory: texts wait on disk, and what is kept here
of each is two numbers. The disk file has no name, so nothing of it is left when the process ends,
however it ends.
"""

import json
import sys
import tempfile
import weakref
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, Generic, TypeVar

from compiler.codes import CATALOGUE, Code
from compiler.expand import Drop, Origin, Outcome, Sample
from compiler.expand.print import Print, print_of
from compiler.prompt import Message

T = TypeVar("T")
_FIRST, _LAST = -1, 2**62  # before and after the numbers of all units


class Spool(Generic[T]):
    """Values on disk, each put under a number: they come out sorted by it, and those of one number
    as they were put in. A value is read again whenever it is asked for.
    """

    def __init__(self, read: Callable[[list[Any]], T], folder: Path | None = None) -> None:
        """`read` makes a value of its fields as JSON has them. The file lies in `folder`."""
        self._read = read
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with this object
        self._numbers = array("q")
        self._starts = array("q", [0])
        weakref.finalize(self, self._file.close)

    def put(self, number: int, value: T) -> None:
        """Takes a value; others may have the same number."""
        text = json.dumps(value, default=_fields, ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "surrogatepass")
        self._file.seek(self._starts[-1])
        self._file.write(data)
        self._numbers.append(number)
        self._starts.append(self._starts[-1] + len(data))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> T:
        """The value that was put in as the `place`-th, from 0."""
        start = self._starts[place]
        self._file.seek(start)
        data = self._file.read(self._starts[place + 1] - start)
        return self._read(json.loads(data.decode("utf-8", "surrogatepass")))

    def places(self) -> list[int]:
        """The places of all values, as `spool[place]` takes them, in the order of their numbers."""
        return sorted(range(len(self)), key=self._numbers.__getitem__)

    def __iter__(self) -> Iterator[T]:
        return map(self.__getitem__, self.places())


@dataclass(frozen=True, slots=True)
class Kept:
    """A sample that stays, without its text, which is at `place` in the spool. `human`: it was
    given, by people or by a data set, and not made here. `cited` are the first and last character
    (0-based, end exclusive) of the document that say what its answer says, where they were found.
    """

    place: int
    id: str
    branch: str
    leaf: str
    human: bool
    cited: tuple[int, ...] = ()


@dataclass(slots=True)
class Silence:
    """Requests of one leaf that had no answer, for one reason; `detail` is that of the first unit,
    whose number it is.
    """

    count: int
    number: int
    detail: str


class Outcomes:
    """What became of the units so far: texts on disk, counts here.

    `answered` counts units, `records` what they began. `failed`, `dropped` and, of each pass after
    the expansion, `later` count by code. `silent` holds the requests without an answer by leaf and
    code; `failing` are the leaves of units without any, `saturated` those for which the teacher
    only repeats itself.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.samples = Spool(_sample, folder)
        self.drops = Spool(_drop, folder)
        self.answered = self.records = 0
        self.failed: Counter[Code] = Counter()
        self.dropped: Counter[Code] = Counter()
        self.later: dict[str, Counter[Code]] = {"sift": Counter(), "select": Counter()}
        self.silent: dict[tuple[str, Code], Silence] = {}
        self.failing: set[str] = set()
        self.saturated: set[str] = set()
        self._prints: dict[int, bytes] = {}

    def prints(self) -> Iterator[Print]:
        """The prints of all samples, in the order of the build; those that no engine made are made
        now.
        """
        for place in self.samples.places():
            if place in self._prints:
                key, *pairs = array("Q", self._prints.pop(place))
                yield key, frozenset(pairs)
            else:
                yield print_of(self.samples[place])

    def put(self, outcome: Outcome) -> None:
        """Takes the outcome of one unit, in any order."""
        number, leaf = outcome.number, outcome.unit.leaf.path
        self.records += outcome.records
        if outcome.saturated:
            self.saturated.add(leaf)
        if outcome.failure:
            self.failed[outcome.failure.code] += 1
            self.failing.add(leaf)
            self._count_silence(leaf, number, outcome.failure.code, outcome.failure.detail)
        else:
            self.answered += 1
        for sample, made in zip_longest(outcome.samples, outcome.prints):
            if made:
                self._prints[len(self.samples)] = array("Q", (made[0], *made[1])).tobytes()
            self.samples.put(number, sample)
        for drop in outcome.drops:
            self.dropped[drop.code] += 1
            self.drops.put(number, drop)
            if drop.code.id.startswith("R"):
                self._count_silence(leaf, number, drop.code, drop.detail)

    def put_given(self, sample: Sample) -> None:
        """Takes a sample that no unit made, which comes before all others."""
        self.samples.put(_FIRST, sample)

    def put_drop(self, drop: Drop) -> None:
        """Takes what a later pass drops, named by its stage; it comes after all others."""
        self.later.setdefault(drop.stage, Counter())[drop.code] += 1
        self.drops.put(_LAST, drop)

    def _count_silence(self, leaf: str, number: int, code: Code, detail: str) -> None:
        known = self.silent.setdefault((leaf, code), Silence(0, number, detail))
        known.count += 1
        if number < known.number:
            known.number, known.detail = number, detail


_FIELDS = {kind: [f.name for f in fields(kind)] for kind in (Sample, Message, Origin, Drop)}


def _fields(value: Any) -> object:  # noqa: ANN401 - JSON asks for whatever it does not know
    """What JSON has for a code, and for a value of several fields."""
    if isinstance(value, Code):
        return value.id
    return [getattr(value, name) for name in _FIELDS[type(value)]]


def _sample(parts: list[Any]) -> Sample:
    parts[-2] = tuple((proxy, verified) for proxy, verified in parts[-2])
    id, messages, branch, leaf, origin, *rest = parts
    said = tuple(Message(*message) for message in messages)
    known: list[Any] = [tuple(part) if isinstance(part, list) else part for part in origin]
    return Sample(id, said, sys.intern(branch), sys.intern(leaf), Origin(*known), *rest)


def _drop(parts: list[Any]) -> Drop:
    parts[-1] = tuple((proxy, verified) for proxy, verified in parts[-1])
    code, detail, leaf, stage, text, replies, *rest = parts
    return Drop(CATALOGUE[code], detail, sys.intern(leaf), stage, text, tuple(replies), *rest)
