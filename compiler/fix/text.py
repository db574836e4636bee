"""A sheet goes in; one whose line ends are as the format's linter wants them comes out.

A file of its own because these repairs look at lines and not at values. Where white space is part
of a text, it is only taken away if the linter counts it as an error.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

import yaml

from compiler.codes import S003, S004
from compiler.fix.sheet import Change, Edit, Part, Sheet, settle
from compiler.lines import LINE_END
from compiler.tree import Path

_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=[\r\n])")


def tidy(sheet: Sheet) -> Sheet:
    """White space at line ends and blank lines at the end go, the last line gets its line end."""
    if sheet.tree is None:
        return sheet
    sheet = settle(sheet, list(_line_ends(sheet)))
    return settle(sheet, [*_trailing(sheet), *_ending(sheet)])


def _line_ends(sheet: Sheet) -> Iterator[Change]:
    """Files of one kind pass the linter, whichever it is."""
    marks = list(LINE_END.finditer(sheet.text))
    if len({mark.group() for mark in marks}) > 1:
        other = [mark for mark in marks if mark.group() != "\n"]
        edits = tuple(Edit(mark.start(), mark.end(), ("\n",)) for mark in other)
        yield Change(None, "mixed line ends made the same", other[0].start(), edits)


def _trailing(sheet: Sheet) -> Iterator[Change]:
    texts = _Texts(sheet)
    inside: dict[Part, list[Edit]] = {}
    for found in _TRAILING.finditer(sheet.text, 0, _last(sheet)):
        edit = Edit(found.start(), found.end())
        holder = texts.holder(edit.start)
        if holder is None:
            yield Change(S003, "white space at the line's end removed", edit.start, (edit,))
        elif S003.id in sheet.codes:
            inside.setdefault(holder, []).append(edit)
    for holder, edits in inside.items():
        what = f"white space at line ends removed from the text of `{holder.name}`"
        yield Change(S003, what, edits[0].start, tuple(edits), loose=texts.loose(holder))


def _ending(sheet: Sheet) -> Iterator[Change]:
    last = _last(sheet)
    rest = sheet.text[last:]
    ends = LINE_END.findall(rest)
    if not last or rest in ends:
        return
    if not ends:
        code, what, asked = S004, "line end added to the last line", S004
    elif len(ends) == 1:
        code, what, asked = S003, "white space at the line's end removed", S003
    else:
        code, what, asked = None, "blank lines at the end removed", S003
    texts = _Texts(sheet)
    holder = texts.holder(last)
    is_asked = asked.id in sheet.codes and not (holder and ends and texts.keeps(holder))
    loose = texts.loose(holder) if holder and is_asked else {}
    edit = Edit(last, len(sheet.text), (sheet.line_end,))
    yield Change(code, what, last, (edit,), loose=loose)


def _last(sheet: Sheet) -> int:
    """Where the last line that says something ends."""
    return len(sheet.text.rstrip(" \t\r\n"))


class _Texts:
    """The texts under a `|` or `>`: in these the white space at line ends counts."""

    def __init__(self, sheet: Sheet) -> None:
        self.text = sheet.text
        self.parts = {
            _header_end(sheet.text, part.node): part
            for part in sheet.parts
            if isinstance(part.node, yaml.ScalarNode) and part.node.style in ("|", ">")
        }
        self.starts = list(self.parts)

    def holder(self, at: int) -> Part | None:
        """The text that has character `at` below its header."""
        i = bisect_left(self.starts, at) - 1
        part = self.parts[self.starts[i]] if i >= 0 else None
        return part if part and at <= part.node.end_mark.index else None

    def keeps(self, part: Part) -> bool:
        """Whether blank lines at its end are part of the text."""
        return "+" in self._header(part)

    def loose(self, part: Part) -> dict[Path, Callable[[str], object]]:
        """What to compare of a text when white space at line ends is overlooked.

        Under `>` it also decides which lines are folded, so there only the words are compared.
        """
        return {part.path: _lines if "|" in self._header(part) else str.split}

    def _header(self, part: Part) -> str:
        start = part.node.start_mark.index
        return self.text[start : min(start + 3, _header_end(self.text, part.node))]


def _header_end(text: str, node: yaml.Node) -> int:
    start: int = node.start_mark.index
    mark = LINE_END.search(text, start)
    return mark.start() if mark else len(text)


def _lines(text: str) -> list[str]:
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
