"""A report goes in; a SARIF 2.1.0 log comes out, as code scanning reads it.

The same report gives the same log: it holds no time, no machine and no absolute path.
"""

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from compiler import __version__
from compiler.codes import Code, Severity
from compiler.diagnostics import Diagnostic, Report, Span, clean
from compiler.render.json import dumped, exact
from compiler.render.quote import Quotes
from compiler.resources import PAGES

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.DROP: "note"}
_TAGS = {
    "S": "text",
    "T": "taxonomy",
    "P": "pipeline",
    "M": "curriculum",
    "R": "teacher",
    "D": "drop",
    "F": "training",
    "E": "evaluation",
    "B": "bug",
}
_TRUST = ("T132", *(f"T{number}" for number in range(150, 158)))
_LONGEST_SNIPPET = 1000


def sarif(report: Report) -> str:
    """A log of one run.

    What is said of no file of the taxonomy becomes a notification, since code scanning refuses a
    result without a place.
    """
    quotes = Quotes(report.texts)
    placed = [d for d in report.diagnostics if d.span and _uri(d.span.path)]
    others = [d for d in report.diagnostics if not (d.span and _uri(d.span.path))]
    codes = sorted({d.code for d in report.diagnostics}, key=lambda code: code.id)
    invocation: dict[str, object] = {"executionSuccessful": True}
    if others:
        invocation["toolExecutionNotifications"] = [_notification(d, codes) for d in others]
    driver = {"name": "Trivium", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": _results(placed, codes, quotes),
    }
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: Code) -> dict[str, object]:
    page = (PAGES / f"{code.id}.md").read_text("utf-8")
    return {
        "id": code.id,
        "name": code.name.title().replace("-", ""),
        "shortDescription": {"text": _sentence(code.summary)},
        "fullDescription": {"text": _section(page, "What it catches")},
        "help": {"text": _section(page, "How to fix"), "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
        "properties": {"tags": [_TAGS[code.id[0]], *(["trust"] if code.id in _TRUST else [])]},
    }


def _section(page: str, title: str) -> str:
    """The words of one section of a code's page."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return found[1].strip() if found else ""


def _results(
    found: Iterable[Diagnostic], codes: Sequence[Code], quotes: Quotes
) -> list[dict[str, object]]:
    seen: Counter[str] = Counter()
    results = []
    for each in found:
        assert each.span
        result: dict[str, object] = {
            "ruleId": each.code.id,
            "ruleIndex": codes.index(each.code),
            "level": _LEVELS[each.severity],
            "message": _message(each),
            "locations": [{"physicalLocation": _physical(each.span, quotes)}],
        }
        related = [
            {
                "id": number,
                "message": {"text": _sentence(note.message)},
                "physicalLocation": _physical(note.span, quotes),
            }
            for number, note in enumerate(each.notes, 1)
            if _uri(note.span.path)
        ]
        if related:
            result["relatedLocations"] = related
        mark = _fingerprint(each, quotes)
        seen[mark] += 1
        result["partialFingerprints"] = {"findingHash/v1": f"{mark}:{seen[mark]}"}
        results.append(result)
    return results


def _notification(found: Diagnostic, codes: Sequence[Code]) -> dict[str, object]:
    rule = {"id": found.code.id, "index": codes.index(found.code)}
    return {
        "level": _LEVELS[found.severity],
        "message": _message(found),
        "associatedRule": rule,
    }


def _fingerprint(found: Diagnostic, quotes: Quotes) -> str:
    """Stays the same while the line moves; equal findings are told apart by their order."""
    assert found.span
    line = quotes.line(found.span.path, found.span.line) if found.span.end_line else ""
    parts = (found.code.id, found.span.path, found.message, (line or "")[:_LONGEST_SNIPPET].strip())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _physical(span: Span, quotes: Quotes) -> dict[str, object]:
    place: dict[str, object] = {"artifactLocation": {"uri": _uri(span.path), "uriBaseId": ROOT}}
    if span.end_line:
        span = quotes.tight(span)
        region: dict[str, object] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
        text = quotes.text(span)
        if text and len(text) <= _LONGEST_SNIPPET:
            region["snippet"] = {"text": text}
        place["region"] = region
    return place


def _uri(path: str) -> str:
    """`path` as a reference below the root; "" where it is not below it."""
    inside = posixpath.normpath(path)
    if inside in (".", "..") or inside.startswith(("/", "../")):
        return ""
    return quote(exact(inside))


def _message(found: Diagnostic) -> dict[str, str]:
    hint = f" {_sentence(found.hint)}" if found.hint else ""
    return {"text": _sentence(found.message) + hint}


def _sentence(text: str) -> str:
    """`text` from a capital to a full stop, without what a viewer would make a link of."""
    said = clean(text).replace("](", "] (")
    return f"{said[:1].upper()}{said[1:]}."
