"""A leaf goes in; what no schema can say of it alone is reported."""

from collections.abc import Callable

from compiler.check import (
    grounding,
    hidden,
    language,
    licences,
    personal,
    questions,
    room,
    secrets,
    sources,
    texts,
    trust,
)
from compiler.check.finding import Findings, tell
from compiler.check.look import Look
from compiler.diagnostics import Report

CHECKS: tuple[Callable[[Look], Findings], ...] = (
    questions.repeated_question,
    grounding.ungrounded_context,
    texts.too_long,
    questions.mixed_grounding,
    sources.unpinned_commit,
    sources.unsafe_pattern,
    licences.missing_attribution,
    licences.unlisted_licence,
    texts.placeholder_text,
    texts.folder_name,
    texts.blank_text,
    hidden.invisible_character,
    questions.contradicting_answers,
    questions.ignored_questions,
    grounding.ungrounded_answer,
    language.mixed_language,
    room.over_context,
    sources.unsafe_repository,
    sources.missing_document,
    trust.prompt_injection,
    trust.smuggled_delimiter,
    secrets.secret,
    personal.personal_data,
    hidden.bidirectional_text,
)


def check_leaf(look: Look, report: Report) -> None:
    """Reports what one leaf shows."""
    for run in CHECKS:
        tell(run(look), report)
