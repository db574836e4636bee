"""A check of size: do the examples in a prompt leave room for a chunk and for the reply?"""

from collections.abc import Iterator

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.leaf import EXAMPLES_PER_PROMPT, KnowledgeLeaf, Leaf, Seed

# Tokens, as in the shipped pipelines: what a reply may take, and the words of a template.
REPLY = 1024
TEMPLATE = 300
_ASCII = bytes(range(128))
_BLANK_OTHERS = _ASCII + b" " * 128


def over_context(look: Look) -> Findings:
    """T138, once: of the largest prompt that the leaf makes."""
    limits = look.limits
    other = TEMPLATE + (limits.chunk if isinstance(look.leaf, KnowledgeLeaf) else 0)
    room = limits.context - REPLY - other
    if len(look.tree.file.data) <= 2 * room:
        return  # a token has two bytes or more
    largest = max(_prompts(look.leaf), key=lambda prompt: len(prompt[1]), default=None)
    if largest and (size := _size(largest[1], room)) > room:
        yield Finding(
            codes.T138,
            f"a prompt with this example has about {size + other:,} tokens and its reply up to "
            f"{REPLY:,}; the teacher reads {limits.context:,}",
            largest[0].span,
            "shorten the longest texts, or set `teacher.context` if yours reads more",
        )


def _size(text: str, room: int) -> int:
    """About how many tokens `text` has; 0 where they surely fit the room."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= 2 * room:
        return 0
    from compiler.documents.chunk import estimate_tokens

    others = data.translate(None, _ASCII).decode("utf-8", "replace")
    return estimate_tokens(data.translate(_BLANK_OTHERS).decode()) + estimate_tokens(others)


def _prompts(leaf: Leaf) -> Iterator[tuple[Seed, str]]:
    """The texts in each prompt that the leaf makes, after the first of its examples."""
    shown = leaf.shown
    if isinstance(leaf, KnowledgeLeaf):
        by_context: dict[str, list[Seed]] = {}
        for seed in shown:
            by_context.setdefault(seed.context, []).append(seed)
        for context, seeds in by_context.items():
            pairs = [text for s in seeds[:EXAMPLES_PER_PROMPT] for text in (s.question, s.answer)]
            yield seeds[0], "\n".join((leaf.outline, leaf.domain, context, *pairs))
        return
    ring = (*shown, *shown[: EXAMPLES_PER_PROMPT - 1])
    for at, first in enumerate(shown):
        window = ring[at : at + min(EXAMPLES_PER_PROMPT, len(shown))]
        examples = [text for s in window for text in (s.context, s.question, s.answer)]
        # What is asked next has a context and a question of about the same length.
        yield first, "\n".join((leaf.task, *examples, first.context, first.question))
