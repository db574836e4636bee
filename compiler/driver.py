"""A source goes in; everything that a build writes comes out: the whole compiler, one pass after
the other.

A file of its own because the order of the passes is a thing to read in one place.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compiler.codes import CATALOGUE, D514, M304, M305, M307, M311, R404, R405, R406, R407
from compiler.curriculum import Curriculum, Route
from compiler.diagnostics import Account, Report, Span, counted
from compiler.documents.chunk import Chunk, chunk
from compiler.documents.fetch import Document, fetch
from compiler.emit import LeafRecord, Product
from compiler.expand import Drop, Engine, Outcome, Sample, from_seed
from compiler.front import read_checked
from compiler.leaf import KnowledgeLeaf, Leaf, hold_out_copies
from compiler.lower import Unit, lower
from compiler.mix import mix
from compiler.pipeline import Pipeline, folders, load
from compiler.schema import guess
from compiler.sift import sift
from compiler.source import Source, in_branch
from compiler.spool import Kept, Outcomes


@dataclass(frozen=True, slots=True)
class Program:
    """What is ready to be asked: the front end's result."""

    curriculum: Curriculum
    revision: str
    pipelines: Mapping[str, Pipeline]
    leaves: tuple[LeafRecord, ...]
    units: tuple[Unit, ...]


def prepare(
    source: Source, cache: Path, report: Report, only: Collection[str] | None = None
) -> Program | None:
    """Reads, checks, fetches and lowers; None where an error stops the build before a token is
    spent.

    `only`: the leaf files that are lowered. Of the others nothing is said and no error counts, but
    what they hold out is held out here too, so that the units are those of the whole build.
    """
    curriculum, leaves = _read(source, report, only)
    if curriculum is None:
        return None
    pipelines = load_pipelines(curriculum, source, report)
    if report.errors:
        return None
    return lower_all(leaves, curriculum, pipelines, source, cache, report)


def _read(
    source: Source, report: Report, only: Collection[str] | None
) -> tuple[Curriculum | None, tuple[Leaf, ...]]:
    """The settings, and the leaves to lower, with what they hold out."""
    if only is None:
        curriculum, taxonomy = read_checked(source, report)
        return curriculum, hold_out_copies(taxonomy.leaves)
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
    leaves = hold_out_copies(taxonomy.leaves)
    return curriculum, tuple(leaf for leaf in leaves if leaf.file in only)


def lower_all(
    leaves: Sequence[Leaf],
    curriculum: Curriculum,
    pipelines: Mapping[str, Pipeline],
    source: Source,
    cache: Path,
    report: Report,
) -> Program | None:
    """The leaves' documents and units; None where none can be compiled."""
    records: list[LeafRecord] = []
    units: list[Unit] = []
    for leaf in leaves:
        record, lowered = _lower(leaf, curriculum, pipelines, source, cache, report)
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
    return found


def _lower(
    leaf: Leaf,
    curriculum: Curriculum,
    pipelines: Mapping[str, Pipeline],
    source: Source,
    cache: Path,
    report: Report,
) -> tuple[LeafRecord, tuple[Unit, ...]]:
    """One leaf's documents, chunks and units; a leaf that yields none names the code that stopped
    it.
    """
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
        documents = fetch(leaf, source, cache, report)
        chunks = tuple(c for d in documents for c in chunk(d, curriculum.chunk_tokens))
    units: list[Unit] = []
    for name, share in shares.items():
        wanted = math.ceil(round(curriculum.samples_per_leaf * share, 9))
        units += lower(leaf, chunks, name, pipelines[name].asks, wanted, report)
    skipped = "" if units else _why_skipped(leaf, report)
    record = LeafRecord(leaf, tuple(shares), documents, len(chunks), len(units), skipped)
    return record, tuple(units)


def _routed(
    leaf: Leaf, curriculum: Curriculum, pipelines: Mapping[str, Pipeline]
) -> tuple[Route | None, dict[str, float]]:
    """The first route that matches and has a pipeline for this kind of leaf; the shares of those
    that do, which sum to 1.
    """
    for route in curriculum.routes:
        if route.matches(leaf):
            shares = {n: s for n, s in route.pipelines if pipelines[n].takes == leaf.kind}
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


async def expand(
    program: Program,
    engine: Engine,
    report: Report,
    step: Callable[[Outcome], None],
    scratch: Path | None = None,
) -> Product | None:
    """Asks the teacher, sifts and mixes; None where it cannot be reached, or failed every unit.

    Samples wait in the folder `scratch`, by default the system's for temporary files.
    """
    outcomes = Outcomes(scratch)
    try:
        if failure := await engine.open():
            hint = "read its log" if failure.code is R407 else "check the endpoint and try again"
            report.add(failure.code, failure.detail, hint=hint)
            return None
        async with aclosing(engine.run(program.units, program.pipelines)) as results:
            async for outcome in results:
                outcomes.put(outcome)
                step(outcome)
    finally:
        await engine.close()
    _report_failures(program, outcomes, report)
    if any(code is R406 for _, code in outcomes.silent):
        return None
    if program.units and not outcomes.answered and report.errors:
        return None
    return finish(program, outcomes, engine.teacher, engine.judge, report)


