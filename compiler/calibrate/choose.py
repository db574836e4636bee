"""Which items each assertion fails goes in; the smallest set that reaches a gate comes out.

A file of its own because the answer is exact: a branch and bound over all sets. Coverage and false
failures can only grow with a set, which bounds both (the program is SPADE's: Shankar et al.,
"SPADE: synthesizing data quality assertions for large language model pipelines", 2024, section 3).
"""

from collections.abc import Sequence

from compiler.calibrate.measure import aligned
from compiler.curriculum import GateSettings


def choose(
    failed: Sequence[int], good: int, bad: int, gate: GateSettings, given: int = 0
) -> tuple[int, ...]:
    """The numbers of the chosen assertions, in order.

    Every argument is a set of items, an int with a bit for each: `failed` those that each assertion
    fails, `good` and `bad` those that people graded so, `given` those that fail anyway.

    It is the smallest set with at least the gate's coverage and no more than its false failures, of
    several the one of highest alignment. Where there is none, it is the one of highest alignment
    among all sets; where the gate asks for no coverage, among those without too many false
    failures; of several the smallest. What is still equal is settled by the assertions' order. Of
    items that are all good or all bad nothing can be chosen.
    """
    if not good or not bad:
        return ()
    search = _Search(failed, good, bad)
    if not gate.min_coverage:
        return search.best(given, 0.0, gate.max_false_failures, by_size=False) or ()
    found = search.best(given, gate.min_coverage, gate.max_false_failures, by_size=True)
    return found if found is not None else search.best(given, 0.0, 1.0, by_size=False) or ()


class _Search:
    """Looks through all sets of assertions, but for those that cannot be better."""

    def __init__(self, failed: Sequence[int], good: int, bad: int) -> None:
        self.failed = failed
        self.good, self.bad = good, bad
        self.goods, self.bads = good.bit_count(), bad.bit_count()
        self.rest = [0] * (len(failed) + 1)  # what any assertion from here on fails
        for i in reversed(range(len(failed))):
            self.rest[i] = self.rest[i + 1] | failed[i]

    def best(
        self, given: int, coverage: float, false_failures: float, *, by_size: bool
    ) -> tuple[int, ...] | None:
        """The best set within the bounds, None where none is."""
        self._coverage, self._false_failures, self._by_size = coverage, false_failures, by_size
        self._found: tuple[int, ...] | None = None
        self._key: tuple[float, float] | None = None
        if self._within(given):
            self._look(0, (), given)
        return self._found

    def _look(self, first: int, chosen: tuple[int, ...], mask: int) -> None:
        if (mask & self.bad).bit_count() / self.bads >= self._coverage:
            key = self._rank(len(chosen), mask, mask)
            if self._key is None or key < self._key:
                self._found, self._key = chosen, key
        for i in range(first, len(self.failed)):
            longer = mask | self.failed[i]
            if longer & self.bad == mask & self.bad:
                continue  # it covers nothing more: without it a set is smaller and as good
            if self._within(longer) and self._may_win(len(chosen) + 1, longer, i + 1):
                self._look(i + 1, (*chosen, i), longer)

    def _within(self, mask: int) -> bool:
        return (mask & self.good).bit_count() / self.goods <= self._false_failures

    def _may_win(self, size: int, mask: int, after: int) -> bool:
        """Whether this set, or one that begins with it, may be better than the best so far."""
        all_of_it = mask | self.rest[after]
        if (all_of_it & self.bad).bit_count() / self.bads < self._coverage:
            return False
        short = (
            mask & self.bad
        ).bit_count() / self.bads < self._coverage  # needs one more at least
        return self._key is None or self._rank(size + short, mask, all_of_it) < self._key

    def _rank(self, size: int, low: int, high: int) -> tuple[float, float]:
        """The lower the better, for a set whose false failures are those of `low` and whose
        coverage is that of `high`.
        """
        failed_good = (low & self.good).bit_count()
        failed_bad = (high & self.bad).bit_count()
        alignment = aligned(failed_good, failed_bad, self.goods, self.bads) or 0.0
        return (size, -alignment) if self._by_size else (-alignment, size)
