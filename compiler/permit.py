"""A leaf, a data set or the teacher goes in; whether it may be trained on comes out, and M312 where
it may not.

A file of its own because the gate stands before every token that is spent: what a licence forbids
gives no sample, and the report says so at its place (LAB, arXiv 2403.01081, section 3.1).
"""

import re

from compiler.codes import M312
from compiler.curriculum import FILE, DataSource, LicenceSettings
from compiler.diagnostics import Report, Span
from compiler.leaf import Leaf
from compiler.licences import DENIED, LICENCES, denied, kept_back, refused, untold, withheld
from compiler.lines import Lines
from compiler.source import ATTRIBUTION_NAME, Source, SourceFile, beside
from compiler.tree import Path, parse


def permit_leaf(leaf: Leaf, source: Source, settings: LicenceSettings, report: Report) -> bool:
    """Whether every licence that the leaf names allows to train on it; else M312."""
    for name in leaf.licences:
        if why := denied(name, settings):
            message = f"`{leaf.path}` is left out: its licence `{name}` {why}"
            report.add(M312, message, _licence_span(leaf, name, source), _hint(name, why))
            return False
    return True


def permit_data(
    data: DataSource, at: int, source: Source, settings: LicenceSettings, report: Report
) -> bool:
    """Whether the licence of the `at`-th of `mix.sources` allows to train on it; else M312."""
    why = "is not told" if untold(data.licence) else denied(data.licence, settings)
    if why:
        message = f"`{data.file or data.hub}` is left out: its licence `{data.licence}` {why}"
        report.add(
            M312,
            message,
            setting_span(source, "mix", "sources", at, "licence"),
            _hint(data.licence, why),
        )
    return not why


def permit_teacher(source: Source, settings: LicenceSettings, report: Report) -> None:
    """M312 where the licence of what the teacher writes, or the settings, keep others from training
    on it. It is asked all the same: what its terms mean for a build, people judge.
    """
    if why := withheld(settings):
        hint = "take a teacher whose licence allows it, such as one under Apache-2.0 or MIT"
        if not kept_back(settings.teacher):
            hint = _hint(settings.teacher, why)
        report.add(
            M312,
            f"the teacher's licence `{settings.teacher}`: {why}",
            setting_span(source, "licences", "teacher"),
            f"{hint}; this teacher is asked all the same",
        )


def setting_span(source: Source, *path: str | int) -> Span:
    """Where a setting stands in `curriculum.yaml`."""
    if FILE in source.paths:
        where: Path = path
        tree = parse(SourceFile(FILE, source.read(FILE)), Report())
        if tree is not None:
            return tree.span(where)
    return Span(FILE)


def _hint(licence: str, why: str) -> str:
    """What to do about a licence that is refused."""
    known = f"use one under {', '.join(LICENCES)}"
    if untold(licence):
        return known
    if DENIED in why:
        return f"take it out of `licences: {{deny: [{licence}]}}`, or {known}"
    return f"{known}; if you may train on it, set `licences: {{allow: [{refused(licence)[0]}]}}`"


def _licence_span(leaf: Leaf, name: str, source: Source) -> Span:
    """Where the leaf's `attribution.txt` names the licence."""
    path = beside(leaf.file, ATTRIBUTION_NAME)
    text = source.read(path).decode("utf-8", "replace").removeprefix("\ufeff")
    found = re.search(rf"(?im)^[ \t]*licen[cs]e of the work[ \t]*:[ \t]*({re.escape(name)})", text)
    return Lines(path, text).span(*found.span(1)) if found else Span(path)
