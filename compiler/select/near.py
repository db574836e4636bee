"""Unit rows go in, one after the other; the most similar of those that were put in comes out.

A file of its own because it is exact without comparing all pairs: of two rows whose cosine is above
a bound, the first term that they share is among the first of both, as long as terms stand in one
order (prefix filtering: Bayardo, Ma, Srikant, "Scaling up all pairs similarity search", WWW 2007).
The rarest come first, so few rows are compared.
"""

import numpy as np

from compiler.features import Sparse

_EXACT = 1e-9  # what sums of floats may be off


class Near:
    """What was put in so far; `above` is the cosine from which a row is found."""

    def __init__(self, vectors: Sparse, above: float) -> None:
        """`vectors` (rows, terms) are unit rows."""
        rows = vectors.tocsr()
        used, columns = np.unique(rows.indices, return_inverse=True)
        often = np.bincount(columns, minlength=len(used))
        rank = np.empty(len(used), np.int64)
        rank[np.lexsort((used, often))] = np.arange(len(used))
        self._above = above
        self._terms: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._first: list[int] = []
        for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
            terms, weights = rank[columns[start:end]], rows.data[start:end]
            order = np.argsort(terms)
            rest = np.sqrt(np.cumsum((weights[order] ** 2)[::-1])[::-1])
            self._terms.append(terms[order])
            self._weights.append(weights[order])
            self._first.append(int(np.count_nonzero(rest > above - _EXACT)))
        self._dense = np.zeros(len(used))
        self._under: dict[int, list[int]] = {}

    def put(self, row: int) -> None:
        """Takes a row, given by its place."""
        for term in self._terms[row][: self._first[row]].tolist():
            self._under.setdefault(term, []).append(row)

    def find(self, row: int) -> tuple[float, int] | None:
        """The highest cosine of a row that was put in, where it is above the bound, and its place;
        of equals the lowest place.
        """
        firsts = self._terms[row][: self._first[row]].tolist()
        met = sorted({other for term in firsts for other in self._under.get(term, ())})
        if not met:
            return None
        self._dense[self._terms[row]] = self._weights[row]
        found = [
            (float(self._dense[self._terms[other]] @ self._weights[other]), -other) for other in met
        ]
        self._dense[self._terms[row]] = 0.0
        cosine, place = max((round(cosine, 12), place) for cosine, place in found)
        return (cosine, -place) if cosine > self._above + _EXACT else None
