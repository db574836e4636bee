"""What a check says, before it is in a report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.codes import Code
from compiler.diagnostics import Note, Report, Span


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says; `tell` puts it into the report."""

    code: Code
    message: str
    span: Span
    hint: str
    notes: tuple[Note, ...] = ()


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say that a check needs, in tokens: the teacher's context, a chunk."""

    context: int = 4096
    chunk: int = 250


def tell(findings: Iterable[Finding], report: Report) -> None:
    """Adds what checks found to a report."""
    for found in findings:
        report.add(found.code, found.message, found.span, found.hint, found.notes)
