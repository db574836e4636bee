"""Settings and what each leaf has go in; how many samples of each leaf may be taken comes out.

A file of its own because a budget is a promise to every leaf: a minimum, an even share of the
whole, and a limit, in this order.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from compiler.curriculum import SelectSettings
from compiler.diagnostics import counted

KNOWLEDGE = "knowledge"
ROUNDS = range(3)


class Room:
    """How many samples of each leaf may still be taken, in three rounds: what it has in any case,
    its even share of the budget, and its limit.
    """

    def __init__(
        self, rounds: Sequence[Mapping[str, int]], shared: Collection[str], budget: int
    ) -> None:
        """`rounds` are the most samples of each leaf in each round. In the last one the leaves
        `shared` may have `budget` samples all together.
        """
        self.rounds, self.shared, self.budget = rounds, frozenset(shared), budget
        self._taken, self._spent = Counter[str](), 0

    def has(self, number: int, leaf: str) -> bool:
        """Whether the leaf may have another sample in round `number`."""
        if self._taken[leaf] >= self.rounds[number][leaf]:
            return False
        return number < ROUNDS[-1] or leaf not in self.shared or self._spent < self.budget

    def take(self, leaf: str) -> None:
        self._taken[leaf] += 1
        self._spent += leaf in self.shared

    def why(self, leaf: str) -> str:
        """What stands in the way of another sample of a leaf."""
        limit = self.rounds[-1][leaf]
        if self._taken[leaf] >= limit:
            return f"the leaf has its {counted(limit, 'sample')}"
        return f"the budget of {counted(self.budget, 'sample')} is spent"


def room_of(
    sizes: Mapping[str, int], branches: Mapping[str, str], settings: SelectSettings, per_leaf: int
) -> Room:
    """The room of leaves that have so many synthetic samples (`sizes`).

    The budget of the whole build counts skills only: a few good samples teach a style (LIMA, arXiv
    2305.11206), yet each fact has to be told. Where the minimum of all leaves together is more than
    the budget, the minimum holds.
    """
    limit = max(settings.per_leaf or per_leaf, settings.min_per_leaf)
    most = {leaf: min(size, limit) for leaf, size in sizes.items()}
    least = {leaf: min(size, settings.min_per_leaf) for leaf, size in sizes.items()}
    if not settings.budget:
        return Room((least, most, most), (), 0)
    shared = sorted(leaf for leaf in sizes if branches[leaf] != KNOWLEDGE)
    even = {**most, **_even({leaf: most[leaf] for leaf in shared}, settings.budget)}
    even = {leaf: max(even[leaf], least[leaf]) for leaf in sizes}
    return Room((least, even, most), shared, settings.budget)


def _even(most: Mapping[str, int], budget: int) -> dict[str, int]:
    """The same share of the budget for each, where it has so many; what is over goes to the first
    in their order, one each.
    """
    found = dict.fromkeys(most, 0)
    left = budget
    while left and (open_ := [leaf for leaf in most if found[leaf] < most[leaf]]):
        each = left // len(open_)
        for leaf in open_ if each else open_[:left]:
            more = min(max(each, 1), most[leaf] - found[leaf])
            found[leaf] += more
            left -= more
    return found
