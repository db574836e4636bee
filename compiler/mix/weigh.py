"""A kept sample goes in; what the mixture weighs of it comes out: words, answer, people, quality.

A file of its own because texts are on disk: each is read once here, and never again for a draw.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from compiler.expand import Sample
from compiler.select.utility import Judged, judged, qualities
from compiler.spool import Kept

_PEOPLE = ("seed", "source")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sample with what is weighed of it: the words of all its messages and of its longest answer,
    both split at white space; how far from people it is, and how good its judges found it. A
    person's example is better than all.
    """

    kept: Kept
    kind: str
    words: int
    answer: int
    generation: int
    quality: float

    @property
    def human(self) -> bool:
        """Whether people wrote it."""
        return self.kind in _PEOPLE and not self.generation


def weigh(samples: Sequence[Kept], text: Callable[[Kept], Sample] | None) -> list[Weighed]:
    """Reads every sample once; without `text` they count as samples without words."""
    if text is None:
        return [
            Weighed(kept, "seed" if kept.human else "synthetic", 0, 0, 0, 0.0) for kept in samples
        ]
    made: list[Weighed] = []
    said: list[Judged] = []
    for kept in samples:
        sample = text(kept)
        sizes = [(message.role, len(message.content.split())) for message in sample.messages]
        words = sum(size for _, size in sizes)
        answer = max((size for role, size in sizes if role == "assistant"), default=0)
        kind, generation = sample.origin.kind, sample.origin.generation
        made.append(Weighed(kept, kind, words, answer, generation, 0.0))
        said.append(judged(sample))
    return [
        replace(weighed, quality=math.inf if weighed.kind == "seed" else quality)
        for weighed, quality in zip(made, qualities(said), strict=True)
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
    ids = {kept.id for kept in out}
    return [w for w in samples if w.kept.id not in ids]
