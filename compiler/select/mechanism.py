"""A pool and room go in; which samples are taken comes out, in the order of taking.

A file of its own because utility, room and mechanism are three choices, and each of the mechanisms
is a page of its field: threshold greedy (DEITA, arXiv 2312.15685, algorithm 1) and facility
location with a lazy greedy (Minoux, 1978; Mirzasoleiman et al., arXiv 1409.7938).
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compiler.features import Sparse
from compiler.select.near import Near
from compiler.select.pool import Pool
from compiler.select.room import ROUNDS, Room

Floats = NDArray[np.float64]
TOGETHER = 5_000  # samples that facility location looks at together; else leaf by leaf
_BLOCK = 500


@dataclass(slots=True)
class Taken:
    """The places that were taken, in order; of what is too similar, the cosine and the place of the
    sample that it is too similar to.
    """

    places: list[int] = field(default_factory=list)
    near: dict[int, tuple[float, int]] = field(default_factory=dict)


def greedy(pool: Pool, room: Room, similarity: float) -> Taken:
    """The most useful first; none whose cosine with one that was taken is above `similarity`.

    People's samples count as taken. A leaf that would have less than its minimum gets what is too
    similar all the same, the least similar first.
    """
    taken, near = Taken(), Near(pool.vectors, similarity)
    for place, human in enumerate(pool.human):
        if human:
            near.put(place)
    left = pool.ranking
    for number in ROUNDS:
        waiting = []
        for place in left:
            leaf = pool.leaves[place]
            if not room.has(number, leaf):
                waiting.append(place)
            elif found := near.find(place):
                taken.near[place] = found
            else:
                near.put(place)
                taken.places.append(place)
                room.take(leaf)
        left = waiting
    for place in sorted(taken.near, key=lambda place: (taken.near[place][0], pool.ids[place])):
        if room.has(0, pool.leaves[place]):
            del taken.near[place]
            taken.places.append(place)
            room.take(pool.leaves[place])
    return taken


def facility_location(pool: Pool, room: Room) -> Taken:
    """What represents the pool best: the sum, over the pool, of the highest `utility * cosine` of a
    taken sample; each time the one that raises it most.

    The sum is submodular, so that gains only shrink, and one is computed again only where it could
    still be the highest. People's samples count as taken, with a utility of 1. Of equal gains the
    more useful, then the first id wins. Above `TOGETHER` samples each leaf is represented alone.
    """
    taken = Taken()
    everything = list(range(len(pool.ids)))
    groups = [everything]
    if len(everything) > TOGETHER:
        by_leaf: dict[str, list[int]] = {}
        for place in everything:
            by_leaf.setdefault(pool.leaves[place], []).append(place)
        groups = list(by_leaf.values())
    for group in groups:
        _represent(pool, group, room, taken)
    return taken


def _represent(pool: Pool, group: Sequence[int], room: Room, taken: Taken) -> None:
    column = _columns(pool.vectors[group], pool.utility[list(group)])
    best = np.zeros(len(group))
    order = []
    for number, place in enumerate(group):
        if pool.human[place]:
            best = np.maximum(best, column(number))
        else:
            order.append(number)
    gains = [
        (-_gain(column(n), best), -pool.utility[group[n]], pool.ids[group[n]], n) for n in order
    ]
    for round_ in ROUNDS:
        heap, waiting = list(gains), []
        heapq.heapify(heap)
        while heap:
            first = heapq.heappop(heap)
            number, leaf = first[3], pool.leaves[group[first[3]]]
            if not room.has(round_, leaf):
                waiting.append(first)
                continue
            now = (-_gain(column(number), best), *first[1:])
            if heap and now > heap[0]:
                heapq.heappush(heap, now)
                continue
            best = np.maximum(best, column(number))
            taken.places.append(group[number])
            room.take(leaf)
        gains = waiting


def _columns(vectors: Sparse, utility: Floats) -> Callable[[int], Floats]:
    """What gives utility times cosine of one with all, never below 0: from a table where that is
    small.
    """
    if len(utility) <= TOGETHER:
        table = np.empty((len(utility), len(utility)))
        for at in range(0, len(utility), _BLOCK):
            table[at : at + _BLOCK] = (vectors[at : at + _BLOCK] @ vectors.T).toarray()
        table *= utility[:, None]
        return table.__getitem__
    return lambda number: (vectors @ vectors[number].T).toarray().ravel() * utility[number]


def _gain(column: Floats, best: Floats) -> float:
    return float(round(np.maximum(column - best, 0.0).sum(), 9))
