"""Samples go in; the points to value come out, sorted into classes, beside the questions that judge
them.

A file of its own because it decides what a value is about. A class is a leaf: a sample is worth
what it adds to telling its leaf from the others. Judges are people: the held-out questions first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.expand import Sample
from compiler.value.cs import Ints

LEAST_POINTS = 3
LEAST_DEV = 5


@dataclass(frozen=True, slots=True)
class Point:
    """A sample as it is valued: the text of all its messages, and whom it is from. `document` is ""
    where it has none; `human` is a person's example, `made` a synthetic sample, and what is neither
    is of a data set.
    """

    id: str
    text: str
    leaf: str
    branch: str
    contributor: str
    document: str
    human: bool
    made: bool


@dataclass(frozen=True, slots=True)
class Task:
    """Points with their classes (points,) and what judges them with its classes (dev,), as numbers
    of `names`.
    """

    points: tuple[Point, ...]
    labels: Ints
    dev: tuple[Point, ...]
    asked: Ints
    names: tuple[str, ...]


def point_of(sample: Sample) -> Point:
    """A sample of a compile."""
    origin = sample.origin
    return Point(
        sample.id,
        "\n".join(message.content for message in sample.messages),
        sample.leaf,
        sample.branch,
        origin.contributor,
        origin.document,
        origin.of_seed,
        origin.made,
    )


def point_from(line: Mapping[str, Any]) -> Point:
    """A line of `samples.jsonl` or `heldout.jsonl`. Raises KeyError or TypeError for another."""
    origin = line["origin"]
    return Point(
        str(line["id"]),
        "\n".join(str(message["content"]) for message in line["messages"]),
        str(line["leaf"]),
        str(line["branch"]),
        str(origin["contributor"]),
        str(origin["document"]),
        origin["kind"] == "seed",
        origin["kind"] == "synthetic",
    )


def task_of(samples: Iterable[Point], held_out: Sequence[Point]) -> Task:
    """What is valued, by what.

    The dev set is what people wrote and nothing trains on: the held-out questions. A leaf with
    fewer than `LEAST_DEV` of them adds its other human examples, which then have no value
    themselves. A leaf with fewer than `LEAST_POINTS` synthetic samples, or without a dev question,
    is not a class: its points are of the class of their branch.
    """
    known = tuple(samples)
    held = Counter(point.leaf for point in held_out)
    judging = [p for p in known if p.human and held[p.leaf] < LEAST_DEV]
    dev = (*held_out, *judging)
    points = tuple(p for p in known if not (p.human and held[p.leaf] < LEAST_DEV))
    made = Counter(point.leaf for point in known if not point.human)
    asked = Counter(point.leaf for point in dev)

    def class_of(point: Point) -> str:
        whole = made[point.leaf] >= LEAST_POINTS and asked[point.leaf]
        return point.leaf if whole else point.branch

    names = sorted({class_of(point) for point in points})
    number = {name: place for place, name in enumerate(names)}
    of_dev = [(point, class_of(point)) for point in dev]
    told = tuple(point for point, name in of_dev if name in number)
    return Task(
        points,
        np.array([number[class_of(point)] for point in points], np.int64),
        told,
        np.array([number[name] for _, name in of_dev if name in number], np.int64),
        tuple(names),
    )
