"""`grades/criteria.yaml` goes in; criteria with their candidate assertions come out.

A file of its own because it is data that a maintainer writes: every mistake in it is found with its
place before anything is asked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import jinja2

from compiler.calibrate.item import COLUMNS
from compiler.codes import M316
from compiler.diagnostics import Note, Report, Span
from compiler.prompt import (
    TEMPLATE_FAULTS,
    Template,
    compile_condition,
    compile_template,
    render,
)
from compiler.schema import Voice, guess, validate
from compiler.source import Source, SourceFile
from compiler.tree import Path, Tree, parse

FILE = "grades/criteria.yaml"
VOICE = Voice(M316, M316, M316)
_JUDGED = (*COLUMNS, "criterion", "examples")
_TEXTS = dict.fromkeys(("question", "answer", "context", "criterion"), "some text")
_STAND_INS = {**_TEXTS, "scores": {}, "examples": [{**_TEXTS, "grade": "good", "note": ""}]}


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a good sample is, in words; no `branches` means every one.

    `digest` is that of its words: a grade that was given under others does not count any more.
    """

    id: str
    text: str
    branches: tuple[str, ...] = ()
    span: Span = field(default=Span(FILE), compare=False)

    @property
    def digest(self) -> str:
        """12 hex digits of a hash of the text; white space makes no difference."""
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()[:12]

    def applies(self, branch: str) -> bool:
        return not self.branches or branch in self.branches


@dataclass(frozen=True, slots=True)
class Assertion:
    """One way to test a criterion: a condition that good samples meet, or a judge's prompt with the
    answers yes (good) and no.
    """

    id: str
    criterion: Criterion
    template: Template = field(compare=False, repr=False)
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Criteria:
    """All criteria, and all assertions in the order of the file."""

    all: tuple[Criterion, ...] = ()
    assertions: tuple[Assertion, ...] = ()

    def of(self, branch: str) -> tuple[Criterion, ...]:
        """The criteria that apply to a branch."""
        return tuple(one for one in self.all if one.applies(branch))

    def candidates(self, branch: str) -> tuple[Assertion, ...]:
        """The assertions of the criteria that apply to a branch."""
        return tuple(one for one in self.assertions if one.criterion.applies(branch))


def read_criteria(source: Source, report: Report) -> Criteria:
    """The taxonomy's criteria; none where it has no such file, or one with errors (M316)."""
    if FILE not in source.paths:
        return Criteria()
    before = report.errors
    tree = parse(SourceFile(FILE, source.read(FILE)), report)
    if tree is None or not validate(tree, "criteria", VOICE, report):
        return Criteria()
    value = tree.value
    assert isinstance(value, Mapping)
    criteria: list[Criterion] = []
    assertions: list[Assertion] = []
    for place, said in enumerate(value["criteria"]):
        at: Path = ("criteria", place)
        made = Criterion(
            str(said["id"]),
            str(said["text"]),
            tuple(said.get("branches", ())),
            tree.span((*at, "text")),
        )
        if known := next((one for one in criteria if one.id == made.id), None):
            report.add(
                M316,
                f"two criteria are named `{made.id}`",
                tree.span((*at, "id")),
                "rename one of the two",
                [Note("the other one", known.span)],
            )
        criteria.append(made)
        for i, one in enumerate(said.get("assertions", ())):
            if found := _assertion(tree, (*at, "assertions", i), one, made, i + 1, report):
                assertions.append(found)
    return Criteria() if report.errors > before else Criteria(tuple(criteria), tuple(assertions))


def _assertion(
    tree: Tree,
    at: Path,
    said: Mapping[str, str],
    criterion: Criterion,
    number: int,
    report: Report,
) -> Assertion | None:
    id = f"{criterion.id}-{number}"
    (kind,) = said
    place = tree.span((*at, kind))
    try:
        template = (
            compile_condition(said[kind]) if kind == "if" else compile_template(id, said[kind])
        )
    except TEMPLATE_FAULTS as wrong:
        why = getattr(wrong, "message", "") or _words(wrong)
        report.add(M316, f"`{id}` is no valid Jinja: {why}", place, "mend the expression")
        return None
    known = COLUMNS if kind == "if" else _JUDGED
    unknown = [column for column in template.reads if column not in known]
    for column in unknown:
        message = f"`{id}` reads the unknown column `{column}`"
        report.add(M316, message, place, guess(column, known))
    try:
        if not unknown:
            render(template, _STAND_INS)
    except jinja2.UndefinedError:
        pass  # a score that some pipelines give and others do not
    except TEMPLATE_FAULTS as wrong:
        message = f"`{id}` fails when it is rendered: {_words(wrong)}"
        report.add(M316, message, place, "mend the expression")
    return Assertion(id, criterion, template, kind == "judge")


def _words(wrong: Exception) -> str:
    return str(wrong) or type(wrong).__name__
