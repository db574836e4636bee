"""One leaf's units go in; the prompts that they make, or a few real samples, come out.

A pass of its own because a contributor wants to see what the teacher will see before anybody spends
an hour on it. The prompts are those of a compile, letter for letter; what it would ask later has a
stand-in in the place of what the teacher will write, as in a plan.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.codes import S003, S004, T106, T107, Code, Severity
from compiler.curriculum import read as read_settings
from compiler.diagnostics import Report
from compiler.documents.chunk import estimate_tokens
from compiler.expand import Expander, Outcome, Sample, from_seed
from compiler.ground import Grounds
from compiler.imagine import imagined
from compiler.journal import Journal
from compiler.leaf import hold_out_copies, make_leaf
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.program import Program, load_pipelines, lower_all, prepare
from compiler.prompt import TEMPLATE_FAULTS, Message
from compiler.sift import sift
from compiler.source import Source, SourceFile
from compiler.teacher import Failure, Teacher
from compiler.tree import parse

_READABLE = (S003, S004, T106, T107)


def program_of(file: str, source: Source, cache: Path, report: Report) -> Program | None:
    """What a compile would make of one leaf file, whatever is wrong with the other leaves.

    Where the leaf itself has errors that leave its meaning clear, such as too few examples, it is
    made all the same, and they are in the report.
    """
    program = prepare(source, cache, report, [file])
    if program or not _is_readable(file, report):
        return program
    later = Report(report.policy)
    tree = parse(SourceFile(file, source.read(file)), Report())
    curriculum = read_settings(source, later)
    pipelines = load_pipelines(curriculum, source, later) if curriculum else {}
    if tree and curriculum and not later.errors:
        leaves = hold_out_copies([make_leaf(tree, None)])
        grounds = Grounds(leaves)
        program = lower_all(leaves, curriculum, pipelines, grounds, source, cache, later)
    report.take(later.diagnostics)
    return program


def _is_readable(file: str, report: Report) -> bool:
    """Whether each error is in this leaf, and either small or a warning that the settings raise."""
    errors = [found for found in report.diagnostics if found.severity is Severity.ERROR]
    folder = file.rpartition("/")[0]
    return bool(errors) and all(
        found.span is not None
        and found.span.path.rpartition("/")[0] == folder
        and (found.code in _READABLE or found.code.severity is Severity.WARNING)
        for found in errors
    )


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one stage asks for a unit, up to `calls` times.

    `tokens` is an estimate without a tokenizer. `stand_ins` are the columns that the teacher has
    yet to write. `wrong` is why there are no messages.
    """

    stage: str
    to_judge: bool
    messages: tuple[Message, ...]
    tokens: int
    calls: int
    stand_ins: tuple[str, ...]
    wrong: str = ""


def prompts(unit: Unit, pipeline: Pipeline) -> tuple[Prompt, ...]:
    """The prompts of one unit, a stage after the other."""
    made = []
    for question in imagined(unit, pipeline)[0]:
        stage = question.stage
        messages: tuple[Message, ...] = ()
        wrong = ""
        try:
            messages = question.messages()
        except TEMPLATE_FAULTS as fault:
            wrong = str(fault)
        tokens = sum(estimate_tokens(message.content) for message in messages)
        reads = stage.prompt_in(question.language).reads
        unknown = tuple(name for name in reads if name in question.unknown)
        calls = round(question.calls)
        made.append(Prompt(stage.id, stage.judge, messages, tokens, calls, unknown, wrong))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the teacher wrote and that is no sample; `text` begins it."""

    code: Code
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What asking for a few samples gave; `failure` where a request had no answer."""

    samples: tuple[Sample, ...]
    losses: tuple[Loss, ...]
    units: int
    asked: int
    journaled: int
    failure: Failure | None


async def try_out(
    program: Program,
    teacher: Teacher,
    judge: Teacher,
    journal: Journal,
    wanted: int,
    step: Callable[[Outcome], None] = lambda outcome: None,
) -> Trial:
    """Asks for units of the program until `wanted` samples are kept, and no further.

    The questions are those of a compile, so it will find their answers in the journal. Samples are
    sifted as a compile does it, among those of this program.
    """
    expander = Expander(teacher, judge, journal)
    outcomes: list[Outcome] = []
    failure: Failure | None = None
    samples: tuple[Sample, ...] = ()
    losses: tuple[Loss, ...] = ()
    try:
        for who in dict.fromkeys((teacher, judge)):
            failure = failure or await who.open()
        while failure is None and len(samples) < wanted and len(outcomes) < len(program.units):
            rest = program.units[len(outcomes) :]
            number = math.ceil((wanted - len(samples)) / max(1, rest[0].want))
            made = []
            async for outcome in expander.run(rest[:number], program.pipelines):
                made.append(outcome)
                failure = failure or outcome.failure
                step(outcome)
            outcomes += sorted(made, key=lambda outcome: outcome.number)
            samples, losses = _sifted(program, outcomes)
    finally:
        for who in dict.fromkeys((teacher, judge)):
            await who.close()
    tally = expander.tally
    return Trial(samples, losses, len(outcomes), tally.asked, tally.journaled, failure)


def _sifted(
    program: Program, outcomes: Sequence[Outcome]
) -> tuple[tuple[Sample, ...], tuple[Loss, ...]]:
    """What a compile would keep of these outcomes, and what it would drop."""
    leaves = [record.leaf for record in program.leaves]
    seeds = [from_seed(leaf, seed) for leaf in leaves for seed in leaf.shown]
    held_out = [from_seed(leaf, s) for leaf in leaves for s in leaf.seeds if s.held_out]
    written = [sample for outcome in outcomes for sample in outcome.samples]
    verdicts = sift([*seeds, *written], held_out, program.curriculum.sift)
    of_teacher = list(verdicts)[len(seeds) :]
    dropped = [Loss(d.code, d.detail, d.text) for o in outcomes for d in o.drops]
    sifted = [Loss(v.code, v.detail, v.sample.question) for v in of_teacher if v.code]
    return tuple(v.sample for v in of_teacher if not v.code), (*dropped, *sifted)
