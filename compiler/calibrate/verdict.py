"""An assertion and an item go in; whether the item passes comes out.

A file of its own because calibration and compilation must say the same of the same text. What a
condition can say is said here and now; a judge is asked, once for each prompt, and the journal
keeps its answer.
"""

import asyncio
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from compiler.calibrate.criteria import Assertion, Criteria, Criterion
from compiler.calibrate.grades import Grade
from compiler.calibrate.item import Item, of_sample
from compiler.calibrate.measure import Passes
from compiler.codes import Code
from compiler.diagnostics import Report, counted
from compiler.expand import Sample
from compiler.expand.asker import Asker, Store, Tally
from compiler.pipeline import Field, Sampling
from compiler.prompt import TEMPLATE_FAULTS, holds, render
from compiler.source import BRANCHES
from compiler.teacher import Request, Teacher

T = TypeVar("T")
R = TypeVar("R")
SHOTS = 2
"""How many good and how many bad items a judge's prompt may show as examples."""

_WRITES = (Field("verdict", ("no", "yes")),)
_SAMPLING = Sampling(temperature=0.0, max_tokens=16)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a compile holds samples to: the chosen assertions of each branch, and the grades that
    their judges may be shown.
    """

    sets: Mapping[str, tuple[Assertion, ...]] = field(default_factory=dict)
    shown: Mapping[str, tuple[Grade, ...]] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Whether a judge has to be asked."""
        return any(one.judged for set in self.sets.values() for one in set)


def failing(sample: Sample, chosen: Chosen) -> Criterion | None:
    """The criterion whose condition a sample fails, None where it fails none.

    What people wrote is held to nothing; what a judge has to be asked is left out.
    """
    item = of_sample(sample)
    return next(
        (
            one.criterion
            for one in _held_to(sample, chosen)
            if not one.judged and condition(one, item) is False
        ),
        None,
    )


async def all_failing(
    samples: Iterable[Sample], chosen: Chosen, judging: "Judging | None" = None
) -> AsyncGenerator[Criterion | None]:
    """`failing` of each sample, in order, and where there is a judge also by what it says."""
    if judging is not None and chosen.judged:
        async with aclosing(judging.failing(samples, chosen)) as found:
            async for fails in found:
                yield fails
    else:
        for sample in samples:
            yield failing(sample, chosen)


def condition(assertion: Assertion, item: Item) -> Passes:
    """What a condition says of an item; None where it cannot be evaluated, which is a skip."""
    try:
        return holds(assertion.template, item.columns)
    except TEMPLATE_FAULTS:
        return None


def conditions(criteria: Criteria, items: Iterable[Item]) -> dict[tuple[str, str], Passes]:
    """What every condition of an item's branch says of it, by the ids of assertion and item."""
    pairs = ((one, item) for one, item in _pairs(criteria, items) if not one.judged)
    return {(one.id, item.id): condition(one, item) for one, item in pairs}


def _pairs(criteria: Criteria, items: Iterable[Item]) -> Iterator[tuple[Assertion, Item]]:
    return ((one, item) for item in items for one in criteria.candidates(item.branch))


def examples(item: Item, grades: Sequence[Grade]) -> list[dict[str, object]]:
    """A few graded items of each kind for a judge to see, never the item itself."""
    others = [one for one in grades if one.item.id != item.id and _said(one.item) != _said(item)]
    shown = [one for good in (True, False) for one in [o for o in others if o.good is good][:SHOTS]]
    return [
        {
            "question": one.item.question,
            "answer": one.item.answer,
            "context": one.item.context,
            "grade": "good" if one.good else "bad",
            "note": one.note,
        }
        for one in shown
    ]


def _said(item: Item) -> tuple[str, str, str]:
    return item.question, item.answer, item.context


def _held_to(sample: Sample, chosen: Chosen) -> tuple[Assertion, ...]:
    return () if sample.origin.of_people else chosen.sets.get(sample.branch, ())


