"""Unit rows of points and of a dev set go in; KNN-Shapley values come out, in closed form.

A file of its own because it is another method than CS-Shapley: exact, without a draw, and fast
enough for every build (Jia et al., "Efficient task-specific data valuation for nearest neighbor
algorithms", VLDB 2019, arXiv 1908.08619, theorem 1).
"""

import numpy as np

from compiler.features import Sparse
from compiler.value.cs import Floats, Ints

NEIGHBOURS = 5
_BLOCK = 64  # of the dev set that are looked at together


def knn_shapley(
    points: Sparse, labels: Ints, dev: Sparse, asked: Ints, neighbours: int = NEIGHBOURS
) -> Floats:
    """The Shapley value (points,) of each point where the worth of a set is the mean share, over
    the dev set, of right labels among the nearest `neighbours`, those that are missing being wrong.

    Rows are of unit length, the nearest have the highest cosine; of equal ones the first is nearer.
    """
    number = len(labels)
    values = np.zeros(number)
    rank = np.arange(1, number)
    weight = np.minimum(neighbours, rank) / (neighbours * rank)
    for start in range(0, len(asked), _BLOCK):
        cosines = (dev[start : start + _BLOCK] @ points.T).toarray().round(9)
        for cosine, label in zip(cosines, asked[start : start + _BLOCK], strict=True):
            nearest = np.argsort(-cosine, kind="stable")
            right = (labels[nearest] == label).astype(np.float64)
            gains = np.zeros(number)
            gains[-1] = right[-1] * min(neighbours, number) / (neighbours * number)
            gains[:-1] = (right[:-1] - right[1:]) * weight
            values[nearest] += np.cumsum(gains[::-1])[::-1]
    return values / max(len(asked), 1)
