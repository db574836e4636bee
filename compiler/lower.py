"""A leaf and its chunks go in; Units come out: what one walk through a pipeline needs, and nothing
else.

A pass of its own because it settles, from the one dial `samples_per_leaf`, what will be asked:
leaf-guided, as in LAB (arXiv 2403.01081, section 3.2), every example in a prompt comes from the
unit's own leaf. Held-out seeds never enter a unit.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.codes import M306
from compiler.diagnostics import Report
from compiler.documents.chunk import Chunk
from compiler.draw import Text
from compiler.language import NAMES
from compiler.leaf import EXAMPLES_PER_PROMPT, KnowledgeLeaf, Leaf, Seed, SkillLeaf
from compiler.verify import Checker


@dataclass(frozen=True, slots=True)
class Ground:
    """What all units of a leaf in one pipeline stand on.

    `settings` are columns that its route sets, `language` is a code such as `de`, "" where nobody
    knows. `words` is the leaf's vocabulary and `texts` what lines are drawn from, where the
    pipeline draws them; `siblings` are questions of the leaves beside it, `held_out` those that
    evaluation asks.
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    language: str = ""
    checker: Checker | None = None
    words: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    siblings: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """One translation unit, small because a build has many: its texts stay in its leaf and chunk.

    `shown` are the seeds that its prompts show. `index` numbers the units that share a chunk or a
    seed, and becomes the sample index of what is asked for them; `want` counts the records of one
    call.
    """

    id: str
    leaf: Leaf
    pipeline: str
    shown: tuple[Seed, ...]
    chunk: Chunk | None
    index: int
    want: int
    ground: Ground = field(default_factory=Ground, compare=False)

    @property
    def seeds(self) -> tuple[str, ...]:
        """The ids of the seeds that its prompts show."""
        return tuple(seed.id for seed in self.shown)

    @property
    def columns(self) -> dict[str, object]:
        """What templates read."""
        columns = _columns(self.leaf, self.shown, self.chunk, self.want, self.ground)
        return {**columns, **self.ground.settings}


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "knowledge": (
        *("document", "title", "outline", "domain", "context"),
        *("seed", "examples", "count", "language"),
    ),
    "freeform": ("task", "seed", "examples", "count", "language"),
    "grounded": ("task", "seed", "examples", "count", "language"),
}


def lower(
    leaf: Leaf,
    chunks: Sequence[Chunk],
    pipeline: str,
    per_call: int,
    samples: int,
    report: Report,
    ground: Ground | None = None,
) -> tuple[Unit, ...]:
    """The units of one leaf: enough calls of `per_call` records for `samples` samples; one unit for
    all of them where `per_call` is 0.
    """
    make = _Maker(leaf, pipeline, per_call or samples, ground or Ground())
    calls = math.ceil(samples / per_call) if per_call else 1
    if isinstance(leaf, KnowledgeLeaf):
        return _knowledge(make, leaf, chunks, calls, report if per_call else Report())
    return _skill(make, leaf, calls)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the units of one leaf and pipeline; each asks for `want` records."""

    leaf: Leaf
    pipeline: str
    want: int
    ground: Ground

    def unit(self, shown: tuple[Seed, ...], chunk: Chunk | None, index: int) -> Unit:
        columns = _columns(self.leaf, shown, chunk, self.want, self.ground)
        content = [self.leaf.path, self.pipeline, columns, dict(self.ground.settings), index]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        id = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Unit(id, self.leaf, self.pipeline, shown, chunk, index, self.want, self.ground)


def _knowledge(
    make: _Maker, leaf: KnowledgeLeaf, chunks: Sequence[Chunk], calls: int, report: Report
) -> tuple[Unit, ...]:
    contexts = _contexts(leaf.shown)
    if not chunks or not contexts:
        return ()
    if calls < len(chunks):
        report.add(
            M306,
            f"`{leaf.path}`: {calls} of {len(chunks)} chunks will be asked about"
            f" in `{make.pipeline}`",
            leaf.document.span,
            f"to ask about all, it needs {len(chunks) * make.want} samples: raise "
            "`samples_per_leaf`, or its share of them",
        )
        chunks = [chunks[i * len(chunks) // calls] for i in range(calls)]
    units = []
    for call in range(calls):
        sweep, position = divmod(call, len(chunks))
        again, lap = divmod(sweep, len(contexts))
        at = (position + lap) % len(contexts)
        units.append(make.unit(contexts[at], chunks[position], at + again * len(contexts)))
    return tuple(units)


def _skill(make: _Maker, leaf: SkillLeaf, calls: int) -> tuple[Unit, ...]:
    seeds = leaf.shown
    if not seeds:
        return ()
    windows = [(*seeds[at:], *seeds[:at])[:EXAMPLES_PER_PROMPT] for at in range(len(seeds))]
    units = []
    for call in range(calls):
        again, at = divmod(call, len(windows))
        units.append(make.unit(windows[at], None, again))
    return tuple(units)


def _contexts(seeds: Sequence[Seed]) -> list[tuple[Seed, ...]]:
    """The seeds of each context, as many as a prompt shows."""
    groups: dict[str, list[Seed]] = {}
    for seed in seeds:
        groups.setdefault(seed.context, []).append(seed)
    return [tuple(group[:EXAMPLES_PER_PROMPT]) for group in groups.values()]


def _columns(
    leaf: Leaf, shown: Sequence[Seed], chunk: Chunk | None, want: int, ground: Ground
) -> dict[str, object]:
    """The columns of `COLUMNS`; the first of the seeds is the one to be closest to."""
    columns: dict[str, object] = {
        "examples": [example_of(seed) for seed in shown],
        "seed": example_of(shown[0]),
        "count": want,
        "language": NAMES.get(ground.language, "") if ground.language != "en" else "",
    }
    if isinstance(leaf, SkillLeaf):
        return {"task": leaf.task, **columns}
    assert chunk is not None
    return {
        "document": chunk.text,
        "title": " > ".join(chunk.headings),
        "outline": leaf.outline,
        "domain": leaf.domain,
        "context": shown[0].context,
        **columns,
    }


def example_of(seed: Seed) -> dict[str, str]:
    """A seed as templates see it."""
    return {"context": seed.context, "question": seed.question, "answer": seed.answer}
