"""A program and an engine go in; everything that a build writes comes out.

A file of its own because it is the compiler in one function: who is believed, what is asked, what
becomes of it.
"""

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from compiler.calibrate.calibration import calibrate, of_conditions, report_gate
from compiler.calibrate.verdict import Chosen, Judging
from compiler.codes import M313, R406, R407
from compiler.diagnostics import Report
from compiler.emit import Product
from compiler.expand import Engine, Outcome
from compiler.finish import Names, finish
from compiler.program import Program
from compiler.silence import report_failures
from compiler.spool import Outcomes

_STOPS = (M313, R406)


async def expand(
    program: Program,
    engine: Engine,
    report: Report,
    step: Callable[[Outcome], None],
    scratch: Path | None = None,
    judging: Judging | None = None,
) -> Product | None:
    """Asks the teacher, sifts, selects and mixes; None where it cannot be reached, failed every
    unit, or is judged by what does not agree with people.

    Samples wait in the folder `scratch`, by default the system's for temporary files. Without
    `judging` assertions that a judge has to be asked about are left out.
    """
    outcomes = Outcomes(scratch)
    try:
        if failure := await engine.open():
            hint = "read its log" if failure.code is R407 else "check the endpoint and try again"
            report.add(failure.code, failure.detail, hint=hint)
            return None
        chosen = await _chosen(program, judging, report)
        if report.errors:
            return None
        async with aclosing(engine.run(program.units, program.pipelines)) as results:
            async for outcome in results:
                outcomes.put(outcome)
                step(outcome)
        report_failures(program, outcomes, report)
        if _stopped(report) or (program.units and not outcomes.answered and report.errors):
            return None
        names = Names(engine.teacher, engine.judge)
        product = await finish(program, outcomes, names, report, chosen, judging)
        if judging:
            judging.report(report)
        return None if _stopped(report) else product
    finally:
        await engine.close()


def _stopped(report: Report) -> bool:
    """Whether a build would be another one tomorrow, or none that was wanted."""
    return any(found.code in _STOPS for found in report.diagnostics)


async def _chosen(program: Program, judging: Judging | None, report: Report) -> Chosen:
    """The assertions that agree with people's grades; M315 where too few do."""
    graded, gate = program.graded, program.curriculum.gate
    made = await calibrate(graded, gate, judging) if judging else of_conditions(graded, gate)
    if judging:
        judging.report(report)
    report_gate(made, sorted({record.leaf.branch for record in program.leaves}), gate, report)
    return made.chosen
