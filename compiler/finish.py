"""What became of the units goes in; a Product comes out: sifted, held to people's grades, selected,
mixed.

A file of its own because the order of these passes is a thing to read in one place. Each is given
what the one before it kept, and for each the books are closed.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from compiler.calibrate.verdict import Chosen, Judging, all_failing
from compiler.codes import CATALOGUE, D514, D529, D543, M312, Code
from compiler.diagnostics import Account, Report
from compiler.diversity import diversity
from compiler.emit import Product
from compiler.expand import Sample, dropped, from_seed
from compiler.mix import Mixture, mix
from compiler.pipeline import Verify
from compiler.poison import screen, warn
from compiler.program import Program
from compiler.select import Selection, select
from compiler.sift import cited, sift
from compiler.silence import report_barren
from compiler.sources import draw
from compiler.spool import Kept, Outcomes
from compiler.verify import Checker, of_people
from compiler.worth import Worth, worth


@dataclass(frozen=True, slots=True)
class Names:
    """The models that were asked."""

    teacher: str
    judge: str


async def finish(
    program: Program,
    outcomes: Outcomes,
    names: Names,
    report: Report,
    chosen: Chosen,
    judging: Judging | None,
) -> Product:
    """Takes the samples through the passes that ask no teacher. `judging` asks a judge about the
    `chosen` assertions.
    """
    written = len(outcomes.samples)
    held_out = await _put_people(program, outcomes)
    passes = _Passes(program, outcomes, report)
    sifted = tuple(passes.sift(held_out))
    valued, found = passes.worth(sifted)
    kept = tuple([one async for one in passes.hold(valued, chosen, judging)])
    selection = passes.select(kept, held_out)
    report_barren(program, outcomes, selection.kept, report)
    mixture, left = passes.mix(selection.kept)
    spans = {record.leaf.path: record.leaf.span for record in program.leaves}
    warn(screen(map(passes.text, left)), spans, report)
    texts, leaves = (passes.text(one).answer for one in left), (one.leaf for one in left)
    return Product(
        program.revision,
        program.curriculum,
        names.teacher,
        names.judge,
        {pipeline.name: pipeline.digest for pipeline in program.pipelines.values()},
        program.leaves,
        outcomes.samples,
        outcomes.drops,
        left,
        held_out,
        mixture,
        _accounts(program, outcomes, written, (kept, selection.kept), mixture),
        program.data,
        diversity(texts, leaves),
        selection.numbers,
        found,
    )


async def _put_people(program: Program, outcomes: Outcomes) -> tuple[Sample, ...]:
    """Adds what people wrote, and data sets; returns what is held out."""
    leaves = [record.leaf for record in program.leaves if record.skipped != M312.id]
    checkers = _checkers(program)
    held_out = []
    for leaf in leaves:
        asked = checkers.get(leaf.path, ())
        for seed in leaf.seeds:
            verify = await of_people(asked, seed.question, seed.answer, seed.context)
            sample = replace(from_seed(leaf, seed), verify=verify)
            if seed.held_out:
                held_out.append(sample)
            else:
                outcomes.put_given(sample)
    for data in program.data:
        for sample in draw(data, program.curriculum.seed):
            outcomes.put_given(sample)
    return tuple(held_out)


def _checkers(program: Program) -> dict[str, tuple[Checker, ...]]:
    """Who checks the answers of each leaf, in the order of its pipelines and of their stages."""
    known = {(unit.leaf.path, unit.pipeline): unit.ground.checker for unit in program.units}
    found: dict[str, list[Checker]] = {}
    for (leaf, pipeline), of_route in known.items():
        for stage in program.pipelines[pipeline].every():
            made = isinstance(stage, Verify) and (stage.checker or of_route)
            if made and made not in found.setdefault(leaf, []):
                found[leaf].append(made)
    return {leaf: tuple(made) for leaf, made in found.items()}


class _Passes:
    """One pass after the other; what each drops is put to the drops under its name."""

    def __init__(self, program: Program, outcomes: Outcomes, report: Report) -> None:
        self._program = program
        self._outcomes = outcomes
        self._report = report

    def text(self, kept: Kept) -> Sample:
        """The sample itself, which lies on disk."""
        return self._outcomes.samples[kept.place]

    def _drop(self, sample: Sample, code: Code, detail: str, stage: str) -> None:
        self._outcomes.put_drop(dropped(sample, code, detail, stage))

    def sift(self, held_out: Sequence[Sample]) -> Iterator[Kept]:
        """The samples that are sound, in the order of the build."""
        samples, settings = self._outcomes.samples, self._program.curriculum.sift
        prints, texts = self._outcomes.prints(), _texts(self._program)
        references = self._program.references
        verdicts = sift(samples, held_out, settings, prints, texts, references)
        for place, verdict in zip(samples.places(), verdicts, strict=True):
            sample = verdict.sample
            if verdict.code is None:
                given, span = not sample.origin.made, _cited(sample, texts(sample))
                yield Kept(place, sample.id, sample.branch, sample.leaf, given, span)
                continue
            detail = f"{verdict.detail} ({verdict.other})" if verdict.other else verdict.detail
            self._drop(sample, verdict.code, detail, "sift")

    def worth(self, kept: Sequence[Kept]) -> tuple[tuple[Kept, ...], Worth | None]:
        """The samples of highest educational value, where the settings want a share of them."""
        curriculum = self._program.curriculum
        if curriculum.sift.worth >= 1:
            return tuple(kept), None
        found = worth(_Read(self, kept), curriculum.sift.worth, curriculum.seed)
        left = []
        for one in kept:
            sample = self.text(one)
            if detail := found.detail(sample):
                self._drop(sample, D529, detail, "sift")
            else:
                left.append(one)
        return tuple(left), found

    async def hold(
        self, kept: Sequence[Kept], chosen: Chosen, judging: Judging | None
    ) -> AsyncIterator[Kept]:
        """The samples that fail none of the chosen assertions."""
        if not chosen.sets:
            for one in kept:
                yield one
            return
        places = iter(kept)
        async with aclosing(all_failing(_Read(self, kept), chosen, judging)) as fails:
            async for criterion in fails:
                one = next(places)
                if criterion is None:
                    yield one
                else:
                    detail = f"`{criterion.id}`: {criterion.text}"
                    self._drop(self.text(one), D543, detail, "sift")

    def select(self, kept: Sequence[Kept], held_out: Sequence[Sample]) -> Selection:
        """The samples that are of most use together."""
        curriculum = self._program.curriculum
        selection = select(
            self._outcomes.samples,
            kept,
            held_out,
            curriculum.select,
            curriculum.samples_per_leaf,
            curriculum.seed,
        )
        for one, code, detail in selection.dropped:
            self._drop(self.text(one), code, detail, "select")
        return selection

    def mix(self, kept: Sequence[Kept]) -> tuple[Mixture, tuple[Kept, ...]]:
        """The phases, and the samples that are in them or kept aside."""
        curriculum = self._program.curriculum
        least = curriculum.select.min_per_leaf
        mixture = mix(kept, curriculum.mix, curriculum.seed, self._report, self.text, least)
        for cut in mixture.cut:
            self._drop(self.text(cut.sample), cut.code, cut.detail, "mix")
        gone = {cut.sample.place for cut in mixture.cut}
        return mixture, tuple(one for one in kept if one.place not in gone)


class _Read:
    """The samples of some places, read again whenever they are gone through."""

    def __init__(self, passes: _Passes, kept: Sequence[Kept]) -> None:
        self._passes = passes
        self._kept = kept

    def __iter__(self) -> Iterator[Sample]:
        return map(self._passes.text, self._kept)


def _cited(sample: Sample, text: str) -> tuple[int, ...]:
    """Where the document says what the answer says, as its characters."""
    span = cited(sample.answer, text) if text else None
    return tuple(sample.origin.start + at for at in span) if span else ()


def _texts(program: Program) -> Callable[[Sample], str]:
    """The text of the chunk that a sample was made from; "" for none."""
    chunks = {
        unit.id: unit.chunk
        for unit in program.units
        if unit.chunk and program.pipelines[unit.pipeline].grounding
    }

    def text_of(sample: Sample) -> str:
        chunk = chunks.get(sample.origin.unit)
        return chunk.text if chunk else ""

    return text_of


def _accounts(
    program: Program,
    outcomes: Outcomes,
    written: int,
    kept: tuple[Sequence[Kept], Sequence[Kept]],
    mixture: Mixture,
) -> tuple[Account, ...]:
    """The books of every pass."""
    sound, selected = kept
    skipped = [CATALOGUE[record.skipped] for record in program.leaves if record.skipped]
    compiled = len({unit.leaf.path for unit in program.units})
    placed = [p for p in (*mixture.phase1, *mixture.phase2) if not p.replay]
    aside = [*[D514] * len(mixture.validation), *(cut.code for cut in mixture.cut)]
    later = outcomes.later
    return (
        Account.of("leaves", len(program.leaves), compiled, skipped),
        Account.of("ask", len(program.units), outcomes.answered, outcomes.failed.elements()),
        Account.of("expand", outcomes.records, written, outcomes.dropped.elements()),
        Account.of("sift", len(outcomes.samples), len(sound), later["sift"].elements()),
        Account.of("select", len(sound), len(selected), later["select"].elements()),
        Account.of("mix", len(selected), len(placed), aside),
    )
