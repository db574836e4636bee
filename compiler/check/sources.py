"""Checks of where a leaf's content comes from: document, pin, pattern, attribution, licence."""

import re
from collections.abc import Iterator

from compiler import codes
from compiler.check.look import Finding, Findings, Look
from compiler.diagnostics import Span
from compiler.documents import matches, normalise, words
from compiler.documents.fetch import READ
from compiler.leaf import KnowledgeLeaf

RUN = 5
LICENCES = (
    "Apache-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MIT",
    "Public-Domain",
)


def ungrounded_context(look: Look) -> Findings:
    """T122, where the document is a file of this taxonomy."""
    leaf = look.leaf
    if not isinstance(leaf, KnowledgeLeaf) or leaf.document.repo != ".":
        return
    named = [
        path
        for path in sorted(look.files)
        if path.lower().endswith(READ) and any(matches(path, p) for p in leaf.document.patterns)
    ]
    if not named:
        return
    for at, text in look.named("context"):
        copied = words(normalise(text.encode()))
        length = min(RUN, len(copied))
        wanted = set(_grams(copied, length))
        there = [_document_grams(look, path, length) for path in named]
        found = sum(any(gram in grams for grams in there) for gram in wanted)
        if found < 0.9 * len(wanted):
            yield Finding(
                codes.T122,
                f"{100 * found // len(wanted)}% of the context is in the document",
                look.tree.key_span(at),
                "copy the passage from the document word for word",
            )


def _document_grams(look: Look, path: str, length: int) -> frozenset[tuple[str, ...]]:
    if (path, length) not in look.grams:
        text = words(normalise(look.read(path)))
        look.grams[path, length] = frozenset(_grams(text, length))
    return look.grams[path, length]


def _grams(text: list[str], length: int) -> Iterator[tuple[str, ...]]:
    """The runs of `length` words."""
    return zip(*(text[i:] for i in range(length)), strict=False)


def unpinned_commit(look: Look) -> Findings:
    """T125."""
    leaf = look.leaf
    if not isinstance(leaf, KnowledgeLeaf) or leaf.document.repo == ".":
        return
    if not re.fullmatch(r"[0-9a-fA-F]{40}", leaf.document.commit):
        yield Finding(
            codes.T125,
            f"`{leaf.document.commit}` is not the full hash of a commit",
            look.tree.key_span(("document", "commit")),
            "write the 40 digits that `git rev-parse HEAD` prints there",
        )


def unsafe_pattern(look: Look) -> Findings:
    """T126."""
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    for i, pattern in enumerate(look.leaf.document.patterns):
        if re.match(r"[/~\\]|[A-Za-z]:", pattern) or ".." in re.split(r"[/\\]", pattern):
            yield Finding(
                codes.T126,
                f"the pattern `{pattern}` reaches out of the repository",
                look.tree.key_span(("document", "patterns", i)),
                "name files from the repository's top folder, such as `docs/*.md`",
            )


def missing_attribution(look: Look) -> Findings:
    """T127; the oldest format asks for no attribution."""
    beside = _beside(look)
    if look.leaf.version > 1 and (beside not in look.files or not look.read(beside).strip()):
        what = "is empty" if beside in look.files else "is not there"
        yield Finding(
            codes.T127,
            f"`{beside}` {what}",
            look.leaf.span,
            "write title, link, licence and creator of each source into it",
        )


def unlisted_licence(look: Look) -> Findings:
    """T128."""
    beside = _beside(look)
    if beside not in look.files:
        return
    allowed = {_plain(name) for name in LICENCES}
    lines = look.read(beside).decode("utf-8", "replace").split("\n")
    for licence in look.leaf.licences:
        if _plain(licence) in allowed:
            continue
        line, column = next(
            (n, line.find(licence) + 1) for n, line in enumerate(lines, 1) if licence in line
        )
        yield Finding(
            codes.T128,
            f"the licence `{licence}` is not on the list",
            Span(beside, line, column, line, column + len(licence)),
            f"use a source under one of {', '.join(LICENCES)}",
        )
    if not look.leaf.licences and "".join(lines).strip():
        yield Finding(
            codes.T128,
            f"`{beside}` names no licence",
            Span(beside),
            "add a line `License of the work: ` and the licence's SPDX name",
        )


def _plain(licence: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", licence.casefold())


def _beside(look: Look) -> str:
    return look.leaf.file.removesuffix("qna.yaml") + "attribution.txt"
