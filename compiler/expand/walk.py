"""Units and a teacher go in; each unit's outcome comes out.

A pass of its own because the hours and the money go here. There are no stage barriers: every unit
walks its stages alone, and so does every record of it, so a slow reply holds up nobody. The journal
answers first.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from compiler.codes import D501, P208, Code
from compiler.expand.order import issue_order
from compiler.expand.sample import Drop, Origin, Outcome, Sample, Score, sample_id
from compiler.journal import key_of
from compiler.lower import Unit
from compiler.pipeline import Generate, Keep, Pipeline, Say
from compiler.prompt import TEMPLATE_FAULTS, Message, holds, render, render_text
from compiler.reply import Broken, Record, odds_of, parse_reply, repaired
from compiler.teacher import Failure, Reply, Request, Teacher

_SETTLED = 0.02


class Store(Protocol):
    """Where replies are kept: a journal on this machine, or one that is asked over the network."""

    async def find(self, key: str) -> Reply | Failure | None:
        """What was answered."""

    async def keep(self, key: str, model: str, reply: Reply | Failure) -> Reply | Failure:
        """Stores a reply, and returns the one that counts: the first that was stored."""


@dataclass(slots=True)
class Tally:
    """What a run cost: requests sent, answers found in the journal, tokens of what was sent.

    `joined` counts questions that were in flight already. `cached_tokens` are those of the prompts
    that the teacher's prefix cache held; `unparsed` counts replies without a single record,
    `repaired` those that a second question mended. `retried` counts tries beside the first ones.
    """

    asked: int = 0
    journaled: int = 0
    joined: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    unparsed: int = 0
    repaired: int = 0
    retried: int = 0

    def add(self, other: "Tally") -> None:
        """Adds what another run cost."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(slots=True)
class _Draft:
    """A sample on its way: its columns, its judges' scores, and the replies it was made of."""

    columns: dict[str, object]
    scores: dict[str, Score]
    replies: tuple[str, ...]


@dataclass(slots=True)
class _Trip:
    """One unit on its way; `rank` is that of all its requests."""

    unit: Unit
    pipeline: Pipeline
    rank: int
    records: int = 1
    failure: Failure | None = None


