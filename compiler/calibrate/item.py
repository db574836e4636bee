"""A sample, a line of a build or of a file of grades goes in; what people and assertions see of it
comes out.

A file of its own because grades outlive builds: an assertion must see the same columns in a grade
of last year as in a sample of this compile.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compiler.builds import Build, Json
from compiler.expand import Sample
from compiler.expand.sample import Score
from compiler.source import LEAF_NAME, in_branch

COLUMNS = ("question", "answer", "context", "scores")


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its answer; `scores` are what judges said of it, `drop` is the id of the code
    that it was dropped with, "" where it was kept.
    """

    id: str
    leaf: str
    question: str
    answer: str
    context: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    drop: str = ""

    @property
    def branch(self) -> str:
        """The branch of the leaf, "" for none."""
        return in_branch(f"{self.leaf}/{LEAF_NAME}")

    @property
    def columns(self) -> dict[str, object]:
        """What a condition or a template may read."""
        return {name: getattr(self, name) for name in COLUMNS}

    def as_json(self) -> dict[str, object]:
        """What a file of grades keeps of it; empty parts are left out."""
        parts = {name: getattr(self, name) for name in ("id", "leaf", *COLUMNS, "drop")}
        return {
            name: dict(part) if isinstance(part, Mapping) else part
            for name, part in parts.items()
            if part or name in ("question", "answer")
        }


def of_sample(sample: Sample) -> Item:
    """What is seen of a sample."""
    return Item(
        sample.id, sample.leaf, sample.question, sample.answer, sample.context, sample.scores
    )


def of_json(value: Mapping[str, object]) -> Item:
    """An Item of what `Item.as_json` made; the schema has looked at it before."""
    scores = value.get("scores")
    return Item(
        str(value["id"]),
        str(value["leaf"]),
        str(value["question"]),
        str(value["answer"]),
        str(value.get("context", "")),
        scores if isinstance(scores, Mapping) else {},
        str(value.get("drop", "")),
    )


def of_build(build: Build) -> Iterator[Item]:
    """The synthetic samples of a finished build, then what was dropped with an answer.

    Raises DamagedError where its files cannot be read.
    """
    for line in build.lines("samples"):
        if line["origin"]["kind"] != "seed":
            yield _sample(line)
    for line in build.lines("drops"):
        if line.get("answer"):
            yield _drop(line)


def _sample(line: Json) -> Item:
    *said, last = line["messages"]
    asked = next((m["content"] for m in reversed(said) if m["role"] == "user"), "")
    return Item(
        line["id"],
        line["leaf"],
        line.get("question", asked),
        last["content"],
        line.get("context", ""),
        line["scores"],
    )


def _drop(line: Json) -> Item:
    """Its id is a hash, for what was dropped has none of its own."""
    question, answer, context = line["text"], line["answer"], line.get("context", "")
    text = json.dumps([line["leaf"], question, answer, context], ensure_ascii=False)
    id = hashlib.sha256(text.encode()).hexdigest()[:16]
    scores = line.get("scores", {})
    return Item(id, line["leaf"], question, answer, context, scores, line["code"])
