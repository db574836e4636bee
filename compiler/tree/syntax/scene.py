"""A YAML error and its text go in; the place comes out where the reader stopped, to be looked at.

Kept apart from the causes because each of them looks at the same: the line, what was being read
when it began, the last whole token.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import yaml

from compiler.lines import LINE_END, Lines

_LONGEST = 200_000
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Cause:
    """What an author did; `start` and `end` are its characters, `note` a second place."""

    message: str
    hint: str
    start: int
    end: int
    note: tuple[str, int, int] | None = None


class Scene:
    """Where the reader stopped: `at`, and what it was reading, which began at `begun`."""

    def __init__(self, wrong: yaml.YAMLError, path: str, text: str) -> None:
        self.text = text
        self.lines = Lines(path, text)
        self.rows = LINE_END.split(text)
        self.problem = str(getattr(wrong, "problem", None) or getattr(wrong, "reason", "")).strip()
        self.context = str(getattr(wrong, "context", None) or "")
        mark, begun = (getattr(wrong, f"{name}_mark", None) for name in ("problem", "context"))
        self.has_place = mark is not None
        self.at = min(mark.index, len(text)) if mark else 0
        self.begun = min(begun.index, len(text)) if begun else None

    def row(self, at: int) -> int:
        """The 0-based line of a character."""
        return self.lines.span(at, at).line - 1

    def place(self, row: int, start: int = 0, end: int | None = None) -> tuple[int, int]:
        """The characters of a part of a line; without an end, all but white space around it."""
        line, first = self.rows[row], self.lines.starts[row]
        if end is None:
            start, end = start + indent(line[start:]), len(line.rstrip())
        return first + start, first + max(end, start + 1)

    @cached_property
    def token(self) -> yaml.Token | None:
        """The last whole token before the place of the error."""
        last = None
        with suppress(yaml.YAMLError):
            for token in yaml.scan(self.text[: self.at], _Loader):
                if token.end_mark.index > token.start_mark.index:
                    last = token
        return last


def indent(line: str) -> int:
    """How many spaces a line starts with."""
    return len(line) - len(line.lstrip(" "))
