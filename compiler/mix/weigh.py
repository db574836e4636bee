"""A kept sample goes in; what the mixture weighs of it comes out: words, answer, people, quality.

A file of its own because texts are on disk: each is read once here, and never again for a draw.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from compiler.expand import Sample
from compiler.leaf import words
from compiler.select.utility import Judged, judged, qualities
from compiler.spool import Kept


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sample with what is weighed of it: the words of all its messages and of its longest answer,
    whether it is a `seed` example, `made` here by a teacher, written by people (`human`), and how
    far from them it is; how good its judges found it. A person's example is better than all.
    """

    kept: Kept
    seed: bool
    made: bool
    human: bool
    words: int
    answer: int
    generation: int
    quality: float


def weigh(samples: Sequence[Kept], text: Callable[[Kept], Sample] | None) -> list[Weighed]:
    """Reads every sample once; without `text` they count as samples without words."""
    if text is None:
        return [
            Weighed(kept, kept.human, not kept.human, kept.human, 0, 0, 0, 0.0) for kept in samples
        ]
    found: list[Weighed] = []
    marks: list[Judged] = []
    for kept in samples:
        sample = text(kept)
        sizes = [(message.role, len(words(message.content))) for message in sample.messages]
        total = sum(size for _, size in sizes)
        answer = max((size for role, size in sizes if role == "assistant"), default=0)
        of = sample.origin
        kinds = of.of_seed, of.made, of.of_people
        found.append(Weighed(kept, *kinds, total, answer, of.generation, 0.0))
        marks.append(judged(sample))
    return [
        replace(weighed, quality=math.inf if weighed.seed else quality)
        for weighed, quality in zip(found, qualities(marks), strict=True)
    ]


def human_share(samples: Iterable[Weighed]) -> float:
    """The share of the words of samples that people wrote; 0 where there are none."""
    people = total = 0
    for w in samples:
        total += w.words
        people += w.words * w.human
    return people / total if total else 0.0


def without(samples: Iterable[Weighed], out: Iterable[Kept]) -> list[Weighed]:
    """The samples that are not among those to leave out."""
    places = {kept.place for kept in out}
    return [w for w in samples if w.kept.place not in places]
