"""A draft goes in; what a verb makes of it without asking anybody comes out.

A file of its own because these need no teacher and no waiting: a plan walks some of them too.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import jinja2

from compiler.codes import D503, D513, D520, P208
from compiler.draw import Pool
from compiler.expand.novel import Novel, novel
from compiler.expand.sample import Drop
from compiler.expand.trip import Draft, End, Trip
from compiler.leaf import words
from compiler.lower import example_of
from compiler.pipeline import Bound, Draw, Keep, Number, Spread, Unique
from compiler.prompt import TEMPLATE_FAULTS, holds, render_text

_SHOWN = 60  # characters of a drawn text
_MARKER = re.compile(r"(?:[-*•]|\d+[.)])(?:\s+|$)")  # what a list item begins with


def draw(trip: Trip, stage: Draw, draft: Draft) -> End:
    """A draft with what it draws; dropped where there is nothing to draw from."""
    made = drawn_by(trip, stage, draft)
    for drawn in stage.draws:
        if made.columns[drawn.name] is None:
            detail = f"there is nothing to draw `{drawn.name}` from"
            return End(drops=[trip.drop(P208, detail, "draw", draft)])
    return End([made])


def drawn_by(trip: Trip, stage: Draw, draft: Draft) -> Draft:
    """A draft with what it draws; the same draft always draws the same."""
    ground, made = trip.unit.ground, [one.example() for one in draft.pool]
    seeds = tuple(example_of(seed) for seed in trip.unit.leaf.shown)
    pool = Pool(seeds, tuple(made), ground.words, ground.texts)
    columns: dict[str, object] = {}
    generation, lines, told = draft.generation, draft.lines, list(draft.drawn)
    for drawn in stage.draws:
        seed = hashlib.sha256(trip.seed(stage, draft) + drawn.name.encode()).digest()
        if isinstance(drawn.number, str):
            drawn = replace(drawn, number=int(number_of(Bound.DRAWN, drawn.number, draft)))
        value = columns[drawn.name] = drawn.draw(pool, seed)
        if drawn.source == "pool" and isinstance(value, list):
            shown = {id(one) for one in value}
            above = (d.generation for d, e in zip(draft.pool, made, strict=True) if id(e) in shown)
            generation = max(generation, *(1 + g for g in above), 1)
        if drawn.source == "lines" and isinstance(value, Mapping):
            lines = value
        told += _told(drawn.name, value)
    return replace(
        draft.with_columns(**columns), generation=generation, lines=lines, drawn=tuple(told)
    )


def _told(name: str, value: object) -> list[str]:
    """A draw in short; what was drawn of seeds and documents is told elsewhere."""
    if isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        value = ", ".join(value)
    if isinstance(value, str | int | float) and value != "":
        return [f"{name}={str(value)[:_SHOWN]}"]
    return []


def keep(trip: Trip, stage: Keep, draft: Draft) -> End:
    """A draft of which the condition is true, else its drop."""
    if holds(stage.condition, draft.columns):
        return End([draft])
    said = ", ".join(f"{name} is {value}" for name, value in draft.scores.items())
    if stage.because:
        said = render_text(stage.because, draft.columns)
    return End(drops=[trip.drop(stage.code, said, "keep", draft)])


def spread(trip: Trip, stage: Spread, draft: Draft) -> End:
    """A draft for each line of a column, without the marker of a list item; a line that is there
    already is dropped, and so is what is too much.
    """
    lines = str(_column(draft, stage.column)).splitlines()
    items = [item for line in lines if (item := _MARKER.sub("", line.strip(), count=1))]
    if not items:
        return End(drops=[trip.drop(stage.code, f"`{stage.column}` has no lines", "spread", draft)])
    end, seen = End(), set[str]()
    for item in items:
        made = draft.with_columns(**{stage.writes: item})
        if item in seen:
            end.drops.append(trip.drop(D503, "the same line", "spread", made, item))
        elif len(seen) == stage.most:
            detail = f"`{stage.column}` has {stage.most} at most"
            end.drops.append(trip.drop(D513, detail, "spread", made, item))
        else:
            seen.add(item)
            end.drafts.append(replace(made, trail=(*draft.trail, len(end.drafts))))
    trip.records += len(items) - 1
    return end


def unique(
    trip: Trip, stage: Unique, drafts: Sequence[Draft], branch: tuple[int, ...]
) -> tuple[list[Draft], list[Drop]]:
    """The drafts that repeat nothing, and why the others go.

    Which of two is kept depends on their order, so they are taken in that of a hash of their texts.
    They are compared with what was accepted on the same `branch` before.
    """
    bound: list[Draft] = []
    gone: dict[int, Drop] = {}
    below = 1.0
    for draft in drafts:
        try:
            if not trip.stands(stage, draft):
                continue
            for name in filter(None, (*stage.of, stage.differs, stage.within)):
                _column(draft, name)
            below = number_of(Bound.SHARE, stage.below, draft) if not bound else below
        except TEMPLATE_FAULTS as wrong:
            gone[id(draft)] = trip.drop(P208, str(wrong), "unique", draft)
        else:
            bound.append(draft)
    if stage.differs:
        gone |= _contradicting(trip, stage, bound)
    else:
        known = _known(trip, stage, branch, below)
        for draft in sorted(bound, key=lambda one: _digest(_text(stage, one))):
            text = _text(stage, draft)
            if why := known.repeats(text):
                gone[id(draft)] = trip.drop(stage.code, why, "unique", draft)
            else:
                known.add(text)
    return [d for d in drafts if id(d) not in gone], [gone[id(d)] for d in drafts if id(d) in gone]


def _known(trip: Trip, stage: Unique, branch: tuple[int, ...], below: float) -> Novel:
    """What was accepted so far, and what people wrote."""
    key = id(stage), branch
    if key not in trip.novel:
        made = trip.novel[key] = novel(stage.by, below)
        ground, leaf = trip.unit.ground, trip.unit.leaf
        for name, texts in (
            ("leaf", [seed.question for seed in leaf.seeds]),
            ("siblings", ground.siblings),
            ("held-out", ground.held_out),
        ):
            if name in stage.against:
                for text in texts:
                    made.add(text)
    return trip.novel[key]


def _contradicting(trip: Trip, stage: Unique, drafts: Sequence[Draft]) -> dict[int, Drop]:
    """The drafts that say again what another of their task says, and those of a task that
    contradicts itself.
    """
    first: dict[tuple[str, str], Draft] = {}
    gone: dict[int, Drop] = {}
    torn: set[str] = set()
    for draft in drafts:
        text, task = _folded(stage, _text(stage, draft)), _task(stage, draft)
        other = first.setdefault((task, text), draft)
        if other is draft or not text:
            continue
        mine, theirs = (_folded(stage, str(_column(d, stage.differs))) for d in (draft, other))
        if mine == theirs:
            gone[id(draft)] = trip.drop(D503, "the same words", "unique", draft)
        else:
            torn.add(task)
    for draft in drafts:
        if _task(stage, draft) in torn:
            detail = f"its task has different `{stage.differs}` for the same input"
            gone[id(draft)] = trip.drop(D520, detail, "unique", draft)
    return gone


def _task(stage: Unique, draft: Draft) -> str:
    """What drafts of one task share: the column `within`, or all that is compared."""
    if stage.within:
        return str(_column(draft, stage.within))
    return _folded(stage, _text(stage, draft))


def _text(stage: Unique, draft: Draft) -> str:
    return "\n".join(str(_column(draft, name)) for name in stage.of)


def _folded(stage: Unique, text: str) -> str:
    return " ".join(text.split() if stage.by == "text" else words(text))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def count_of(value: Number, draft: Draft) -> int:
    """How often, or how many: at least 1. Raises one of TEMPLATE_FAULTS."""
    return int(number_of(Bound.COUNT, value, draft))


def number_of(bound: Bound, value: Number, draft: Draft) -> float:
    """A number, or that of the column which is named. Raises one of TEMPLATE_FAULTS.

    How much is too much was asked of settings before; a unit may want more than 1000.
    """
    held = _column(draft, value) if isinstance(value, str) else value
    if not bound.holds(held, math.inf):
        raise ValueError(f"`{value}` must be {bound.value}, and is {held!r:.{_SHOWN}}")
    return float(str(held))


def _column(draft: Draft, name: str) -> object:
    """What a column holds. Raises jinja2.UndefinedError where its stage was left out."""
    if name not in draft.columns:
        raise jinja2.UndefinedError(f"'{name}' is undefined")
    return draft.columns[name]
