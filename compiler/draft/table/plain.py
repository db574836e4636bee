"""The bytes of a CSV, TSV or JSONL file go in; a Sheet comes out.

A file of its own because plain text says of itself neither its encoding nor its separator, and what
spreadsheet programs write differs by country: semicolons, tabs, `sep=;`, UTF-16.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice

from compiler.codes import S005
from compiler.diagnostics import Report, Span
from compiler.draft.table.grid import MAX_BYTES, Line, Sheet

HEAD_LINES = 20
_SEPARATORS = (",", ";", "\t", "|")
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8", "UTF-8"),
    (b"\xff\xfe", "utf-16-le", "UTF-16"),
    (b"\xfe\xff", "utf-16-be", "UTF-16"),
)


def decode(data: bytes, name: str, report: Report) -> str | None:
    """The text of a file: UTF-8, or UTF-16 that begins with its mark; else S005 at the place."""
    mark, codec, called = next(
        (m for m in _MARKS if data.startswith(m[0])), (b"", "utf-8", "UTF-8")
    )
    body = data[len(mark) :]
    try:
        text = body.decode(codec)
        at = text.find("\0")
        if at < 0:
            return text
        before, what = text[:at], "a NUL character"
    except UnicodeDecodeError as wrong:
        before = body[: wrong.start].decode(codec, "replace")
        what = f"byte 0x{body[wrong.start]:02x}"
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    report.texts[name] = body.decode(codec, "replace")
    report.add(
        S005,
        f"{what} is not {called} text",
        Span(name, line, column, line, column + 1),
        "save it as UTF-8; spreadsheet programs call that `CSV UTF-8`",
    )
    return None


def separated(text: str, tabs: bool, fits: Callable[[list[str]], int]) -> Sheet:
    """The rows of a CSV or TSV text. Raises ValueError with the line of a wrong quote.

    The separator is the one that a first line `sep=;` names, else the one with which a line near
    the top `fits` best, as the most known column names do.
    """
    csv.field_size_limit(MAX_BYTES)
    if named := re.match(r"sep=(.)\r?\n", text, re.I):
        separator, text = named[1], text[named.end() :]
    elif tabs:
        separator = "\t"
    else:
        separator = max(_SEPARATORS, key=lambda s: _best(text, s, fits))
    return Sheet("", tuple(_rows(text, separator)))


def _best(text: str, separator: str, fits: Callable[[list[str]], int]) -> tuple[int, int]:
    """How well the best of the first rows fits, and how many cells the first one has."""
    top = list(islice(csv.reader(_lines(text), delimiter=separator), HEAD_LINES))
    cells = next((len(row) for row in top if row), 0)
    return max((fits(row) for row in top), default=0), cells


def _rows(text: str, separator: str) -> Iterator[Line]:
    reader = csv.reader(_lines(text), delimiter=separator, skipinitialspace=True, strict=True)
    number = done = 0
    while True:
        number += 1
        try:
            cells = next(reader, None)
        except csv.Error as wrong:
            what = (
                "a quote is never closed"
                if "unexpected end" in str(wrong)
                else 'text follows a closing quote; inside quotes write `""` for a quote'
            )
            raise ValueError(f"line {done + 1}: {what}") from wrong
        if cells is None:
            return
        done = reader.line_num
        yield Line(number, tuple(cells))


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def json_lines(text: str) -> Sheet:
    """The objects of a JSONL text; the first line of the sheet holds their keys."""
    found: list[tuple[int, dict[str, object], str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        value, wrong = _json(line) if line.strip() else ({}, "")
        found.append((number, value, wrong))
    keys = tuple(dict.fromkeys(key for _, value, _ in found for key in value))
    head = Line(0, keys)
    return Sheet("", (head, *(_object(keys, *one) for one in found)), "line")


def _json(line: str) -> tuple[dict[str, object], str]:
    """The object of one line, numbers as they are written; or why there is none."""
    try:
        value = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as wrong:
        return {}, f"it is no JSON: {wrong.msg[:1].lower()}{wrong.msg[1:]}, column {wrong.colno}"
    except RecursionError:
        return {}, "it is nested too deep"
    return (value, "") if isinstance(value, dict) else ({}, "it is no object with keys")


def _object(keys: tuple[str, ...], number: int, value: dict[str, object], wrong: str) -> Line:
    cells = []
    broken = {}
    for i, key in enumerate(keys):
        cell = value.get(key)
        if isinstance(cell, list | dict):
            broken[i] = f"it is a {'list' if isinstance(cell, list) else 'mapping'}, not a text"
        cells.append(_text(cell))
    return Line(number, tuple(cells), wrong, broken)


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return cell if isinstance(cell, str) else ""
