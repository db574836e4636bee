"""Units and pipelines go in; a Plan comes out: what would be asked of the teacher, before a token
is spent.

A pass of its own because the answer to "how long, how much" must not need the run itself. Token
counts are estimates without a tokenizer, and say so: prompts are rendered for every unit with a
seed example standing in for what the teacher will write.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from compiler.documents.chunk import estimate_tokens
from compiler.journal import Journal, key_of
from compiler.lower import Unit
from compiler.pipeline import Generate, Pipeline
from compiler.prompt import TEMPLATE_FAULTS, Message, render
from compiler.teacher import Request, Teacher

_CHOICE_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One leaf's share; `journaled` counts its first questions that need not be asked."""

    leaf: str
    pipeline: str
    chunks: int
    units: int
    samples: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    journaled: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a compile would ask at most; records that a judge turns down cost less."""

    lines: tuple[Line, ...]

    def total(self, name: str) -> int:
        """The sum of a column of numbers."""
        return sum(getattr(line, name) for line in self.lines)


def plan(
    units: Sequence[Unit], pipelines: Mapping[str, Pipeline], teacher: Teacher, journal: Journal
) -> Plan:
    """Groups the units by leaf, in their order, and counts."""
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.leaf.path, unit.pipeline), []).append(unit)
    return Plan(
        tuple(
            _line(leaf, pipelines[name], group, teacher, journal)
            for (leaf, name), group in groups.items()
        )
    )


def _line(
    leaf: str, pipeline: Pipeline, units: Sequence[Unit], teacher: Teacher, journal: Journal
) -> Line:
    calls = prompt = completion = journaled = samples = 0
    for unit in units:
        records = 1
        columns = {**stand_ins(unit, pipeline), **unit.columns}
        for number, stage in enumerate(pipeline.generates):
            messages: tuple[Message, ...] = ()
            with suppress(*TEMPLATE_FAULTS):  # then a compile drops the record (P208)
                messages = render(stage.prompt, columns)
            calls += records
            prompt += records * sum(estimate_tokens(m.content) for m in messages)
            if number == 0:
                request = Request(
                    messages,
                    stage.sampling,
                    unit.index,
                    stage.id,
                    stage.writes,
                    stage.many,
                    unit.columns,
                )
                known = teacher.model and journal.get(key_of(teacher, request))
                journaled += bool(known)
            records *= unit.want if stage.many else 1
            completion += records * _reply_tokens(stage, columns)
            columns |= {field.name: field.choices[-1] for field in stage.writes if field.choices}
        samples += records
    chunks = len({unit.chunk.id for unit in units if unit.chunk})
    return Line(
        leaf, pipeline.name, chunks, len(units), samples, calls, prompt, completion, journaled
    )


def stand_ins(unit: Unit, pipeline: Pipeline) -> dict[str, object]:
    """What the teacher has yet to write: question, answer and context of the first seed example.

    A column that no seed example has is its name in brackets.
    """
    example = unit.columns["examples"]
    assert isinstance(example, Sequence)
    fields = (field for stage in pipeline.generates for field in stage.writes)
    return {**{field.name: f"[{field.name}]" for field in fields}, **example[0]}


def _reply_tokens(stage: Generate, columns: Mapping[str, object]) -> int:
    return sum(
        _CHOICE_TOKENS if field.choices else estimate_tokens(str(columns.get(field.name, ""))) + 5
        for field in stage.writes
    )
