"""A unit and its pipeline go in; the questions that it would ask come out, with stand-ins for what
the teacher has yet to write.

A file of its own because plans, previews and tokenizers look at the same walk that an expansion
makes, before there is an answer. Draws are the real ones; judges are taken to pass everything.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from compiler.expand.trip import Trip
from compiler.expand.verbs import count_of, drawn_by
from compiler.lower import Unit
from compiler.pipeline import Best, Draw, Generate, Pipeline, Rounds, Spread, Stage, Verify
from compiler.prompt import TEMPLATE_FAULTS, Message, holds, render
from compiler.verify.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Question:
    """What a stage asks, `calls` times; `unknown` are the columns that stand in for what the
    teacher will write.
    """

    stage: Generate
    language: str
    columns: Mapping[str, object]
    calls: float
    unknown: frozenset[str]

    def messages(self) -> tuple[Message, ...]:
        """The prompt. Raises one of TEMPLATE_FAULTS."""
        return render(self.stage.prompt_in(self.language), self.columns)

    def rendered(self) -> tuple[Message, ...]:
        """The prompt; nothing where it cannot be rendered."""
        with suppress(*TEMPLATE_FAULTS):  # then a compile drops the draft (P208)
            return self.messages()
        return ()


def imagined(unit: Unit, pipeline: Pipeline) -> tuple[list[Question], float]:
    """The questions of one unit in their order, and how many samples come of them at most."""
    walk = _Walk(Trip(unit, pipeline, 0, "", ""))
    walk.draft = replace(walk.draft, columns={**_stand_ins(unit, pipeline), **walk.draft.columns})
    return walk.questions, walk.block(pipeline.stages, 1.0)


def _stand_ins(unit: Unit, pipeline: Pipeline) -> dict[str, object]:
    """Question, answer and context of the first seed example; a column that no seed example has is
    its name in brackets.
    """
    example = unit.columns["examples"]
    assert isinstance(example, Sequence)
    fields = (field for stage in pipeline.generates for field in stage.writes)
    spread = (stage.writes for stage in pipeline.every() if isinstance(stage, Spread))
    names = (*(field.name for field in fields), *spread)
    return {**{name: f"[{name}]" for name in names}, **example[0]}


class _Walk:
    """The draft on its way, and what was asked for it."""

    def __init__(self, trip: Trip) -> None:
        self.trip = trip
        self.draft = trip.begin()
        self.questions: list[Question] = []
        self.unknown: frozenset[str] = frozenset()

    def block(self, stages: Sequence[Stage], records: float) -> float:
        """Takes `records` drafts through stages; returns how many arrive."""
        for stage in stages:
            if self._stands(stage):
                try:
                    records = self._step(stage, records)
                except TEMPLATE_FAULTS:  # then a compile drops the draft (P208)
                    return 0.0
        return records

    def _stands(self, stage: Stage) -> bool:
        if stage.when is None:
            return True
        with suppress(*TEMPLATE_FAULTS):
            return holds(stage.when, self.draft.columns)
        return True

    def _step(self, stage: Stage, records: float) -> float:
        match stage:
            case Generate():
                return self._generate(stage, records)
            case Draw():
                self.draft = drawn_by(self.trip, stage, self.draft)
            case Verify():
                checker = stage.checker or self.trip.unit.ground.checker
                if checker and isinstance(checker.by, Agreement):
                    self._again(checker.by, records)
                if stage.writes:
                    self.draft = self.draft.with_columns(**{stage.writes: 1})
            case Best():
                of = count_of(stage.of, self.draft)
                return self.block(stage.stages, records * of) / of
            case Spread():
                return records * self._count()
            case Rounds():
                return self._rounds(stage, records)
        return records

    def _generate(self, stage: Generate, records: float) -> float:
        self._ask(stage, records)
        self.unknown |= {field.name for field in stage.writes}
        chosen = {field.name: field.choices[-1] for field in stage.writes if field.choices}
        self.draft = self.draft.with_columns(**chosen)
        if not stage.many:
            return records
        return records * (count_of(stage.most, self.draft) if stage.most else self._count())

    def _ask(self, stage: Generate, calls: float) -> None:
        language = self.trip.unit.ground.language
        question = Question(stage, language, self.draft.columns, calls, self.unknown)
        self.questions.append(question)

    def _again(self, wanted: Agreement, records: float) -> None:
        for stage in self.trip.pipeline.generates:
            if self._stands(stage) and any(field.name == wanted.column for field in stage.writes):
                self._ask(stage, records * (wanted.of - 1))
                return

    def _rounds(self, stage: Rounds, records: float) -> float:
        first = len(self.questions)
        walk = self._fill if stage.over == "pool" else self._evolve
        made = records * walk(stage, count_of(stage.number, self.draft))
        self.questions[first:] = [
            replace(one, calls=one.calls * records) for one in _merged(self.questions[first:])
        ]
        return made

    def _fill(self, stage: Rounds, rounds: int) -> float:
        """As many rounds as fill the unit, each like the first."""
        first, want = len(self.questions), self.trip.unit.want
        calls = count_of(stage.calls, self.draft)
        each = count_of(stage.each, self.draft) if stage.each else want
        self.draft = self.draft.with_columns(round=1, count=each).fork(0, rounds * calls, 0)
        made = self.block(stage.stages, 1.0)
        walks = min(rounds, max(1, math.ceil(want / max(1.0, made * calls)))) * calls
        self.questions[first:] = [
            replace(one, calls=one.calls * walks) for one in self.questions[first:]
        ]
        return made * walks

    def _evolve(self, stage: Rounds, rounds: int) -> float:
        """Every round, the later ones with a parent that nobody wrote yet."""
        outer, made = self.draft, 0.0
        parent = outer.example()
        for at in range(rounds):
            self.draft = outer.with_columns(round=at + 1, parent=parent).fork(at, rounds, at)
            made += self.block(stage.stages, 1.0)
            parent = {name: f"[{name}]" for name in parent}
            self.unknown |= {"parent"}
        return made

    def _count(self) -> float:
        return float(str(self.draft.columns.get("count", 1)))


def _merged(questions: Sequence[Question]) -> list[Question]:
    """One question for each stage: the first, with the calls of all."""
    made: dict[str, Question] = {}
    for one in questions:
        known = made.get(one.stage.id)
        made[one.stage.id] = replace(known, calls=known.calls + one.calls) if known else one
    return list(made.values())
