"""A pipeline's `example.yaml` goes in; what the pipeline makes of it comes out, and where that is
not what it says.

A file of its own because an example is three things at once: the documentation of a pipeline, a
demonstration without a teacher, and its test.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from compiler.codes import P212, T106, Severity
from compiler.curriculum import Route
from compiler.diagnostics import Report, Span, counted
from compiler.documents.chunk import chunk
from compiler.documents.fetch import Document
from compiler.expand import Drop, Expander, Sample
from compiler.format import read_tree
from compiler.ground import Grounds, check_route
from compiler.journal import Journal
from compiler.leaf import Leaf, make_leaf
from compiler.lower import lower
from compiler.pipeline import Folder, Generate, Pipeline
from compiler.schema import PIPELINE, validate
from compiler.source import LEAF_NAME, SourceFile
from compiler.teacher.scripted import Line, Scripted, lines_of
from compiler.tree import Path as TreePath
from compiler.tree import Tree, parse

FILE = "example.yaml"
_CHUNK = 500  # tokens: an example's document is one passage

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of an example; `asked` are the stages that were reached."""

    samples: tuple[Sample, ...]
    drops: tuple[Drop, ...]
    asked: frozenset[str]


def read_example(folder: Folder, report: Report) -> Tree | None:
    """The example of a folder; P212 where there is none, or it has another shape."""
    shown = f"{folder.shown}/{FILE}"
    if FILE not in folder.files:
        hint = f"write `{FILE}`: `trivium pipeline new` shows one"
        report.add(P212, f"there is no `{FILE}` in the folder", Span(shown), hint)
        return None
    tree = parse(SourceFile(shown, folder.files[FILE]), report)
    return tree if tree and validate(tree, "example", PIPELINE, report) else None


def play(
    tree: Tree, pipeline: Pipeline, report: Report, lines: Sequence[Line] | None = None
) -> Played | None:
    """Walks the example's leaf through the pipeline; None where the leaf is none.

    `lines` take the place of the example's own teacher.
    """
    assert isinstance(tree.value, Mapping)
    value: Mapping[str, Any] = tree.value
    leaf = _leaf(tree, value["leaf"], report)
    if leaf is None:
        return None
    if leaf.kind not in pipeline.takes:
        takes = " or ".join(pipeline.takes)
        message = f"the example's leaf is {leaf.kind}, and the pipeline takes {takes}"
        report.add(P212, message, tree.span(("leaf",)), "write a leaf of that kind")
        return None
    document = Document("document.md", ".", "", "0" * 40, value.get("document", ""))
    chunks = chunk(document, _CHUNK) if value.get("document") else ()
    texts = [
        Document(path, ".", "", "0" * 40, text) for path, text in value.get("snippets", {}).items()
    ] or [document]
    route = Route(
        ((pipeline.name, 1.0),),
        settings=value.get("with", {}),
        verify=value.get("verify", {}),
        language=value.get("language", ""),
        span=tree.span(()),
    )
    check_route(route, {pipeline.name: pipeline}, report)
    if report.errors:
        return None
    wanted = int(value.get("wanted", pipeline.asks or max(1, len(value["samples"]))))
    documents = (document,) if chunks else ()
    ground = Grounds([leaf]).of(leaf, route, pipeline, documents, texts)
    units = lower(leaf, chunks, pipeline.name, pipeline.asks, wanted, report, ground)
    teacher = Scripted(lines_of(value["teacher"]) if lines is None else lines)

    async def walk() -> Played:
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        made = [one async for one in expander.run(units, {pipeline.name: pipeline})]
        made.sort(key=lambda one: one.number)
        failed = [
            Drop(one.failure.code, one.failure.detail, leaf.path, "begin", "")
            for one in made
            if one.failure
        ]
        return Played(
            tuple(sample for one in made for sample in one.samples),
            (*(drop for one in made for drop in one.drops), *failed),
            frozenset(request.stage for request in teacher.asked),
        )

    return asyncio.run(walk())


