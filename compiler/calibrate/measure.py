"""People's grades and an assertion's verdicts go in; how well the two agree comes out.

A file of its own because these are the figures that a gate rests on: plain counts and the formulas
of EvalGen (Shankar et al., "Who validates the validators?", 2024, section 4). A figure whose
denominator is 0 is undefined, and None here.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

Passes = bool | None
"""Whether an item passes; None where the assertion could not say, which is a skip."""

_Z = 1.959963984540054  # the normal distribution's 97.5% quantile


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of graded items, and of those that failed; `skipped` had no verdict.

    A skipped item counts as one that did not fail, for a compile keeps it.
    """

    good: int = 0
    bad: int = 0
    failed_good: int = 0
    failed_bad: int = 0
    skipped: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        names = (one.name for one in fields(self))
        return Figures(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def coverage(self) -> float | None:
        """The share of the bad items that failed."""
        return self.failed_bad / self.bad if self.bad else None

    @property
    def false_failures(self) -> float | None:
        """The share of the good items that failed."""
        return self.failed_good / self.good if self.good else None

    @property
    def alignment(self) -> float | None:
        """The harmonic mean of coverage and of the share of the good items that did not fail."""
        return aligned(self.failed_good, self.failed_bad, self.good, self.bad)

    @property
    def mcc(self) -> float | None:
        """Matthews' correlation of failing and being bad, -1 to 1."""
        passed_good, passed_bad = self.good - self.failed_good, self.bad - self.failed_bad
        failed = self.failed_good + self.failed_bad
        below = failed * (passed_good + passed_bad) * self.good * self.bad
        if not below:
            return None
        above = self.failed_bad * passed_good - self.failed_good * passed_bad
        return above / math.sqrt(below)

    def as_json(self) -> dict[str, object]:
        """The counts and all figures; null where one is undefined."""
        return {
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "coverage": self.coverage,
            "coverage_interval": wilson(self.failed_bad, self.bad),
            "false_failures": self.false_failures,
            "false_failures_interval": wilson(self.failed_good, self.good),
            "alignment": self.alignment,
            "mcc": self.mcc,
        }


def aligned(failed_good: int, failed_bad: int, good: int, bad: int) -> float | None:
    """The alignment as one division of whole numbers, so that equal ones compare as equal."""
    if not good or not bad:
        return None
    passed_good = good - failed_good
    below = failed_bad * good + passed_good * bad
    return 2 * failed_bad * passed_good / below if below else 0.0


def measure(good: Sequence[bool], verdicts: Sequence[Passes]) -> Figures:
    """The figures of one assertion, or of a set: `good` are people's grades of the same items."""
    pairs = list(zip(good, verdicts, strict=True))
    return Figures(
        sum(grade for grade in good),
        sum(not grade for grade in good),
        sum(grade and verdict is False for grade, verdict in pairs),
        sum(not grade and verdict is False for grade, verdict in pairs),
        sum(verdict is None for verdict in verdicts),
    )


def union(of: Iterable[Sequence[Passes]], number: int) -> list[Passes]:
    """The verdicts of a set of assertions on `number` items: an item fails where any of them fails
    it, however many do, and is skipped where all of them skip it.
    """
    columns = list(of)
    together: list[Passes] = []
    for i in range(number):
        said = [verdicts[i] for verdicts in columns]
        skipped = bool(said) and all(verdict is None for verdict in said)
        together.append(None if skipped else False not in said)
    return together


def wilson(hits: int, number: int) -> tuple[float, float] | None:
    """The 95% interval of a share (Wilson, "Probable inference", 1927); None of nothing."""
    if not number:
        return None
    share, square = hits / number, _Z * _Z
    middle = share + square / (2 * number)
    spread = _Z * math.sqrt(share * (1 - share) / number + square / (4 * number * number))
    whole = 1 + square / number
    low, high = (middle - spread) / whole, (middle + spread) / whole
    return max(0.0, low) if hits else 0.0, min(1.0, high) if hits < number else 1.0
