"""A source goes in; a Program comes out: everything that has to be known before a token is spent.

A file of its own because plans, previews, checks and compiles begin alike.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from compiler.calibrate.calibration import Graded, read_graded
from compiler.codes import M304, M305, M307, M311, M312
from compiler.curriculum import Curriculum, Route
from compiler.diagnostics import Report
from compiler.documents.chunk import Chunk, chunk
from compiler.documents.fetch import Document, fetch
from compiler.front import read_checked
from compiler.ground import Grounds, check_route
from compiler.leaf import DocumentRef, KnowledgeLeaf, Leaf, hold_out_copies
from compiler.licences import Work, works
from compiler.lower import Unit, lower
from compiler.permit import permit_leaf, permit_teacher
from compiler.pipeline import Pipeline, folders, load
from compiler.schema import guess
from compiler.sift.references import References, open_references
from compiler.source import ATTRIBUTION_NAME, Source, beside, in_branch
from compiler.sources import DataSet, open_data


@dataclass(frozen=True, slots=True)
class LeafRecord:
    """What became of one leaf; `skipped` is the code that stopped it, "" for none."""

    leaf: Leaf
    pipelines: tuple[str, ...]
    documents: tuple[Document, ...]
    chunks: int
    units: int
    skipped: str = ""
    works: tuple[Work, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """What is ready to be asked: the front end's result.

    `graded` are people's grades, `data` and `references` the data sets that the settings name:
    those that are mixed in, and those that samples are compared with.
    """

    curriculum: Curriculum
    revision: str
    pipelines: Mapping[str, Pipeline]
    leaves: tuple[LeafRecord, ...]
    units: tuple[Unit, ...]
    graded: Graded = field(default_factory=Graded)
    data: tuple[DataSet, ...] = ()
    references: References = field(default_factory=References)


def prepare(
    source: Source, cache: Path, report: Report, only: Collection[str] | None = None
) -> Program | None:
    """Reads, checks, fetches and lowers; None where an error stops the build before a token is
    spent.

    `only`: the leaf files that are lowered. Of the others nothing is said and no error counts, but
    what they hold out is held out here too, so that the units are those of the whole build.
    """
    curriculum, leaves, every = _read(source, report, only)
    if curriculum is None:
        return None
    pipelines = load_pipelines(curriculum, source, report)
    permit_teacher(source, curriculum.licences, report)
    graded = read_graded(source, report)
    if report.errors:
        return None
    grounds = Grounds(every)
    program = lower_all(leaves, curriculum, pipelines, grounds, source, cache, report)
    return program and replace(program, graded=graded)


def equip(program: Program, source: Source, cache: Path, report: Report) -> Program | None:
    """A program with the data sets that its settings name; None where one cannot be read."""
    curriculum = program.curriculum
    data = open_data(curriculum, source, cache, report)
    references = open_references(curriculum.sift, source, cache, report)
    return None if report.errors else replace(program, data=data, references=references)


def _read(
    source: Source, report: Report, only: Collection[str] | None
) -> tuple[Curriculum | None, tuple[Leaf, ...], tuple[Leaf, ...]]:
    """The settings, the leaves to lower, with what they hold out, and all leaves."""
    if only is None:
        curriculum, taxonomy = read_checked(source, report)
        every = hold_out_copies(taxonomy.leaves)
        return curriculum, every, every
    whole = Report()
    curriculum, taxonomy = read_checked(source, whole)
    folders = {PurePosixPath(file).parent.as_posix() for file in only}
    report.policy, report.texts, report.files = whole.policy, whole.texts, sorted(only)
    report.take(
        found
        for found in whole.diagnostics
        if not (found.span and in_branch(found.span.path))
        or PurePosixPath(found.span.path).parent.as_posix() in folders
    )
    every = hold_out_copies(taxonomy.leaves)
    return curriculum, tuple(leaf for leaf in every if leaf.file in only), every


def lower_all(
    leaves: Sequence[Leaf],
    curriculum: Curriculum,
    pipelines: Mapping[str, Pipeline],
    grounds: Grounds,
    source: Source,
    cache: Path,
    report: Report,
) -> Program | None:
    """The leaves' documents and units; None where none can be compiled."""
    records: list[LeafRecord] = []
    units: list[Unit] = []
    for leaf in leaves:
        record, lowered = _lower(leaf, curriculum, pipelines, grounds, source, cache, report)
        records.append(record)
        units += lowered
    if report.errors:
        return None
    if not units:
        report.add(M307, "no leaf can be compiled", hint="the other findings say why")
        return None
    return Program(curriculum, source.revision, pipelines, tuple(records), tuple(units))


