"""One unit on its way goes in and out of every stage: its drafts, and what became of them.

A file of its own because the walk, and each verb of it, work on these and on nothing else.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compiler.codes import Code
from compiler.expand.novel import Novel
from compiler.expand.sample import Drop, Origin, Sample, Score, from_seed, sample_id
from compiler.lower import Unit
from compiler.pipeline import Pipeline, Stage
from compiler.prompt import TEMPLATE_FAULTS, Message, holds, render_text
from compiler.teacher import Failure
from compiler.verify import Passed

Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample on its way: its columns, its judges' scores, and the replies it was made of.

    `trail` numbers the forks that it took, so that it draws what no other draft draws. The sample
    index of what it asks is the unit's times `stride` plus `offset`. `drawn` tells its draws,
    `lines` the window of a document that it was shown. `rejected` are the columns of the worst
    draft that it won against, `rivals` the scores of all of them. `passed` tells the checkers.
    """

    columns: Columns
    scores: Mapping[str, Score] = field(default_factory=dict)
    replies: tuple[str, ...] = ()
    trail: tuple[int, ...] = ()
    stride: int = 1
    offset: int = 0
    generation: int = 1
    parent: str = ""
    drawn: tuple[str, ...] = ()
    lines: Mapping[str, object] | None = None
    rejected: Columns | None = None
    rivals: tuple[tuple[float, float], ...] = ()
    pool: "tuple[Draft, ...]" = ()
    passed: tuple[Passed, ...] = ()

    def with_columns(self, **columns: object) -> "Draft":
        return replace(self, columns={**self.columns, **columns})

    def fork(self, number: int, of: int, at: int) -> "Draft":
        """The `at`-th of `of` drafts that ask the same questions for answers of their own."""
        return replace(
            self,
            trail=(*self.trail, number),
            stride=self.stride * of,
            offset=self.offset * of + at,
        )

    def example(self) -> dict[str, str]:
        """What templates see of it, where it is shown as an example."""
        return {name: str(self.columns.get(name, "")) for name in ("context", "question", "answer")}


@dataclass(slots=True)
class End:
    """What became of drafts: those that arrived, samples, drops, and those whose first question had
    no answer.
    """

    drafts: list[Draft] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    silent: list[tuple[Draft, Failure]] = field(default_factory=list)

    def take(self, ends: "Iterable[End]") -> None:
        """Adds others, in order."""
        for end in ends:
            self.drafts += end.drafts
            self.samples += end.samples
            self.drops += end.drops
            self.silent += end.silent


@dataclass(slots=True)
class Trip:
    """One unit on its way; `rank` is that of all its requests.

    `records` counts what was begun: each draft ends as a sample, as a drop, or without an answer.
    `novel` is what a `unique` accepted, for each of the ways that are walked side by side.
    `teacher` and `judge` are the names of the models.
    """

    unit: Unit
    pipeline: Pipeline
    rank: int
    teacher: str
    judge: str
    records: int = 1
    saturated: bool = False
    novel: dict[tuple[int, tuple[int, ...]], Novel] = field(default_factory=dict)

    def begin(self) -> Draft:
        """The draft that the unit begins with: its columns, and the settings of its pipeline."""
        return Draft({**self.pipeline.settings.defaults, **self.unit.columns})

    def stands(self, stage: Stage, draft: Draft) -> bool:
        """Whether a stage is walked by a draft. Raises one of TEMPLATE_FAULTS."""
        return stage.when is None or holds(stage.when, draft.columns)

    def seed(self, stage: Stage, draft: Draft) -> bytes:
        """What a draw of this draft depends on; not on how many samples are wanted."""
        unit = self.unit
        place = next(i for i, one in enumerate(self.pipeline.every()) if one is stage)
        chunk = unit.chunk.id if unit.chunk else ""
        content = [unit.leaf.path, self.pipeline.name, chunk, unit.index, *unit.seeds]
        text = json.dumps([content, place, draft.trail], ensure_ascii=False)
        return hashlib.sha256(text.encode()).digest()

    def drop(self, code: Code, detail: str, stage: str, draft: Draft, text: str = "") -> Drop:
        """Why a draft ends; `text` is shown where it has no question yet."""
        said = draft.example()
        return Drop(
            code,
            detail,
            self.unit.leaf.path,
            stage,
            said["question"] or text,
            draft.replies,
            said["answer"],
            "" if self.unit.leaf.kind == "knowledge" else said["context"],
            draft.scores,
            draft.rivals,
        )

    def messages(self, columns: Columns) -> tuple[Message, ...]:
        """What the pipeline says of such columns. Raises one of TEMPLATE_FAULTS."""
        return tuple(
            Message(turn.role, render_text(turn.text, columns))
            for turn in self.pipeline.says.turns
            if turn.when is None or holds(turn.when, columns)
        )

    def id_of(self, draft: Draft) -> str:
        """The id of the sample that a draft would be now."""
        try:
            return sample_id(self.messages(draft.columns))
        except TEMPLATE_FAULTS:
            return ""

    def root(self) -> str:
        """The id of the human's sample that the unit begins with."""
        return from_seed(self.unit.leaf, self.unit.shown[0]).id

    def sample(self, draft: Draft) -> Sample:
        """The sample of a draft. Raises one of TEMPLATE_FAULTS."""
        messages = self.messages(draft.columns)
        rejected = ""
        if draft.rejected is not None:
            rejected = self.messages(draft.rejected)[-1].content
        first = next((m.content for m in messages if m.role == "user"), "")
        is_knowledge = self.unit.leaf.kind == "knowledge"
        answer = messages[-1].content
        return Sample(
            sample_id(messages),
            messages,
            self.unit.leaf.branch,
            self.unit.leaf.path,
            self._origin(draft),
            str(draft.columns.get("question", first)),
            answer,
            "" if is_knowledge else str(draft.columns.get("context", "")),
            self.pipeline.says.unmask,
            draft.scores,
            "" if rejected == answer else rejected,
            draft.rivals,
        )

    def _origin(self, draft: Draft) -> Origin:
        unit, leaf, chunk = self.unit, self.unit.leaf, self.unit.chunk
        lines = draft.lines or {}
        return Origin(
            "synthetic",
            leaf.file,
            leaf.blob,
            leaf.created_by,
            leaf.licences,
            unit.seeds,
            str(lines.get("path", chunk.document if chunk else "")),
            str(lines.get("blob", chunk.blob if chunk else "")),
            chunk.start if chunk and not lines else 0,
            chunk.end if chunk and not lines else 0,
            unit.id,
            self.pipeline.name,
            self.pipeline.digest,
            self.teacher,
            self.judge,
            draft.replies,
            draft.generation,
            draft.parent,
            unit.ground.language,
            draft.drawn,
            (int(str(lines["start"])), int(str(lines["end"]))) if lines else (),
        )
