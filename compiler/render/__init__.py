"""A report goes in; text comes out, in the form that a reader or a program asked for."""

import json
import re
from collections.abc import Callable, Mapping

from compiler.diagnostics import Diagnostic, Report, Span, clean, summary


def _human(report: Report) -> str:
    return "\n".join([*(_human_one(d, report.texts) for d in report.diagnostics), summary(report)])


def _human_one(found: Diagnostic, texts: Mapping[str, str]) -> str:
    lines = [f"{found.severity}[{found.code.id}] {found.code.name}: {clean(found.message)}"]
    if found.span:
        lines += _excerpt(found.span, texts.get(found.span.path))
    for note in found.notes:
        lines += [
            f"   = note: {clean(note.message)}",
            *_excerpt(note.span, texts.get(note.span.path)),
        ]
    if found.hint:
        lines.append(f"   = help: {clean(found.hint)}")
    lines.append(f"   = more: trivium explain {found.code.id}")
    return "\n".join(lines) + "\n"


_WIDTH = 100


def _excerpt(span: Span, text: str | None) -> list[str]:
    if not span.end_line:
        return [f"  --> {clean(span.path)}"]
    lines = [f"  --> {clean(span.path)}:{span.line}:{span.column}"]
    source = re.split(r"\r\n|\n|\r", text) if text else []
    if not 0 < span.line <= len(source):
        return lines
    line = source[span.line - 1]
    start = max(0, span.column - 1 - _WIDTH // 2) if span.column > _WIDTH - 10 else 0
    shown = line[start : start + _WIDTH]
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    width = max(1, min(end, start + len(shown)) - (span.column - 1))
    lead = clean(line[start : span.column - 1])
    number = str(span.line)
    gap = " " * max(2, len(number))
    return [
        *lines,
        f"{gap} |",
        f"{number:>{len(gap)}} | {clean(shown)}",
        f"{gap} | {' ' * len(lead)}{'^' * width}",
    ]


def _concise(report: Report) -> str:
    lines = []
    for d in report.diagnostics:
        place = f"{clean(d.span.path)}:{d.span.line}:{d.span.column}: " if d.span else ""
        lines.append(f"{place}{d.severity}[{d.code.id}] {d.code.name}: {clean(d.message)}")
    return "\n".join([*lines, summary(report)])


def _json(report: Report) -> str:
    return "\n".join(json.dumps(as_json(d), ensure_ascii=False) for d in report.diagnostics)


def as_json(found: Diagnostic) -> dict[str, object]:
    """The finding as the object that `--format json` writes on a line."""
    place = found.span or Span("", 0, 0)
    return {
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "severity": str(found.severity),
        "code": found.code.id,
        "name": found.code.name,
        "message": found.message,
        "hint": found.hint,
    }


def _github(report: Report) -> str:
    def escape(text: str) -> str:
        return clean(text).replace("%", "%25")

    def value(text: str) -> str:
        return escape(text).replace(":", "%3A").replace(",", "%2C")

    lines = []
    for d in report.diagnostics:
        place = (
            f" file={value(d.span.path)},line={d.span.line},col={d.span.column}," if d.span else " "
        )
        hint = f" ({d.hint})" if d.hint else ""
        title = value(f"{d.code.id} {d.code.name}")
        lines.append(f"::{d.severity}{place}title={title}::{escape(d.message + hint)}")
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[Report], str]] = {
    "human": _human,
    "concise": _concise,
    "json": _json,
    "github": _github,
}