def _leaf(tree: Tree, value: Mapping[str, Any], report: Report) -> Leaf | None:
    """The example's leaf, held to the schema of all leaves; it may have fewer seeds."""
    said = {key: part for key, part in value.items() if key != "path"}
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
    file = SourceFile(f"{value['path']}/{LEAF_NAME}", text.encode())
    found, before = Report(), report.errors
    read_tree(file, found)
    parsed = parse(file, Report())
    for one in found.diagnostics:
        if one.severity is Severity.ERROR and one.code is not T106:
            place = _same_place(tree, parsed, one.span)
            report.add(P212, f"the example's leaf: {one.message}", place, one.hint)
    if parsed is None or report.errors > before:
        return None
    leaf = make_leaf(parsed, None)
    if not leaf.shown:
        place = tree.key_span(("leaf", "seed_examples"))
        report.add(P212, "the example's leaf has no questions", place, "write one or more")
        return None
    return leaf


def _same_place(tree: Tree, leaf: Tree | None, place: Span | None) -> Span:
    """Where the example says what stands at a place of its leaf."""
    for path in _paths(leaf.value, ()) if leaf else ():
        if leaf and place == leaf.span(path):
            return tree.span(("leaf", *path))
        if leaf and place == leaf.key_span(path):
            return tree.key_span(("leaf", *path))
    return tree.key_span(("leaf",))


def _paths(value: object, path: TreePath) -> Iterator[TreePath]:
    """All paths that lead to a part of a value."""
    if isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield (*path, key)
            yield from _paths(part, (*path, key))


def compare(tree: Tree, pipeline: Pipeline, played: Played, report: Report) -> None:
    """P212 for each sample and drop that is not as the example says, and for stages that it does
    not reach.
    """
    assert isinstance(tree.value, Mapping)
    value: Mapping[str, Any] = tree.value
    wanted = [turns_of(one) for one in value["samples"]]
    made = [[{m.role: m.content} for m in sample.messages] for sample in played.samples]
    for place in range(max(len(wanted), len(made))):
        at = tree.span(("samples", place) if place < len(wanted) else ("samples",))
        if place >= len(made):
            report.add(P212, f"sample {place + 1} does not come out", at, _why(played))
        elif place >= len(wanted):
            hint = "add it, if it should be there"
            report.add(P212, f"there is a sample more: {_short(made[place])}", at, hint)
        elif wanted[place] != made[place]:
            hint = "mend the example or the pipeline"
            report.add(P212, f"sample {place + 1} is {_short(made[place])}", at, hint)
    left = Counter((drop.code.id, drop.text) for drop in played.drops)
    open_ = [(i, (one["code"], one.get("question"))) for i, one in enumerate(value["drops"])]
    for i, (code, question) in sorted(open_, key=lambda one: one[1][1] is None):
        found = next(
            (key for key in left if left[key] and key[0] == code and question in (None, key[1])),
            None,
        )
        if found:
            left[found] -= 1
        else:
            at = tree.span(("drops", i))
            report.add(P212, f"nothing is dropped with {code} here", at, _why(played))
    for (code, text), count in sorted(left.items()):
        if count:
            detail = next(d.detail for d in played.drops if (d.code.id, d.text) == (code, text))
            message = f"{counted(count, 'drop')} more with {code}: {text or detail}"
            report.add(P212, message, tree.span(("drops",)), "add it, if it should be there")
    needed = {s.id for s in pipeline.every() if isinstance(s, Generate) and not s.when}
    for stage in sorted(needed - played.asked):
        message = f"the example never reaches the stage `{stage}`"
        report.add(P212, message, tree.span(("teacher",)), "add lines that lead there")


def turns_of(said: Mapping[str, str] | Turns) -> Turns:
    """The messages of a sample, one mapping each."""
    return said if isinstance(said, list) else [{role: text} for role, text in said.items()]


def _short(turns: Turns) -> str:
    text = " / ".join(text for turn in turns for text in turn.values())
    return f"`{text[:120]}`"


def _why(played: Played) -> str:
    codes = Counter(drop.code.id for drop in played.drops)
    told = ", ".join(f"{count} with {code}" for code, count in sorted(codes.items()))
    return f"{counted(len(played.samples), 'sample')} came out; dropped: {told or 'nothing'}"
