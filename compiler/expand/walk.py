"""Units and a teacher go in; each unit's outcome comes out.

A pass of its own because the hours and the money go here. There are no stage barriers: every unit
walks its stages alone, and so does every draft of it, so a slow reply holds up nobody but a draft
that has to be compared with others of its unit. The journal answers first.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from compiler.expand.asker import Asker, Store, Tally
from compiler.expand.order import issue_order
from compiler.expand.sample import Outcome
from compiler.expand.steps import Steps
from compiler.expand.trip import Trip
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.teacher import Teacher


class Expander:
    """Walks units through their pipelines with one teacher, one judge and one store of replies."""

    def __init__(self, teacher: Teacher, judge: Teacher, store: Store) -> None:
        self.teacher = teacher
        self.judge = judge
        self._asker = Asker(teacher, judge, store)
        self._steps = Steps(self._asker)

    @property
    def tally(self) -> Tally:
        """What was asked so far; it can be set anew."""
        return self._asker.tally

    @tally.setter
    def tally(self, tally: Tally) -> None:
        self._asker.tally = tally

    async def run(
        self,
        units: Sequence[Unit],
        pipelines: Mapping[str, Pipeline],
        order: Sequence[int] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Yields an Outcome per unit as each is finished: `number` is its place in `units`.

        As many units are open at once as keep the teacher's slots full, so memory is bounded.
        `order`: the numbers of the units in the order to begin them, by default `issue_order`.
        """
        window = self._window()
        numbers = iter(enumerate(issue_order(units, window) if order is None else order))
        open_: set[asyncio.Task[Outcome]] = set()
        done: asyncio.Queue[asyncio.Task[Outcome]] = asyncio.Queue()

        def fill() -> None:
            while len(open_) < self._window():
                rank, number = next(numbers, (0, -1))
                if number < 0:
                    return
                unit = units[number]
                names = self.teacher.model, self.judge.model
                trip = Trip(unit, pipelines[unit.pipeline], rank, *names)
                task = asyncio.create_task(self._asker.walk(self._unit(number, trip)))
                open_.add(task)
                task.add_done_callback(done.put_nowait)

        try:
            fill()
            while open_:
                task = await done.get()
                open_.discard(task)
                fill()
                yield task.result()
        finally:
            self._asker.stop()
            for task in open_:
                task.cancel()
            await asyncio.gather(*open_, return_exceptions=True)

    def _window(self) -> int:
        return 2 * max(1, self.teacher.in_flight, self.judge.in_flight)

    async def _unit(self, number: int, trip: Trip) -> Outcome:
        end = await self._steps.block(trip, trip.pipeline.stages, [trip.begin()])
        failure = None
        if end.silent and not (end.samples or end.drops):
            failure, trip.records = end.silent[0][1], 0
        else:
            end.drops += [trip.drop(f.code, f.detail, "begin", d) for d, f in end.silent]
        return Outcome(
            number,
            trip.unit,
            tuple(end.samples),
            tuple(end.drops),
            trip.records,
            failure,
            saturated=trip.saturated,
        )
