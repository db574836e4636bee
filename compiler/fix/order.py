"""A sheet goes in; one whose keys stand in the order in which a leaf is read comes out.

The version comes first, what the leaf is comes before its examples, a question before its answer;
of other keys the format's own leaves agree on no order, and they stay. A file of its own because
here whole lines move: those of a key, with the comments right above it. Where it is in doubt what a
comment belongs to, the mapping stays as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from compiler.fix.sheet import Change, Edit, Sheet, settle

RANKS = {
    "version": 0,
    **dict.fromkeys(("created_by", "domain", "task_description"), 1),
    **dict.fromkeys(("context", "question"), 2),
    **dict.fromkeys(("answer", "questions_and_answers", "seed_examples"), 3),
}


def sort_keys(sheet: Sheet) -> Sheet:
    """Puts in order the keys of every mapping that has keys of the format only."""
    for depth in sorted({len(part.path) for part in sheet.parts}, reverse=True):
        sheet = settle(sheet, list(_unsorted(sheet, depth)))
    return sheet


def _unsorted(sheet: Sheet, depth: int) -> Iterator[Change]:
    for part in sheet.parts:
        if len(part.path) != depth or part.in_flow or not isinstance(part.node, yaml.MappingNode):
            continue
        keys = [key.value for key, _ in part.node.value]
        if len(set(keys)) < len(keys) or not set(keys).issubset(sheet.known(part.path)):
            continue
        places = _places(keys)
        if places != sorted(places) and (edit := _moved(sheet, part.node, places)):
            message = f"`{keys[places[0]]}` and the keys beside it put in order"
            yield Change(None, message, edit.start, (edit,))


def _places(keys: Sequence[str]) -> list[int]:
    """The keys by number in the order in which they should stand.

    A key without a rank stays with the ranked key that it follows.
    """
    ranks: list[int] = []
    for key in keys:
        ranks.append(RANKS.get(key, ranks[-1] if ranks else 0))
    return sorted(range(len(keys)), key=ranks.__getitem__)


def _moved(sheet: Sheet, node: yaml.MappingNode, places: Sequence[int]) -> Edit | None:
    """The keys of `node` in the order `places`, None in doubt.

    The first key may stand behind a `-`, so it moves without its indent, and another takes its
    place without one.
    """
    start: int = node.value[0][0].start_mark.index
    column = _column(sheet, start)
    try:
        runs = list(_runs(sheet, node, column))
        first, new = runs[0], runs[places[0]]
        if new is not first:
            _doubt_if(new.has_comment or _is_below_comment(sheet, first.key, column))
    except _DoubtError:
        return None
    at = sheet.starts
    pieces: list[str | range] = []
    for run in (runs[i] for i in places):
        if run is new:
            pieces.append(range(at[run.key] + column, at[run.end]))
        elif run is first:
            above = range(at[new.first], at[new.key])
            pieces += [above, " " * column, range(start, at[run.end])]
        else:
            pieces.append(range(at[run.first], at[run.end]))
    return Edit(start, at[runs[-1].end], tuple(pieces))


class _DoubtError(Exception):
    """It cannot be told which lines belong together."""


def _doubt_if(is_doubtful: bool) -> None:
    if is_doubtful:
        raise _DoubtError


@dataclass(frozen=True, slots=True)
class _Run:
    """The lines of one key: `first` of those above it, its own, and `end` after its value."""

    first: int
    key: int
    end: int
    has_comment: bool


def _runs(sheet: Sheet, node: yaml.MappingNode, column: int) -> Iterator[_Run]:
    """The lines of each key, one after the other. Raises _DoubtError."""
    keys = [sheet.line_of(key.start_mark.index) for key, _ in node.value]
    first, has_comment = keys[0], False
    for (_, value), key, following in zip(node.value, keys, [*keys[1:], None], strict=True):
        _doubt_if(key != keys[0] and _column(sheet, _start(sheet, key)) != column)
        end = _end(sheet, value, key)
        while _is_comment(sheet.line(end)) and _indent(sheet.line(end)) > column:
            end += 1
        _doubt_if(end >= len(sheet.starts))
        yield _Run(first, key, end, has_comment)
        above = [sheet.line(line) for line in range(end, following or end + 1)]
        comments = [_is_comment(line) for line in above]
        if following is None:
            _doubt_if(comments[0] and _indent(above[0]) >= column)
            return
        _doubt_if(comments != sorted(comments))
        _doubt_if(any(c and _indent(t) != column for c, t in zip(comments, above, strict=True)))
        _doubt_if(any(t.strip() and not c for c, t in zip(comments, above, strict=True)))
        is_flush = isinstance(value, yaml.SequenceNode) and value.start_mark.column == column
        _doubt_if(is_flush and any(comments))
        first, has_comment = end, any(comments)


def _end(sheet: Sheet, node: yaml.Node, key: int) -> int:
    """The line after the last line of a value."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    start, end = node.start_mark.index, node.end_mark.index
    if not isinstance(node, yaml.ScalarNode) or node.style not in ("|", ">"):
        return max(key, sheet.line_of(max(start, end - 1))) + 1
    line = sheet.line_of(end - 1)
    while not sheet.line(line).strip():
        _doubt_if("+" in sheet.text[start : start + 3])
        line -= 1
    return line + 1


def _is_below_comment(sheet: Sheet, line: int, column: int) -> bool:
    """Whether a comment stands above the first key that may be about it, or about the file."""
    is_alone = not sheet.line(line)[:column].strip(" ")
    return is_alone and line > 0 and _is_comment(sheet.line(line - 1))


def _is_comment(line: str) -> bool:
    return line.lstrip(" \t").startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _column(sheet: Sheet, at: int) -> int:
    return at - sheet.starts[sheet.line_of(at)]


def _start(sheet: Sheet, line: int) -> int:
    """The first character of a line that is no space."""
    return sheet.starts[line] + _indent(sheet.line(line))
