"""Where an expansion runs: in this process, or in several.

A file of its own because the driver must not know: the same units make the same outcomes, the same
journal keys and the same bytes wherever they were walked.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from compiler.expand.asker import Store, Tally
from compiler.expand.sample import Outcome
from compiler.expand.walk import Expander
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.teacher import Failure, Teacher


class Engine(Protocol):
    """Turns units into outcomes. `teacher` and `judge` are the names of their models."""

    @property
    def tally(self) -> Tally: ...

    @property
    def teacher(self) -> str: ...

    @property
    def judge(self) -> str: ...

    async def open(self) -> Failure | None:
        """Connects; a Failure where no request could succeed."""

    def run(
        self, units: Sequence[Unit], pipelines: Mapping[str, Pipeline]
    ) -> AsyncGenerator[Outcome]:
        """An Outcome for each unit, as each is finished."""

    async def close(self) -> None: ...


class Local:
    """The engine of one process; the journal is its store."""

    def __init__(self, teacher: Teacher, judge: Teacher, store: Store) -> None:
        self._teachers = tuple(dict.fromkeys((teacher, judge)))
        self._expander = Expander(teacher, judge, store)

    @property
    def tally(self) -> Tally:
        return self._expander.tally

    @property
    def teacher(self) -> str:
        return self._expander.teacher.model

    @property
    def judge(self) -> str:
        return self._expander.judge.model

    async def open(self) -> Failure | None:
        for who in self._teachers:
            if failure := await who.open():
                return failure
        return None

    async def run(
        self, units: Sequence[Unit], pipelines: Mapping[str, Pipeline]
    ) -> AsyncGenerator[Outcome]:
        async with aclosing(self._expander.run(units, pipelines)) as outcomes:
            async for outcome in outcomes:
                yield outcome
        self.tally.retried = sum(getattr(who, "retried", 0) for who in self._teachers)

    async def close(self) -> None:
        for who in self._teachers:
            await who.close()
