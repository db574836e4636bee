"""A text goes in; places come out: which line and column a character stands in.

A file of its own because everything that reads a text by characters, YAML's nodes, its errors and
the checks of single letters, has to count lines in the same way.
"""

import re
from array import array
from bisect import bisect_right
from itertools import accumulate

from compiler.diagnostics import Span

LINE_END = re.compile(r"\r\n|\n|\r")


class Lines:
    """Turns 0-based characters of a text into places; a line ends where an editor ends it."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        if "\r" in text:
            self.starts = array("I", (0, *(mark.end() for mark in LINE_END.finditer(text))))
        else:  # the same, ten times faster
            lengths = map(len, text.split("\n")[:-1])
            self.starts = array("I", accumulate(map((1).__add__, lengths), initial=0))

    def span(self, start: int, end: int) -> Span:
        """The place from character `start` to before `end`."""
        return Span(self.path, *self._place(start), *self._place(end))

    def _place(self, at: int) -> tuple[int, int]:
        line = bisect_right(self.starts, at)
        return line, at - self.starts[line - 1] + 1
