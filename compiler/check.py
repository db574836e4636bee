"""A Taxonomy goes in; what no schema can say of it is reported.

A pass of its own because each of these rules looks at meaning: at two questions, at a leaf and its
document, at a licence. They are warnings, for InstructLab's validator passes all of it; a
curriculum can raise them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from compiler import codes
from compiler.codes import Code
from compiler.diagnostics import Note, Report, Span
from compiler.documents import matches, normalise, words
from compiler.documents.fetch import READ
from compiler.leaf import KnowledgeLeaf, Leaf, Seed, SkillLeaf, Taxonomy
from compiler.source import Source
from compiler.tree import Lines, Path, Tree

CONTEXT_WORDS = 500
PAIR_WORDS = 250
SHOWN_PER_CONTEXT = 3
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


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says; `check` puts it into the report."""

    code: Code
    message: str
    span: Span
    hint: str
    notes: tuple[Note, ...] = ()


Findings = Iterator[Finding]


@dataclass(frozen=True)
class Look:
    """What a check may look at: one leaf, its tree, and the files around it.

    `grams` is shared by all leaves: a document's path and a length to the runs of so many words.
    """

    leaf: Leaf
    tree: Tree
    source: Source
    files: frozenset[str]
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]]

    @cached_property
    def texts(self) -> tuple[tuple[Path, str], ...]:
        """Every text of the leaf with its path."""
        return tuple(_texts(self.tree.value, ()))

    def named(self, *keys: str) -> Iterator[tuple[Path, str]]:
        """The texts under one of these keys."""
        return ((path, text) for path, text in self.texts if path[-1] in keys)


def check(taxonomy: Taxonomy, trees: Mapping[str, Tree], source: Source, report: Report) -> None:
    """Reports T120 to T134; `trees` maps a leaf's file to its tree."""
    files = frozenset(source.paths)
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]] = {}
    looks = [Look(leaf, trees[leaf.file], source, files, grams) for leaf in taxonomy.leaves]
    for look in looks:
        for run in CHECKS:
            _tell(run(look), report)
    for run_over_all in CHECKS_OVER_ALL:
        _tell(run_over_all(taxonomy), report)


def _tell(findings: Iterable[Finding], report: Report) -> None:
    for found in findings:
        report.add(found.code, found.message, found.span, found.hint, found.notes)


def _repeated_question(look: Look) -> Findings:
    """T120."""
    for first, again in _repeats(look.leaf.seeds):
        copies = [seed for seed in again if _same(seed.answer) == _same(first.answer)]
        if copies:
            yield Finding(
                codes.T120,
                f"the question {_short(first.question)} stands {_times(len(copies) + 1)}",
                copies[0].span,
                "ask something else here, or remove it",
                (Note("first here", first.span),),
            )


def _contradicting_answers(look: Look) -> Findings:
    """T133."""
    for first, again in _repeats(look.leaf.seeds):
        others = [seed for seed in again if _same(seed.answer) != _same(first.answer)]
        if others:
            count = len({_same(seed.answer) for seed in others}) + 1
            yield Finding(
                codes.T133,
                f"the question {_short(first.question)} has {count} different answers",
                others[0].span,
                "keep one answer, or make the questions different",
                (Note("the first answer", first.span),),
            )


def _copied_question(taxonomy: Taxonomy) -> Findings:
    """T121."""
    first: dict[tuple[str, str], tuple[Leaf, Seed]] = {}
    for leaf in taxonomy.leaves:
        for seed in leaf.seeds:
            other, earlier = first.setdefault(_asked(seed, leaf), (leaf, seed))
            if other is not leaf:
                yield Finding(
                    codes.T121,
                    f"the question {_short(seed.question)} is one of `{other.path}`",
                    seed.span,
                    "ask something of your own, or join the two leaves",
                    (Note("there", earlier.span),),
                )


def _ungrounded_context(look: Look) -> Findings:
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
        text = words(normalise(look.source.read(path)))
        look.grams[path, length] = frozenset(_grams(text, length))
    return look.grams[path, length]


def _too_long(look: Look) -> Findings:
    """T123."""
    for key, most in (("context", CONTEXT_WORDS), ("question", PAIR_WORDS), ("answer", PAIR_WORDS)):
        for at, text in look.named(key):
            count = len(text.split())
            if count > most:
                yield Finding(
                    codes.T123,
                    f"the {key} has {count} words, more than {most}",
                    look.tree.key_span(at),
                    "shorten it, or split the example",
                )


def _mixed_grounding(look: Look) -> Findings:
    """T124."""
    if not isinstance(look.leaf, SkillLeaf):
        return
    seeds = look.leaf.seeds
    first = seeds[0]
    odd = next((seed for seed in seeds if bool(seed.context) != bool(first.context)), None)
    if odd:
        yield Finding(
            codes.T124,
            "this example has a context, the first has none"
            if odd.context
            else "this example has no context, the first has one",
            odd.span,
            "give every example a context, or none; else make two leaves",
            (Note("the first example", first.span),),
        )


def _unpinned_commit(look: Look) -> Findings:
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


def _unsafe_pattern(look: Look) -> Findings:
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


def _missing_attribution(look: Look) -> Findings:
    """T127; the oldest format asks for no attribution."""
    beside = _beside(look)
    if look.leaf.version > 1 and (beside not in look.files or not look.source.read(beside).strip()):
        what = "is empty" if beside in look.files else "is not there"
        yield Finding(
            codes.T127,
            f"`{beside}` {what}",
            look.leaf.span,
            "write title, link, licence and creator of each source into it",
        )


