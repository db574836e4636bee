"""Graded items go in; the verdicts that a build's own judges had on them come out.

A file of its own because a judge that drops samples needs people's grades as much as an assertion
does, and is read from what a grade kept of its sample: its scores, and why it was dropped.
"""

from collections.abc import Sequence

from compiler.calibrate.item import Item
from compiler.calibrate.measure import Passes
from compiler.codes import (
    CATALOGUE,
    D507,
    D508,
    D509,
    D510,
    D511,
    D515,
    D521,
    D522,
    D529,
    D533,
    D536,
)

# The codes that say a sample is bad. To be a copy, over a budget or aside for evaluation is not.
_BAD = (D507, D508, D509, D510, D511, D515, D521, D522, D529, D533, D536)
_MOST_BARS = 10


def dropped(items: Sequence[Item]) -> list[Passes]:
    """What the judges together made of each item: whether it was kept."""
    ids = {code.id for code in _BAD}
    return [item.drop not in ids for item in items]


def told(items: Sequence[Item]) -> dict[str, list[Passes]]:
    """The verdicts of each judge by name: those that dropped items, and those that a stricter bar
    on a score would have.
    """
    found: dict[str, list[Passes]] = {}
    for code in _BAD:
        if any(item.drop == code.id for item in items):
            found[str(CATALOGUE[code.id])] = [item.drop != code.id for item in items]
    for name in sorted({name for item in items for name in item.scores}):
        said = [item.scores.get(name) for item in items]
        marks = sorted({one for one in said if isinstance(one, int)})
        for bar in marks[1:] if len(marks) <= _MOST_BARS else ():
            found[f"{name} below {bar}"] = [
                one >= bar if isinstance(one, int) else None for one in said
            ]
        if "no" in said and "yes" in said:
            found[f"{name} is no"] = [
                one == "yes" if one in ("yes", "no") else None for one in said
            ]
    return found
