"""A student's answers go in; which of them the questions' own checkers pass comes out.

A file of its own because a checker computes: where a question has one, its word outranks every
likeness to a reference, and every judge.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from compiler.codes import E713
from compiler.diagnostics import Report, counted
from compiler.verify import BrokenChecker, Lasting, lasting
from training.data import Sample


def checked(
    samples: Sequence[Sample], texts: Sequence[str], report: Report | None = None
) -> list[float | None]:
    """For each answer, in the order of the questions, 1 where the checkers of its question pass it,
    0 where one fails it, None where the question has none, or one that cannot work on this machine
    (E713, once for each reason; the commonest first).
    """
    made = [_made(sample) for sample in samples]
    reasons = Counter(one for one in made if isinstance(one, str) and one)
    for reason, number in reasons.most_common():
        message = f"the answers to {counted(number, 'question')} are not checked: {reason}"
        if report is not None and not any(d.message == message for d in report.diagnostics):
            report.add(E713, message, hint="see docs/verify.md")
    return asyncio.run(_all(made, texts))


def _made(sample: Sample) -> Lasting | str:
    """The checkers of a question, or why they cannot work; "" where it has none."""
    if not sample.verify:
        return ""
    try:
        found = lasting(sample.verify)
    except BrokenChecker as wrong:
        return f"this version does not know their checker: {wrong}"
    return found.obstacle or found


async def _all(made: Sequence[Lasting | str], texts: Sequence[str]) -> list[float | None]:
    async def one(checkers: Lasting | str, text: str) -> float | None:
        return None if isinstance(checkers, str) else float(not await checkers.run(text))

    return await asyncio.gather(*(one(*pair) for pair in zip(made, texts, strict=True)))