def _unlisted_licence(look: Look) -> Findings:
    """T128."""
    beside = _beside(look)
    if beside not in look.files:
        return
    allowed = {_plain(name) for name in LICENCES}
    lines = look.source.read(beside).decode("utf-8", "replace").split("\n")
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


_TEMPLATE = re.compile(
    r"<\s*(?:your|full|insert|enter|add|put|replace|name of|link to|github)\b[^<>\n]{1,80}>"
    r"|\blorem ipsum dolor\b|\A\s*(?:question|answer|context|domain|example|text)\s*#?\d*\s*\Z"
    r"|\A\s*(?-i:TODO|TBD|FIXME)\b",
    re.I,
)


def _placeholder_text(look: Look) -> Findings:
    """T129."""
    for at, text in look.texts:
        if found := _TEMPLATE.search(text):
            yield Finding(
                codes.T129,
                f"{_short(found[0].strip())} is a placeholder",
                look.tree.key_span(at),
                "write your own text in its place",
            )


def _folder_name(look: Look) -> Findings:
    """T130."""
    for name in look.leaf.path.split("/"):
        if not re.fullmatch(r"[a-z0-9_-]+|\.", name):
            better = re.sub(r"[^a-z0-9-]+", "_", name.casefold()).strip("_")
            yield Finding(
                codes.T130,
                f"the folder name `{name}` has spaces, capitals or punctuation",
                look.leaf.span,
                f"rename it to `{better}`" if better else "use letters, digits, `_` and `-`",
            )


def _blank_text(look: Look) -> Findings:
    """T131."""
    for at, text in look.texts:
        if text and not text.strip():
            yield Finding(
                codes.T131,
                f"`{_key(at)}` holds nothing but white space",
                look.tree.key_span(at),
                "write the text, or remove the key",
            )


# Joiners are at home in emoji and in several scripts: they count only beside ASCII.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
)


def _invisible_character(look: Look) -> Findings:
    """T132: as it stands in the file, or as an escape in quotes."""
    seen = set()
    lines = Lines(look.tree.file.path, look.tree.text)
    for found in _INVISIBLE.finditer(look.tree.text):
        span = lines.span(found.start(), found.end())
        if span.line not in seen:
            seen.add(span.line)
            yield _hidden(found[0], span)
    for at, text in look.texts:
        escaped = _INVISIBLE.search(text)
        if escaped and escaped[0] not in look.tree.text:
            yield _hidden(escaped[0], look.tree.span(at))


def _hidden(character: str, span: Span) -> Finding:
    name = unicodedata.name(character, "control character").lower()
    return Finding(
        codes.T132,
        f"U+{ord(character):04X} ({name}) cannot be seen",
        span,
        "delete it, and type the words again by hand",
    )


def _ignored_questions(look: Look) -> Findings:
    """T134; the last question of a context is held out, and reaches no prompt anyway."""
    if not isinstance(look.leaf, KnowledgeLeaf):
        return
    by_context: dict[str, list[Seed]] = {}
    for seed in look.leaf.shown:
        by_context.setdefault(seed.id.rpartition(".")[0], []).append(seed)
    for seeds in by_context.values():
        extra = len(seeds) - SHOWN_PER_CONTEXT
        if extra > 0:
            yield Finding(
                codes.T134,
                f"{extra} of the {len(seeds) + 1} questions reach neither a prompt nor evaluation",
                seeds[SHOWN_PER_CONTEXT].span,
                "give them a context of their own, or remove them",
            )


CHECKS: tuple[Callable[[Look], Findings], ...] = (
    _repeated_question,
    _ungrounded_context,
    _too_long,
    _mixed_grounding,
    _unpinned_commit,
    _unsafe_pattern,
    _missing_attribution,
    _unlisted_licence,
    _placeholder_text,
    _folder_name,
    _blank_text,
    _invisible_character,
    _contradicting_answers,
    _ignored_questions,
)
CHECKS_OVER_ALL: tuple[Callable[[Taxonomy], Findings], ...] = (_copied_question,)


def _texts(value: object, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*at, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, (*at, i))


def _repeats(seeds: Iterable[Seed]) -> Iterator[tuple[Seed, list[Seed]]]:
    """Each seed whose question is asked again in its context, and the later ones."""
    asked: dict[tuple[str, str], list[Seed]] = {}
    for seed in seeds:
        asked.setdefault((_same(seed.context), _same(seed.question)), []).append(seed)
    return ((first, again) for first, *again in asked.values() if again)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _asked(seed: Seed, leaf: Leaf) -> tuple[str, str]:
    """What makes a question the same: for a skill its context belongs to it."""
    return ("" if isinstance(leaf, KnowledgeLeaf) else _same(seed.context), _same(seed.question))


def _same(text: str) -> str:
    return " ".join(text.casefold().split())


def _grams(text: list[str], length: int) -> Iterator[tuple[str, ...]]:
    """The runs of `length` words."""
    return zip(*(text[i:] for i in range(length)), strict=False)


def _plain(licence: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", licence.casefold())


def _beside(look: Look) -> str:
    return look.leaf.file.removesuffix("qna.yaml") + "attribution.txt"


def _key(at: Path) -> str:
    return next((str(part) for part in reversed(at) if isinstance(part, str)), "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line if len(line) <= 60 else line[:57] + '...'}`"
