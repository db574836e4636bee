"""The samples of a phase go in; those that its limits leave come out: generations, budget, people.

A file of its own because each limit gives up samples that were paid for, so each says of every one
why; and the floor of what people wrote, where it cannot be held, is an error and nothing else.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.codes import D513, D540, D544, M313, Code
from compiler.diagnostics import Report, counted
from compiler.mix.draws import even
from compiler.mix.weigh import Weighed, human_share, without
from compiler.spool import Kept


@dataclass(frozen=True, slots=True)
class Cut:
    """A sample that is in no phase, and why."""

    sample: Kept
    code: Code
    detail: str


def over_generation(samples: Sequence[Weighed], most: int) -> list[Cut]:
    """The samples that are more than so many generations away from people (0: none)."""
    return [
        Cut(w.kept, D544, f"generation {w.generation} of at most {most}")
        for w in samples
        if most and w.generation > most
    ]


def over_budget(name: str, samples: Sequence[Weighed], budget: int, seed: int) -> list[Cut]:
    """The samples for which a phase has no room (0: room for all), as many left of every leaf as
    nearly as can be; people's seed examples are never among them.
    """
    others = even([w for w in samples if not w.seed], seed)
    room = max(0, budget - (len(samples) - len(others))) if budget else len(others)
    return [Cut(w.kept, D513, f"{name} has its {budget} samples") for _, w in others[room:]]


def over_floor(
    name: str, samples: Sequence[Weighed], floor: float, least: int, seed: int, report: Report
) -> list[Cut]:
    """The synthetic samples without which people wrote the share `floor` of a phase's words.

    The leaf with the most of them loses first, down to `least`, and of each leaf those that its
    judges liked least. M313 where that is not enough.
    """
    people = sum(w.words for w in samples if w.human)
    total = sum(w.words for w in samples)
    over: list[Cut] = []
    for place, w in reversed(even([w for w in samples if not w.human], seed)):
        if people >= floor * total or place < least:
            break
        over.append(Cut(w.kept, D540, f"people write {floor:.1%} of the words of {name}"))
        total -= w.words
    if people >= floor * total:
        return over
    _say_floor(name, without(samples, (one.sample for one in over)), floor, least, report)
    return []


def _say_floor(
    name: str, samples: Sequence[Weighed], floor: float, least: int, report: Report
) -> None:
    """M313 for the leaf of which people wrote least."""
    by_leaf: defaultdict[str, list[Weighed]] = defaultdict(list)
    for w in samples:
        by_leaf[w.kept.leaf].append(w)
    leaf = min(by_leaf, key=lambda leaf: (human_share(by_leaf[leaf]), leaf))
    reached = human_share(samples)
    is_data = leaf.startswith("sources/")
    more = "lower `samples` of that data set" if is_data else f"write more examples for `{leaf}`"
    report.add(
        M313,
        f"{name}: people wrote {reached:.1%} of its words when every leaf keeps "
        f"{counted(least, 'synthetic sample')}, and {floor:.1%} are wanted; "
        f"of `{leaf}` they wrote {human_share(by_leaf[leaf]):.1%}",
        hint=f"{more}, or set `mix.min_human` to {math.floor(100 * reached) / 100} or less",
    )
