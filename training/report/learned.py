"""An evaluation goes in; what the page says of learning comes out: scores, gates, what became
better and worse, answers.

A file of its own because it is all that is known of how well a student does. What an evaluation
does not have, the page does without.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from training.metrics import normalise
from training.recipe import BASE, CONTROL
from training.report import plots

ANSWERED, PLOTTED, CHANGED = 12, 60, 40  # questions, leaves of the plots and of the changes
SETS = ("trained", "validation", "heldout")
GENERAL = "general"
MEASURES = {
    "exact_match": "Exact",
    "f1": "F1",
    "choice": "Choice",
    "checked": "Checker",
    "judged": "Judge",
    "loss": "Loss",
}
_LONG = {"exact_match": "exact match", "choice": "multiple choice"}
VERDICTS = {"improved": "better", "regressed": "worse"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A student at one point of its training; `role` chooses its mark and colour in every plot."""

    name: str
    label: str
    role: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one model is above another: `rows` of a name, its kind, and a difference for each set;
    `counts` of the leaves of each set by verdict.
    """

    model: Stage
    against: Stage
    rows: list[tuple[str, str, list[Json | None]]]
    counts: list[Counter[str]]


def stages(evaluation: Json) -> list[Stage]:
    """The stages of the run, and after them the other models that were asked."""
    names = list(evaluation.get("stages", ()))
    others = [one["name"] for one in evaluation.get("models", ()) if one["name"] not in names]
    last = [name for name in names if name not in (BASE, CONTROL)][-1:]
    known = {BASE: ("before", "before"), CONTROL: ("control, no replay", "control")}
    found = [
        Stage(name, *known[name])
        if name in known
        else Stage(
            name, f"after {plots.phase_label(name)}", "after" if [name] == last else "during"
        )
        for name in names
    ]
    return found + [Stage(name, name, "other") for name in others]


def score(evaluation: Json, set_: str, stage: str, *where: str) -> Json:
    """The scores of a stage in a set: over all, or of a branch or leaf."""
    found: Any = evaluation.get("sets", {}).get(set_, {}).get(stage, {})
    for key in where:
        found = found.get(key, {})
    return dict(found)


def measures(evaluation: Json, stages: Sequence[Stage], set_: str) -> list[tuple[str, str]]:
    """What was measured in a set of any stage, with its short name; the common ones in any case,
    where there are questions.
    """
    found = {key for stage in stages for key in score(evaluation, set_, stage.name, "all")}
    if set_ != GENERAL:
        found |= {"exact_match", "f1", "loss"}
    return [(key, name) for key, name in MEASURES.items() if key in found]


def scores(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """For all questions and for each branch: the scores of every stage on each set."""
    if not stages:
        return []
    sets = {name: score(evaluation, name, stages[0].name, "branches") for name in SETS}
    places = [("all",), *(("branches", name) for name in sorted({*chain(*sets.values())}))]
    groups = []
    for where in places:
        rows = [[score(evaluation, set_, s.name, *where) for set_ in SETS] for s in stages]
        counts = [one.get("n", 0) for one in rows[0]]
        groups.append({"name": where[-1], "counts": counts, "rows": rows})
    return groups


def right(evaluation: Json, stages: Sequence[Stage], leaves: Iterable[str]) -> Json:
    """Exact match on the trained questions of `leaves`, by the role of the stage."""
    found: Json = {}
    for stage in stages:
        each = [score(evaluation, "trained", stage.name, "leaves", leaf) for leaf in leaves]
        each = [one for one in each if one.get("n") and "exact_match" in one]
        n = sum(one["n"] for one in each)
        share = math.fsum(one["n"] * one["exact_match"] for one in each)
        found |= {"n": n, stage.role: share / n} if n else {}
    return found


def dots(evaluation: Json, stages: Sequence[Stage]) -> list[tuple[str, list[Json]]]:
    """For each branch its leaves, and for each the marks of both plots in drawing order."""
    roles = ("before", "control", "during", "after")
    drawn = sorted((s for s in stages if s.role in roles), key=lambda s: roles.index(s.role))
    if not drawn:
        return []
    counts: Counter[str] = Counter()
    for set_ in SETS:
        for leaf, one in score(evaluation, set_, drawn[0].name, "leaves").items():
            counts[leaf] += one["n"]
    shown = sorted(counts, key=lambda leaf: (-counts[leaf], leaf))[:PLOTTED]
    branches: dict[str, list[Json]] = defaultdict(list)
    for leaf in sorted(shown):
        branch, _, rest = leaf.partition("/")
        cells = []
        for set_ in SETS[:2]:
            found = [(s, score(evaluation, set_, s.name, "leaves", leaf)) for s in drawn]
            marks = [(stage, one["exact_match"]) for stage, one in found if one.get("n")]
            cells.append({"n": found[0][1].get("n", 0), "marks": marks})
        folder, _, name = rest.rpartition("/")
        branches[branch].append({"leaf": leaf, "folder": folder, "name": name, "cells": cells})
    return list(branches.items())


def gates(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """What was not to be lost, whether it was, and by how much."""
    labels = {stage.name: stage.label for stage in stages}
    return [
        {
            **gate,
            "measure": _LONG.get(gate["measure"], gate["measure"]),
            "stage": labels.get(gate["stage"], gate["stage"]),
            "against": labels.get(gate["against"], gate["against"]),
        }
        for gate in evaluation.get("gates", ())
    ]


def changes(evaluation: Json, stages: Sequence[Stage]) -> list[Change]:
    """What the last phase is above what it is compared with, by exact match: all questions, each
    branch, and the leaves that surely changed, the worst first.
    """
    known = {stage.name: stage for stage in stages}
    found = []
    for one in evaluation.get("comparisons", ()):
        model, against = known.get(one["model"]), known.get(one["against"])
        if model and against and model.role == "after":
            sets = [one["sets"].get(name, {}) for name in SETS]
            found.append(Change(model, against, _rows(sets), [_count(each) for each in sets]))
    return found


def _rows(sets: Sequence[Json]) -> list[tuple[str, str, list[Json | None]]]:
    def at(kind: str, name: str) -> list[Json | None]:
        return [(each.get(kind, {}).get(name) or {}).get("exact_match") for each in sets]

    whole = [each.get("all", {}).get("exact_match") for each in sets]
    rows = [("all", "all", whole)]
    for kind in ("branches", "leaves"):
        names = sorted({name for each in sets for name in each.get(kind, {})})
        found = [(name, kind, at(kind, name)) for name in names]
        if kind == "leaves":
            found = sorted((row for row in found if _sure(row[2])), key=_worst)[:CHANGED]
        rows += found
    return rows


def _sure(cells: Iterable[Json | None]) -> bool:
    return any(cell and cell["verdict"] in VERDICTS for cell in cells)


def _worst(row: tuple[str, str, list[Json | None]]) -> tuple[float, str]:
    sure = [cell["difference"] for cell in row[2] if cell and cell["verdict"] in VERDICTS]
    return min(sure), row[0]


def _count(each: Json) -> Counter[str]:
    found = [one.get("exact_match") for one in each.get("leaves", {}).values()]
    return Counter(cell["verdict"] for cell in found if cell)


def answers(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """A few questions with every stage's answer, from all branches and sets, by hash."""
    groups: dict[tuple[int, str], list[Json]] = defaultdict(list)
    for answer in evaluation.get("answers", ()):
        groups[SETS.index(answer["set"]), answer["branch"]].append(answer)
    for group in groups.values():
        group.sort(key=lambda a: hashlib.sha256(str(a["id"]).encode()).hexdigest())
    taken = in_turn([groups[key] for key in sorted(groups)])[:ANSWERED]
    taken.sort(key=lambda a: (SETS.index(a["set"]), a["branch"], a["leaf"], a["id"]))
    return [{**one, "given": list(_given(one, stages))} for one in taken]


def _given(answer: Mapping[str, Any], stages: Sequence[Stage]) -> Iterator[tuple[Stage, str, bool]]:
    for stage in stages:
        if (text := answer["answers"].get(stage.name)) is not None:
            yield stage, text, normalise(text) == normalise(answer["reference"])


def in_turn(groups: Iterable[Sequence[Any]]) -> list[Any]:
    """The first of every group, then the second of every group, and so on."""
    nothing = object()
    return [one for one in chain(*zip_longest(*groups, fillvalue=nothing)) if one is not nothing]
