"""Units and a teacher go in; each unit's samples, and what was dropped on the way with its reason,
come out.

A pass of its own because the hours and the money go here. There are no stage barriers: every unit
walks its stages alone, as many at once as the teacher wants requests, so a slow reply holds up
nobody. The journal answers first. Results come out in the order of the units, whatever order the
replies came in.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from compiler.codes import P208, Code
from compiler.journal import Journal, key_of
from compiler.leaf import Leaf, Seed
from compiler.lower import Unit
from compiler.pipeline import Generate, Keep, Pipeline, Say
from compiler.prompt import TEMPLATE_FAULTS, Message, holds, render, render_text
from compiler.reply import Value, parse_reply
from compiler.teacher import Failure, Reply, Request, Teacher


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sample came from; `generation` is 0 for a human's seed example, 1 for what was made
    from seeds.

    `start` and `end` are the 0-based range of characters in the normalised document.
    """

    kind: str
    file: str
    blob: str
    contributor: str
    licences: tuple[str, ...]
    seeds: tuple[str, ...]
    document: str = ""
    document_blob: str = ""
    start: int = 0
    end: int = 0
    unit: str = ""
    pipeline: str = ""
    prompts: str = ""
    teacher: str = ""
    judge: str = ""
    replies: tuple[str, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the student learns from. `question`, `context` and `answer` are the parts of `messages`
    that later passes compare.
    """

    id: str
    messages: tuple[Message, ...]
    branch: str
    leaf: str
    origin: Origin
    question: str
    answer: str
    context: str = ""
    unmask: bool = False
    scores: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """A sample that will not be; `text` is what the teacher wrote, or the question."""

    code: Code
    detail: str
    leaf: str
    stage: str
    text: str
    replies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One unit's result; `failure` where its first request had no answer at all."""

    unit: Unit
    samples: tuple[Sample, ...]
    drops: tuple[Drop, ...]
    failure: Failure | None = None


@dataclass(slots=True)
class Tally:
    """What a run cost: requests sent, answers found in the journal, tokens of what was sent.

    `records` counts what was begun: one for each unit, and each further record of a reply.
    """

    asked: int = 0
    journaled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    records: int = 0


def sample_id(messages: Sequence[Message]) -> str:
    """The id of a sample: 16 hex digits of a hash of its messages."""
    text = json.dumps([message.as_json() for message in messages], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_seed(leaf: Leaf, seed: Seed) -> Sample:
    """A contributor's own example as a sample, worded as the pipelines word theirs."""
    closed_book = leaf.kind == "knowledge" or not seed.context
    asked = seed.question if closed_book else f"{seed.context}\n\n{seed.question}"
    messages = (Message("user", asked), Message("assistant", seed.answer))
    origin = Origin("seed", leaf.file, leaf.blob, leaf.created_by, leaf.licences, (seed.id,))
    context = "" if closed_book else seed.context
    return Sample(
        sample_id(messages),
        messages,
        leaf.branch,
        leaf.path,
        origin,
        seed.question,
        seed.answer,
        context,
    )


@dataclass(slots=True)
class _Draft:
    """A sample on its way: its columns, its judges' scores, and the replies it was made of."""

    columns: dict[str, object]
    scores: dict[str, Value]
    replies: tuple[str, ...]


class Expander:
    """Walks units through their pipelines with one teacher, one judge and one journal."""

    def __init__(self, teacher: Teacher, judge: Teacher, journal: Journal) -> None:
        self.teacher = teacher
        self.judge = judge
        self.journal = journal
        self.tally = Tally()
        self._slots = {id(t): asyncio.Semaphore(t.in_flight) for t in (teacher, judge)}
        self._asking: dict[str, asyncio.Task[Reply | Failure]] = {}

    async def run(
        self,
        units: Sequence[Unit],
        pipelines: Mapping[str, Pipeline],
        step: Callable[[Outcome], None] = lambda outcome: None,
    ) -> AsyncGenerator[Outcome]:
        """Yields an Outcome per unit, in order; `step` is called as each one is finished, in any
        order.

        At most four times the teacher's `in_flight` units are open at once, so memory is bounded.
        """
        numbers = count()
        waiting = iter(units)
        open_: dict[int, asyncio.Task[Outcome]] = {}

        async def walk(unit: Unit) -> Outcome:
            outcome = await self._unit(unit, pipelines[unit.pipeline])
            step(outcome)
            return outcome

        def fill() -> None:
            while len(open_) < 4 * self.teacher.in_flight:
                unit = next(waiting, None)
                if unit is None:
                    return
                open_[next(numbers)] = asyncio.create_task(walk(unit))

        try:
            fill()
            for number in count():
                if not open_:
                    return
                yield await open_[number]
                del open_[number]
                fill()
        finally:
            for task in open_.values():
                task.cancel()
            await asyncio.gather(*open_.values(), return_exceptions=True)

    async def _unit(self, unit: Unit, pipeline: Pipeline) -> Outcome:
        drops: list[Drop] = []
        drafts = [_Draft(dict(unit.columns), {}, ())]
        failure: Failure | None = None
        self.tally.records += 1
        for place, stage in enumerate(pipeline.stages):
            if isinstance(stage, Generate):
                first = place == 0
                results = await asyncio.gather(*(self._generate(unit, stage, d) for d in drafts))
                drafts = []
                for made, dropped, failed in results:
                    self.tally.records += len(made) + len(dropped) - 1
                    drafts += made
                    drops += dropped
                    if failed and first:
                        failure = failed
            elif isinstance(stage, Keep):
                verdicts = [(d, self._verdict(unit, stage, d)) for d in drafts]
                drops += [drop for _, drop in verdicts if drop]
                drafts = [d for d, drop in verdicts if drop is None]
            else:
                samples = tuple(self._say(unit, pipeline, stage, draft) for draft in drafts)
                return Outcome(unit, samples, tuple(drops), failure)
        return Outcome(unit, (), tuple(drops), failure)

    async def _generate(
        self, unit: Unit, stage: Generate, draft: _Draft
    ) -> tuple[list[_Draft], list[Drop], Failure | None]:
        teacher = self.judge if stage.judge else self.teacher
        question = str(draft.columns.get("question", ""))
        try:
            messages = render(stage.prompt, draft.columns)
        except TEMPLATE_FAULTS as wrong:
            drop = Drop(P208, str(wrong), unit.leaf.path, stage.id, question, draft.replies)
            return [], [drop], None
        request = Request(
            messages,
            stage.sampling,
            unit.index if stage.many or not draft.replies else 0,
            stage.id,
            stage.writes,
            stage.many,
            draft.columns,
        )
        key = key_of(teacher, request)
        reply = await self._ask(teacher, request, key)
        replies = (*draft.replies, key)
        if isinstance(reply, Failure):
            if not draft.replies:
                return [], [], reply
            drop = Drop(reply.code, reply.detail, unit.leaf.path, stage.id, question, draft.replies)
            return [], [drop], None
        records, broken = parse_reply(reply, stage.writes, stage.many)
        judged = all(field.choices for field in stage.writes)
        made = [
            _Draft(
                {**draft.columns, **record},
                {**draft.scores, **(record if judged else {})},
                replies,
            )
            for record in records
        ]
        drops = [
            Drop(b.code, b.detail, unit.leaf.path, stage.id, question or b.text, replies)
            for b in broken
        ]
        return made, drops, None

    async def _ask(self, teacher: Teacher, request: Request, key: str) -> Reply | Failure:
        """The journal's answer, or the teacher's; a question in flight is not sent again."""
        found = self.journal.get(key)
        if found is not None:
            self.tally.journaled += 1
            return found
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._send(teacher, request, key))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(self._asking[key])

    async def _send(self, teacher: Teacher, request: Request, key: str) -> Reply | Failure:
        async with self._slots[id(teacher)]:
            reply = await teacher.ask(request)
        self.tally.asked += 1
        self.journal.put(key, teacher.model, reply)
        if isinstance(reply, Reply):
            self.tally.prompt_tokens += reply.prompt_tokens
            self.tally.completion_tokens += reply.completion_tokens
        return reply

    def _verdict(self, unit: Unit, stage: Keep, draft: _Draft) -> Drop | None:
        """Why a draft goes; None where it stays."""
        said = ", ".join(f"{name} is {value}" for name, value in draft.scores.items())
        code = stage.code
        try:
            if holds(stage.condition, draft.columns):
                return None
        except TEMPLATE_FAULTS as wrong:
            code, said = P208, f"{said}: {wrong}"
        question = str(draft.columns.get("question", ""))
        return Drop(code, said, unit.leaf.path, "keep", question, draft.replies)

    def _say(self, unit: Unit, pipeline: Pipeline, stage: Say, draft: _Draft) -> Sample:
        messages = tuple(
            Message(role, render_text(template, draft.columns)) for role, template in stage.messages
        )
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
