"""Texts go in; a window of consecutive lines comes out, with its place.

A file of its own because a sample made from a snippet must lead back to the very bytes of it: as
OSS-Instruct draws 1 to 15 lines of a file (Wei et al., "Magicoder", arXiv 2312.02120, section 2.1),
and keeps here where they stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

LEAST, MOST = 1, 15


@dataclass(frozen=True, slots=True)
class Text:
    """A document or a file to draw lines from; `blob` is the git blob id of what it was read from.

    Lines end in `\\n` and in nothing else.
    """

    path: str
    blob: str
    text: str


def window(texts: Sequence[Text], least: int, most: int, chance: Random) -> dict[str, object]:
    """A window of `least` to `most` lines, not all empty: {text, path, start, end, blob}.

    `start` and `end` are 1-based numbers of the first and the last line. Every length that some
    text has is as likely as any other. Empty where no text is long enough.
    """
    sizes = [0 if one.text.isspace() else _count(one.text) for one in texts]
    most = min(most, max(sizes, default=0))
    if most < least:
        return {}
    length = least + int(chance.random() * (most - least + 1))
    windows = [max(0, size - length + 1) for size in sizes]
    at = int(chance.random() * sum(windows))
    number = 0
    while at >= windows[number]:
        at -= windows[number]
        number += 1
    chosen = texts[number]
    lines = chosen.text.split("\n")
    starts = _starts(lines[: sizes[number]], length)
    start = starts[int(chance.random() * len(starts))]
    return {
        "text": "\n".join(lines[start : start + length]),
        "path": chosen.path,
        "start": start + 1,
        "end": start + length,
        "blob": chosen.blob,
    }


def reextract(text: str, start: int, end: int) -> str:
    """The lines `start` to `end` of a text, 1-based, without the last line's end."""
    return "\n".join(text.split("\n")[start - 1 : end])


def _count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n")) if text else 0


def _starts(lines: Sequence[str], length: int) -> list[int]:
    """Where the windows with something in them begin, from 0."""
    starts, filled = [], -1
    for at, line in enumerate(lines):
        filled = at if line.strip() else filled
        if at - length + 1 >= 0 and filled > at - length:
            starts.append(at - length + 1)
    return starts