class Judging:
    """Asks a judge for verdicts; the journal, or another store, answers first. The judge must be
    open.
    """

    def __init__(self, judge: Teacher, store: Store) -> None:
        self._asker = Asker(judge, judge, store)
        self._failed: Counter[Code] = Counter()
        self._details: dict[Code, str] = {}

    @property
    def tally(self) -> Tally:
        """What was asked, and what the journal answered."""
        return self._asker.tally

    async def verdicts(
        self, criteria: Criteria, items: Iterable[Item], grades: Sequence[Grade]
    ) -> dict[tuple[str, str], Passes]:
        """What every assertion of an item's branch says of it, by the ids of assertion and item;
        `grades` are those that a prompt with `examples` may show.
        """
        pairs = list(_pairs(criteria, items))
        of = {branch: [g for g in grades if g.item.branch == branch] for branch in BRANCHES}

        async def one(pair: tuple[Assertion, Item]) -> Passes:
            return await self.verdict(*pair, of.get(pair[1].branch, ()))

        said = [verdict async for verdict in self._in_order(pairs, one)]
        return {(a.id, item.id): verdict for (a, item), verdict in zip(pairs, said, strict=True)}

    async def failing(
        self, samples: Iterable[Sample], chosen: Chosen
    ) -> AsyncGenerator[Criterion | None]:
        """For each sample, in order, the criterion that it fails by a condition or by the judge,
        None where it fails none. As many samples are open at once as the judge can use.
        """

        async def one(sample: Sample) -> Criterion | None:
            if fails := failing(sample, chosen):
                return fails
            item = of_sample(sample)
            for assertion in _held_to(sample, chosen):
                if assertion.judged:
                    grades = chosen.shown.get(sample.branch, ())
                    if await self.verdict(assertion, item, grades) is False:
                        return assertion.criterion
            return None

        async for fails in self._in_order(samples, one):
            yield fails

    async def verdict(
        self, assertion: Assertion, item: Item, grades: Sequence[Grade] = ()
    ) -> Passes:
        """Whether an item passes; None where a condition or a prompt fails, or the judge gives no
        verdict. `grades` are those that a prompt with `examples` may show.
        """
        if not assertion.judged:
            return condition(assertion, item)
        columns = {
            **item.columns,
            "criterion": assertion.criterion.text,
            "examples": examples(item, grades),
        }
        try:
            messages = render(assertion.template, columns)
        except TEMPLATE_FAULTS:
            return None
        # A teacher by rule is journaled by its columns: those that are not read make no difference.
        read = {name: columns[name] for name in assertion.template.reads}
        request = Request(messages, _SAMPLING, 0, assertion.id, _WRITES, False, read, form="choice")
        heard = await self._asker.hear(self._asker.judge, request)
        if failure := heard.failure:
            self._failed[failure.code] += 1
            self._details.setdefault(failure.code, failure.detail)
        return heard.records[0]["verdict"] == "yes" if heard.records else None

    def report(self, report: Report) -> None:
        """Says which questions had no answer since the last report, once for each reason."""
        for code, number in sorted(self._failed.items(), key=lambda one: one[0].id):
            report.add(
                code,
                f"{counted(number, 'question')} to the judge had no answer; the first: "
                f"{self._details[code]}",
                hint="mend what the endpoint complains of, then run the same command again",
            )
        self._failed.clear()
        self._details.clear()

    async def _in_order(
        self, values: Iterable[T], work: Callable[[T], Coroutine[Any, Any, R]]
    ) -> AsyncGenerator[R]:
        """What `work` makes of each value, in order; a window of them is worked on at once."""

        open_: list[asyncio.Task[R]] = []
        try:
            for value in values:
                open_.append(asyncio.create_task(self._asker.walk(work(value))))
                if len(open_) >= 2 * max(1, self._asker.judge.in_flight):
                    yield await open_.pop(0)
            while open_:
                yield await open_.pop(0)
        finally:
            for task in open_:
                task.cancel()
            await asyncio.gather(*open_, return_exceptions=True)
            self._asker.stop()
