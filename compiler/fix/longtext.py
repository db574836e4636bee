"""A sheet goes in; one whose long texts stand under a `|` or a `>` comes out.

A file of its own because it writes YAML. The guide of the format asks for lines of at most 120
characters, and a text full of `\\n` cannot be reviewed. No character of the value changes: a text
that cannot be written in this way as it is, stays as it is.
"""

import re
from collections.abc import Iterator

import yaml

from compiler.fix.sheet import Change, Edit, Part, Sheet, settle

TEXTS = ("question", "answer", "context", "task_description", "document_outline")
LONGEST = 120
WIDTH = 100
_NARROWEST = 40
_UNSAFE = re.compile(
    r" $|[^\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", re.M
)


def unfold(sheet: Sheet) -> Sheet:
    """Writes texts in long lines, or with `\\n` in quotes, line by line."""
    return settle(sheet, [change for part in sheet.parts for change in _written(sheet, part)])


def _written(sheet: Sheet, part: Part) -> Iterator[Change]:
    node = part.node
    if part.key is None or part.key.value not in TEXTS or part.in_flow:
        return
    if not isinstance(node, yaml.ScalarNode) or not isinstance(node.value, str):
        return
    start, end = part.key.end_mark.index, node.end_mark.index
    before, typed = sheet.text[start : node.start_mark.index], sheet.text[start:end]
    last = sheet.line_of(end - 1)
    lines = [sheet.line(line) for line in range(sheet.line_of(start), last + 1)]
    after = sheet.text[end : sheet.starts[last] + len(lines[-1])]
    if before.strip(": \t\r\n") or after.strip() or typed[len(before) :][:1] in ("", *"|>&!"):
        return
    is_escaped = typed.endswith('"') and "\\n" in typed
    if not is_escaped and all(len(line.rstrip()) <= LONGEST for line in lines):
        return
    rows = layout(node.value, part.key.start_mark.column + 2, sheet.line_end, is_escaped)
    if rows:
        message = f"the text of `{part.key.value}` written line by line"
        yield Change(None, message, start, (Edit(start, end, (f": {rows}",)),))


def layout(text: str, indent: int, line_end: str, is_escaped: bool) -> str:
    """The text under its `|` or `>`, without the last line's end; "" where it gains nothing.

    A text of one line is folded, which is what `>` is for; others keep their lines.
    """
    body = text.removesuffix("\n")
    if (
        not body.strip()
        or body.lstrip("\n")[0] == " "
        or body.endswith("\n")
        or _UNSAFE.search(body)
    ):
        return ""
    lines = body.split("\n")
    rows = list(_wrapped(body, max(_NARROWEST, WIDTH - indent))) if len(lines) == 1 else lines
    is_folded = len(rows) > len(lines)
    if not (is_folded or is_escaped or max(map(len, rows)) + indent <= LONGEST):
        return ""
    mark = ">" if is_folded else "|"
    chomped = "" if text.endswith("\n") else "-"
    return line_end.join([mark + chomped, *(row and " " * indent + row for row in rows)])


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Rows of at most `width` characters where there are spaces to break at: single ones only."""
    row = ""
    for word in re.split(r"(?<=[^ \t]) (?=[^ \t])", line):
        if row and len(row) + 1 + len(word) > width:
            yield row
            row = word
        else:
            row = f"{row} {word}" if row else word
    yield row
