"""Two models' values at the same questions go in; how surely they differ comes out.

A file of its own because this is statistics and nothing else. Models are compared question by
question, so what is hard for both does not blur the difference, and by resampling (Efron and
Tibshirani 1993, chapter 13; for systems that answer the same questions Koehn 2004, W04-3250).
Questions of one leaf stand on one text, and go well or badly together: where at least FEWEST leaves
take part, whole leaves are drawn (Field and Welsh 2007; for evaluations Miller 2024,
arXiv 2411.00640). With fewer, questions are drawn, and the interval speaks of these leaves alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from training.evaluate.scores import DIGITS, LOSS, Column, Indices, Numbers

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST = 6
"""Fewer that all go one way are no evidence: 2 * 0.5 ** 5 is over 1 - LEVEL."""
_SEED = 1729
_AT_ONCE = 2**22

IMPROVED, REGRESSED, SAME, FEW = "improved", "regressed", "no change", "too few"


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the second is above the first, the interval of it, and the verdict.

    `n` questions were compared; `units` (leaves or questions, as `by` says) were resampled. The
    interval is None where there are too few.
    """

    difference: float
    low: float | None
    high: float | None
    verdict: str
    n: int
    units: int
    by: str

    def as_json(self) -> dict[str, object]:
        """The difference for evaluation.json."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare(
    name: str,
    first: Column,
    second: Column,
    leaves: Sequence[str],
    chosen: Indices | None = None,
) -> Difference | None:
    """The difference of a measure between two models, over those of the `chosen` questions (all,
    where that is None) that it applies to in both; None where there is none, or where the loss is
    of other tokens.

    The interval takes the percentiles of the resampled differences, moved outwards as far as
    Student's t asks for with so few units (the expanded interval of Hesterberg 2015,
    arXiv 1411.5279).
    """
    over = np.arange(len(leaves)) if chosen is None else chosen
    over = over[first.applies[over] & second.applies[over]]
    if not len(over) or (name == LOSS and (first.below[over] != second.below[over]).any()):
        return None
    numbers = {leaf: i for i, leaf in enumerate(dict.fromkeys(leaves[i] for i in over))}
    by = "leaf" if FEWEST <= len(numbers) < len(over) else "question"
    unit = [numbers[leaves[i]] if by == "leaf" else n for n, i in enumerate(over)]
    units = len(numbers) if by == "leaf" else len(over)
    sums = np.zeros((units, 4))
    parts = (first.above, first.below, second.above, second.below)
    np.add.at(sums, unit, np.stack([part[over] for part in parts], axis=1))
    found = float(_differences(sums.sum(axis=0, keepdims=True))[0])
    if units < FEWEST:
        return Difference(round(found, DIGITS), None, None, FEW, len(over), units, by)
    equal = (sums[:, :2] == sums[:, 2:]).all()
    low, high = (0.0, 0.0) if equal else _interval(sums)
    better = -found if name == LOSS else found
    # Where all units say the same, sums of floats may still miss 0 by their last digits.
    verdict = SAME if low <= 1e-9 and high >= -1e-9 else IMPROVED if better > 0 else REGRESSED
    ends = (round(found, DIGITS), round(low, DIGITS), round(high, DIGITS))
    return Difference(*ends, verdict, len(over), units, by)


def _differences(sums: Numbers) -> Numbers:
    """Of rows of sums (above and below of the first, of the second) the second's mean above the
    first's.
    """
    result: Numbers = sums[:, 2] / sums[:, 3] - sums[:, 0] / sums[:, 1]
    return result


def _interval(sums: Numbers) -> tuple[float, float]:
    units = len(sums)
    reach = stats.t.ppf((1 - LEVEL) / 2, units - 1) * np.sqrt(units / (units - 1))
    tail = float(stats.norm.cdf(reach))
    each = np.concatenate([_differences(drawn @ sums) for drawn in _drawn(units)])
    low, high = np.quantile(each, [tail, 1 - tail])
    return float(low), float(high)


def _drawn(units: int) -> Iterable[Numbers]:
    """How often each unit is drawn, a row for each resample, in blocks; the same for every
    comparison of so many units.
    """
    return _few(units) if units * RESAMPLES <= _AT_ONCE else _blocks(units)


@lru_cache(maxsize=4)
def _few(units: int) -> tuple[Numbers, ...]:
    return tuple(_blocks(units))


def _blocks(units: int) -> Iterator[Numbers]:
    draw = np.random.default_rng((_SEED, units))
    most = max(1, _AT_ONCE // units)
    for at in range(0, RESAMPLES, most):
        rows = min(most, RESAMPLES - at)
        drawn = draw.integers(units, size=(rows, units)) + units * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * units)
        yield counts.reshape(rows, units).astype(np.float64)
