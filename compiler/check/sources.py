"""Checks of where a leaf's content comes from: the repository, its commit, the patterns."""

import re

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.documents.address import HINT, refusal
from compiler.documents.patterns import matching, near
from compiler.leaf import KnowledgeLeaf

_FULL = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
_SHORT = re.compile(r"[0-9a-fA-F]{4,63}")
_UNSAFE = (
    (re.compile(r"\s*\Z"), "is empty"),
    (re.compile(r"[/\\]|[A-Za-z]:"), "starts at the root of the machine"),
    (re.compile(r"~"), "starts in a home folder"),
    (re.compile(r"(?:.*[/\\])?\.\.(?:[/\\]|\Z)", re.S), "climbs out of the repository"),
    (re.compile(r".*(?:\$[{(A-Za-z_]|%[A-Za-z]+%|`)", re.S), "holds a variable of the machine"),
    (re.compile(r".*\\", re.S), "has `\\` between its folders"),
    (re.compile(r".*[\x00-\x1f\x7f]", re.S), "holds a control character"),
)


def unpinned_commit(look: Look) -> Findings:
    """T125."""
    leaf = look.leaf
    if not isinstance(leaf, KnowledgeLeaf) or leaf.document.repo == ".":
        return
    commit = leaf.document.commit
    if not _FULL.fullmatch(commit):
        is_short = _SHORT.fullmatch(commit) and any(c.isdigit() for c in commit)
        yield Finding(
            codes.T125,
            f"`{commit}` is {'a short hash' if is_short else 'a branch or a tag'}, "
            "not the full hash of a commit",
            look.tree.span(("document", "commit")),
            "write the 40 digits that `git rev-parse HEAD` prints there",
        )


def unsafe_pattern(look: Look) -> Findings:
    """T126."""
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    document = look.leaf.document
    for pattern, place in zip(document.patterns, document.places[1:], strict=True):
        if why := _why_unsafe(pattern):
            inside = pattern.lstrip("/")
            yield Finding(
                codes.T126,
                f"the pattern `{pattern}` {why}",
                place,
                f"write `{inside}`: patterns start at the repository's top folder"
                if pattern.startswith("/") and inside and not _why_unsafe(inside)
                else "name files from the repository's top folder, such as `docs/*.md`",
            )


def unsafe_repository(look: Look) -> Findings:
    """T139."""
    if isinstance(look.leaf, KnowledgeLeaf) and (why := refusal(look.leaf.document.repo)):
        yield Finding(codes.T139, why, look.leaf.document.places[0], HINT)


def missing_document(look: Look) -> Findings:
    """T142, where the document is a file of this taxonomy; of others the compiler says it."""
    leaf = look.leaf
    if not isinstance(leaf, KnowledgeLeaf) or leaf.document.repo != ".":
        return
    paths = look.source.paths
    for pattern, place in zip(leaf.document.patterns, leaf.document.places[1:], strict=True):
        if not matching(paths, pattern) and not _why_unsafe(pattern):
            message = f"no file matches `{pattern}`"
            yield Finding(codes.T142, message, place, near(pattern, paths))


def _why_unsafe(pattern: str) -> str:
    return next((why for rule, why in _UNSAFE if rule.match(pattern)), "")
