"""The files of `grades/` go in; the grades that count come out, one for each item.

A file of its own because a grade is bound to the criteria that it was given under: people need
criteria to grade, and grading changes the criteria (Shankar et al., "Who validates the
validators?", 2024), so that an edited one takes its grades with it.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compiler.calibrate.criteria import FILE, VOICE, Criteria, Criterion
from compiler.calibrate.item import Item, of_json
from compiler.codes import M316, M317
from compiler.diagnostics import Diagnostic, Report, Span, counted
from compiler.schema import fits, validate
from compiler.source import MAX_BYTES, Source, SourceFile
from compiler.tree import parse

FOLDER = "grades/"


@dataclass(frozen=True, slots=True)
class Grade:
    """What one person said of one item; `criteria` are the digests of what it was graded by."""

    item: Item
    good: bool
    grader: str = ""
    note: str = ""
    criteria: Mapping[str, str] = field(default_factory=dict)
    span: Span = field(default=Span(""), compare=False)

    def as_json(self) -> dict[str, object]:
        """A line of a file of grades."""
        said = {
            **self.item.as_json(),
            "grade": "good" if self.good else "bad",
            "grader": self.grader,
            "note": self.note,
            "criteria": dict(self.criteria),
        }
        return {name: part for name, part in said.items() if part or name in _ALWAYS}


_ALWAYS = ("question", "answer", "criteria")


def read_grades(source: Source, report: Report) -> tuple[Grade, ...]:
    """Every grade in the order of files and lines; of a file with errors (M316) none."""
    found: list[Grade] = []
    for path in source.paths:
        if path.startswith(FOLDER) and path != FILE:
            if path.endswith(".jsonl"):
                found += _of_lines(path, source.read(path), report)
            elif path.endswith((".yaml", ".yml")):
                found += _of_yaml(path, source.read(path), report)
    return tuple(found)


def append(grade: Grade, path: Path) -> None:
    """Adds one grade to a file and waits until it is on disk; a line that was cut is closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps(grade.as_json(), ensure_ascii=False) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


def now(criteria: Iterable[Criterion]) -> dict[str, str]:
    """The digests that a grade given today carries."""
    return {one.id: one.digest for one in criteria}


def valid(
    grades: Sequence[Grade], criteria: Criteria, report: Report | None = None
) -> tuple[Grade, ...]:
    """The grades that count: those of which every criterion reads as it did, one for each item.

    A person's later grade of an item replaces the earlier one; of several people's most count, and
    an item on which they are divided evenly has none. A criterion that was edited is reported
    (M317).
    """
    today = now(criteria.all)
    last: dict[tuple[str, str], Grade] = {}
    for grade in grades:
        last[grade.item.id, grade.grader] = grade
    outdated: Counter[str] = Counter()
    votes: dict[str, list[Grade]] = {}
    for grade in last.values():
        changed = [id for id, digest in grade.criteria.items() if today.get(id) != digest]
        outdated.update(changed)
        if not changed:
            votes.setdefault(grade.item.id, []).append(grade)
    if report is not None:
        _report(outdated, criteria, report)
    agreed = (_agreed(given) for given in votes.values())
    return tuple(grade for grade in agreed if grade is not None)


def _agreed(given: Sequence[Grade]) -> Grade | None:
    """What most say; None where as many say good as bad."""
    good = sum(grade.good for grade in given)
    if 2 * good == len(given):
        return None
    return next(grade for grade in given if grade.good is (2 * good > len(given)))


def _report(outdated: Mapping[str, int], criteria: Criteria, report: Report) -> None:
    spans = {one.id: one.span for one in criteria.all}
    for id, number in sorted(outdated.items()):
        happened = "was edited" if id in spans else "is gone"
        do = "does" if number == 1 else "do"
        report.add(
            M317,
            f"`{id}` {happened}: {counted(number, 'grade')} given under it {do} not count any more",
            spans.get(id, Span(FILE)),
            "grade these samples again with `trivium grade`",
        )


def _of_yaml(path: str, data: bytes, report: Report) -> list[Grade]:
    tree = parse(SourceFile(path, data), report)
    if tree is None or not validate(tree, "grades", VOICE, report):
        return []
    assert isinstance(tree.value, Mapping)
    lines = tree.value["grades"]
    return [_grade(one, tree.span(("grades", i))) for i, one in enumerate(lines)]


def _of_lines(path: str, data: bytes, report: Report) -> list[Grade]:
    before = report.errors
    lines = data.decode("utf-8", "replace").split("\n")
    report.texts[path] = "\n".join(lines)
    values: list[Mapping[str, object]] = []
    spans: list[Span] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        spans.append(Span(path, number, 1, number, len(line) + 1))
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as wrong:
            message = f"the line is no JSON: {wrong}"
            report.add(M316, message, spans[-1], "mend the line, or delete it")
    if report.errors > before:
        return []
    if not fits({"grades": values}, "grades"):
        report.take(_faults(path, lines))
        return []
    return [_grade(value, span) for value, span in zip(values, spans, strict=True)]


def _faults(path: str, lines: Sequence[str]) -> list[Diagnostic]:
    """What is wrong with lines that are JSON: told by the YAML reader, which keeps places, of one
    list of all of them, of which each begins a line further down than in its file.
    """
    whole = '{"grades": [\n' + ",\n".join(line for line in lines if line.strip()) + "\n]}"
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    inner = Report()
    tree = None
    if len(whole.encode()) <= MAX_BYTES:
        tree = parse(SourceFile(path, whole.encode()), inner)
    if tree is None:  # JSON that YAML does not read, or more than it takes
        inner = Report()
        inner.add(M316, "a line lacks a key, or has an unknown one", Span(path), _AS_WRITTEN)
        return list(inner.diagnostics)
    validate(tree, "grades", VOICE, inner)

    def back(span: Span | None) -> Span | None:
        if span is None or not span.end_line:
            return span
        first, last = (numbers[line - 2] for line in (span.line, span.end_line))
        return replace(span, line=first, end_line=last)

    return [replace(found, span=back(found.span)) for found in inner.diagnostics]


_AS_WRITTEN = "write the lines as `trivium grade` does"


def _grade(value: Mapping[str, object], span: Span) -> Grade:
    criteria = value.get("criteria")
    return Grade(
        of_json(value),
        value["grade"] == "good",
        str(value["grader"]),
        str(value.get("note", "")),
        {str(id): str(digest) for id, digest in criteria.items()}
        if isinstance(criteria, Mapping)
        else {},
        span,
    )
