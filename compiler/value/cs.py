"""A classifier and its points go in; the class-wise Shapley value of each point comes out.

A file of its own because it is the algorithm as published, and knows nothing of texts: CS-Shapley
(Schoch, Xu, Ji, "CS-Shapley: Class-wise Shapley Values for Data Valuation in Classification",
arXiv 2211.06800, section 4 and algorithm 1).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, combinations, permutations, product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Walk = tuple[tuple[Ints, ...], Ints]
"""An environment, as points of each class (of the own class none), and own points in an order."""
Walks = Callable[[int], Iterable[Walk]]
"""The walks of a class, given by its number."""


class Classifier(Protocol):
    """What can be trained on some of the points, and asked for the labels of the dev set."""

    def full(self) -> Ints:
        """The labels (dev,) after training on all points."""
        ...

    def walk(self, label: int, environment: tuple[Ints, ...], order: Ints) -> Iterator[Ints]:
        """The labels (points, dev), in blocks, after each point of `order`, which are of class
        `label`, was added to the environment.
        """
        ...


def cs_shapley(
    classifier: Classifier, labels: Ints, asked: Ints, walks: Walks, truncation: float = 0.0
) -> Floats:
    """The value of each point, not normalised. `labels` (points,) and `asked` (dev,) are classes
    from 0.

    The worth of a set of points is `a_in * exp(a_out)`: the share of the dev set that is of the own
    class and recognised, and that of the other classes. A value is the mean gain over `walks`.
    Before the first point of the own class the worth is 0, and no environment is empty: by
    equation 5 of the paper it could be, yet neither its algorithm 1 nor its implementations have
    that, and the values differ. A walk ends where `a_in` is within `truncation` of what it is with
    all points; 0 walks to the end.
    """
    values = np.zeros(len(labels))
    full = classifier.full()
    for label in np.unique(labels):
        inside = asked == label
        aim = np.mean((full == asked) & inside)
        number = 0
        for environment, order in walks(int(label)):
            number += 1
            before, place = 0.0, 0
            for said in classifier.walk(int(label), environment, order):
                right = said == asked
                a_in = (right & inside).mean(axis=1)
                worth = a_in * np.exp((right & ~inside).mean(axis=1))
                near = np.flatnonzero(np.abs(aim - a_in) < truncation)
                stop = near[0] + 1 if len(near) else len(worth)
                values[order[place : place + stop]] += np.diff(worth[:stop], prepend=before)
                if len(near):
                    break
                before, place = worth[-1], place + len(worth)
        values[labels == label] /= max(number, 1)
    return values


def normalised(values: Floats, labels: Ints, asked: Ints, full: Ints) -> Floats:
    """Values of which those of a class sum to its in-class accuracy with all points, `full` being
    the labels then told (equation 7 of the paper). A class that is never recognised has zeros.
    """
    scaled = np.zeros_like(values)
    for label in np.unique(labels):
        own = labels == label
        total = values[own].sum()
        if total > 0:
            scaled[own] = values[own] / total * np.mean((full == asked) & (asked == label))
    return scaled


def drawn(labels: Ints, number: int, seed: int) -> Walks:
    """`number` walks a class. From each other class any of its subsets but the empty one is as
    likely; the same draws of a class are in the environments of all others.
    """
    chance = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    subsets = [[_some(of, chance) for _ in range(number)] for of in classes]
    orders = [[chance.permutation(of) for _ in range(number)] for of in classes]
    none = np.zeros(0, np.int64)

    def walks(label: int) -> Iterator[Walk]:
        for k in range(number):
            others = tuple(none if j == label else some[k] for j, some in enumerate(subsets))
            yield others, orders[label][k]

    return walks


def every(labels: Ints) -> Walks:
    """All environments with all orders, once each: exact values."""
    classes = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]

    def subsets(of: Ints) -> list[Ints]:
        sizes = range(1, len(of) + 1)
        return [np.array(s) for s in chain.from_iterable(combinations(of, r) for r in sizes)]

    def walks(label: int) -> Iterator[Walk]:
        none = [np.zeros(0, np.int64)]
        others = [none if j == label else subsets(of) for j, of in enumerate(classes)]
        for environment in product(*others):
            for order in permutations(classes[label]):
                yield environment, np.array(order)

    return walks


def walks_of(labels: Ints, number: int, seed: int) -> Walks:
    """Every walk where no class has more than `number` of them; else as many draws."""
    sizes = np.bincount(labels)
    all_of = [
        math.factorial(min(own, 20)) * math.prod(2 ** int(n) - 1 for n in np.delete(sizes, j))
        for j, own in enumerate(sizes.tolist())
    ]
    return every(labels) if max(all_of) <= number else drawn(labels, number, seed)


def _some(of: Ints, chance: np.random.Generator) -> Ints:
    """Some of these, at least one; nothing of nothing."""
    while len(of):
        chosen = of[chance.random(len(of)) < 0.5]
        if len(chosen):
            return chosen
    return of
