"""What was kept so far; finds what a new sample repeats: a held-out question, a seed, a data set,
another sample.

A file of its own because it is the part of the sift that remembers. It holds hashes and names, and
texts only of the held-out questions.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from compiler.codes import D503, D504, D505, D506, D538, Code
from compiler.datasets import Entry
from compiler.expand import Origin, Sample
from compiler.expand.print import Print, print_of
from compiler.leaf import words
from compiler.near import Near
from compiler.sift.look import Verdict, is_human

HEAD = 3
_NOWHERE = Origin("known", "", "", "", (), ())


class Repeats:
    """Questions that are the same or nearly.

    In the index the held-out questions come first, then the `known` entries, then the samples. A
    known entry counts from the first synthetic sample on: it cannot drop a human's.
    """

    def __init__(
        self,
        held_out: Sequence[Sample],
        known: Iterable[tuple[str, Entry]],
        prints: Iterable[Print],
        threshold: float,
    ) -> None:
        self._files: list[tuple[int, str]] = []
        self._lines = array("q")
        self._start = len(held_out)
        self._near = Near(chain(map(print_of, held_out), self._known(known), prints), threshold)
        self._first = self._start + len(self._lines)
        self._names: list[str] = [""] * len(self._near)
        self._codes: list[Code | None] = [None] * len(self._near)
        self._ids: dict[str, Code] = {}
        self._held: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
        self._knows = False
        for number, sample in enumerate(held_out):
            self._add(number, sample, D506)
            said = words(sample.question)
            held = sample.id, " ".join(said), " ".join(words(sample.context))
            self._held.setdefault(tuple(said[:HEAD]), []).append(held)

    def _known(self, entries: Iterable[tuple[str, Entry]]) -> Iterator[Print]:
        for name, entry in entries:
            if words(entry.question):
                if not self._files or self._files[-1][1] != name:
                    self._files.append((len(self._lines), name))
                self._lines.append(entry.line)
                asked = Sample("", (), "", "", _NOWHERE, entry.question, "", entry.context)
                yield print_of(asked)

    def verdict(self, number: int, sample: Sample) -> Verdict | None:
        """Why it repeats one that was kept; a human's seed only if it says the very same."""
        human = is_human(sample)
        if not human and not self._knows:
            self._add_known()
        number += self._first
        same = self._near.same(number)
        code = self._ids.get(sample.id) if same is None else self._codes[same]
        if code:  # the same messages may be told apart into question and context elsewhere
            repeated = code is D504 or (code is D505 and human)
            name = sample.id if same is None else self._name(same)
            return Verdict(sample, D503 if repeated else code, "the same words", name)
        if human:
            return None
        if held := self._holds(sample):
            return Verdict(sample, D506, "it holds the whole question", held)
        if (near := self._near.nearest(number)) is None:
            return None
        similarity, other = near
        detail = f"similarity {similarity:.2f}"
        return Verdict(sample, self._codes[other], detail, self._name(other))

    def keep(self, number: int, sample: Sample) -> None:
        """Others that repeat it are dropped."""
        self._add(self._first + number, sample, D505 if is_human(sample) else D504)

    def _add(self, number: int, sample: Sample, code: Code) -> None:
        """Keeps a question; `code` is that of what repeats it."""
        self._names[number], self._codes[number] = sample.id, code
        self._ids[sample.id] = code
        self._near.add(number)

    def _add_known(self) -> None:
        self._knows = True
        for number in range(self._start, self._first):
            self._near.add(number)
            self._codes[number] = D538

    def _name(self, number: int) -> str:
        """The id of a sample, or the file and line of a known entry."""
        if not self._start <= number < self._first:
            return self._names[number]
        place = number - self._start
        at = bisect_right(self._files, place, key=lambda file: file[0]) - 1
        return f"{self._files[at][1]}:{self._lines[place]}"

    def _holds(self, sample: Sample) -> str:
        """The id of a held-out question that stands word for word in the sample's; else ""."""
        said = words(sample.question)
        text, mark = f" {' '.join(said)} ", " ".join(words(sample.context))
        for start in range(len(said) - HEAD + 1):
            for id, question, context in self._held.get(tuple(said[start : start + HEAD]), ()):
                if context == mark and f" {question} " in text:
                    return id
        return ""
