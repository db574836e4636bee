"""A leaf's units and the journal go in; what is answered already comes out, and where the answers
end.

A file of its own because it is a walk of the expansion with nobody to ask: what a compile would
find in the journal is found by the same steps.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from compiler.codes import R401
from compiler.expand import Expander
from compiler.expand.steps import opening
from compiler.expand.trip import Trip
from compiler.journal import Journal, key_of
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.prompt import TEMPLATE_FAULTS
from compiler.teacher import Failure, Reply, Request, Teacher


@dataclass(frozen=True, slots=True)
class Known:
    """Answers that the journal holds, and by stage how many questions end where it ends."""

    journaled: int
    open: Counter[str]


@dataclass(eq=False)  # one teacher is not another that heard the same
class _Mute:
    """A teacher that answers nothing, and counts by stage what it was asked."""

    model: str
    by_rule: bool
    extra: Mapping[str, object]
    in_flight: int = 64
    asked: Counter[str] = field(default_factory=Counter)

    async def open(self) -> Failure | None:
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        self.asked[request.stage] += 1
        return Failure(R401, "not asked")

    def flush(self) -> None:
        return None

    async def close(self) -> None:
        return None


@dataclass(frozen=True)
class _Shelf:
    """The journal, to read only."""

    journal: Journal

    async def find(self, key: str) -> Reply | Failure | None:
        return self.journal.get(key)

    async def keep(self, key: str, model: str, reply: Reply | Failure) -> Reply | Failure:
        return reply


def answered(
    pipeline: Pipeline,
    units: Sequence[Unit],
    teacher: Teacher,
    judge: Teacher,
    journal: Journal,
    step: Callable[[], None],
) -> Known:
    """Walks the units whose first question is answered, as far as the answers go."""
    first, who = pipeline.generates[0], _Mute(teacher.model, teacher.by_rule, teacher.extra)
    other = who if judge is teacher else _Mute(judge.model, judge.by_rule, judge.extra)
    begun = _begun(pipeline, units, judge if first.judge else teacher, journal, step)
    open_ = Counter({first.id: len(units) - len(begun)})
    if not begun:
        return Known(0, open_)
    expander = Expander(who, other, _Shelf(journal))

    async def walk() -> None:
        async for _ in expander.run(begun, {pipeline.name: pipeline}, range(len(begun))):
            pass

    asyncio.run(walk())
    for mute in {id(one): one for one in (who, other)}.values():
        open_ += mute.asked
    return Known(expander.tally.journaled, open_)


def _begun(
    pipeline: Pipeline,
    units: Sequence[Unit],
    teacher: Teacher,
    journal: Journal,
    step: Callable[[], None],
) -> list[Unit]:
    """The units whose first question is answered; where it follows from draws, all of them."""
    keys = []
    for unit in units:
        with suppress(*TEMPLATE_FAULTS):
            request = opening(Trip(unit, pipeline, 0, "", ""))
            if request is None:
                return list(units)
            keys.append((unit, key_of(teacher, request)))
        step()
    found = journal.get_many([key for _, key in keys])
    return [unit for unit, key in keys if key in found]
