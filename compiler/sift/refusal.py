"""A sample goes in; that its answer says nothing comes out: a refusal, or no content at all.

A file of its own because what a refusal is, pipelines ask too (`compiler.refusal`).
"""

from collections.abc import Iterator

from compiler.codes import D522, D523
from compiler.expand import Sample
from compiler.refusal import boilerplate, is_empty, is_refusal
from compiler.sift.look import Found, Look


def refusal(sample: Sample, look: Look) -> Iterator[Found]:
    """D522 and D523, where `refusals` is on."""
    if not look.settings.refusals:
        return
    question = f"{sample.context}\n{sample.question}"
    if is_refusal(question, sample.answer):
        yield Found(D522, "the answer excuses itself", "refusal")
    if is_empty(sample.answer):
        yield Found(D523, "nothing but punctuation and small words", "empty")
    if left := boilerplate(question, sample.answer):
        yield Found(D523, f"`{left}` is no part of an answer", left.casefold())
