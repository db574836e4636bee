"""A pool and what was taken of it go in; four numbers come out, for the pool, for the selection and
for a random one, and what each step of the budget gained.

A file of its own because every single objective loses on another: a selection by score repeats
itself, one by diversity takes what is poor. So all four are said, always, beside chance.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.features import Sparse
from compiler.select.pool import Pool

LOOKED_AT = 5_000
_BLOCK = 500


@dataclass(frozen=True, slots=True)
class FourNumbers:
    """Of `count` synthetic samples: their mean utility, the highest cosine of two of them, how many
    leaves they are of, and the mean, over the pool, of its highest cosine to one of them.

    Of more than `LOOKED_AT` samples as many are drawn for the cosines.
    """

    count: int
    utility: float
    similarity: float
    leaves: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Step:
    """The first `count` samples in the order of taking: their mean utility, the coverage of the
    pool, and how much coverage each sample since the last step gained.
    """

    count: int
    utility: float
    coverage: float
    gain: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a selection did, beside all that there was and a random selection of the same size;
    `curve` shows where more samples stop to pay.
    """

    pool: FourNumbers
    selection: FourNumbers
    random: FourNumbers
    curve: tuple[Step, ...]


def numbers_of(pool: Pool, taken: Sequence[int], seed: int) -> Numbers:
    """The numbers of a selection; `taken` are places in the pool, in the order of taking."""
    chance = random.Random(f"{seed}-numbers")
    made = sorted(pool.made, key=pool.ids.__getitem__)
    looked = sorted(chance.sample(made, LOOKED_AT)) if len(made) > LOOKED_AT else sorted(made)
    drawn = chance.sample(made, len(taken))
    return Numbers(
        _four(pool, made, looked, chance),
        _four(pool, taken, looked, chance),
        _four(pool, drawn, looked, chance),
        _curve(pool, taken, looked),
    )


def _four(
    pool: Pool, places: Sequence[int], looked: Sequence[int], chance: random.Random
) -> FourNumbers:
    of = sorted(places)
    few = sorted(chance.sample(of, LOOKED_AT)) if len(of) > LOOKED_AT else of
    return FourNumbers(
        len(of),
        _mean(pool.utility[of]),
        _highest_pair(pool.vectors[few]),
        len({pool.leaves[place] for place in of}),
        _mean(_nearest(pool.vectors[looked], pool.vectors[of])),
    )


def _curve(pool: Pool, taken: Sequence[int], looked: Sequence[int]) -> tuple[Step, ...]:
    """A step at each doubling of the budget, and one at its end."""
    sizes = [2**n for n in range(len(taken).bit_length()) if 2**n < len(taken)]
    steps: list[Step] = []
    best, before = np.zeros(len(looked)), 0
    for size in [*sizes, *([len(taken)] if taken else [])]:
        part = _nearest(pool.vectors[looked], pool.vectors[list(taken[before:size])])
        best = np.maximum(best, part)
        coverage = _mean(best)
        gained = (coverage - (steps[-1].coverage if steps else 0.0)) / (size - before)
        utility = _mean(pool.utility[list(taken[:size])])
        steps.append(Step(size, utility, coverage, round(gained, 9)))
        before = size
    return tuple(steps)


def _nearest(rows: Sparse, others: Sparse) -> np.ndarray:
    """The highest cosine (rows,) of each row to one of the others; 0 where there is none."""
    if not others.shape[0]:
        return np.zeros(rows.shape[0])
    other = others.T.tocsr()
    parts = [
        (rows[at : at + _BLOCK] @ other).max(axis=1).toarray().ravel()
        for at in range(0, rows.shape[0], _BLOCK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _highest_pair(rows: Sparse) -> float:
    other, highest = rows.T.tocsr(), 0.0
    for at in range(0, rows.shape[0], _BLOCK):
        found = (rows[at : at + _BLOCK] @ other).toarray()
        found[np.arange(len(found)), np.arange(at, at + len(found))] = 0.0
        highest = max(highest, float(found.max(initial=0.0)))
    return round(highest, 9)


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), 9) if len(values) else 0.0
