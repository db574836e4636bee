"""A source goes in; its settings and what is wrong with its leaves come out: the whole front end.

A file of its own because `trivium check` is this and nothing more, and must start light. A compile
takes the same way, and keeps the leaves.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha1
from typing import TYPE_CHECKING

from compiler.cache import Cache, Seen, key_of
from compiler.check.across import check_across
from compiler.check.facts import Facts
from compiler.check.finding import Limits
from compiler.codes import T111, T113, T142
from compiler.curriculum import FILE, Curriculum
from compiler.curriculum import read as read_curriculum
from compiler.diagnostics import Report, Span, Texts
from compiler.documents.patterns import MAX_BYTES as DOCUMENT_BYTES
from compiler.documents.patterns import matches, named_documents
from compiler.lost import say_lost
from compiler.source import (
    ATTRIBUTION_NAME,
    LEAF_NAME,
    MAX_BYTES,
    Source,
    beside,
    is_leaf,
    is_within,
    leaf_files,
)

if TYPE_CHECKING:
    from compiler.leaf import Leaf, Taxonomy
    from compiler.source.revision import Change

Step = Callable[[int, int], None]

_GRAMS = 64  # documents of which the words are remembered


def read_checked(
    source: Source, report: Report, only: Collection[str] | None = None
) -> "tuple[Curriculum | None, Taxonomy]":
    """The settings (None where they have errors), and every leaf without an error.

    `only`: files and folders to read; without it every leaf.
    """
    from compiler.leaf import Taxonomy

    curriculum = _settings(source, report)
    front = _Front.of(source, curriculum, report, Cache())
    named = front.named(only)
    rest = sorted(set(leaf_files(source.paths)).difference(named))
    leaves = [leaf for path in named if (leaf := front.keep(path))]
    for path in rest:
        front.see(path)
    front.tell(named)
    front.compare(front.facts(named), front.facts(rest))
    broken = report.broken
    kept = tuple(leaf for leaf in leaves if leaf.file not in broken)
    return curriculum, Taxonomy(source.revision, kept)


def check(
    source: Source,
    report: Report,
    only: Collection[str] | None = None,
    change: "Change | None" = None,
    cache: Cache | None = None,
    within: Collection[str] = (".",),
    step: Step = lambda done, total: None,
) -> tuple[str, ...]:
    """Reports what is wrong with the leaves of `source`, and returns which files were looked at.

    `only`: files and folders to look at, without it every leaf file; the others are compared with.
    `change`: then its commits are looked at too, and its leaves compared with those of the base;
    the base's settings say how findings count, and only what is `within` these folders is told.
    `step` is told how many files of how many are done.
    """
    front = _Front.of(source, _settings(source, report, change), report, cache or Cache())
    named = front.named(only)
    rest = sorted(set(leaf_files(source.paths)).difference(named))
    base = front.of_base(change.base) if change else None
    older = _only_in_base(change, source) if change else []
    total = len(named) + len(rest) + len(older)
    done = 0
    for reader, paths in ((front, [*named, *rest]), (base or front, older)):
        for path in paths:
            reader.see(path)
            done += 1
            step(done, total)
    if change:
        touched = {*change.paths, *change.deleted}
        shaken = {
            path for path in rest if is_within(path, within) and front.rests_on(path, touched)
        }
        named += shaken
        rest = [path for path in rest if path not in shaken]
        if not change.fork:
            _say_unknown_base(report)
    front.tell(sorted(named))
    facts = front.facts(sorted(named))
    front.compare(facts, [*(base.facts(older) if base else ()), *front.facts(rest)])
    if change:
        from compiler.check.authors import check_authors

        check_authors(change, within, facts, report)
    return tuple(sorted(named))


def files_of(source: Source, only: Collection[str] | None) -> tuple[str, ...]:
    """The leaf files that a check of `only` looks at."""
    if only is None:
        return leaf_files(source.paths)
    return tuple(_named(source, frozenset(source.paths), only, Report()))


def changed_files(change: "Change") -> tuple[str, ...]:
    """The files to look at after a change: its leaves, and those whose attribution it touches."""
    known = set(change.source.paths)
    touched = {*change.paths, *change.deleted}
    said = {beside(path, LEAF_NAME) for path in touched if path.endswith(ATTRIBUTION_NAME)}
    leaves = {path for path in change.paths if is_leaf(path)}
    return tuple(sorted((leaves | said) & (known | set(change.source.unread))))


def _settings(source: Source, report: Report, change: "Change | None" = None) -> Curriculum | None:
    """The settings of a source; a change is judged by those that it was made from, for it must not
    allow its own findings.
    """
    curriculum = read_curriculum(source, report)
    if change:
        curriculum = read_curriculum(change.base, Report())
        report.inherit((curriculum or Curriculum()).policy)
    elif curriculum and FILE in source.paths:
        report.inherit(curriculum.policy)
    return curriculum


def _only_in_base(change: "Change", source: Source) -> list[str]:
    """The leaf files that the base has got, and the change neither has nor has removed."""
    known = {*change.deleted, *change.renamed.values(), *source.paths}
    every = leaf_files(change.base.paths)
    return [path for path in every if not {path, change.moved.get(path, path)} & known]


def _say_unknown_base(report: Report) -> None:
    report.add(
        T113,
        "the commit at which the change began is not in this clone",
        hint="fetch the whole history, such as with `fetch-depth: 0`; until then all that differs "
        "from the base counts as the change's",
    )


@dataclass(slots=True)
class _Front:
    """The files of one source, each looked at once."""

    source: Source
    report: Report
    cache: Cache
    limits: Limits
    share: float
    known: frozenset[str]
    grams: dict[tuple[str, int], frozenset[tuple[str, ...]]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(source: Source, curriculum: Curriculum | None, report: Report, cache: Cache) -> "_Front":
        settings = curriculum or Curriculum()
        limits = Limits(settings.teacher.context, settings.chunk_tokens)
        report.texts = Texts(lambda path: _text(source, path))
        known = frozenset(source.paths)
        return _Front(source, report, cache, limits, settings.contributor_share, known)

    def of_base(self, source: Source) -> "_Front":
        """The same for another source, of which nothing is said."""
        known = frozenset(source.paths)
        return _Front(source, Report(), self.cache, self.limits, self.share, known)

    def named(self, only: Collection[str] | None) -> list[str]:
        """The leaf files to look at, sorted; what cannot be read is reported."""
        say_lost(self.source, only, self.report)
        if only is None:
            return list(leaf_files(self.source.paths))
        return _named(self.source, self.known, only, self.report)

    def see(self, path: str) -> None:
        """Looks at one file, or remembers what was found in it."""
        self.seen[path] = self._remembered(path)

    def keep(self, path: str) -> "Leaf | None":
        """Looks at one file, and returns its leaf."""
        self.seen[path], leaf = self._look(path)
        return leaf

    def tell(self, paths: list[str]) -> None:
        """Reports what was found in each of these files."""
        self.report.files = paths
        for path in paths:
            self.report.take(self.seen[path].findings)

    def facts(self, paths: Iterable[str]) -> list[Facts]:
        """The facts of those files that are leaves."""
        return [facts for path in paths if (facts := self.seen[path].facts)]

    def rests_on(self, path: str, touched: Iterable[str]) -> bool:
        """Whether a leaf's document is one of the files `touched`."""
        patterns = self.seen[path].patterns
        return bool(patterns) and any(matches(one, p) for one in touched for p in patterns)

    def compare(self, facts: list[Facts], others: list[Facts]) -> None:
        """Reports what only several leaves show."""
        check_across(facts, others, self.share, self.report)

    def _remembered(self, path: str) -> Seen:
        try:
            key = self._key(path) if self.cache.is_open else b""
        except OSError:
            return self._look(path)[0]
        seen = self.cache.get(key) if key else None
        if seen is None or seen.documents != self._documents(seen.patterns):
            seen = self._look(path)[0]
            is_hinting = any(found.code is T142 for found in seen.findings)
            if key and not is_hinting:  # its hint looks at the names of all files
                self.cache.put(key, seen)
        return seen

    def _key(self, path: str) -> bytes:
        """What the findings in a file rest on; nothing for one that is too large to be a leaf."""
        if self.source.size(path) > MAX_BYTES:
            return b""
        said = beside(path, ATTRIBUTION_NAME)
        return key_of(
            path,
            self.source.blob(path),
            self._blob(said) if said in self.known else "",
            str(self.limits),
        )

    def _blob(self, path: str) -> str:
        """The hash of a file that a leaf rests on; of one that is too large its size will do."""
        size = self.source.size(path)
        return self.source.blob(path) if size <= DOCUMENT_BYTES else str(size)

    def _documents(self, patterns: tuple[str, ...]) -> str:
        """The hash of what the patterns name, "" for none."""
        if not patterns:
            return ""
        for path in (named := named_documents(patterns, self.source.paths)):
            if path not in self.blobs:
                self.blobs[path] = self._blob(path)
        told = "\0".join(f"{path}\0{self.blobs[path]}" for path in named)
        return sha1(told.encode(), usedforsecurity=False).hexdigest()

    def _look(self, path: str) -> "tuple[Seen, Leaf | None]":
        """One file, looked at anew."""
        from compiler.examine import examine  # what a remembered file does without

        seen, leaf = examine(self.source, path, self.known, self.grams, self.limits)
        if len(self.grams) > _GRAMS:  # of leaves that are done; a large taxonomy has no room
            self.grams.clear()
        return replace(seen, documents=self._documents(seen.patterns)), leaf


