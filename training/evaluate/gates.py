"""Columns of a run's stages go in; what training must not lose, and whether it did, comes out.

A file of its own because a gate is a promise and no table: it compares two given stages at one
measure, counts only what is surely lost, and names it. A fact is held against the stage that taught
it first: one that a later phase of facts took away is lost too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from compiler.codes import E707
from compiler.diagnostics import Report, counted
from training.ask import Question
from training.data import Build
from training.evaluate.compare import FEW, REGRESSED, compare
from training.evaluate.questions import GENERAL
from training.evaluate.scores import MEASURES, Columns, Indices, groups
from training.recipe import BASE
from training.replay import own_of
from training.shown import fixed

FACTS = "facts"
MAX_FORGETTING = 0.05
_LISTED = 3

Asked = Mapping[str, Sequence[Question]]
Found = Mapping[str, Mapping[str, Columns]]
"""By set, then by model, the columns."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a stage has to keep of what the one it is held `against` had.

    `held` is None where it could not be measured, and `why` says so. `difference` is that of
    `measure` over all `n` questions, `lost` are the parts that lost more than `limit`, surely: the
    whole, a branch, and leaves to look at first.
    """

    name: str
    what: str
    measure: str
    stage: str
    against: str
    limit: float
    held: bool | None = None
    why: str = ""
    n: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    lost: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The gate for evaluation.json."""
        return {**asdict(self), "lost": list(self.lost)}


def measured(
    build: Build,
    phases: Sequence[tuple[str, str]],
    asked: Asked,
    found: Found,
    limit: float = MAX_FORGETTING,
) -> list[Gate]:
    """The gates of a run whose `phases` (name, data) are done, in order; the control, which is to
    forget, is none of them.

    One is of the general questions. Of the facts of phase 1 there is one for each stage that others
    follow and that taught some of them first; those that no phase taught are held against the base.
    """
    last = phases[-1][0] if phases else BASE
    taught = _taught(build, phases)
    first: dict[str, list[int]] = {name: [] for name in dict.fromkeys(taught.values())}
    for number, one in enumerate(asked["trained"]):
        if one.sample.id in taught:
            first[taught[one.sample.id]].append(number)
    several, told = len(first) > 1, {name: first[name] for name in first if name != last}
    facts = [
        Gate(FACTS, _what(name, several), "exact_match", last, name, limit)
        for name in sorted(told or first or {BASE}, key=[BASE, *dict(phases)].index)
    ]
    known = Gate(GENERAL, "general questions", "choice", last, BASE, limit)
    whole = np.arange(len(asked[GENERAL]))
    return [
        *(
            _held(gate, asked["trained"], found["trained"], _numbers(first.get(gate.against, ())))
            for gate in facts
        ),
        _held(known, asked[GENERAL], found[GENERAL], whole),
    ]


def _taught(build: Build, phases: Sequence[tuple[str, str]]) -> dict[str, str]:
    """By the id of each sample of phase 1 the stage that taught it first, or the base."""
    taught = dict.fromkeys((sample.id for sample in build.phase1), BASE)
    for name, data in reversed(phases):
        own = (sample.id for sample in own_of(build, data))
        taught |= dict.fromkeys((one for one in own if one in taught), name)
    return taught


def _what(stage: str, several: bool) -> str:
    if not several:
        return "facts of phase 1"
    return "facts that no phase taught" if stage == BASE else f"facts that {stage} taught"


def _numbers(some: Iterable[int]) -> Indices:
    return np.array(list(some), dtype=np.intp)


def _held(
    gate: Gate, asked: Sequence[Question], found: Mapping[str, Columns], chosen: Indices
) -> Gate:
    """The gate, measured on the questions numbered `chosen`."""
    if gate.against == gate.stage:
        after = "no phase is done" if gate.stage == BASE else "no phase came after"
        return replace(gate, why=after)
    before, after = (found.get(name, {}).get(gate.measure) for name in (gate.against, gate.stage))
    if before is None or after is None or not len(chosen):
        return replace(gate, why="there are no such questions")
    units = [q.sample.id if gate.name == GENERAL else q.sample.leaf for q in asked]
    parts = {("all", ""): chosen}
    if gate.name != GENERAL:  # a topic of general questions has too few of them
        every = groups(asked).items()
        parts |= {key: np.intersect1d(part, chosen) for key, part in every if key[1]}
    differences = {
        key: one
        for key, part in parts.items()
        if (one := compare(gate.measure, before, after, units, part)) is not None
    }
    whole = differences["all", ""]
    if whole.verdict == FEW:
        return replace(gate, n=whole.n, why=f"{counted(whole.n, 'question')} are too few to tell")
    lost = {
        key: one
        for key, one in differences.items()
        if one.verdict == REGRESSED and one.difference < -gate.limit
    }
    broken = [key for key in lost if key[0] != "leaves"]
    leaves = sorted(
        (key for key in lost if key[0] == "leaves"), key=lambda key: (lost[key].difference, key)
    )
    return replace(
        gate,
        held=not broken,
        n=whole.n,
        difference=whole.difference,
        low=whole.low,
        high=whole.high,
        lost=tuple(
            {"where": name or kind, "kind": kind, **lost[kind, name].as_json()}
            for kind, name in (*broken, *leaves[:_LISTED])
            if broken
        ),
    )


def tell(found: Iterable[Mapping[str, Any]], report: Report) -> None:
    """E707 for each gate, as it stands in evaluation.json, that did not hold; as a warning for each
    that was not measured.
    """
    for gate in found:
        if gate["held"] is None:
            message = f"the gate on {gate['what']} measures nothing: {gate['why']}"
            report.add(E707, message, hint=_UNMEASURED[gate["name"]], soft=True)
        if gate["held"] is not False:
            continue
        first, *more = (one for one in gate["lost"] if one["kind"] != "leaves")
        leaves = [one for one in gate["lost"] if one["kind"] == "leaves"]
        where = "" if first["kind"] == "all" else f" of `{first['where']}`"
        message = (
            f"`{gate['stage']}` lost {_amount(first)} of {MEASURES[gate['measure']]} on "
            f"{gate['what']}{where} against `{gate['against']}`; the gate allows {gate['limit']:g}"
        )
        if more:
            message += "; in " + ", ".join(f"`{one['where']}` {_amount(one)}" for one in more)
        if leaves:
            message += f"; most in `{leaves[0]['where']}` {_amount(leaves[0])}"
        report.add(E707, message, hint=_HINTS[gate["name"]])


def _amount(lost: Mapping[str, Any]) -> str:
    """What was lost, and between what it lies."""
    one, low, high = (lost[key] for key in ("difference", "low", "high"))
    return f"{fixed(-one)} ({fixed(-high)} to {fixed(-low)})"


_HINTS = {
    FACTS: "give the last phase more `replay`, or let it `choose` its checkpoint",
    GENERAL: "train fewer epochs, at a lower `learning_rate`, or adapters instead of all weights",
}
_UNMEASURED = {
    FACTS: "it needs a build with facts, and a student with a phase after the one that taught them",
    GENERAL: "it needs a trained student, and general questions enough",
}
