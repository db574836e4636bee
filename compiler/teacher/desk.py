"""Requests that want to be sent go in; whose turn it is, and at which endpoint, comes out.

A file of its own because it is the one place where requests wait: for a slot, for a provider's
minute, for an endpoint that rests. A slot goes to the lowest rank, and costs O(log n) of those who
wait.
"""

import asyncio
import heapq
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from compiler.teacher.budget import Budget
from compiler.teacher.endpoint import Endpoint
from compiler.teacher.pace import Try

LOOK_EVERY = 5.0
"""Seconds between two looks at who has waited too long; a twentieth of a short deadline."""


@dataclass(slots=True, eq=False)
class Asker:
    """One request that waits for its turns. `since` is when it came, or was sent first.

    `characters` and `most` (tokens of the reply) are what it may cost, `estimate` the tokens that
    it was taken for. `last` is the endpoint that failed it: another one is better.
    """

    rank: int
    characters: int
    most: int
    since: float
    sent: bool = False
    estimate: float = 0.0
    last: Endpoint | None = None
    turn: "asyncio.Future[Turn | None] | None" = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A slot: it has to be ended, or given up, in the endpoint's pace."""

    endpoint: Endpoint
    tried: Try


T = TypeVar("T")


class Line(Generic[T]):
    """Those who wait: the lowest rank first, of one rank who came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._came = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[T]:
        """All of them, in no order."""
        return (one for _, _, one in self._heap)

    @property
    def first(self) -> T:
        return self._heap[0][2]

    def push(self, rank: int, one: T) -> None:
        self._came += 1
        heapq.heappush(self._heap, (rank, self._came, one))

    def pop(self) -> T:
        return heapq.heappop(self._heap)[2]


class Desk:
    """Gives out slots, the least loaded endpoint's first.

    A request waits for `deadline` seconds from when it was sent first; before that, from when any
    endpoint was heard last, for as long as they answer it only stands in line.
    """

    def __init__(self, endpoints: Sequence[Endpoint], budget: Budget, deadline: float) -> None:
        self.endpoints = list(endpoints)
        self.heard = -inf
        self._budget = budget
        self._deadline = deadline
        self._line: Line[Asker] = Line()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def turn(self, asker: Asker) -> Turn | None:
        """Waits for a slot; None where the deadline comes first."""
        if self.left(asker) <= 0:
            return None
        if not self._line:
            now = time.monotonic()
            endpoint, _ = self._best(asker, now)
            if endpoint:
                return self._give(asker, endpoint, now)
        turn: asyncio.Future[Turn | None] = asyncio.get_running_loop().create_future()
        asker.turn = turn
        self._line.push(asker.rank, asker)
        if self._watch is None:
            self._look()
        if self._line.first is asker or _settled(self._line.first):
            self.serve()  # else somebody waits already for what may come
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and (given := turn.result()):
                given.endpoint.pace.give_up(given.tried)
                self.serve()
            raise
        return given

    def left(self, asker: Asker) -> float:
        """Seconds until its deadline."""
        since = asker.since if asker.sent else max(asker.since, self.heard)
        return since + self._deadline - time.monotonic()

    def elsewhere(self, urls: Collection[str]) -> bool:
        """Whether an endpoint beside these has a free slot."""
        now = time.monotonic()
        return any(one.pace.wait(now) == 0 for one in self.endpoints if one.url not in urls)

    def serve(self) -> None:
        """Gives out what is free; to be called when anything has changed."""
        now = time.monotonic()
        while self._line:
            asker = self._line.first
            if _settled(asker):
                self._line.pop()
                continue
            endpoint, wait = self._best(asker, now)
            if endpoint is None:
                if wait > self._deadline and self._closed(now):
                    self._line.pop()
                    _settle(asker, None)
                    continue
                self._wake(wait)
                return
            self._line.pop()
            _settle(asker, self._give(asker, endpoint, now))

    def close(self) -> None:
        for timer in (self._timer, self._watch):
            if timer:
                timer.cancel()

    def _closed(self, now: float) -> bool:
        """Whether every endpoint asks to be left alone for longer than anybody waits."""
        return all(e.pace.closed_until - now > self._deadline for e in self.endpoints)

    def _best(self, asker: Asker, now: float) -> tuple[Endpoint | None, float]:
        """The endpoint to ask now, or the seconds until there may be one."""
        soonest = self._budget.wait(now)
        if soonest > 0:
            return None, soonest
        best, least, soonest = None, (True, inf, inf), inf
        for endpoint in self.endpoints:
            wait = endpoint.pace.wait(now)
            if wait > 0:
                soonest = min(soonest, wait)
            elif (load := (endpoint is asker.last, *endpoint.pace.load)) < least:
                best, least = endpoint, load
        return best, soonest

    def _give(self, asker: Asker, endpoint: Endpoint, now: float) -> Turn:
        asker.estimate = self._budget.spend(asker.characters, asker.most)
        if not asker.sent:
            asker.sent, asker.since = True, now
        return Turn(endpoint, endpoint.pace.begin(now))

    def _wake(self, wait: float) -> None:
        if wait == inf:
            return
        loop = asyncio.get_running_loop()
        if self._timer is None or self._timer.when() > loop.time() + wait:
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_later(wait, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.serve()

    def _look(self) -> None:
        """Ends from time to time the waiting of those whose deadline has come."""
        self._watch = None
        for asker in self._line:
            if not _settled(asker) and self.left(asker) <= 0:
                _settle(asker, None)
        if self._line:
            every = min(self._deadline / 20, LOOK_EVERY)
            self._watch = asyncio.get_running_loop().call_later(every, self._look)


def _settled(asker: Asker) -> bool:
    return asker.turn is None or asker.turn.done()


def _settle(asker: Asker, turn: Turn | None) -> None:
    assert asker.turn
    asker.turn.set_result(turn)
