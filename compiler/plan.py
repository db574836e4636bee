"""Units and pipelines go in; a Plan comes out: what would be asked of the teacher, before a token
is spent.

A pass of its own because the answer to "how long, how much" must not need the run itself. What the
teacher has yet to write has a seed example in its place; what it wrote already is read from the
journal, by the same walk as in a compile.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.answered import Known, answered
from compiler.documents.chunk import estimate_tokens
from compiler.imagine import Question, imagined
from compiler.journal import Journal
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.prompt import Message
from compiler.teacher import Teacher

_CHOICE_TOKENS = 2  # the choice, and the token that ends a reply
_MOST_RENDERED = 4096
_LEAST_RENDERED = 2


@dataclass(frozen=True, slots=True)
class Load:
    """Calls, and the tokens of their prompts and replies."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One leaf's share of one pipeline.

    `teacher` and `judge` are what a build asks of them when nothing is known yet, `teacher_left`
    and `judge_left` what is not in the journal. `journaled` counts the answers that are.
    """

    leaf: str
    pipeline: str
    chunks: int
    units: int
    samples: int
    journaled: int
    teacher: Load
    judge: Load
    teacher_left: Load
    judge_left: Load

    @property
    def calls(self) -> int:
        return self.teacher.calls + self.judge.calls

    @property
    def prompt_tokens(self) -> int:
        return self.teacher.prompt_tokens + self.judge.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.teacher.completion_tokens + self.judge.completion_tokens

    @property
    def left(self) -> int:
        """The calls that are not in the journal."""
        return self.teacher_left.calls + self.judge_left.calls


@dataclass(frozen=True, slots=True)
class Plan:
    """What a compile would ask at most; records that a judge turns down cost less."""

    lines: tuple[Line, ...]

    def total(self, name: str) -> int:
        """The sum of a column of numbers."""
        return sum(getattr(line, name) for line in self.lines)

    def load(self, *names: str) -> Load:
        """The sum of columns of loads."""
        return sum((getattr(line, name) for line in self.lines for name in names), Load())


Scale = Mapping[tuple[str, str], float]
"""By pipeline and stage: how many tokens a tokenizer makes of what we estimate as one. The stage ""
stands for replies.
"""


def plan(
    units: Sequence[Unit],
    pipelines: Mapping[str, Pipeline],
    teacher: Teacher,
    journal: Journal | None,
    judge: Teacher | None = None,
    scale: Scale | None = None,
    step: Callable[[], None] = lambda: None,
) -> Plan:
    """Groups the units by leaf, in their order, and counts.

    Without a journal, or a model's name, nothing counts as answered. Of a leaf with many units a
    share is rendered, evenly spread, and stands for the others. `step` is called for every unit
    that is looked up in the journal.
    """
    groups = _groups(units)
    most = max(_LEAST_RENDERED, _MOST_RENDERED // max(1, len(groups)))
    lines = []
    for (leaf, name), group in groups.items():
        pipeline = pipelines[name]
        stages, samples = _stages(pipeline, group, most, scale or {})
        known = Known(0, Counter(stage.id for stage in stages[:1] for _ in group))
        if journal and teacher.model and stages:
            known = answered(pipeline, group, teacher, judge or teacher, journal, step)
        chunks = len({unit.chunk.id for unit in group if unit.chunk})
        left = [stage.times(_share_left(stages, i, known.open)) for i, stage in enumerate(stages)]
        lines.append(
            Line(
                leaf,
                name,
                chunks,
                len(group),
                samples,
                known.journaled,
                _sum(stages, to_judge=False),
                _sum(stages, to_judge=True),
                _sum(left, to_judge=False),
                _sum(left, to_judge=True),
            )
        )
    return Plan(tuple(lines))


def _groups(units: Sequence[Unit]) -> dict[tuple[str, str], list[Unit]]:
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.leaf.path, unit.pipeline), []).append(unit)
    return groups


@dataclass(slots=True)
class _Stage:
    """What one stage asks for the units of a leaf."""

    id: str
    to_judge: bool
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0

    def times(self, factor: float) -> "_Stage":
        return _Stage(
            self.id,
            self.to_judge,
            self.calls * factor,
            self.prompt_tokens * factor,
            self.completion_tokens * factor,
        )


def _sum(stages: Sequence[_Stage], to_judge: bool) -> Load:
    mine = [stage for stage in stages if stage.to_judge is to_judge]
    return Load(
        round(sum(stage.calls for stage in mine)),
        round(sum(stage.prompt_tokens for stage in mine)),
        round(sum(stage.completion_tokens for stage in mine)),
    )


def _stages(
    pipeline: Pipeline, units: Sequence[Unit], most: int, scale: Scale
) -> tuple[list[_Stage], int]:
    """What each stage asks, and how many samples come of it."""
    shown = _spread(units, most)
    made = {stage.id: _Stage(stage.id, stage.judge) for stage in pipeline.generates}
    samples = 0.0
    for unit in shown:
        questions, yielded = imagined(unit, pipeline)
        samples += yielded
        for question in questions:
            stage, sum_ = question.stage, made[question.stage.id]
            tokens = scale.get((pipeline.name, stage.id), 1.0) * tokens_of(question.rendered())
            sum_.calls += question.calls
            sum_.prompt_tokens += question.calls * tokens
            records = question.calls * (int(str(question.columns["count"])) if stage.many else 1)
            tokens = _reply_tokens(question) * scale.get((pipeline.name, ""), 1.0)
            sum_.completion_tokens += records * tokens
    factor = len(units) / max(1, len(shown))
    return [stage.times(factor) for stage in made.values()], round(samples * factor)


def _spread(units: Sequence[Unit], most: int) -> Sequence[Unit]:
    """At most so many of the units, evenly spread."""
    if len(units) <= most:
        return units
    return [units[i * len(units) // most] for i in range(most)]


def tokens_of(messages: Sequence[Message]) -> int:
    """About how many tokens a prompt has."""
    return sum(estimate_tokens(message.content) for message in messages)


def _reply_tokens(question: Question) -> float:
    """About how many tokens one record of a reply has: as many as in the mean of the examples. What
    no example has is taken to be as long as an answer.
    """
    stage = question.stage
    if stage.form == "choice":
        return _CHOICE_TOKENS
    examples = question.columns["examples"]
    assert isinstance(examples, Sequence)
    tokens = 0.0
    for written in stage.writes:
        name = written.name
        if written.choices:
            texts = [str(written.choices[-1])]
        else:
            texts = [str(e.get(name, e["answer"])) for e in examples]
        tokens += estimate_tokens(f"<{name}></{name}>") + sum(map(estimate_tokens, texts)) / len(
            texts
        )
    return tokens


def probes(
    units: Sequence[Unit], pipelines: Mapping[str, Pipeline], most: int
) -> dict[tuple[str, str], list[tuple[Message, ...]]]:
    """At most so many prompts, by pipeline and stage: those that a tokenizer counts for a scale."""
    by_pipeline: dict[str, list[Unit]] = {}
    for unit in units:
        by_pipeline.setdefault(unit.pipeline, []).append(unit)
    stages = sum(len(pipelines[name].generates) for name in by_pipeline)
    found: dict[tuple[str, str], list[tuple[Message, ...]]] = {}
    for name, group in by_pipeline.items():
        for unit in _spread(group, max(1, most // max(1, stages))):
            for question in imagined(unit, pipelines[name])[0]:
                found.setdefault((name, question.stage.id), []).append(question.rendered())
    return found


def scale_of(
    probed: Mapping[tuple[str, str], Sequence[Sequence[Message]]],
    counts: Mapping[tuple[str, str], int],
) -> Scale:
    """What the exact `counts` of the probed prompts say about our estimates."""
    told: dict[tuple[str, str], list[int]] = {}
    for (name, stage), prompts in probed.items():
        pair = counts[name, stage], sum(map(tokens_of, prompts))
        for key in ((name, stage), (name, "")):
            sums = told.setdefault(key, [0, 0])
            sums[0] += pair[0]
            sums[1] += pair[1]
    return {key: exact / estimate for key, (exact, estimate) in told.items() if estimate}


def _share_left(stages: Sequence[_Stage], number: int, open_: Counter[str]) -> float:
    """The share of a stage's calls that follows from the questions without an answer."""
    share = sum(open_[stage.id] / stage.calls for stage in stages[: number + 1] if stage.calls)
    return min(1.0, share)
