"""A source goes in; everything that a build writes comes out: the whole compiler, one pass after
the other.

A file of its own because the order of the passes is a thing to read in one place.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compiler.codes import CATALOGUE, D514, M304, M305, M307, M311, R404, R405, Code
from compiler.curriculum import Curriculum
from compiler.diagnostics import Account, Report, counted
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
        if route.pipeline not in known:
            message = f"there is no pipeline `{route.pipeline}`"
            report.add(M304, message, route.span, guess(route.pipeline, list(known)))
        elif route.pipeline not in found and (made := load(known[route.pipeline], report)):
            found[route.pipeline] = made
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
    route = next(
        (
            r
            for r in curriculum.routes
            if r.matches(leaf) and pipelines[r.pipeline].takes == leaf.kind
        ),
        None,
    )
    if route is None:
        report.add(
            M305,
            f"no route sends `{leaf.path}` to a pipeline for {leaf.kind} leaves",
            leaf.span,
            "add one to `routes:` in `curriculum.yaml`",
        )
        return LeafRecord(leaf, "", (), 0, 0, M305.id), ()
    documents: tuple[Document, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    if isinstance(leaf, KnowledgeLeaf):
        documents = fetch(leaf, source, cache, report)
        chunks = tuple(c for d in documents for c in chunk(d, curriculum.chunk_tokens))
    asks = pipelines[route.pipeline].asks
    units = lower(leaf, chunks, route.pipeline, asks, curriculum.samples_per_leaf, report)
    skipped = "" if units else _why_skipped(leaf, report)
    return LeafRecord(leaf, route.pipeline, documents, len(chunks), len(units), skipped), units


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
    program: Program, engine: Engine, report: Report, step: Callable[[Outcome], None]
) -> Product | None:
    """Asks the teacher, sifts and mixes; None where it cannot be reached, or failed every unit."""
    outcomes: list[Outcome] = []
    try:
        if failure := await engine.open():
            report.add(failure.code, failure.detail, hint="check the endpoint and try again")
            return None
        async with aclosing(engine.run(program.units, program.pipelines)) as results:
            async for outcome in results:
                outcomes.append(outcome)
                step(outcome)
    finally:
        await engine.close()
    outcomes.sort(key=lambda outcome: outcome.number)
    _report_failures(outcomes, report)
    if outcomes and all(outcome.failure for outcome in outcomes) and report.errors:
        return None
    return finish(program, outcomes, engine.teacher, engine.judge, report)


def finish(
    program: Program,
    outcomes: Sequence[Outcome],
    teacher: str,
    judge: str,
    report: Report,
) -> Product:
    """Sifts, mixes, and closes the books."""
    curriculum = program.curriculum
    leaves = [record.leaf for record in program.leaves]
    seeds = [from_seed(leaf, seed) for leaf in leaves for seed in leaf.shown]
    held_out = [from_seed(leaf, s) for leaf in leaves for s in leaf.seeds if s.held_out]
    written = [sample for outcome in outcomes for sample in outcome.samples]
    failures = [outcome.failure.code for outcome in outcomes if outcome.failure]
    drops = [drop for outcome in outcomes for drop in outcome.drops]
    verdicts = sift([*seeds, *written], held_out, curriculum.sift, curriculum.samples_per_leaf)
    kept = tuple(verdict.sample for verdict in verdicts if verdict.code is None)
    _report_barren(outcomes, kept, report)
    sifted = [
        Drop(
            v.code,
            f"{v.detail} ({v.other})" if v.other else v.detail,
            v.sample.leaf,
            "sift",
            v.sample.question,
            v.sample.origin.replies,
        )
        for v in verdicts
        if v.code
    ]
    mixture = mix(kept, curriculum.mix, curriculum.seed, report)
    placed = [p for p in (*mixture.phase1, *mixture.phase2) if not p.replay]
    skipped = [CATALOGUE[record.skipped] for record in program.leaves if record.skipped]
    accounts = (
        Account.of("leaves", len(leaves), len({unit.leaf.path for unit in program.units}), skipped),
        Account.of("ask", len(program.units), sum(not o.failure for o in outcomes), failures),
        Account.of(
            "expand", sum(o.records for o in outcomes), len(written), [drop.code for drop in drops]
        ),
        Account.of("sift", len(written) + len(seeds), len(kept), [drop.code for drop in sifted]),
        Account.of("mix", len(kept), len(placed), [D514] * len(mixture.validation)),
    )
    return Product(
        program.revision,
        curriculum,
        teacher,
        judge,
        {pipeline.name: pipeline.digest for pipeline in program.pipelines.values()},
        program.leaves,
        kept,
        (*drops, *sifted),
        tuple(held_out),
        mixture,
        accounts,
    )


def _report_barren(outcomes: Sequence[Outcome], kept: Sequence[Sample], report: Report) -> None:
    """Names the leaves that were answered for, and yet have no synthetic sample."""
    fruitful = {sample.leaf for sample in kept if sample.origin.kind != "seed"}
    failed = {outcome.unit.leaf.path for outcome in outcomes if outcome.failure}
    for leaf in dict.fromkeys(outcome.unit.leaf for outcome in outcomes):
        if leaf.path not in fruitful | failed:
            message = f"nothing that the teacher wrote for `{leaf.path}` became a sample"
            report.add(M311, message, leaf.span, "see its reasons in `drops.jsonl`")


def _report_failures(outcomes: Sequence[Outcome], report: Report) -> None:
    """One finding per leaf and code for requests without an answer, however many there are.

    What a teacher cannot do it will not do next time: that is said once for all leaves.
    """
    failed: dict[tuple[str, Code], list[str]] = {}
    spans = {outcome.unit.leaf.path: outcome.unit.leaf.span for outcome in outcomes}
    for outcome in outcomes:
        leaf = outcome.unit.leaf.path
        if outcome.failure:
            failed.setdefault((leaf, outcome.failure.code), []).append(outcome.failure.detail)
        for drop in outcome.drops:
            if drop.code.id.startswith("R"):
                failed.setdefault((leaf, drop.code), []).append(drop.detail)
    for code, hint in (
        (R404, "name another teacher, or lower `samples_per_leaf`"),
        (R405, "add a line for the stage to the script"),
    ):
        leaves = {leaf: failed.pop((leaf, code)) for leaf in spans if (leaf, code) in failed}
        if leaves:
            number = counted(sum(map(len, leaves.values())), "request")
            report.add(
                code,
                f"{number} of {len(leaves)} out of {len(spans)} leaves had no answer: "
                f"{next(iter(leaves.values()))[0]}",
                hint=hint,
            )
    for (leaf, code), details in failed.items():
        report.add(
            code,
            f"`{leaf}`: {counted(len(details), 'request')} had no answer; the first: {details[0]}",
            spans[leaf],
            "mend what the endpoint complains of, then run the same command again; no answer is "
            "asked for twice",
        )
