"""What judges and checkers said of samples goes in; how useful each is comes out, from 0 to 1.

A file of its own because it is the one place that says what "better" means when there are more
samples than wanted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from compiler.expand import Sample, Score
from compiler.select.surprisal import surprisals

NEUTRAL = 0.5
_ODDS = "_odds"
_VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of a sample; scores of different pipelines have different scales."""

    pipeline: str
    scores: Mapping[str, Score]
    verified: bool


def judged(sample: Sample) -> Judged:
    """A checker found it right where its score `verified` says so, or its verified score among its
    rivals is 1.
    """
    right = sample.scores.get(_VERIFIED) in (1, "yes", "true")
    right = right or bool(sample.rivals and sample.rivals[0][1] == 1)
    return Judged(sample.origin.pipeline, sample.scores, right)


def qualities(samples: Sequence[Judged]) -> list[float]:
    """The quality of each sample, from 0 to 1.

    Each judge's score is scaled to the lowest and highest that this judge gave in these samples;
    where it told its odds p of its choice v, to `p v + (1 - p) m`, m being the mean of what else it
    gave: the expected score (DEITA, arXiv 2312.15685, section 2: the sum of k p(k)). A judge that
    said the same of all has only its odds to tell them apart. The mean of the judges is q; a sample
    without a judge has q = 0.5. A checker outranks any judge: quality is (2 verified + q) / 3.
    """
    seen: dict[tuple[str, str], set[Score]] = {}
    for one in samples:
        for name in _judges(one):
            seen.setdefault((one.pipeline, name), set()).add(one.scores[name])
    found = []
    for one in samples:
        marks = [_mark(one.scores, name, seen[one.pipeline, name]) for name in _judges(one)]
        given = [mark for mark in marks if mark is not None]
        found.append((2 * one.verified + (fmean(given) if given else NEUTRAL)) / 3)
    return found


def _judges(one: Judged) -> list[str]:
    return sorted(
        name
        for name, said in one.scores.items()
        if not name.endswith(_ODDS) and name != _VERIFIED and said == said
    )


def _mark(scores: Mapping[str, Score], name: str, seen: Iterable[Score]) -> float | None:
    """One judge's score from 0 to 1; None where it does not tell samples apart."""
    said, odds = scores[name], scores.get(name + _ODDS)
    sure = float(odds) if isinstance(odds, int | float) else None
    values = sorted(float(v) for v in seen if isinstance(v, int | float))
    known = list(seen)
    if len(known) == 1:
        return sure
    if isinstance(said, str) or len(values) < len(known):
        return None  # words that differ are no scale
    expected = float(said)
    if sure is not None:
        others = fmean(value for value in values if value != said)
        expected = sure * said + (1 - sure) * others
    return (expected - values[0]) / (values[-1] - values[0])


def informativeness(samples: Iterable[tuple[str, Sequence[str], bool]]) -> list[float]:
    """The rank, in its leaf, of how much each sample says that the leaf does not say elsewhere.

    A sample is its leaf, its terms, and whether it counts; the others only tell what the leaf
    says. Returned are, for those that count, mid-ranks of their surprisals among those of the
    leaf, from 0 to 1; 0.5 for one alone.
    """
    known = list(samples)
    by_leaf: dict[str, list[int]] = {}
    for place, (leaf, _, _) in enumerate(known):
        by_leaf.setdefault(leaf, []).append(place)
    found: dict[int, float] = {}
    for places in by_leaf.values():
        bits = surprisals([known[place][1] for place in places])
        ranked = [(b, place) for b, place in zip(bits, places, strict=True) if known[place][2]]
        found |= dict(zip((p for _, p in ranked), ranks([b for b, _ in ranked]), strict=True))
    return [found[place] for place in sorted(found)]


def ranks(values: Sequence[float]) -> list[float]:
    """The share of the values that are lower, those that are equal by half: all lie in (0, 1)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            found[place] = (start + end) / 2 / len(order)
        start = end
    return found


def combined(parts: Iterable[Sequence[float]]) -> list[float]:
    """The product of the parts of each sample, as DEITA takes quality times complexity."""
    return [math.prod(of) for of in zip(*parts, strict=True)]
