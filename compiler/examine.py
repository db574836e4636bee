"""One leaf file goes in; what it says of itself comes out: findings, facts, and its leaf.

A pass of its own because what it finds rests on few files and is kept by their hashes: where
nothing changed, none of what it imports is needed.
"""

from compiler.cache import Seen
from compiler.check.digest import facts_of
from compiler.check.finding import Limits
from compiler.check.look import Look, patterns_of
from compiler.check.within import check_leaf
from compiler.codes import S008
from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.leaf import Leaf, make_leaf
from compiler.lost import say_unread
from compiler.source import ATTRIBUTION_NAME, Source, SourceFile, beside
from compiler.tree import is_too_large

Grams = dict[tuple[str, int], frozenset[tuple[str, ...]]]


def examine(
    source: Source, path: str, known: frozenset[str], grams: Grams, limits: Limits
) -> tuple[Seen, Leaf | None]:
    """One file through text, version, shape, meaning, and the checks of a single leaf.

    `known` are the paths of `source`; `grams` is filled with the runs of words of its documents.
    """
    report = Report()
    file = _read(source, path, report)
    tree = read_tree(file, report) if file else None
    if tree is None or report.errors:
        return Seen(report.diagnostics, None), None
    said = beside(path, ATTRIBUTION_NAME)
    leaf = make_leaf(tree, _read_attribution(source, said, report) if said in known else None)
    check_leaf(Look(leaf, tree, source, known, grams, limits), report)
    facts = facts_of(leaf, tree.span(("created_by",)))
    return Seen(report.diagnostics, facts, patterns_of(leaf)), leaf


def _read(source: Source, path: str, report: Report) -> SourceFile | None:
    """The file; None where it cannot be read, or is larger than any leaf."""
    try:
        if not is_too_large(path, source.size(path), report):
            return SourceFile(path, source.read(path))
    except OSError as wrong:
        say_unread(path, (wrong.strerror or str(wrong)).lower(), report)
    return None


def _read_attribution(source: Source, path: str, report: Report) -> str | None:
    """The text of the leaf's `attribution.txt`."""
    file = _read(source, path, report)
    report.soften(S008, path)
    return file.data.decode("utf-8", "replace").removeprefix("\ufeff") if file else None
