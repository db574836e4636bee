"""A Taxonomy goes in; what no schema can say of it is reported.

A pass of its own because each of these rules looks at meaning: at two questions, at a leaf and its
document, at a licence. They are warnings, for InstructLab's validator passes all of it; a
curriculum can raise them.
"""

from collections.abc import Callable, Iterable, Mapping

from compiler.check import questions, sources, texts
from compiler.check.look import Finding, Findings, Look
from compiler.diagnostics import Report
from compiler.leaf import Leaf, Taxonomy
from compiler.source import Source
from compiler.tree import Tree

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
CHECKS_OVER_ALL: tuple[Callable[[Taxonomy], Findings], ...] = (questions.copied_question,)


def check(
    taxonomy: Taxonomy,
    trees: Mapping[str, Tree],
    source: Source,
    report: Report,
    others: Iterable[Leaf] = (),
) -> None:
    """Reports T120 to T134; `trees` maps a leaf's file to its tree.

    `others` are compared with, and nothing is said of them.
    """
    files = frozenset(source.paths)
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]] = {}
    looks = [Look(leaf, trees[leaf.file], source, files, grams) for leaf in taxonomy.leaves]
    for look in looks:
        for run in CHECKS:
            _tell(run(look), report)
    every = Taxonomy(taxonomy.revision, (*others, *taxonomy.leaves))
    for run_over_all in CHECKS_OVER_ALL:
        _tell((found for found in run_over_all(every) if found.span.path in trees), report)


def _tell(findings: Iterable[Finding], report: Report) -> None:
    for found in findings:
        report.add(found.code, found.message, found.span, found.hint, found.notes)
