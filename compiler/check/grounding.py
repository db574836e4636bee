"""Checks of what a knowledge leaf says: is its context in the document, its answer in either?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.documents.patterns import READ
from compiler.documents.text import normalise, words
from compiler.language import language
from compiler.leaf import KnowledgeLeaf
from compiler.tree import Path

RUN = 5
MAIN_WORDS = 6

# A word's first letters stand for it, so that its endings do not count.
_STEM = 5
_MAIN = re.compile(rf"[^\W\d_]{{{_STEM},}}|(?<!\w)[1-9]\d+")
# Scripts that part no words by spaces, or write articles and particles in front of them.
_OTHER_WORDS = (
    "[\u0590-\u08ff\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\u3040-\u30ff\u3400-\u9fff\ua980-\ua9df"
    "\uf900-\ufaff\ufb1d-\ufdff\ufe70-\ufefc\U00020000-\U0003ffff]"
)


def ungrounded_context(look: Look) -> Findings:
    """T122, where the document is a file of this taxonomy."""
    named = [path for path in look.documents if path.lower().endswith(READ)]
    if not named:
        return
    for at, text in look.named("context"):
        copied = words(normalise(text.encode("utf-8", "surrogatepass")))
        length = min(RUN, len(copied))
        wanted = set(_grams(copied, length))
        there = [_document_grams(look, path, length) for path in named]
        found = sum(any(gram in grams for grams in there) for gram in wanted)
        if found < 0.9 * len(wanted):
            yield Finding(
                codes.T122,
                f"{100 * found // len(wanted)}% of the context is in the document",
                look.tree.key_span(at),
                "copy the passage from the document word for word",
            )


def ungrounded_answer(look: Look) -> Findings:
    """T136: an answer of which hardly a word, or not the number, is where it should come from.

    Words of the question count for neither side; a short answer without numbers is never found.
    """
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    value: Any = look.tree.value
    for i, example in enumerate(value["seed_examples"]):
        context = example["context"].casefold()
        for j, pair in enumerate(example["questions_and_answers"]):
            at = ("seed_examples", i, "questions_and_answers", j, "answer")
            yield from _ungrounded(look, at, context, pair)


def _ungrounded(look: Look, at: Path, context: str, pair: Mapping[str, str]) -> Findings:
    question = pair["question"].casefold()
    answer = pair["answer"].casefold()
    main = {w[:_STEM]: w for w in _MAIN.findall(answer) if w[:_STEM] not in question}
    absent = [word for stem, word in main.items() if stem not in context]
    if not _is_far(main, absent) or re.search(_OTHER_WORDS, answer):
        return
    named = [path for path in look.documents if path.lower().endswith(READ)]
    there = [_document_grams(look, path, 1) for path in named]
    absent = [word for word in absent if not any((word,) in grams for grams in there)]
    if not _is_far(main, absent) or _is_translated(pair["answer"], context):
        return
    place = "the context or the document" if named else "the context"
    numbers = [word for word in absent if word.isdigit()]
    found = len(main) - len(absent)
    are = "is" if found < 2 else "are"
    few = f"{found or 'none'} of the answer's {len(main)} main words {are} in {place}"
    yield Finding(
        codes.T136,
        f"the answer's `{numbers[0]}` is not in {place}" if numbers else few,
        look.tree.key_span(at),
        "answer from the context, or make the passage that says it the context",
    )


def _is_far(main: Mapping[str, str], absent: list[str]) -> bool:
    """Whether an answer is of its own making: six words of which at most one in six is there, or a
    number that is not there, with most words around it.
    """
    found = len(main) - len(absent)
    if len(main) >= MAIN_WORDS and MAIN_WORDS * found <= len(main):
        return True
    return 3 * found <= len(main) and any(word.isdigit() for word in absent)


def _is_translated(answer: str, context: str) -> bool:
    """Whether the two are in different languages; then T137 speaks."""
    languages = language(answer), language(context)
    return all(languages) and languages[0] != languages[1]


def _document_grams(look: Look, path: str, length: int) -> frozenset[tuple[str, ...]]:
    if (path, length) not in look.grams:
        text = words(normalise(look.read(path)))
        look.grams[path, length] = frozenset(_grams(text, length))
    return look.grams[path, length]


def _grams(text: list[str], length: int) -> Iterator[tuple[str, ...]]:
    """The runs of `length` words."""
    return zip(*(text[i:] for i in range(length)), strict=False)
