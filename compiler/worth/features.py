"""A sample goes in; what can be measured on its text without a model comes out.

A file of its own because the words of a text say what it is about, and these figures how it is
written; the forest sees both.
"""

import math
import re

from compiler.draw.small import small_words
from compiler.expand import Sample

_DIGIT = re.compile(r"\d")
_SYMBOL = re.compile(r"[^\w\s]")
_SMALL = small_words("")


def text_of(sample: Sample) -> str:
    """What a reader of the sample reads."""
    return "\n".join(part for part in (sample.context, sample.question, sample.answer) if part)


def figures_of(sample: Sample, said: list[str]) -> list[float]:
    """Lengths, by their logarithm, and shares, from 0 to 1; `said` are the words of its text."""
    text = text_of(sample)
    letters = max(1, len(text))
    words = max(1, len(said))
    lines = [line for line in text.split("\n") if line.strip()]
    return [
        math.log1p(len(said)),
        math.log1p(len(sample.answer)),
        math.log1p(len(lines)),
        sum(map(len, said)) / words,
        len(set(said)) / words,
        sum(word in _SMALL for word in said) / words,
        sum(word.startswith("_") for word in said) / words,
        len(_DIGIT.findall(text)) / letters,
        len(_SYMBOL.findall(text)) / letters,
        sum(line[:1].isspace() for line in lines) / max(1, len(lines)),
        sum(map(_is_prose, lines)) / max(1, len(lines)),
        sum(text.count(mark) for mark in "\"'`") / letters,
        text.count("#") / letters,
        text.count("?") / letters,
    ]


def _is_prose(line: str) -> bool:
    """Whether a line reads like a sentence and not like code or a heading."""
    parts = line.casefold().split()
    return len(parts) > 3 and 4 * sum(part in _SMALL for part in parts) >= len(parts)
