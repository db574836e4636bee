"""A request goes in; the records of its answer come out, from the journal or from the teacher.

A file of its own because it knows nothing of stages: what was asked before is not asked again, what
is being asked is waited for, and a reply in which nothing can be read is asked for once more.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

from compiler.codes import D501
from compiler.journal import key_of
from compiler.reply import Broken, Record, odds_of, parse_reply, repaired
from compiler.teacher import Failure, Reply, Request, Teacher

T = TypeVar("T")
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


@dataclass(frozen=True, slots=True)
class Heard:
    """What a teacher said: the records, what is no record, and the odds of a choice."""

    keys: tuple[str, ...]
    records: list[Record]
    broken: list[Broken]
    odds: Mapping[str, float]
    failure: Failure | None


class Asker:
    """Asks one teacher and one judge, with one store of replies."""

    def __init__(self, teacher: Teacher, judge: Teacher, store: Store) -> None:
        self.teacher = teacher
        self.judge = judge
        self.store = store
        self.tally = Tally()
        self._asking: dict[str, asyncio.Future[Reply | Failure]] = {}
        self._walking = self._waiting = 0
        self._settling: asyncio.TimerHandle | None = None

    async def walk(self, walk: Coroutine[Any, Any, T]) -> T:
        """Counts a walk as open until it ends: while all that are wait for answers, nothing more
        will be asked.
        """
        self._walking += 1
        try:
            return await walk
        finally:
            self._walking -= 1
            self._settle()

    async def all(self, walks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Goes several ways side by side; the walk that forks waits for them."""
        ways = list(walks)
        if len(ways) == 1:
            return [await ways[0]]
        self._walking -= 1
        try:
            return await asyncio.gather(*map(self.walk, ways))
        finally:
            self._walking += 1

    def stop(self) -> None:
        """Forgets that the teachers wanted to be told."""
        if self._settling:
            self._settling.cancel()
            self._settling = None

    async def hear(self, teacher: Teacher, request: Request) -> Heard:
        """Asks, and where nothing in the reply can be read, asks once to write it again."""
        reply, key = await self._ask(teacher, request)
        if isinstance(reply, Failure):
            self.tally.failed += 1
            return Heard((), [], [], {}, reply)
        records, broken = parse_reply(reply, request)
        keys: tuple[str, ...] = (key,)
        if not records and not teacher.by_rule and all(b.code is D501 for b in broken):
            self.tally.unparsed += 1
            again, key = await self._ask(teacher, repaired(request, reply))
            if isinstance(again, Failure):
                self.tally.failed += 1
                return Heard(keys, [], [], {}, again)
            keys = (*keys, key)
            better, _ = parse_reply(again, request)
            if better:
                self.tally.repaired += 1
                reply, records, broken = again, better, []
        return Heard(keys, records, broken, odds_of(reply, request), None)

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
