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
from dataclasses import dataclass

from compiler.codes import M306
from compiler.diagnostics import Report
from compiler.documents.chunk import Chunk
from compiler.leaf import EXAMPLES_PER_PROMPT, KnowledgeLeaf, Leaf, Seed, SkillLeaf


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

    @property
    def seeds(self) -> tuple[str, ...]:
        """The ids of the seeds that its prompts show."""
        return tuple(seed.id for seed in self.shown)

    @property
    def columns(self) -> dict[str, object]:
        """What templates read."""
        return _columns(self.leaf, self.shown, self.chunk, self.want)


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "knowledge": ("document", "title", "outline", "domain", "context", "examples", "count"),
    "freeform": ("task", "seed", "examples", "count"),
    "grounded": ("task", "seed", "examples", "count"),
}


def lower(
    leaf: Leaf, chunks: Sequence[Chunk], pipeline: str, per_call: int, samples: int, report: Report
) -> tuple[Unit, ...]:
    """The units of one leaf: enough calls of `per_call` records for `samples` samples."""
    calls = math.ceil(samples / per_call)
    if isinstance(leaf, KnowledgeLeaf):
        return _knowledge(leaf, chunks, pipeline, per_call, calls, report)
    return _skill(leaf, pipeline, per_call, calls)


def _knowledge(
    leaf: KnowledgeLeaf,
    chunks: Sequence[Chunk],
    pipeline: str,
    per_call: int,
    calls: int,
    report: Report,
) -> tuple[Unit, ...]:
    contexts = _contexts(leaf.shown)
    if not chunks or not contexts:
        return ()
    if calls < len(chunks):
        report.add(
            M306,
            f"`{leaf.path}`: {calls} of {len(chunks)} chunks will be asked about",
            leaf.document.span,
            f"to ask about all, set `samples_per_leaf: {len(chunks) * per_call}` or more",
        )
        chunks = [chunks[i * len(chunks) // calls] for i in range(calls)]
    units = []
    for call in range(calls):
        sweep, position = divmod(call, len(chunks))
        again, lap = divmod(sweep, len(contexts))
        at = (position + lap) % len(contexts)
        index = at + again * len(contexts)
        units.append(_unit(leaf, pipeline, contexts[at], chunks[position], index, per_call))
    return tuple(units)


def _skill(leaf: SkillLeaf, pipeline: str, per_call: int, calls: int) -> tuple[Unit, ...]:
    seeds = leaf.shown
    if not seeds:
        return ()
    windows = [(*seeds[at:], *seeds[:at])[:EXAMPLES_PER_PROMPT] for at in range(len(seeds))]
    units = []
    for call in range(calls):
        again, at = divmod(call, len(windows))
        units.append(_unit(leaf, pipeline, windows[at], None, again, per_call))
    return tuple(units)


def _contexts(seeds: Sequence[Seed]) -> list[tuple[Seed, ...]]:
    """The seeds of each context, as many as a prompt shows."""
    groups: dict[str, list[Seed]] = {}
    for seed in seeds:
        groups.setdefault(seed.context, []).append(seed)
    return [tuple(group[:EXAMPLES_PER_PROMPT]) for group in groups.values()]


def _unit(
    leaf: Leaf, pipeline: str, shown: tuple[Seed, ...], chunk: Chunk | None, index: int, want: int
) -> Unit:
    content = [leaf.path, pipeline, _columns(leaf, shown, chunk, want), index]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    id = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Unit(id, leaf, pipeline, shown, chunk, index, want)


def _columns(
    leaf: Leaf, shown: Sequence[Seed], chunk: Chunk | None, want: int
) -> dict[str, object]:
    """The columns of `COLUMNS`; the first of the seeds is the one to be closest to."""
    columns: dict[str, object] = {"examples": [_example(seed) for seed in shown], "count": want}
    if isinstance(leaf, SkillLeaf):
        return {"task": leaf.task, "seed": _example(shown[0]), **columns}
    assert chunk is not None
    return {
        "document": chunk.text,
        "title": " > ".join(chunk.headings),
        "outline": leaf.outline,
        "domain": leaf.domain,
        "context": shown[0].context,
        **columns,
    }


def _example(seed: Seed) -> dict[str, str]:
    return {"context": seed.context, "question": seed.question, "answer": seed.answer}
