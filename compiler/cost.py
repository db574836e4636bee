"""A Plan, prices and a rate go in; hours and money come out, and after a run what it took beside
what was planned.

A file of its own because a plan only counts: what a token costs, and how many a second a teacher
writes, is other people's knowledge, and changes.
"""

import json
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compiler.curriculum import Prices
from compiler.expand import Engine, Outcome, Tally
from compiler.journal import Rate
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.plan import Load, Plan
from compiler.teacher import Failure

RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Money:
    """A sum of money, in the currency of the prices: at list price, and in batches."""

    list: float
    batch: float

    def __add__(self, other: "Money") -> "Money":
        return Money(self.list + other.list, self.batch + other.batch)


def price_of(load: Load, prices: Prices) -> Money:
    """What tokens cost; prices are for a million."""
    asked = load.prompt_tokens * prices.prompt + load.completion_tokens * prices.completion
    return Money(asked / 1e6, asked / 1e6 * prices.batch)


def seconds_of(load: Load, rate: Rate) -> float:
    """How long it takes at a rate: by its tokens or by its requests, whichever takes longer."""
    shares = (load.completion_tokens, rate.tokens), (load.calls, rate.requests)
    return max((amount / speed for amount, speed in shares if speed > 0), default=0.0)


def pair(teacher: str, judge: str) -> str:
    """The name under which the journal notes the rate of a teacher with its judge."""
    return teacher if judge == teacher else f"{teacher}, judged by {judge}"


class Timed:
    """An engine, and the `seconds` that its expansion took, without what it took to connect."""

    def __init__(self, engine: Engine) -> None:
        self.seconds = 0.0
        self._engine = engine

    @property
    def tally(self) -> Tally:
        return self._engine.tally

    @property
    def teacher(self) -> str:
        return self._engine.teacher

    @property
    def judge(self) -> str:
        return self._engine.judge

    async def open(self) -> Failure | None:
        return await self._engine.open()

    async def run(
        self, units: Sequence[Unit], pipelines: Mapping[str, Pipeline]
    ) -> AsyncGenerator[Outcome]:
        start = time.monotonic()
        try:
            async with aclosing(self._engine.run(units, pipelines)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            self.seconds += time.monotonic() - start

    async def close(self) -> None:
        await self._engine.close()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run asked and made; `seconds` of wall time.

    `told` is the share of the plan of those who count tokens: a teacher by rule has none. `prices`
    are those of the `teacher` and the `judge` that have some.
    """

    teacher: str
    judge: str
    tally: Tally
    samples: int
    seconds: float
    plan: Plan
    told: Load
    prices: Mapping[str, Prices] = field(default_factory=dict)

    @property
    def share_asked(self) -> float:
        """The share of all answers that had to be asked for."""
        answers = self.tally.asked + self.tally.journaled + self.tally.joined
        return self.tally.asked / answers if answers else 0.0

    def rows(self) -> list[tuple[str, int, int]]:
        """Name, planned, actual: tokens are those of what was asked, so of the planned ones the
        same share. Without the teacher's own counts there are no tokens.
        """
        plan, tally = self.plan, self.tally
        answers = tally.asked + tally.journaled + tally.joined
        rows = [("calls", plan.total("calls"), answers)]
        for name in ("prompt_tokens", "completion_tokens"):
            if actual := getattr(tally, name):
                rows.append((name, round(getattr(self.told, name) * self.share_asked), actual))
        return [*rows, ("samples", plan.total("samples"), self.samples)]

    def as_json(self) -> dict[str, object]:
        """What `run.json` holds."""
        tally = self.tally
        return {
            "teacher": self.teacher,
            "judge": self.judge,
            **asdict(tally),
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
            "requests_per_second": round(tally.asked / self.seconds, 3) if self.seconds else 0.0,
            "tokens_per_second": round(tally.completion_tokens / self.seconds, 3)
            if self.seconds
            else 0.0,
            "prices": {name: asdict(price) for name, price in self.prices.items()},
            "plan": [
                {"name": name, "planned": planned, "actual": actual}
                for name, planned, actual in self.rows()
            ],
        }


def write_run(ran: Ran, build: Path) -> None:
    """Writes `run.json` beside a build. It is no part of it, not in its manifest, and differs from
    run to run.
    """
    draft = build / f".{RUN}.{os.getpid()}"
    draft.write_text(json.dumps(ran.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    draft.replace(build / RUN)


def unread(tally: Tally) -> tuple[int, int]:
    """How many replies could not be read at first, and of how many."""
    return tally.unparsed, max(tally.unparsed, tally.asked + tally.journaled - tally.failed)
