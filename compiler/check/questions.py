"""Checks of what one leaf asks: repeated, contradicting, half grounded and ignored questions."""

from collections.abc import Iterator

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look, same, short
from compiler.diagnostics import Note
from compiler.leaf import EXAMPLES_PER_PROMPT, KnowledgeLeaf, Seed, SkillLeaf


def repeated_question(look: Look) -> Findings:
    """T120."""
    for first, again in _repeats(look):
        copies = [seed for seed in again if same(seed.answer) == same(first.answer)]
        if copies:
            yield Finding(
                codes.T120,
                f"the question {short(first.question)} stands {_times(len(copies) + 1)}",
                copies[0].span,
                "ask something else here, or remove it",
                (Note("first here", first.span),),
            )


def contradicting_answers(look: Look) -> Findings:
    """T133."""
    for first, again in _repeats(look):
        others = [seed for seed in again if same(seed.answer) != same(first.answer)]
        if others:
            count = len({same(seed.answer) for seed in others}) + 1
            yield Finding(
                codes.T133,
                f"the question {short(first.question)} has {count} different answers",
                others[0].span,
                "keep one answer, or make the questions different",
                (Note("the first answer", first.span),),
            )


def mixed_grounding(look: Look) -> Findings:
    """T124."""
    if not isinstance(look.leaf, SkillLeaf):
        return
    seeds = look.leaf.seeds
    first = seeds[0]
    odd = next((seed for seed in seeds if bool(seed.context) != bool(first.context)), None)
    if odd:
        yield Finding(
            codes.T124,
            "this example has a context, the first has none"
            if odd.context
            else "this example has no context, the first has one",
            odd.span,
            "give every example a context, or none; else make two leaves",
            (Note("the first example", first.span),),
        )


def ignored_questions(look: Look) -> Findings:
    """T134; the last question of a context is held out, and reaches no prompt anyway."""
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    by_context: dict[str, list[Seed]] = {}
    for seed in look.leaf.shown:
        by_context.setdefault(seed.id.rpartition(".")[0], []).append(seed)
    for seeds in by_context.values():
        extra = len(seeds) - EXAMPLES_PER_PROMPT
        if extra > 0:
            yield Finding(
                codes.T134,
                f"{extra} of the {len(seeds) + 1} questions reach neither a prompt nor evaluation",
                seeds[EXAMPLES_PER_PROMPT].span,
                "give them a context of their own, or remove them",
            )


def _repeats(look: Look) -> Iterator[tuple[Seed, list[Seed]]]:
    """Each seed whose question is asked again in its context, and the later ones."""
    if len(look.asked) == len(look.leaf.seeds):
        return
    for alike in look.asked.values():
        by_context: dict[str, list[Seed]] = {}
        for seed in alike if len(alike) > 1 else ():
            by_context.setdefault(same(seed.context), []).append(seed)
        yield from ((first, again) for first, *again in by_context.values() if again)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
