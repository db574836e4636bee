"""The scene of a syntax error goes in; what a single letter did comes out: quotes, tabs."""

import re

import yaml

from compiler.tree.syntax.scene import Cause, Scene

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def control(s: Scene) -> Cause | None:
    """A letter that no YAML text can hold."""
    found = None if s.has_place else _CONTROL.search(s.text)
    if not found:
        return None
    hint = "delete it: it cannot be seen"
    if found[0] == "\0":
        hint = "delete it, or save the file as UTF-8 if it is UTF-16"
    said = f"a control character, U+{ord(found[0]):04X}"
    return Cause(said, hint, found.start(), found.end())


def stray(s: Scene) -> Cause | None:
    """A tab and its like, where libyaml stops or where the format's own parser would."""
    here = s.text[s.at : s.at + 1]
    row = s.row(s.at)
    lead = s.rows[row][: s.at - s.lines.starts[row]]
    if here == "\t" and ("stray" in s.problem or "start any token" in s.problem):
        if lead.strip(" -?:") == "":
            return Cause("a tab in the indent", "indent with spaces only", s.at, s.at + 1)
        hint = "type a space in its place, or put the text in quotes"
        return Cause("a tab in plain text", hint, s.at, s.at + 1)
    if "tab character" in s.problem:
        tab = s.text.find("\t", s.lines.starts[row])
        at = tab if tab >= 0 else s.at
        return Cause("a tab in the indent", "indent with spaces only", at, at + 1)
    if "stray" not in s.problem:
        return None
    message, hint = {
        "?": ("a `?` in a plain text inside brackets", "put the text in quotes"),
        "#": ("a `#` glued to `|` or `>`", "put a space before it, or the text on the next line"),
    }.get(here, ("an invisible mark, U+FEFF", "delete the first character of the file"))
    return Cause(message, hint, s.at, s.at + 1)


def open_quote(s: Scene) -> Cause | None:
    """A quote that is never closed, or an escape in it that is none."""
    if "quoted scalar" not in s.context or s.begun is None:
        return None
    quote = s.text[s.begun]
    if "escape" in s.problem or "hexdecimal" in s.problem or "hexadecimal" in s.problem:
        back = s.text.rfind("\\", s.begun, s.at + 1)
        at = back if back >= 0 else s.at
        said = f"`{s.text[at : at + 2]}` is no escape in double quotes"
        return Cause(said, "write `\\\\` for a backslash, or use single quotes", at, at + 2)
    row = s.row(s.begun)
    line = s.rows[row].rstrip()
    if quote == "'" and line.endswith("''") and s.lines.starts[row] + len(line) - 2 > s.begun:
        end = s.lines.starts[row] + len(line)
        hint = "delete one of the two: inside single quotes `''` is an apostrophe"
        return Cause(
            "the quote is not closed by `''`",
            hint,
            end - 2,
            end,
            ("opened here", s.begun, s.begun + 1),
        )
    hint = (
        "close it with `'`; for an apostrophe inside single quotes write `''`"
        if quote == "'"
        else 'close it with `"`; for a quotation mark inside double quotes write `\\"`'
    )
    return Cause("this quote is never closed", hint, s.begun, s.begun + 1)


def after_quote(s: Scene) -> Cause | None:
    """`'Jack's'`: the quote ends at the apostrophe, and the text goes on."""
    token = s.token
    if not isinstance(token, yaml.ScalarToken) or token.style not in ("'", '"'):
        return None
    end = token.end_mark.index
    if s.text[end : s.at].strip(" ") or s.text[s.at : s.at + 1] in ("", "\n", "\r", "#"):
        return None
    mend = (
        "write `''` for an apostrophe inside single quotes"
        if token.style == "'"
        else 'write `\\"` for a quotation mark inside double quotes'
    )
    opened = token.start_mark.index
    return Cause(
        "the quote is closed here, but the text goes on",
        f"{mend}, or put the text under `|`",
        end - 1,
        end,
        ("opened here", opened, opened + 1),
    )


def after_bracket(s: Scene) -> Cause | None:
    """`[sic] he said`: a text that starts with a bracket."""
    token = s.token
    closes = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
    row = s.row(s.at)
    if not isinstance(token, closes) or s.row(token.start_mark.index) != row:
        return None
    opened = re.search(r"[\[{]", s.rows[row])
    start = s.lines.starts[row] + (opened.start() if opened else 0)
    said = "a text that starts with a bracket is a list or a mapping in YAML"
    return Cause(said, "put the whole text in quotes", start, start + 1)


def open_bracket(s: Scene) -> Cause | None:
    """A bracket that is never closed."""
    if s.begun is None or "flow" not in s.context:
        return None
    said = "this bracket is never closed"
    return Cause(said, "close it, or put the text in quotes", s.begun, s.begun + 1)


def first_letter(s: Scene) -> Cause | None:
    """A text that starts with a letter that has a meaning in YAML."""
    what = re.compile("alias|anchor|tag|directive|start any token")
    at = s.begun if s.begun is not None and what.search(s.context) else s.at
    letter = s.text[at : at + 1]
    told = _MEANINGS.get(letter)
    if not told or not what.search(f"{s.context} {s.problem}"):
        return None
    row = s.row(at)
    is_first = not s.rows[row][: at - s.lines.starts[row]].strip()
    hint = "put the text in quotes, or under `|`"
    if letter == "*" and is_first and s.text[at + 1 : at + 2] == " ":
        hint = "start an item of a list with `- `"
    return Cause(f"a text cannot start with {told}", hint, at, at + 1)


_MEANINGS = {
    "*": "`*`, which in YAML refers to something named elsewhere",
    "&": "`&`, which in YAML names what follows",
    "!": "`!`, which in YAML gives what follows a type",
    "@": "`@`, which YAML reserves",
    "`": "a backtick, which YAML reserves",
    "%": "`%`, which YAML reserves",
}
