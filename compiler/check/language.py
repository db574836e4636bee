"""A knowledge leaf goes in; texts in another language than most of it come out as findings.

A file of its own because which language a text is in is asked by other passes too
(`compiler.language`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.diagnostics import Note
from compiler.language import language
from compiler.leaf import KnowledgeLeaf
from compiler.tree import Path


def mixed_language(look: Look) -> Findings:
    """T137, of knowledge leaves; a skill such as translation mixes them on purpose."""
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    told = [(part, name) for part in _parts(look) if (name := language(part.text))]
    counts = Counter(name for _, name in told).most_common(2)
    if len(counts) < 2 or len(told) - counts[0][1] < 2:
        return  # a single part may well quote
    main = counts[0][0]
    odd, name = next((part, name) for part, name in told if name != main)
    first = next(part for part, name in told if name == main)
    yield Finding(
        codes.T137,
        f"the {odd.kind} in {name}, most of the leaf is in {main}",
        look.tree.key_span(odd.at),
        "keep to one language, and make a leaf of its own for the other",
        (Note(f"the {first.kind} in {main}", look.tree.key_span(first.at)),),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The context, the questions or the answers of one seed example; `kind`: the words for it."""

    kind: str
    text: str
    at: Path


def _parts(look: Look) -> Iterator[_Part]:
    value: Any = look.tree.value
    for i, example in enumerate(value["seed_examples"]):
        at = ("seed_examples", i)
        yield _Part("context is", example["context"], (*at, "context"))
        pairs = example["questions_and_answers"]
        for key in ("question", "answer"):
            text = "\n".join(pair[key] for pair in pairs)
            yield _Part(f"{key}s are", text, (*at, "questions_and_answers", 0, key))
