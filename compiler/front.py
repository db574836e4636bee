"""A source goes in; its settings and a checked Taxonomy come out: the whole front end.

A file of its own because `trivium check` is this and nothing more, and must start light.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath

from compiler.check import check
from compiler.codes import S009, T111
from compiler.curriculum import FILE, Curriculum
from compiler.curriculum import read as read_curriculum
from compiler.diagnostics import Report, Span
from compiler.format import read_tree
from compiler.leaf import Leaf, Taxonomy, make_leaf
from compiler.source import LINK, Source, SourceFile, is_lost, leaf_files
from compiler.tree import Tree


def read_checked(
    source: Source, report: Report, only: Collection[str] | None = None
) -> tuple[Curriculum | None, Taxonomy]:
    """The settings (None where they have errors) and the leaves, under the settings' policy."""
    curriculum = read_curriculum(source, report)
    if curriculum:
        report.inherit(curriculum.policy)
    return curriculum, read_taxonomy(source, report, only)


def read_taxonomy(source: Source, report: Report, only: Collection[str] | None = None) -> Taxonomy:
    """Reads and checks every leaf of `source`, or of the files and folders `only`.

    A leaf with an error is left out, the others go on.
    """
    known = frozenset(source.paths)
    report.files = 0
    trees: dict[str, Tree] = {}
    leaves: list[Leaf] = []
    every = leaf_files(source)
    named = every if only is None else _named(source, known, only, report)
    _say_lost(source, only, report)
    for path in named:
        report.files += 1
        file = _read(source, path, report)
        tree = read_tree(file, report) if file else None
        if tree and not report.errors_at(path):
            trees[path] = tree
            leaves.append(make_leaf(tree, _attribution(source, known, path, report)))
    taxonomy = Taxonomy(source.revision, tuple(leaves))
    others = _others(source, set(every).difference(named), leaves)
    check(taxonomy, trees, source, report, others)
    broken = report.broken
    return Taxonomy(source.revision, tuple(leaf for leaf in leaves if leaf.file not in broken))


def _others(source: Source, paths: Iterable[str], leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """The leaves of `paths` that may ask a question of `leaves`; what is wrong with them is not
    said here.

    Most files are told by their letters alone, since to parse them all takes long. An escape can
    hide a letter.
    """
    asked = {_letters(seed.question) for leaf in leaves for seed in leaf.seeds}
    for path in sorted(paths) if asked else ():
        unsaid = Report()
        file = _read(source, path, unsaid)
        text = file.data.decode("utf-8", "replace") if file else ""
        letters = _letters(text)
        if not file or ("\\" not in text and not any(question in letters for question in asked)):
            continue
        tree = read_tree(file, unsaid)
        if tree and not unsaid.errors_at(path):
            yield make_leaf(tree, None)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _read(source: Source, path: str, report: Report) -> SourceFile | None:
    try:
        return SourceFile(path, source.read(path))
    except OSError as wrong:
        _say_unread(path, (wrong.strerror or str(wrong)).lower(), report)
        return None


def _say_lost(source: Source, only: Collection[str] | None, report: Report) -> None:
    """Reports what cannot be read: leaves and the build file, or what `only` names."""
    for path, why in source.unread.items():
        name = path.removesuffix("/")
        asked = any(o == "." or f"{name}/".startswith(f"{o}/") for o in only or ())
        if (only is None or asked) and (name in (FILE, *(only or ())) or is_lost(path)):
            _say_unread(path, why, report)


def _say_unread(path: str, why: str, report: Report) -> None:
    if why == LINK:
        report.soften(S009, path)
    report.add(
        S009,
        f"`{path}` cannot be read: {why}",
        Span(path),
        "put a plain file with a UTF-8 name there that you may read",
    )


def _named(
    source: Source, known: Collection[str], only: Collection[str], report: Report
) -> list[str]:
    """The files that `only` names, each once: a file as it is, of a folder its leaf files."""
    found: set[str] = set()
    for name in only:
        inside = {path for path in leaf_files(source) if name == "." or path.startswith(f"{name}/")}
        if name in known:
            found.add(name)
        elif name in source.unread:
            continue
        elif inside or any(path.startswith(f"{name}/") for path in (*known, *source.unread)):
            found |= inside
        else:
            report.add(
                T111,
                f"`{name}` is no file or folder of the taxonomy",
                Span(name),
                "check the spelling, and `--taxonomy`",
            )
    return sorted(found)


def _attribution(source: Source, known: Collection[str], path: str, report: Report) -> str | None:
    """The text of the leaf's `attribution.txt`, None where there is none."""
    beside = (PurePosixPath(path).parent / "attribution.txt").as_posix()
    if beside not in known:
        return None
    file = _read(source, beside, report)
    if file is None:
        return None
    text = file.data.decode("utf-8", "replace").removeprefix("\ufeff")
    report.texts[beside] = text
    return text
