"""Counts of terms go in; a classifier comes out that learns a point at a time: multinomial naive
Bayes.

A file of its own because it is what makes class-wise values of a thousand samples affordable:
adding a point only adds to counts, so that nothing is trained anew, and a whole walk is a few
products of matrices. Texts are counted over hashed terms.
"""

from collections.abc import Iterator

import numpy as np

from compiler.features import Sparse
from compiler.value.cs import Floats, Ints

SMOOTHING = 1.0
_BLOCK = 64  # points of a walk that are added at once
_TIE = 1e-8  # scores that differ by less are the same; the class that comes first wins


class Bayes:
    """Naive Bayes over term counts, with `SMOOTHING` added to each; priors are shares of points."""

    def __init__(self, points: Sparse, labels: Ints, dev: Sparse) -> None:
        """`points` (points, terms) and `dev` (dev, terms) are counts; `labels` (points,) are
        classes from 0. Terms that no point has tell nothing of a class and are left out.
        """
        known = np.unique(points.indices)
        self._points = points[:, known].tocsr()
        self._dev = dev[:, known].tocsc()
        self._length = np.asarray(self._dev.sum(axis=1)).ravel()
        self._terms = len(known)
        self._labels = labels
        self._scores: dict[tuple[int, bytes], Floats] = {}
        self._classes = [self._class(label) for label in range(int(labels.max()) + 1)]
        self._place = np.zeros(len(labels), np.int64)
        for own, *_ in self._classes:
            self._place[own] = np.arange(len(own))

    def full(self) -> Ints:
        """The labels (dev,) after training on all points."""
        everything = tuple(own for own, *_ in self._classes)
        return self._winner(everything)[1]

    def walk(self, label: int, environment: tuple[Ints, ...], order: Ints) -> Iterator[Ints]:
        """As `Classifier.walk` has it."""
        best, winner = self._winner(environment)
        _, counts, _ = self._classes[label]
        before = np.zeros(counts.shape[1])
        for start in range(0, len(order), _BLOCK):
            places = self._place[order[start : start + _BLOCK]]
            sums = np.cumsum(counts[places], axis=0) + before
            scores = self._score(label, sums, np.arange(start + 1, start + len(places) + 1))
            yield self._told(label, scores, best, winner)
            before = sums[-1]

    def without(self, label: int) -> Ints:
        """The labels (own, dev) after training on all points but one of the class, for each."""
        own, counts, _ = self._classes[label]
        none = np.zeros(0, np.int64)
        others = tuple(none if j == label else c[0] for j, c in enumerate(self._classes))
        best, winner = self._winner(others)
        if len(own) == 1:  # without it there is no such class
            return winner[None, :]
        scores = self._score(label, counts.sum(axis=0) - counts, np.array([len(own) - 1]))
        return self._told(label, scores, best, winner)

    def _class(self, label: int) -> tuple[Ints, Floats, Floats]:
        """The points of a class, their counts (own, its terms), and the dev set's (its terms,
        dev).
        """
        own = np.flatnonzero(self._labels == label)
        rows = self._points[own]
        used = np.unique(rows.indices)
        return own, rows[:, used].toarray(), self._dev[:, used].T.toarray()

    def _score(self, label: int, sums: Floats, number: Ints) -> Floats:
        """Log-likelihoods (sets, dev) of a class whose `number` (sets,) points have `sums` (sets,
        its terms); what is the same for all classes is left out.
        """
        dev = self._classes[label][2]
        total = np.log(sums.sum(axis=1) + SMOOTHING * self._terms)
        heard: Floats = np.log1p(sums / SMOOTHING) @ dev
        return heard - np.outer(total, self._length) + np.log(number)[:, None]

    def _winner(self, environment: tuple[Ints, ...]) -> tuple[Floats, Ints]:
        """The highest score (dev,) of the classes in an environment, and which they are."""
        present = [label for label, points in enumerate(environment) if len(points)]
        if not present:
            missing = np.full(self._dev.shape[0], -1)
            return np.full(self._dev.shape[0], -np.inf), missing
        scores = np.stack([self._of(label, environment[label]) for label in present])
        first = scores.argmax(axis=0)
        return scores.max(axis=0), np.array(present)[first]

    def _of(self, label: int, points: Ints) -> Floats:
        """The score (dev,) of a class of these points; environments share it."""
        key = label, points.tobytes()
        if key not in self._scores:
            sums = self._classes[label][1][self._place[points]].sum(axis=0)
            score = self._score(label, sums[None, :], np.array([len(points)]))[0]
            self._scores[key] = score.round(9)
        return self._scores[key]

    def _told(self, label: int, scores: Floats, best: Floats, winner: Ints) -> Ints:
        """The labels (sets, dev) of a class with these scores among the others."""
        need = np.where(winner < label, best + _TIE, best - _TIE)
        return np.where(scores > need, label, winner)