def finish(
    program: Program, outcomes: Outcomes, teacher: str, judge: str, report: Report
) -> Product:
    """Sifts, mixes, and closes the books."""
    curriculum = program.curriculum
    leaves = [record.leaf for record in program.leaves]
    written = len(outcomes.samples)
    for leaf in leaves:
        for seed in leaf.shown:
            outcomes.put_seed(from_seed(leaf, seed))
    held_out = tuple(from_seed(leaf, s) for leaf in leaves for s in leaf.seeds if s.held_out)
    kept = tuple(_sift(outcomes, held_out, curriculum))
    _report_barren(program, outcomes, kept, report)
    mixture = mix(kept, curriculum.mix, curriculum.seed, report)
    placed = [p for p in (*mixture.phase1, *mixture.phase2) if not p.replay]
    skipped = [CATALOGUE[record.skipped] for record in program.leaves if record.skipped]
    compiled = len({unit.leaf.path for unit in program.units})
    accounts = (
        Account.of("leaves", len(leaves), compiled, skipped),
        Account.of("ask", len(program.units), outcomes.answered, outcomes.failed.elements()),
        Account.of("expand", outcomes.records, written, outcomes.dropped.elements()),
        Account.of("sift", len(outcomes.samples), len(kept), outcomes.sifted.elements()),
        Account.of("mix", len(kept), len(placed), [D514] * len(mixture.validation)),
    )
    return Product(
        program.revision,
        curriculum,
        teacher,
        judge,
        {pipeline.name: pipeline.digest for pipeline in program.pipelines.values()},
        program.leaves,
        outcomes.samples,
        outcomes.drops,
        kept,
        held_out,
        mixture,
        accounts,
    )


def _sift(outcomes: Outcomes, held_out: Sequence[Sample], curriculum: Curriculum) -> Iterator[Kept]:
    """The samples that stay, in the order of the build; the others are put to the drops."""
    samples = outcomes.samples
    settings, budget = curriculum.sift, curriculum.samples_per_leaf
    verdicts = sift(samples, held_out, settings, budget, outcomes.prints())
    for place, verdict in zip(samples.places(), verdicts, strict=True):
        sample = verdict.sample
        human, replies = sample.origin.kind == "seed", sample.origin.replies
        if verdict.code is None:
            yield Kept(place, sample.id, sample.branch, sample.leaf, human)
            continue
        detail = f"{verdict.detail} ({verdict.other})" if verdict.other else verdict.detail
        outcomes.put_drop(Drop(verdict.code, detail, sample.leaf, "sift", sample.question, replies))


def _report_barren(
    program: Program, outcomes: Outcomes, kept: Iterable[Kept], report: Report
) -> None:
    """Names the leaves that were answered for, and yet have no synthetic sample."""
    known = outcomes.failing | {sample.leaf for sample in kept if not sample.human}
    for path, span in _compiled(program).items():
        if path not in known:
            message = f"nothing that the teacher wrote for `{path}` became a sample"
            report.add(M311, message, span, "see its reasons in `drops.jsonl`")


def _compiled(program: Program) -> dict[str, Span]:
    """The leaves that have units, in order."""
    return {unit.leaf.path: unit.leaf.span for unit in program.units}


def _report_failures(program: Program, outcomes: Outcomes, report: Report) -> None:
    """One finding per leaf and code for requests without an answer, however many there are.

    What a teacher cannot do it will not do next time: that is said once for all leaves.
    """
    spans = _compiled(program)
    silent = dict(outcomes.silent)
    waiting = [silent.pop((leaf, R406)) for leaf in spans if (leaf, R406) in silent]
    for detail in dict.fromkeys(silence.detail for silence in waiting):
        count = sum(silence.count for silence in waiting if silence.detail == detail)
        message = f"the results of {counted(count, 'request')} are not there yet"
        report.add(R406, message, hint=f"{detail}; then run the same command again")
    for code, hint in (
        (R404, "name another teacher, or lower `samples_per_leaf`"),
        (R405, "add a line for the stage to the script"),
        (R407, "read its log, then run the same command again; no answer is asked for twice"),
    ):
        leaves = [silent.pop((leaf, code)) for leaf in spans if (leaf, code) in silent]
        if leaves:
            number = counted(sum(silence.count for silence in leaves), "request")
            report.add(
                code,
                f"{number} of {len(leaves)} out of {len(spans)} leaves had no answer: "
                f"{leaves[0].detail}",
                hint=hint,
            )
    for (leaf, code), silence in silent.items():
        report.add(
            code,
            f"`{leaf}`: {counted(silence.count, 'request')} had no answer; "
            f"the first: {silence.detail}",
            spans[leaf],
            "mend what the endpoint complains of, then run the same command again; no answer is "
            "asked for twice",
        )
