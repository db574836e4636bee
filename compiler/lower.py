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
    """One translation unit. `columns` are what templates read; `index` numbers the units that share
    a chunk or a seed, and becomes the sample index of what is asked for them.
    """

    id: str
    leaf: Leaf
    pipeline: str
    columns: Mapping[str, object]
    seeds: tuple[str, ...]
    chunk: Chunk | None
    index: int
    want: int


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
        chunk = chunks[position]
        at = (position + lap) % len(contexts)
        seeds = contexts[at]
        columns = {
            "document": chunk.text,
            "title": " > ".join(chunk.headings),
            "outline": leaf.outline,
            "domain": leaf.domain,
            "context": seeds[0].context,
            "examples": [_example(seed) for seed in seeds[:EXAMPLES_PER_PROMPT]],
            "count": per_call,
        }
        index = at + again * len(contexts)
        units.append(
            _unit(leaf, pipeline, columns, seeds[:EXAMPLES_PER_PROMPT], chunk, index, per_call)
        )
    return tuple(units)


def _skill(leaf: SkillLeaf, pipeline: str, per_call: int, calls: int) -> tuple[Unit, ...]:
    shown = leaf.shown
    if not shown:
        return ()
    units = []
    for call in range(calls):
        again, at = divmod(call, len(shown))
        seeds = (*shown[at:], *shown[:at])[:EXAMPLES_PER_PROMPT]
        columns = {
            "task": leaf.task,
            "seed": _example(shown[at]),
            "examples": [_example(seed) for seed in seeds],
            "count": per_call,
        }
        units.append(_unit(leaf, pipeline, columns, seeds, None, again, per_call))
    return tuple(units)


def _contexts(seeds: Sequence[Seed]) -> list[list[Seed]]:
    groups: dict[str, list[Seed]] = {}
    for seed in seeds:
        groups.setdefault(seed.context, []).append(seed)
    return list(groups.values())


def _example(seed: Seed) -> dict[str, str]:
    return {"context": seed.context, "question": seed.question, "answer": seed.answer}


def _unit(
    leaf: Leaf,
    pipeline: str,
    columns: Mapping[str, object],
    seeds: Sequence[Seed],
    chunk: Chunk | None,
    index: int,
    want: int,
) -> Unit:
    content = json.dumps([leaf.path, pipeline, columns, index], sort_keys=True, ensure_ascii=False)
    id = hashlib.sha256(content.encode()).hexdigest()[:16]
    return Unit(id, leaf, pipeline, columns, tuple(s.id for s in seeds), chunk, index, want)
