"""The samples of a build go in; how varied they are comes out: words, lengths, leaves, likeness.

A file of its own because these are the only figures of the page that no pass has counted before.
What is counted of all samples is exact; what compares texts looks at a share, chosen by their ids.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from compiler.builds import Build, Json
from compiler.diversity import diversity
from compiler.leaf import words
from compiler.page.read import is_human

if TYPE_CHECKING:
    import numpy as np

COMPARED, PROBES = 50_000, 1_000  # samples that are compared with each of how many
LIKENESS = 20  # bins from 0 to 1
WORDS = 100_000  # of a text whose distinct words are counted
OPENINGS, PAIRS = 10, 6
MOST = 5_000  # different values of a score


@dataclass(frozen=True, slots=True)
class Wording:
    """Distinct words, and pairs of neighbouring words, as shares of all, in some `words` words of
    people and of a teacher: such shares fall as a text grows, so both have the same length.
    """

    words: int
    people: tuple[float, float]
    teacher: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike each of `probes` prompts is to the nearest of `compared`, in bins from 0 to 1.

    It is the Jaccard similarity of word pairs, the lower of that of the whole prompts and that of
    their last paragraphs: neither one context nor one way of asking makes two prompts alike.
    `pairs` are the nearest ones: likeness, id, id.
    """

    probes: int
    compared: int
    bins: tuple[int, ...]
    pairs: tuple[tuple[float, str, str], ...]


@dataclass(slots=True)
class Lengths:
    """How many texts have 0, 1, 2-3, 4-7, 8-15 ... words, of people and of a teacher."""

    people: Counter[int] = field(default_factory=Counter)
    teacher: Counter[int] = field(default_factory=Counter)

    def add(self, by_people: bool, count: int) -> None:
        """Counts a text of so many words."""
        (self.people if by_people else self.teacher)[count.bit_length()] += 1


@dataclass(frozen=True, slots=True)
class Variety:
    """What the samples of a build are like; `entropy` in bits, of the leaf of a synthetic sample,
    `highest` what it could be if all leaves that were compiled had the same number.

    `scores` counts values by the name of a score, fractions to three digits; of more than MOST
    values the rest is counted as None.
    """

    entropy: float
    highest: float
    wording: Wording | None
    likeness: Likeness
    questions: Lengths
    answers: Lengths
    openings: tuple[tuple[str, int], ...]
    scores: Mapping[str, Counter[str | int | float | None]]
    synthetic: int
    human: int


@dataclass(frozen=True, slots=True)
class _Text:
    """A sample's texts; `asked` and `words` count the words of its question and of both."""

    id: str
    by_people: bool
    prompt: str
    ask: str
    answer: str
    opening: str
    asked: int
    words: int


def look(build: Build) -> Variety:
    """Looks at the samples that the build kept."""
    leaves: Counter[str] = Counter()
    openings: Counter[str] = Counter()
    scores: dict[str, Counter[str | int | float | None]] = {}
    questions, answers = Lengths(), Lengths()
    texts: list[_Text] = []
    human = 0
    for sample in build.lines("samples"):
        text = _text(sample)
        questions.add(text.by_people, text.asked)
        answers.add(text.by_people, text.words - text.asked)
        human += text.by_people
        if not text.by_people:
            leaves[sample["leaf"]] += 1
            openings[text.opening] += 1
        for name, value in sample["scores"].items():
            of = scores.setdefault(name, Counter())
            value = float(f"{value:.3g}") if isinstance(value, float) else value
            of[value if len(of) < MOST or value in of else None] += 1
        texts.append(text)
        if len(texts) >= 2 * COMPARED:  # a build can be larger than memory
            texts = nsmallest(COMPARED, texts, key=lambda one: one.id)
    texts = nsmallest(COMPARED, texts, key=lambda one: one.id)
    total = leaves.total()
    compiled = sum(not leaf["skipped"] for leaf in build.leaves.values())
    return Variety(
        math.fsum(n / total * math.log2(total / n) for n in leaves.values()),
        math.log2(max(compiled, len(leaves), 1)),
        _wording(texts),
        _likeness(texts),
        questions,
        answers,
        tuple(sorted(openings.items(), key=lambda one: (-one[1], one[0]))[:OPENINGS]),
        scores,
        total,
        human,
    )


