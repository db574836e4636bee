"""A text that is not YAML goes in; one that is comes out, if a few certain slips explain it all.

A file of its own because there is no value yet that the one after could be compared with. So a slip
is mended on its own lines only, and only where the format has a text; what was typed must come back
as that text, to the letter; and where any slip is left, nothing is mended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml

from compiler.codes import S001
from compiler.diagnostics import Report
from compiler.fix.sheet import Edit, Repair, Sheet, begin, exact, rewritten
from compiler.lines import LINE_END
from compiler.schema import versions
from compiler.source import SourceFile
from compiler.tree import parse

MOST = 40
WIDTHS = (2, 4, 8)
_NAMES = "created_by|domain|task_description|document_outline|context|question|answer|repo|commit"
_PROSE = ("task_description", "document_outline", "context", "question", "answer")
_KEY = re.compile(rf"( *(?:- +)*)({_NAMES}):( *)(.*)")
_STRUCTURE = re.compile(r"-(?:\s|$)|#|.*:(?:\s|$)|---|\.\.\.|$")
_OTHER_KEY = re.compile(rf"(?:\b(?:{_NAMES}|version)|\w_\w*):(?:\s|$)")
_HEADER = re.compile(r"[|>][-+]?(?: +#.*)?")


@dataclass(frozen=True, slots=True)
class _Mend:
    """Lines `start` to before `end`, from 0, become `lines`; the text of the key on line `start`
    then holds each of `told`, or is `told` if that is one text.
    """

    message: str
    start: int
    end: int
    lines: tuple[str, ...]
    told: str | tuple[str, ...]


def mend(sheet: Sheet) -> Sheet:
    """The sheet as YAML, or as it was."""
    if sheet.codes != {S001.id}:
        return sheet
    now, made = sheet, list[_Mend]()
    for _ in range(MOST):
        suspects = _suspects(now)
        if not suspects:
            return _proven(now, made) or sheet
        found = next((m for at in suspects for kind in KINDS if (m := kind(now, at))), None)
        if found is None:
            break
        grown = len(found.lines) - (found.end - found.start)
        made = [replace(m, start=m.start + grown * (m.start > found.start)) for m in made]
        made.append(found)
        now = _mended(now, found)
    return _untabbed(sheet)


def _suspects(sheet: Sheet) -> list[int]:
    """The lines that a syntax error names, and the one before; none where there is no error."""
    report = Report()
    parse(SourceFile(sheet.path, sheet.text.encode()), report)
    named = [
        span.line - 1
        for found in report.diagnostics
        if found.code is S001 and found.span
        for span in (found.span, *(note.span for note in found.notes))
    ]
    above = range(named[0] - 1, -1, -1) if named else ()
    before = (line for line in above if sheet.line(line).strip())
    return [*named, *([next(before, 0)] if named else [])]


def _mended(sheet: Sheet, found: _Mend) -> Sheet:
    start, end = ([*sheet.starts, len(sheet.text)][line] for line in (found.start, found.end))
    text, stretches = rewritten(sheet.text, [Edit(start, end, found.lines)])
    repair = Repair(S001, found.message, sheet.place(start))
    return replace(
        sheet,
        text=text,
        repairs=(*sheet.repairs, repair),
        history=(*sheet.history, stretches),
    )


def _proven(now: Sheet, made: Sequence[_Mend]) -> Sheet | None:
    """The mended sheet, if each line that was mended is now the text that was typed there."""
    after = begin(now.path, now.text)
    texts = {
        after.line_of(part.key.start_mark.index): part.node.value
        for part in after.parts
        if part.key
        and isinstance(part.node, yaml.ScalarNode)
        and any(
            after.known(part.path[:-1], version).get(part.key.value, {}).get("type") == "string"
            for version in versions()
        )
    }
    for one in made:
        text = texts.get(one.start)
        if text is None or (one.told != text if isinstance(one.told, str) else _lacks(text, one)):
            return None
    return replace(after, first=now.first, repairs=now.repairs, history=now.history)


def _lacks(text: str, one: _Mend) -> bool:
    return any(told not in text for told in one.told)


def _text_beside_bar(sheet: Sheet, at: int) -> _Mend | None:
    """`answer: |The text`: the text belongs on the next line."""
    line = sheet.line(at)
    typed = _key(line)
    said = re.fullmatch(r"(\|[-+]?) *([^|\s#][^|]*)", typed[4]) if typed else None
    if not typed or not said or not re.search(r"\w", said[2]) or _OTHER_KEY.search(said[2]):
        return None
    column = len(typed[1])
    indent = max(_indent(_next(sheet, at)), 0)
    rows = (
        f"{typed[1]}{typed[2]}: {said[1]}{_end(line)}",
        f"{' ' * (indent if indent > column else column + 2)}{said[2]}{_end(line)}",
    )
    return _Mend(f"the text of `{typed[2]}` put under its `|`", at, at + 1, rows, (said[2],))


def _lost_indent(sheet: Sheet, at: int) -> _Mend | None:
    """Lines of a text under `|` that are not indented further than its key."""
    if _STRUCTURE.match(sheet.line(at).strip()):
        return None
    top, header = at - 1, None
    while top >= 0 and not header:
        typed = _key(sheet.line(top))
        header = typed if typed and _HEADER.fullmatch(typed[4]) else None
        top -= not header
    if not header:
        return None
    column = len(header[1])
    end, deeper, lost = top + 1, list[int](), dict[int, str]()
    for line in range(top + 1, len(sheet.starts)):
        text = sheet.line(line)
        if not text.strip():
            continue
        if _indent(text) > column:
            deeper.append(_indent(text))
        elif _STRUCTURE.match(text.strip()) or text.lstrip(" ").startswith("\t"):
            break
        else:
            lost[line] = text
        end = line + 1
    if at not in lost:
        return None
    shift = min(deeper, default=column + 2) - min(map(_indent, lost.values()))
    rows = tuple(
        " " * (shift if line in lost else 0) + sheet.line(line) for line in range(top, end)
    )
    told = tuple(text.strip() for text in lost.values())
    return _Mend(f"the text of `{header[2]}` indented under its key", top, end, rows, told)


def _unquoted(sheet: Sheet, at: int) -> _Mend | None:
    """A text of one line that YAML cannot take as it is typed."""
    line = sheet.line(at)
    typed = _key(line)
    if not typed or not typed[3] or _indent(_next(sheet, at)) > len(typed[1]):
        return None
    text = _meant(typed[4], typed[2] in _PROSE)
    if text is None or _OTHER_KEY.search(text):
        return None
    single = "'" not in text or '"' in text or "\\" in text
    quoted = "'" + text.replace("'", "''") + "'" if single else f'"{text}"'
    rows = (f"{typed[1]}{typed[2]}: {quoted}{_end(line)}",)
    return _Mend(f"the text of `{typed[2]}` put in quotes", at, at + 1, rows, text)


def _meant(typed: str, is_prose: bool) -> str | None:
    """The text that an author meant, where that is certain; ` #` may have begun a comment."""
    if not typed or " #" in typed:
        return None
    mark, inner = typed[0], typed[1:-1]
    if mark in "@`%*&!{[":
        return typed
    if mark in "'\"":
        closing = re.match(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"", typed)
        if not typed.endswith(mark):
            goes_on = closing and re.match(r",?\s+\w", typed[closing.end() :])
            return typed if goes_on else None
        is_spoken = mark == "'" and re.search(r"\w'\w", inner)
        return inner if is_spoken and "'" not in re.sub(r"(?<=\w)'(?=\w)", "", inner) else None
    is_plain = is_prose and mark not in "|>#,]}-?:"
    return typed if is_plain and re.search(r":(?:\s|$)", typed) else None


def _no_space(sheet: Sheet, at: int) -> _Mend | None:
    """`question:What` without a space."""
    typed = _key(sheet.line(at))
    if not typed or typed[3] or not typed[4]:
        return None
    column = len(typed[1]) + len(typed[2]) + 1
    rows = (f"{sheet.line(at)[:column]} {sheet.line(at)[column:]}",)
    return _Mend(f"a space put after `{typed[2]}:`", at, at + 1, rows, ())


KINDS = (_no_space, _text_beside_bar, _lost_indent, _unquoted)


def _untabbed(sheet: Sheet) -> Sheet:
    """With spaces for tabs in indents, if every width of a tab that gives YAML gives the same, and
    what looks like a key is one.
    """
    tabs = list(re.finditer(r"(?m)^ *\t[ \t]*", sheet.text))
    found = []
    for width in WIDTHS if tabs else ():
        edits = [Edit(t.start(), t.end(), (t.group().expandtabs(width),)) for t in tabs]
        text, stretches = rewritten(sheet.text, edits)
        after = begin(sheet.path, text)
        if after.tree:
            repair = Repair(S001, "tabs in indents replaced by spaces", sheet.place(tabs[0].end()))
            history = (*sheet.history, stretches)
            repairs = (*sheet.repairs, repair)
            found.append(replace(after, first=sheet.first, repairs=repairs, history=history))
    values = [exact(one.tree.value) for one in found if one.tree]
    if not values or any(value != values[0] for value in values):
        return sheet
    keys = {found[0].line_of(part.key.start_mark.index) for part in found[0].parts if part.key}
    lines = (sheet.line_of(tab.end()) for tab in tabs)
    seem = {line for line in lines if re.match(r"[-\s]*\w+:(?:\s|$)", sheet.line(line))}
    return found[0] if seem <= keys else sheet


def _key(line: str) -> re.Match[str] | None:
    """What leads to the key of a text, the key, the gap after its colon, and what is said."""
    return _KEY.fullmatch(line.rstrip())


def _next(sheet: Sheet, at: int) -> str:
    """The next line that says something; "" for none."""
    below = (sheet.line(line) for line in range(at + 1, len(sheet.starts)))
    return next((text for text in below if text.strip()), "")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _end(line: str) -> str:
    found = LINE_END.search(line)
    return found.group() if found else "\n"
