"""One leaf file goes in; its Tree comes out, where it fits the version of the format that it names.

A pass of its own because it is all that one file can say of itself: its name, text, version and
shape. What it finds are the errors that InstructLab's validator finds, in the same files.
"""

from typing import Any

from compiler.codes import S002, T108, T109, T110, T112
from compiler.diagnostics import Report, Span
from compiler.schema import LEAF, load, validate, versions
from compiler.source import LEAF_NAME, SourceFile, in_branch
from compiler.tree import Tree, lint, parse
from compiler.tree.values import brief


def read_tree(file: SourceFile, report: Report) -> Tree | None:
    """One file through text, version and shape; None where there is no leaf to make of it."""
    name = file.path.rpartition("/")[2]
    if name != LEAF_NAME:
        report.add(
            T110,
            f"a leaf file cannot be named `{name}`",
            Span(file.path),
            f"rename it to `{LEAF_NAME}`, in a folder of its own",
        )
        return None
    tree = parse(file, report)
    if tree is None:
        return None
    if not in_branch(file.path):
        report.add(
            T112,
            "the leaf lies outside `knowledge`, `foundational_skills` and `compositional_skills`",
            Span(file.path),
            "move its folder into the branch that it belongs to",
        )
    version = _version(tree, report)
    if version is None:
        return None
    if version > 1:
        lint(tree, report)
    elif tree.repeats:
        report.soften(S002, file.path)
    name = f"v{version}/{kind(tree)}"
    if load(name).get("deprecated"):
        report.add(
            T109,
            f"version {version} of the knowledge format is retired",
            _version_place(tree),
            "write it as version 3: a context and at least three questions per seed example",
        )
        return None
    return tree if validate(tree, name, LEAF, report) else None


def _version_place(tree: Tree) -> Span:
    value: Any = tree.value
    return tree.key_span(("version",)) if "version" in value else Span(tree.file.path)


def _version(tree: Tree, report: Report) -> int | None:
    """The version whose schema the file is held to: its own, 1 where it names none."""
    value: Any = tree.value
    told = value.get("version", 1)
    version: int | None
    try:
        version = int(told)
    except (TypeError, ValueError, OverflowError):
        version = None if told is None else 1
    if version in versions():
        return version
    report.add(
        T108,
        "`version` is empty"
        if told is None
        else f"there is no version `{brief(told)}` of the leaf format",
        _version_place(tree) if told is None else tree.span(("version",)),
        f"write `version: {versions()[-1]}`",
    )
    return None


def kind(tree: Tree) -> str:
    """Which of the two schemas: by the right-most folder that names one, else by content."""
    for folder in reversed(tree.file.path.split("/")[:-1]):
        if folder in ("knowledge", "compositional_skills"):
            return folder
    value: Any = tree.value
    return "knowledge" if "document" in value else "compositional_skills"