@dataclass(slots=True)
class _End:
    """What became of one draft."""

    samples: list[Sample] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a teacher said: the records, what is no record, and the odds of a choice."""

    keys: tuple[str, ...]
    records: list[Record]
    broken: list[Broken]
    odds: Mapping[str, float]
    failure: Failure | None


class Expander:
    """Walks units through their pipelines with one teacher, one judge and one store of replies."""

    def __init__(self, teacher: Teacher, judge: Teacher, store: Store) -> None:
        self.teacher = teacher
        self.judge = judge
        self.store = store
        self.tally = Tally()
        self._asking: dict[str, asyncio.Future[Reply | Failure]] = {}
        self._walking = self._waiting = 0
        self._settling: asyncio.TimerHandle | None = None

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
                self._walking += 1
                walk = self._unit(number, _Trip(unit, pipelines[unit.pipeline], rank))
                task = asyncio.create_task(walk)
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
            if self._settling:
                self._settling.cancel()
            for task in open_:
                task.cancel()
            await asyncio.gather(*open_, return_exceptions=True)

    def _window(self) -> int:
        return 2 * max(1, self.teacher.in_flight, self.judge.in_flight)

    async def _unit(self, number: int, trip: _Trip) -> Outcome:
        draft = _Draft(dict(trip.unit.columns), {}, ())
        end = await self._go(trip, 0, draft)
        return Outcome(
            number, trip.unit, tuple(end.samples), tuple(end.drops), trip.records, trip.failure
        )

    async def _go(self, trip: _Trip, place: int, draft: _Draft) -> _End:
        """Takes one draft from the stage at `place` to its end; what it becomes goes on alone."""
        end = _End()
        try:
            for at in range(place, len(trip.pipeline.stages)):
                stage = trip.pipeline.stages[at]
                if isinstance(stage, Say):
                    try:
                        end.samples.append(self._say(trip, stage, draft))
                    except TEMPLATE_FAULTS as wrong:
                        end.drops.append(_drop(trip, P208, str(wrong), "say", draft))
                    break
                if isinstance(stage, Keep):
                    drop = self._verdict(trip, stage, draft)
                    if drop:
                        end.drops.append(drop)
                        break
                    continue
                made, drops = await self._generate(trip, stage, draft)
                trip.records += len(made) + len(drops) - 1
                if len(made) > 1:
                    self._walking += len(made) - 1  # this one waits for its parts
                    ends = await asyncio.gather(*(self._go(trip, at + 1, d) for d in made))
                    self._walking += 1
                    for one in ends:
                        end.samples += one.samples
                        end.drops += one.drops
                end.drops += drops
                if len(made) != 1:
                    break
                draft = made[0]
        finally:
            self._walking -= 1
            self._settle()
        return end

    async def _generate(
        self, trip: _Trip, stage: Generate, draft: _Draft
    ) -> tuple[list[_Draft], list[Drop]]:
        """What one question makes of a draft; of the unit's first one a failure is the trip's."""
        try:
            messages = render(stage.prompt, draft.columns)
        except TEMPLATE_FAULTS as wrong:
            return [], [_drop(trip, P208, str(wrong), stage.id, draft)]
        request = Request(
            messages,
            stage.sampling,
            trip.unit.index if stage.many or not draft.replies else 0,
            stage.id,
            stage.writes,
            stage.many,
            draft.columns,
            stage.form,
            trip.rank,
        )
        heard = await self._hear(self.judge if stage.judge else self.teacher, request)
        told = replace(draft, replies=(*draft.replies, *heard.keys))
        if heard.failure:
            if not told.replies:
                trip.failure = heard.failure
                return [], []
            return [], [_drop(trip, heard.failure.code, heard.failure.detail, stage.id, told)]
        judged = all(field.choices for field in stage.writes)
        made = [
            _Draft(
                {**draft.columns, **record},
                {**draft.scores, **(record if judged else {}), **heard.odds},
                told.replies,
            )
            for record in heard.records
        ]
        return made, [_drop(trip, b.code, b.detail, stage.id, told, b.text) for b in heard.broken]

    async def _hear(self, teacher: Teacher, request: Request) -> _Heard:
        """Asks, and where nothing in the reply can be read, asks once to write it again."""
        reply, key = await self._ask(teacher, request)
        if isinstance(reply, Failure):
            self.tally.failed += 1
            return _Heard((), [], [], {}, reply)
        records, broken = parse_reply(reply, request)
        keys: tuple[str, ...] = (key,)
        if not records and not teacher.by_rule and all(b.code is D501 for b in broken):
            self.tally.unparsed += 1
            again, key = await self._ask(teacher, repaired(request, reply))
            if isinstance(again, Failure):
                self.tally.failed += 1
                return _Heard(keys, [], [], {}, again)
            keys = (*keys, key)
            better, _ = parse_reply(again, request)
            if better:
                self.tally.repaired += 1
                reply, records, broken = again, better, []
        return _Heard(keys, records, broken, odds_of(reply, request), None)

    async def _ask(self, teacher: Teacher, request: Request) -> tuple[Reply | Failure, str]:
        """The answer in store, or the teacher's, with its key; a question in flight is not sent
        again.
        """
        key = key_of(teacher, request)
        if asking := self._asking.get(key):
            self.tally.joined += 1
            self._waiting += 1
            self._settle()
            try:
                return await asyncio.shield(asking), key
            finally:
                self._waiting -= 1
        return await self._send(teacher, request, key), key

    async def _send(self, teacher: Teacher, request: Request, key: str) -> Reply | Failure:
        """The answer in store, or the teacher's, for all who ask the same meanwhile."""
        asking: asyncio.Future[Reply | Failure] = asyncio.get_running_loop().create_future()
        self._asking[key] = asking
        try:
            found = await self.store.find(key)
            if found is not None:
                self.tally.journaled += 1
                asking.set_result(found)
                return found
            self._waiting += 1
            self._settle()
            try:
                reply = await teacher.ask(request)
            finally:
                self._waiting -= 1
            self.tally.asked += 1
            if isinstance(reply, Reply):
                self.tally.prompt_tokens += reply.prompt_tokens
                self.tally.cached_tokens += reply.cached
                self.tally.completion_tokens += reply.completion_tokens
            reply = await self.store.keep(key, teacher.model, reply)
            asking.set_result(reply)
        finally:
            asking.cancel()  # has no effect on one that has its result
            del self._asking[key]
        return reply

    def _settle(self) -> None:
        """Tells the teachers soon, if by then every open draft still waits for one of them."""
        if self._settling is None and self._waiting == self._walking > 0:
            self._settling = asyncio.get_running_loop().call_later(_SETTLED, self._settled)

    def _settled(self) -> None:
        self._settling = None
        if self._waiting == self._walking > 0:
            for teacher in dict.fromkeys((self.teacher, self.judge)):
                teacher.flush()

    def _verdict(self, trip: _Trip, stage: Keep, draft: _Draft) -> Drop | None:
        """Why a draft goes; None where it stays."""
        said = ", ".join(f"{name} is {value}" for name, value in draft.scores.items())
        code = stage.code
        try:
            if holds(stage.condition, draft.columns):
                return None
        except TEMPLATE_FAULTS as wrong:
            code, said = P208, f"{said}: {wrong}"
        return _drop(trip, code, said, "keep", draft)

    def _say(self, trip: _Trip, stage: Say, draft: _Draft) -> Sample:
        messages = tuple(
            Message(role, render_text(template, draft.columns)) for role, template in stage.messages
        )
        unit, pipeline = trip.unit, trip.pipeline
        leaf, chunk = unit.leaf, unit.chunk
        origin = Origin(
            "synthetic",
            leaf.file,
            leaf.blob,
            leaf.created_by,
            leaf.licences,
            unit.seeds,
            chunk.document if chunk else "",
            chunk.blob if chunk else "",
            chunk.start if chunk else 0,
            chunk.end if chunk else 0,
            unit.id,
            pipeline.name,
            pipeline.digest,
            self.teacher.model,
            self.judge.model,
            draft.replies,
            1,
        )
        said = {message.role: message.content for message in messages}
        return Sample(
            sample_id(messages),
            messages,
            leaf.branch,
            leaf.path,
            origin,
            str(draft.columns.get("question", said["user"])),
            said["assistant"],
            "" if leaf.kind == "knowledge" else str(draft.columns.get("context", "")),
            scores=draft.scores,
        )


def _drop(trip: _Trip, code: Code, detail: str, stage: str, draft: _Draft, text: str = "") -> Drop:
    """Why a draft ends; `text` is shown where it has no question yet."""
    question = str(draft.columns.get("question", ""))
    return Drop(code, detail, trip.unit.leaf.path, stage, question or text, draft.replies)