def _text(sample: Json) -> _Text:
    said: Sequence[Json] = sample["messages"]
    prompt = "\n\n".join(message["content"] for message in said[:-1]).strip()
    ask = re.split(r"\n\s*\n", prompt)[-1]
    answer = said[-1]["content"] if said else ""
    asked = words(ask)
    opening, length = " ".join(asked[:2]), len(asked) + len(words(answer))
    id, by_people = str(sample["id"]), is_human(sample)
    return _Text(id, by_people, prompt, ask, answer, opening, len(asked), length)


def _wording(texts: Sequence[_Text]) -> Wording | None:
    """Both authors' texts in the order of ids, until the shorter ends; None where one is empty."""
    both = [[one for one in texts if one.by_people is people] for people in (True, False)]
    room = min(WORDS, *(sum(one.words for one in of) for of in both))
    if not room:
        return None
    cut = [_up_to(room, of) for of in both]
    people, teacher = (
        diversity((f"{t.ask} {t.answer}" for t in of), (t.id for t in of)) for of in cut
    )
    return Wording(
        room, (people.distinct_1, people.distinct_2), (teacher.distinct_1, teacher.distinct_2)
    )


def _up_to(room: int, texts: Iterable[_Text]) -> list[_Text]:
    """The first texts, of some `room` words."""
    found: list[_Text] = []
    for text in texts:
        if room <= 0:
            break
        found.append(text)
        room -= text.words
    return found


def _likeness(texts: Sequence[_Text]) -> Likeness:
    import numpy as np

    probes = texts[:PROBES]
    bins = np.zeros(LIKENESS, dtype=int)
    near: list[tuple[float, str, str]] = []
    if len(texts) < 2:
        return Likeness(0, len(texts), (0,) * LIKENESS, ())
    asks = [_pairs(text.ask) for text in texts]
    wholes = [
        ask if text.ask == text.prompt else _pairs(text.prompt)
        for text, ask in zip(texts, asks, strict=True)
    ]
    alike = _Alike(wholes), _Alike(asks)
    for place, probe in enumerate(probes):
        both = np.minimum(alike[0].to(place), alike[1].to(place))
        best = int(both.argmax())
        value = float(both[best])
        bins[min(int(value * LIKENESS), LIKENESS - 1)] += 1
        near.append((value, *sorted((probe.id, texts[best].id))))  # type: ignore[arg-type]
    nearest = sorted({one for one in near if one[0] > 0}, key=lambda one: (-one[0], one))
    return Likeness(len(probes), len(texts), tuple(bins.tolist()), tuple(nearest[:PAIRS]))


def _pairs(text: str) -> set[int]:
    """32-bit hashes of the pairs of neighbouring words."""
    return {crc32(f"{a} {b}".encode()) for a, b in pairwise(["", *words(text), ""])}


class _Alike:
    """Sets of numbers; the similarity of one of them to all."""

    def __init__(self, sets: Sequence[set[int]]) -> None:
        import numpy as np

        self._sets = sets
        self._sizes = np.array([len(one) for one in sets])
        probed: dict[int, list[int]] = {pair: [] for one in sets[:PROBES] for pair in one}
        for place, one in enumerate(sets):
            for pair in one:
                if pair in probed:
                    probed[pair].append(place)
        self._places = {pair: np.array(places) for pair, places in probed.items()}

    def to(self, place: int) -> "np.ndarray":
        """The Jaccard similarity of the set at `place` to every set, to itself 0."""
        import numpy as np

        own = self._sets[place]
        shared = np.bincount(
            np.concatenate([self._places[pair] for pair in own]), minlength=len(self._sets)
        )
        similar = shared / (self._sizes + len(own) - shared)
        similar[place] = 0.0
        return np.asarray(similar)
