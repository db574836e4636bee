"""A report goes in; a JSON object for each finding comes out, one to a line.

`schemas/finding.json` says what they hold. Everything outside ASCII is escaped, so that a line is a
line to every reader.
"""

import json

from compiler.diagnostics import CI_COMMAND, Diagnostic, Report, Span, clean
from compiler.render.quote import Quotes


def json_lines(report: Report) -> str:
    """A line for each finding; nothing where there is none."""
    quotes = Quotes(report.texts)
    return "\n".join(dumped(_object(found, quotes)) for found in report.diagnostics)


def dumped(value: object, indent: int | None = None) -> str:
    """`value` as ASCII JSON that holds no command of a CI (`##[...]`)."""
    return CI_COMMAND.sub(r"#\\u0023", json.dumps(value, indent=indent))


def exact(path: str) -> str:
    """`path` as it is, but for bytes that are no text, which are written out."""
    return path.encode("utf-8", "backslashreplace").decode()


def _object(found: Diagnostic, quotes: Quotes) -> dict[str, object]:
    return {
        **_place(found.span, quotes),
        "severity": str(found.severity),
        "code": found.code.id,
        "name": found.code.name,
        "message": clean(found.message),
        "hint": clean(found.hint),
        "notes": [
            {**_place(note.span, quotes), "message": clean(note.message)} for note in found.notes
        ],
        "more": f"trivium explain {found.code.id}",
    }


def _place(span: Span | None, quotes: Quotes) -> dict[str, object]:
    """The keys of a place; a file as a whole has no line, what is in no file has no path."""
    if span is None or not span.end_line:
        none = dict.fromkeys(("line", "column", "end_line", "end_column"))
        return {"path": exact(span.path) if span else None, **none}
    span = quotes.tight(span)
    return {
        "path": exact(span.path),
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
