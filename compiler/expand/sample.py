"""What an expansion is made of: samples, what was dropped, and what became of each unit.

A file of its own because every later pass works on these, and none of them asks a teacher.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.codes import Code
from compiler.leaf import Leaf, Seed
from compiler.lower import Unit
from compiler.prompt import Message
from compiler.teacher import Failure

Score = str | int | float

_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sample came from; `generation` is 0 for a human's seed example, 1 for what was made
    from seeds, one more for each step away from there; `parent` is the id of the sample that it was
    evolved from. `language` is the code of the one that it should be in, "" where it is not known.
    `drawn` tells what was drawn for it, as `NAME=VALUE`.

    `start` and `end` are the 0-based range of characters in the normalised document; `lines` are
    the first and last line, from 1, of the window that inspired it.
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
    parent: str = ""
    language: str = ""
    drawn: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()

    @property
    def of_seed(self) -> bool:
        """Whether it is a contributor's own example."""
        return self.kind == "seed"

    @property
    def made(self) -> bool:
        """Whether a teacher wrote it for this build: it is synthetic, and of no data set."""
        return self.kind == "synthetic"

    @property
    def of_people(self) -> bool:
        """Whether people wrote it: a seed example, or a data set's of generation 0."""
        return not self.made and not self.generation


@dataclass(frozen=True, slots=True)
class Sample:
    """What the student learns from. `question`, `context` and `answer` are the parts of `messages`
    that later passes compare.

    `rejected` is the worst of the answers that this one won against, "" where there was one only.
    `rivals` are the (proxy, verified) scores of all of them, this one's first; a score that nobody
    gave is NaN. `verify` is what checks other answers, as `compiler.verify.written` says it.
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
    scores: Mapping[str, Score] = field(default_factory=dict)
    rejected: str = ""
    rivals: tuple[tuple[float, float], ...] = ()
    verify: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """A sample that will not be; `text` is what the teacher wrote, or the question.

    `answer`, `context` and `scores` are what it had so far; `rivals` are those that it won against.
    """

    code: Code
    detail: str
    leaf: str
    stage: str
    text: str
    replies: tuple[str, ...] = ()
    answer: str = ""
    context: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    rivals: tuple[tuple[float, float], ...] = ()


def dropped(sample: Sample, code: Code, detail: str, stage: str) -> Drop:
    """A sample that a later pass drops."""
    return Drop(
        code,
        detail,
        sample.leaf,
        stage,
        sample.question,
        sample.origin.replies,
        sample.answer,
        sample.context,
        sample.scores,
        sample.rivals,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One unit's result; `failure` where its first request had no answer at all.

    `number` is the unit's place in the build. `records` counts what was begun: one for the unit,
    and each further record of a reply. `prints` are those of the samples, where an engine makes
    them (`compiler.expand.print`). `saturated`: the teacher only repeated itself.
    """

    number: int
    unit: Unit
    samples: tuple[Sample, ...]
    drops: tuple[Drop, ...]
    records: int
    failure: Failure | None = None
    prints: tuple[tuple[int, frozenset[int]], ...] = ()
    saturated: bool = False


def sample_id(messages: Sequence[Message]) -> str:
    """The id of a sample: 16 hex digits of a hash of its messages."""
    text = _encode([message.as_json() for message in messages])
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
