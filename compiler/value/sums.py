"""Values of samples go in; what each contributor, document or leaf is worth comes out, and which
samples a quarantine would hold.

A file of its own because a value of one sample is noise to a reader, and a person's share of the
lowest ones is evidence. Nothing here deletes: it names.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from compiler.value.point import Point


@dataclass(frozen=True, slots=True)
class Standing:
    """What all samples of one contributor, document or leaf are worth: how many there are, how many
    of them are among the lowest, and the mean of their values.
    """

    name: str
    samples: int
    lowest: int
    mean: float

    @property
    def share(self) -> float:
        """The share of them that is among the lowest."""
        return self.lowest / self.samples


def lowest(
    points: Iterable[Point], values: Mapping[str, float], share: float, spare: int = 0
) -> tuple[str, ...]:
    """The ids of the `share` of the synthetic samples with the lowest values, the lowest first.

    What a person wrote or a data set has is never among them, nor a value that is not below the
    median, so that equal values condemn nobody. Every leaf has `spare` samples left, where it has
    so many.
    """
    made = [p for p in points if p.made and p.id in values]
    if not made:
        return ()
    middle = median(values[point.id] for point in made)
    left = Counter(point.leaf for point in made)
    most = math.floor(round(share * len(made), 9))
    found: list[str] = []
    for point in sorted(made, key=lambda p: (values[p.id], p.id)):
        if len(found) == most or values[point.id] >= middle:
            break
        if left[point.leaf] > spare:
            left[point.leaf] -= 1
            found.append(point.id)
    return tuple(found)


def standings(
    points: Sequence[Point], values: Mapping[str, float], low: Iterable[str], by: str
) -> tuple[Standing, ...]:
    """The worth of each contributor, document or leaf (`by`), the worst first: who has the largest
    share among the lowest; of equals, who has the lower mean.

    The mean alone would hide a bad sample: values of a class always sum to its accuracy.
    """
    among = set(low)
    groups: dict[str, list[Point]] = {}
    for point in points:
        if point.id in values and (name := getattr(point, by)):
            groups.setdefault(name, []).append(point)
    found = [
        Standing(name, len(of), sum(p.id in among for p in of), fmean(values[p.id] for p in of))
        for name, of in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.share, one.mean, one.name)))