def load_pipelines(curriculum: Curriculum, source: Source, report: Report) -> dict[str, Pipeline]:
    """The pipelines that the settings route to, those without an error."""
    known = folders(source)
    found: dict[str, Pipeline] = {}
    for route in curriculum.routes:
        for name, _ in route.pipelines:
            if name not in known:
                message = f"there is no pipeline `{name}`"
                report.add(M304, message, route.span, guess(name, list(known)))
            elif name not in found and (made := load(known[name], report)):
                found[name] = made
        check_route(route, found, report)
    return found


def _lower(
    leaf: Leaf,
    curriculum: Curriculum,
    pipelines: Mapping[str, Pipeline],
    grounds: Grounds,
    source: Source,
    cache: Path,
    report: Report,
) -> tuple[LeafRecord, tuple[Unit, ...]]:
    """One leaf's documents, chunks and units; a leaf that yields none names the code that stopped
    it.
    """
    if not permit_leaf(leaf, source, curriculum.licences, report):
        return LeafRecord(leaf, (), (), 0, 0, M312.id), ()
    route, shares = _routed(leaf, curriculum, pipelines)
    if route is None:
        report.add(
            M305,
            f"no route sends `{leaf.path}` to a pipeline for {leaf.kind} leaves",
            leaf.span,
            "add one to `routes:` in `curriculum.yaml`",
        )
        return LeafRecord(leaf, (), (), 0, 0, M305.id), ()
    documents: tuple[Document, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    if isinstance(leaf, KnowledgeLeaf):
        documents = fetch(leaf.document, source, cache, report)
        chunks = tuple(c for d in documents for c in chunk(d, curriculum.chunk_tokens))
    snippets = documents
    if route.snippets:
        told = route.snippets
        place = route.place("snippets")
        places = (place,) * (1 + len(told.patterns))
        pinned = DocumentRef(told.repo, told.commit, told.patterns, place, places)
        snippets = fetch(pinned, source, cache, report, as_it_is=True)
    units: list[Unit] = []
    for name, share in shares.items():
        wanted = math.ceil(round(curriculum.samples_per_leaf * share, 9))
        if "lines" in pipelines[name].draws_from and not snippets:
            message = f"`{name}` draws lines, and `{leaf.path}` has no document"
            report.add(M311, message, route.span, "give the route `snippets:`, or another pipeline")
            continue
        ground = grounds.of(leaf, route, pipelines[name], documents, snippets)
        units += lower(leaf, chunks, name, pipelines[name].asks, wanted, report, ground)
    skipped = "" if units else _why_skipped(leaf, report)
    names, named = tuple(shares), _works(leaf, source)
    record = LeafRecord(leaf, names, documents, len(chunks), len(units), skipped, named)
    return record, tuple(units)


def _works(leaf: Leaf, source: Source) -> tuple[Work, ...]:
    """What the leaf's `attribution.txt` names."""
    path = beside(leaf.file, ATTRIBUTION_NAME)
    return works(source.read(path).decode("utf-8", "replace")) if path in source.paths else ()


def _routed(
    leaf: Leaf, curriculum: Curriculum, pipelines: Mapping[str, Pipeline]
) -> tuple[Route | None, dict[str, float]]:
    """The first route that matches and has a pipeline for this kind of leaf; the shares of those
    that do, which sum to 1.
    """
    for route in curriculum.routes:
        if route.matches(leaf):
            shares = {n: s for n, s in route.pipelines if leaf.kind in pipelines[n].takes}
            if shares:
                return route, {name: s / sum(shares.values()) for name, s in shares.items()}
    return None, {}


def _why_skipped(leaf: Leaf, report: Report) -> str:
    """The code of the finding at the leaf's document; a leaf without units always has one."""
    if not leaf.shown:
        message = f"`{leaf.path}` has no seed example that a prompt may show"
        report.add(M311, message, leaf.span, "add examples that no other leaf has")
    codes = [
        d.code.id
        for d in report.diagnostics
        if d.span and d.span.path == leaf.file and "T139" <= d.code.id <= "T144"
    ]
    return codes[0] if codes else M311.id
