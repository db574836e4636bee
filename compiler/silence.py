"""Outcomes go in; what the leaves without an answer, or without a sample, have to be told comes out
as findings.

A file of its own because a thousand requests that fail for one reason are one finding.
"""

from collections.abc import Iterable

from compiler.codes import M311, R404, R405, R406, R407, R409
from compiler.diagnostics import Report, Span, counted
from compiler.program import Program
from compiler.spool import Kept, Outcomes


def compiled_leaves(program: Program) -> dict[str, Span]:
    """The leaves that have units, in order."""
    return {unit.leaf.path: unit.leaf.span for unit in program.units}


def report_failures(program: Program, outcomes: Outcomes, report: Report) -> None:
    """One finding per leaf and code for requests without an answer, however many there are.

    What a teacher cannot do it will not do next time: that is said once for all leaves.
    """
    spans = compiled_leaves(program)
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


def report_barren(
    program: Program, outcomes: Outcomes, kept: Iterable[Kept], report: Report
) -> None:
    """Names the leaves that were answered for, and yet have no synthetic sample."""
    known = outcomes.failing | {sample.leaf for sample in kept if not sample.human}
    for path, span in compiled_leaves(program).items():
        if path in outcomes.saturated:
            message = f"the teacher has nothing new for `{path}` any more"
            hint = "add seed examples of another kind, or lower `samples_per_leaf`"
            report.add(R409, message, span, hint)
        if path not in known:
            message = f"nothing that the teacher wrote for `{path}` became a sample"
            report.add(M311, message, span, "see its reasons in `drops.jsonl`")
