"""A draft and a stage go in; the drafts that it becomes come out: what each verb does.

A file of its own because it is the meaning of the pipeline language. A list of stages is walked by
each draft alone; only `unique` waits for all drafts of its unit.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import jinja2

from compiler.codes import D513, D528, P208
from compiler.expand.asker import Asker
from compiler.expand.trip import Draft, End, Trip
from compiler.expand.verbs import count_of, draw, keep, spread, unique
from compiler.lower import example_of
from compiler.pipeline import (
    Best,
    Draw,
    Generate,
    Keep,
    Rounds,
    Say,
    Spread,
    Stage,
    Unique,
    Verify,
)
from compiler.prompt import TEMPLATE_FAULTS, number, render
from compiler.teacher import Request
from compiler.verify import Passed, agreed, written
from compiler.verify.agreement import Agreement

_STALE = 2  # rounds without anything new until a teacher counts as saturated


class Steps:
    """The verbs, with someone to ask."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def block(
        self,
        trip: Trip,
        stages: Sequence[Stage],
        drafts: Sequence[Draft],
        branch: tuple[int, ...] = (),
    ) -> End:
        """Takes drafts through a list of stages, each alone from one `unique` to the next.

        `branch` is the trail that tells these drafts from others which are walked side by side.
        """
        end = End(list(drafts))
        for gathers, group in groupby(stages, lambda stage: isinstance(stage, Unique)):
            segment = tuple(group)
            if not gathers:
                now, end.drafts = end.drafts, []
                end.take(await self._asker.all(self._alone(trip, segment, d) for d in now))
                continue
            for stage in segment:
                assert isinstance(stage, Unique)
                end.drafts, drops = unique(trip, stage, end.drafts, branch)
                end.drops += drops
        return end

    async def _alone(self, trip: Trip, stages: Sequence[Stage], draft: Draft) -> End:
        """Takes one draft through stages of which none gathers; what it becomes goes on alone."""
        end = End()
        for at, stage in enumerate(stages):
            try:
                if not trip.stands(stage, draft):
                    continue
                made = await self._step(trip, stage, draft)
            except TEMPLATE_FAULTS as wrong:
                name = stage.id if isinstance(stage, Generate) else type(stage).__name__.lower()
                end.drops.append(trip.drop(P208, str(wrong), name, draft))
                return end
            drafts, made.drafts = made.drafts, []
            if len(drafts) > 1:
                ends = (self._alone(trip, stages[at + 1 :], one) for one in drafts)
                end.take(await self._asker.all(ends))
            end.take([made])
            if len(drafts) != 1:
                return end
            draft = drafts[0]
        end.drafts.append(draft)
        return end

    async def _step(self, trip: Trip, stage: Stage, draft: Draft) -> End:
        match stage:
            case Generate():
                return await self._generate(trip, stage, draft)
            case Verify():
                return await self._verify(trip, stage, draft)
            case Best():
                return await self._best(trip, stage, draft)
            case Rounds(over="pool"):
                return await self._pool(trip, stage, draft)
            case Rounds():
                return await self._evolve(trip, stage, draft)
            case Draw():
                return draw(trip, stage, draft)
            case Keep():
                return keep(trip, stage, draft)
            case Spread():
                return spread(trip, stage, draft)
            case Say():
                return await self._say(trip, draft)
            case Unique():
                raise AssertionError("it gathers")

    async def _generate(self, trip: Trip, stage: Generate, draft: Draft) -> End:
        """What one question makes of a draft."""
        request = _request(trip, stage, draft)
        heard = await self._asker.hear(
            self._asker.judge if stage.judge else self._asker.teacher, request
        )
        told = replace(draft, replies=(*draft.replies, *heard.keys))
        if heard.failure:
            if not told.replies:
                return End(silent=[(draft, heard.failure)])
            code, detail = heard.failure.code, heard.failure.detail
            return End(drops=[trip.drop(code, detail, stage.id, told)])
        judged = all(field.choices for field in stage.writes)
        most = count_of(stage.most, draft) if stage.most else len(heard.records)
        made = [
            replace(
                told,
                columns={**draft.columns, **record},
                scores={**draft.scores, **(record if judged else {}), **heard.odds},
                trail=(*draft.trail, at) if stage.many else draft.trail,
            )
            for at, record in enumerate(heard.records[:most])
        ]
        drops = [trip.drop(b.code, b.detail, stage.id, told, b.text) for b in heard.broken]
        drops += [
            trip.drop(D513, f"one reply has {most} at most", stage.id, told, str(record))
            for record in heard.records[most:]
        ]
        trip.records += len(made) + len(drops) - 1
        return End(made, drops=drops)

    async def _verify(self, trip: Trip, stage: Verify, draft: Draft) -> End:
        """Asks a checker; without one it passes everything."""
        checker = stage.checker or trip.unit.ground.checker
        if checker is None:
            return End([draft.with_columns(**{stage.writes: 1}) if stage.writes else draft])
        if isinstance(checker.by, Agreement):
            reason, keys = await self._agree(trip, checker.by, draft)
            draft = replace(draft, replies=(*draft.replies, *keys))
        else:
            reason = await checker.run(draft.columns)
            passed = () if reason else (Passed.of(checker, draft.columns),)
            draft = replace(draft, passed=(*draft.passed, *passed))
        if stage.writes:
            verdict = int(not reason)
            scores = {**draft.scores, stage.writes: verdict}
            return End([replace(draft.with_columns(**{stage.writes: verdict}), scores=scores)])
        if reason:
            return End(drops=[trip.drop(stage.code, reason, "verify", draft)])
        return End([replace(draft, scores={**draft.scores, "verified": 1})])

    async def _say(self, trip: Trip, draft: Draft) -> End:
        """The sample of a draft, with what checks other answers to it."""
        sample = trip.sample(draft)
        return End(samples=[replace(sample, verify=await written(draft.passed, sample.answer))])

    async def _agree(
        self, trip: Trip, wanted: Agreement, draft: Draft
    ) -> tuple[str, tuple[str, ...]]:
        """Why the answer of a draft is not the one that most of several have; the replies."""
        writing = (
            stage
            for stage in trip.pipeline.generates
            if any(field.name == wanted.column for field in stage.writes)
            and trip.stands(stage, draft)
        )
        stage = next(writing, None)
        if stage is None:
            raise jinja2.UndefinedError(f"no question was asked for '{wanted.column}'")
        others = [draft.fork(at, wanted.of, at) for at in range(1, wanted.of)]
        heard = [
            self._asker.hear(
                self._asker.judge if stage.judge else self._asker.teacher,
                _request(trip, stage, other, first=False),
            )
            for other in others
        ]
        answers = await self._asker.all(heard)
        said = [str(record[wanted.column]) for one in answers for record in one.records[:1]]
        keys = tuple(key for one in answers for key in one.keys)
        own = str(draft.columns.get(wanted.column, ""))
        value, count = agreed([own, *said])
        if agreed([own, value])[1] < 2:
            return f"{count} of {wanted.of} answers are `{value}`", keys
        if count < wanted.least:
            return f"{count} of {wanted.of} answers agree, {wanted.least} are wanted", keys
        return "", keys

    async def _best(self, trip: Trip, stage: Best, draft: Draft) -> End:
        """Walks the same way several times, and goes on with the best."""
        of = count_of(stage.of, draft)
        if of == 1:
            return await self.block(trip, stage.stages, [draft])
        trip.records += of - 1
        tries = [draft.fork(at, of, at) for at in range(of)]
        ends = await self._asker.all(self.block(trip, stage.stages, [one]) for one in tries)
        end = End()
        end.take(ends)
        if not end.drafts:
            return end
        proxies = [number(stage.by, one.columns) for one in end.drafts]
        ranks = [(-math.inf if math.isnan(proxy) else proxy) for proxy in proxies]
        first, last = ranks.index(max(ranks)), ranks.index(min(ranks))
        order = [first, *(at for at in range(len(ranks)) if at != first)]
        verified = [float(str(one.scores.get("verified", "nan"))) for one in end.drafts]
        pair = stage.pair and ranks[last] < ranks[first]
        won = replace(
            end.drafts[first],
            stride=draft.stride,
            offset=draft.offset,
            rejected=end.drafts[last].columns if pair else None,
            rivals=tuple((proxies[at], verified[at]) for at in order),
        )
        detail = f"{{}} against {_plain(proxies[first])}"
        lost = [
            trip.drop(D528, detail.format(_plain(proxies[at])), "best", end.drafts[at])
            for at in order[1:]
        ]
        return End([won], end.samples, [*end.drops, *lost], end.silent)

    async def _pool(self, trip: Trip, stage: Rounds, draft: Draft) -> End:
        """Begins anew in every round, with what was accepted so far at hand."""
        rounds, calls = count_of(stage.number, draft), count_of(stage.calls, draft)
        each = count_of(stage.each, draft) if stage.each else trip.unit.want
        end = End()
        begun = stale = 0
        for at in range(rounds):
            start = replace(draft.with_columns(round=at + 1, count=each), pool=tuple(end.drafts))
            starts = [
                start.fork(begun + call, rounds * calls, at * calls + call) for call in range(calls)
            ]
            begun += calls
            found = await self.block(trip, stage.stages, starts, draft.trail)
            stale = 0 if found.drafts else stale + 1
            end.take([found])
            if stale == _STALE:
                trip.saturated = True
            if stale == _STALE or len(end.drafts) >= trip.unit.want:
                break
        trip.records += begun - 1
        end.drafts = [
            replace(one, stride=draft.stride, offset=draft.offset, pool=draft.pool)
            for one in end.drafts
        ]
        return end

    async def _evolve(self, trip: Trip, stage: Rounds, draft: Draft) -> End:
        """Goes on from what the last round made; where it failed, its parent tries again."""
        rounds = count_of(stage.number, draft)
        seed = example_of(trip.unit.shown[0])
        if "question" in draft.columns:
            current = [(draft, trip.id_of(draft), draft.generation)]
        else:
            current = [(draft.with_columns(**seed), trip.root(), 0)]
        end = End()
        begun = 0
        for at in range(rounds):
            starts = [
                replace(
                    one.with_columns(round=at + 1, parent=one.example(), answer="").fork(
                        at, rounds, at
                    ),
                    scores={},  # what its parent has is not its own
                    rejected=None,
                    rivals=(),
                    passed=(),
                )
                for one, _, _ in current
            ]
            begun += len(starts)
            found = await self.block(trip, stage.stages, starts, draft.trail)
            parents, current = current, []
            for (parent, name, generation), start in zip(parents, starts, strict=True):
                children = [
                    replace(
                        child,
                        stride=draft.stride,
                        offset=draft.offset,
                        parent=name,
                        generation=generation + 1,
                    )
                    for child in found.drafts
                    if child.trail[: len(start.trail)] == start.trail
                ]
                grown = [(child, trip.id_of(child), generation + 1) for child in children]
                current += grown or [(parent, name, generation)]
                end.drafts += children
            found.drafts = []
            end.take([found])
        trip.records += begun - 1
        return end


def _request(trip: Trip, stage: Generate, draft: Draft, first: bool = True) -> Request:
    """What a stage asks; `first`: the unit's own number tells its first questions apart."""
    own = trip.unit.index if first and (stage.many or not draft.replies) else 0
    return Request(
        render(stage.prompt_in(trip.unit.ground.language), draft.columns),
        stage.sampling,
        own * draft.stride + draft.offset,
        stage.id,
        stage.writes,
        stage.many,
        draft.columns,
        stage.form,
        trip.rank,
    )


def opening(trip: Trip) -> Request | None:
    """The unit's first question, where nothing stands before it; else None."""
    stage = trip.pipeline.stages[0]
    if not isinstance(stage, Generate) or stage.when:
        return None
    return _request(trip, stage, trip.begin())


def _plain(proxy: float) -> str:
    return "no score" if math.isnan(proxy) else f"{proxy:g}"