def _text(source: Source, path: str) -> str:
    """The text of a file for an excerpt. Raises KeyError where there is none."""
    with suppress(OSError):
        if path in source.paths and source.size(path) <= MAX_BYTES:
            return source.read(path).decode("utf-8", "replace").removeprefix("\ufeff")
    raise KeyError(path)


def _named(
    source: Source, known: Collection[str], only: Collection[str], report: Report
) -> list[str]:
    """The files that `only` names, each once: a file as it is, of a folder its leaf files, and for
    an attribution the leaf that it belongs to. The build file is read anyway.
    """
    found: set[str] = set()
    for name in only:
        leaf = beside(name, LEAF_NAME)
        if name == FILE:
            continue
        if name.endswith(f"/{ATTRIBUTION_NAME}") and leaf in known:
            found.add(leaf)
        elif name in known:
            found.add(name)
        elif name in source.unread:
            continue
        elif name == "." or (inside := _under(name, source.paths)):
            found |= set(leaf_files(source.paths if name == "." else inside))
        elif not any(path.startswith(f"{name}/") for path in source.unread):
            report.add(
                T111,
                f"`{name}` is no file or folder of the taxonomy",
                Span(name),
                "check the spelling, and `--taxonomy`",
            )
    return sorted(found)


def _under(folder: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of the sorted `paths` that lie in a folder."""
    first = bisect_left(paths, f"{folder}/")
    return paths[first : bisect_left(paths, f"{folder}0", first)]
