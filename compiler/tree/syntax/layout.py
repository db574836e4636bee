"""The scene of a syntax error goes in; what is wrong with the lines comes out: indent, `:`, `-`."""

import re

from compiler.tree.syntax.scene import Cause, Scene, indent

_LONGEST_LOOK_BACK = 2000
_KEYS = (
    "version|created_by|domain|task_description|seed_examples|context|questions_and_answers"
    "|question|answer|document_outline|document|repo|commit|patterns"
)
_KNOWN_LINE = re.compile(rf" *(?:- +)*(?:{_KEYS}) *:(?:\s|$)")
_KEY_LINE = re.compile(rf"( *(?:- +)*)({_KEYS}|[\w-]+) *:(?:\s|$)")
_HEADER = re.compile(r"( *(?:- +)*)([^\s#].*?) *:\s+(?:[&!]\S+\s+)*[|>][-+\d]*\s*(?:#.*)?$")
_ITEM = re.compile(r" *- ")


def header_text(s: Scene) -> Cause | None:
    """`|text`, `> text`."""
    if "block scalar" not in s.context or s.begun is None:
        return None
    mark = s.text[s.begun]
    row = s.row(s.begun)
    start, end = s.place(row, s.begun + 1 - s.lines.starts[row])
    hint = f"put the text on the next line, indented, or delete the `{mark}`"
    return Cause(f"text on the line of a `{mark}`", hint, start, end)


def lost_indent(s: Scene) -> Cause | None:
    """A line of a text under `|` that stands too far left."""
    row = s.row(s.at if s.begun is None or "expected ':'" not in s.problem else s.begun)
    line = s.rows[row]
    if _KNOWN_LINE.match(line):
        return None
    inside: list[str] = []
    for up in range(row - 1, max(-1, row - _LONGEST_LOOK_BACK), -1):
        above = s.rows[up]
        least = min(map(indent, inside), default=len(above) + 1)
        if (found := _HEADER.match(above)) and len(found[1]) < least:
            column = len(found[1])
            wanted = indent(inside[-1]) if inside else max(column + 2, 2)
            if indent(line) >= wanted:
                return None
            return Cause(
                f"this line of the text under `{found[2][:40]}` "
                + ("has lost its indent" if inside else "is not indented"),
                f"put {wanted} spaces before it",
                *s.place(row),
                ("the text begins here", *s.place(up, column)),
            )
        if above.strip():
            inside.append(above)
        if not least:
            return None
    return None


def glued(s: Scene) -> Cause | None:
    """`answer:Spoon`, `-question: x`, and a key without its colon: there, or on the line above."""
    rows = {s.row(at) for at in (s.begun, s.at) if at is not None}
    above = (row for row in range(min(rows) - 1, -1, -1) if s.rows[row].strip())
    for row in sorted({*rows, next(above, min(rows))}):
        line, first = s.rows[row], s.lines.starts[row]
        if found := re.match(rf" *(?:- +)*({_KEYS}):(?=[^\s:])", line):
            at = first + found.end()
            hint = f"write `{found[1]}: ` with a space"
            return Cause(f"no space after the colon of `{found[1]}`", hint, at - 1, at)
        if found := re.match(rf" *(-)(?:{_KEYS}) *:", line):
            at = first + found.start(1)
            return Cause("no space after the dash", "write `- ` with a space", at, at + 1)
        if found := re.match(rf" *(?:- +)*({_KEYS})(?:\s*| [^:]*)$", line):
            hint = f"write `{found[1]}:`"
            return Cause(f"no colon after `{found[1]}`", hint, *s.place(row))
    return None


def second_colon(s: Scene) -> Cause | None:
    """`question: Is this: right?`, or a key that is indented into the text above."""
    if "mapping values are not allowed" not in s.problem:
        return None
    row = s.row(s.at)
    line, first = s.rows[row], s.lines.starts[row]
    lead = line[: s.at - first]
    key = re.fullmatch(r"( *(?:- +)*)([\w ]+?) *", lead)
    before = next((text for text in reversed(s.rows[:row]) if text.strip()), "")
    if key and ":" not in lead and _KEY_LINE.match(before) and indent(line) > indent(before):
        start, end = first + len(key[1]), first + len(key[1]) + len(key[2])
        said = f"`{key[2]}` is indented deeper than the key above it, as if it went on there"
        return Cause(said, _like(s, row, key[2]), start, end)
    told = re.match(r" *(?:- +)*[^:]+: +(.)", line)
    if told and told[1] in "“”‘’„«":
        hint = f"put the text in straight quotes: `{told[1]}` is a letter like others in YAML"
        return Cause("a second `: ` on the line", hint, s.at, s.at + 1)
    hint = "put the text in quotes, or under `|`: in YAML `: ` ends a key"
    return Cause("a second `: ` on the line", hint, s.at, s.at + 1)


def wrong_indent(s: Scene) -> Cause | None:
    """A key or an item that does not stand under those it belongs to."""
    row = s.row(s.at)
    line = s.rows[row]
    if not re.match("did not find expected (?!<)", s.problem) or s.place(row)[0] != s.at:
        return None
    start = s.place(row)[0]
    if _ITEM.match(line):
        items = [text for text in s.rows[:row] if _ITEM.match(text)]
        wanted = indent(items[-1]) if items else -1
        if wanted not in (-1, indent(line)):
            hint = f"put {wanted} spaces before its `-`, as in the item above"
        else:
            hint = "start every item with `- `, and give all of them the same indent"
        return Cause("this item stands under no list", hint, start, start + 1)
    if key := _KEY_LINE.match(line):
        said = f"`{key[2]}` stands under no mapping or list: its indent fits none"
        return Cause(said, _like(s, row, key[2]), start + len(key[1].strip()), start + len(key[2]))
    return None


def _like(s: Scene, row: int, name: str) -> str:
    """How to indent the key on `row`: like the nearest one of that name, or like its siblings."""
    now = _KEY_LINE.match(s.rows[row])
    column = len(now[1]) if now else -1
    for text in reversed(s.rows[max(0, row - _LONGEST_LOOK_BACK) : row]):
        found = _KEY_LINE.match(text)
        if found and (found[2] == name or _ITEM.match(text)) and len(found[1]) != column:
            whose = "like the one above" if found[2] == name else f"like `{found[2]}` above"
            return f"put {len(found[1])} spaces before it, {whose}"
    return "give it the indent of the keys beside it"
