"""Leaves go in; what no schema can say of them is reported.

A pass of its own because each of these rules looks at meaning: at two questions, at a leaf and its
document, at a licence. They are warnings, for InstructLab's validator passes all of it; a
curriculum can raise them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from compiler.check import questions, sources, texts
from compiler.check.across import contributor_share, shared_questions
from compiler.check.authors import foreign_author, missing_sign_off
from compiler.check.facts import Facts
from compiler.check.look import Finding, Findings, Look
from compiler.diagnostics import Report

if TYPE_CHECKING:
    from compiler.source.revision import Change

CHECKS: tuple[Callable[[Look], Findings], ...] = (
    questions.repeated_question,
    sources.ungrounded_context,
    texts.too_long,
    questions.mixed_grounding,
    sources.unpinned_commit,
    sources.unsafe_pattern,
    sources.missing_attribution,
    sources.unlisted_licence,
    texts.placeholder_text,
    texts.folder_name,
    texts.blank_text,
    texts.invisible_character,
    questions.contradicting_answers,
    questions.ignored_questions,
)


def check_leaf(look: Look, report: Report) -> None:
    """Reports what one leaf shows."""
    for run in CHECKS:
        _tell(run(look), report)


def check_across(
    facts: Sequence[Facts], others: Sequence[Facts], share: float, report: Report
) -> None:
    """Reports what only several leaves show; of `others` nothing is said.

    `share`: the part of a branch from which one contributor's leaves are too many.
    """
    _tell(shared_questions(facts, others), report)
    _tell(contributor_share(facts, others, share), report)


def check_authors(change: "Change", facts: Sequence[Facts], report: Report) -> None:
    """Reports what the commits of a change show."""
    _tell(foreign_author(change, {one.file: one for one in facts}), report)
    _tell(missing_sign_off(change), report)


def _tell(findings: Iterable[Finding], report: Report) -> None:
    for found in findings:
        report.add(found.code, found.message, found.span, found.hint, found.notes)
