"""Samples that the sift kept go in; those that are worth training on come out, within the budget,
and why each of the others is not.

A package of its own because a sift asks of a sample whether it is sound, and a selection which of
the sound ones are of most use together. What people wrote is always kept.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from compiler.codes import D513, D540, D541, D542, Code
from compiler.curriculum import SelectSettings
from compiler.expand import Sample
from compiler.select.room import Room, room_of
from compiler.spool import Kept, Spool

if TYPE_CHECKING:
    from compiler.select.numbers import Numbers

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples that stay, in the order of the build; the others with their code and why. Of the
    first ones in their order (`order`) there are no `numbers`.
    """

    kept: tuple[Kept, ...]
    dropped: tuple[tuple[Kept, Code, str], ...]
    numbers: "Numbers | None" = None


def select(
    samples: Spool[Sample],
    kept: Sequence[Kept],
    held_out: Sequence[Sample],
    settings: SelectSettings,
    per_leaf: int,
    seed: int,
) -> Selection:
    """Selects of the samples that were kept; `per_leaf` counts where the settings do not say.

    `held_out` are what values are judged by. Samples with the lowest values are set aside first;
    the others are taken by the settings' mechanism.
    """
    values, aside = _quarantine(samples, kept, held_out, settings, seed)
    left = [one for one in kept if one.id not in aside]
    made = [one for one in left if not one.human]
    branches = {one.leaf: one.branch for one in made}
    room = room_of(Counter(one.leaf for one in made), branches, settings, per_leaf)
    if settings.mechanism == "order":
        why, numbers = _first(made, room), None
    else:
        why, numbers = _best(samples, left, settings, room, values, seed)
    dropped = {**aside, **why}
    return Selection(
        tuple(one for one in kept if one.human or one.id not in dropped),
        tuple((one, *dropped[one.id]) for one in kept if not one.human and one.id in dropped),
        numbers,
    )


_Why = dict[str, tuple[Code, str]]


def _quarantine(
    samples: Spool[Sample],
    kept: Sequence[Kept],
    held_out: Sequence[Sample],
    settings: SelectSettings,
    seed: int,
) -> tuple[dict[str, float], _Why]:
    """The value of each sample by its id, where something needs it, and those to set aside."""
    said = settings.value
    ranks = settings.mechanism != "order" and "value" in settings.utility
    if not (said.quarantine or ranks):
        return {}, {}
    if said.method == "none":
        said = replace(said, method="knn-shapley")
    from compiler.value import lowest, point_of, task_of, value

    points = (point_of(samples[one.place]) for one in kept)
    task = task_of(points, [point_of(sample) for sample in held_out])
    values = value(task, said, seed)
    low = lowest(task.points, values, said.quarantine, settings.min_per_leaf)
    return values, {id: (D542, f"value {values[id]:.6f} by {said.method}") for id in low}


def _first(made: Sequence[Kept], room: Room) -> _Why:
    """What is over where the first samples of each leaf are taken."""
    why: _Why = {}
    for one in made:
        if room.has(1, one.leaf):
            room.take(one.leaf)
        else:
            why[one.id] = D513, room.why(one.leaf)
    return why


def _best(
    samples: Spool[Sample],
    left: Sequence[Kept],
    settings: SelectSettings,
    room: Room,
    values: dict[str, float],
    seed: int,
) -> "tuple[_Why, Numbers]":
    """What others were of more use than, and the numbers of the selection."""
    from threadpoolctl import threadpool_limits

    from compiler.select.mechanism import facility_location, greedy
    from compiler.select.numbers import numbers_of
    from compiler.select.pool import pool_of

    with threadpool_limits(1):  # so that the last digits are the same on every machine
        pool = pool_of((samples[one.place] for one in left), settings.utility, values)
        if settings.mechanism == "greedy":
            taken = greedy(pool, room, settings.similarity)
        else:
            taken = facility_location(pool, room)
        numbers = numbers_of(pool, taken.places, seed)
    chosen = set(taken.places)
    why: _Why = {}
    for place, one in enumerate(left):
        if place in taken.near:
            cosine, other = taken.near[place]
            why[one.id] = D541, f"cosine {cosine:.3f} ({pool.ids[other]})"
        elif not one.human and place not in chosen:
            why[one.id] = D540, f"utility {pool.utility[place]:.3f}; {room.why(one.leaf)}"
    return why, numbers
