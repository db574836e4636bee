"""YAML text goes in; a Tree comes out: plain values, and the place of every one of them.

A pass of its own because everything further right reports places, and no YAML loader keeps them.
libyaml does the scanning.
"""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from functools import cached_property

import yaml

from compiler.codes import S002, S003, S004, S005, S006, S007, S008
from compiler.diagnostics import Note, Report, Span
from compiler.lines import LINE_END, Lines
from compiler.source import MAX_BYTES, SourceFile
from compiler.tree.compose import OverLimitError, compose
from compiler.tree.mutes import DUPLICATE_KEYS, FINAL_NEWLINE, TRAILING_SPACES, Mutes
from compiler.tree.syntax import explain
from compiler.tree.values import Built, Marks, Path, Repeat, brief, build

__all__ = ["Lines", "Path", "Tree", "lint", "parse"]

MOST_LINES = 100


@dataclass(frozen=True)
class Tree:
    """`value` is plain Python; a path such as ("seed_examples", 0) leads to a part of it."""

    file: SourceFile
    text: str
    value: object
    marks: Marks
    repeats: tuple[Repeat, ...] = ()

    @cached_property
    def lines(self) -> Lines:
        """The lines of the text."""
        return Lines(self.file.path, self.text)

    def span(self, path: Path) -> Span:
        """The place of the value at `path`, or of the nearest value that holds it."""
        return self.lines.span(*self.marks.place(self.marks.find(self.value, path)[0]))

    def key_span(self, path: Path) -> Span:
        """The place of the key that leads to `path`; of the value itself for items of a list."""
        at, is_there = self.marks.find(self.value, path)
        return self.lines.span(*(self.marks.key_place(at) if is_there else self.marks.place(at)))


def is_too_large(path: str, size: int, report: Report) -> bool:
    """Whether a file of `size` bytes is larger than any leaf, which is then reported."""
    if size > MAX_BYTES:
        report.add(
            S008,
            f"the file has {size:,} bytes, more than {MAX_BYTES:,}",
            Span(path),
            "split the leaf, or move the text into a document",
        )
    return size > MAX_BYTES


def parse(file: SourceFile, report: Report) -> Tree | None:
    """Reads one file; reports S codes; None where there is no value to go on with."""
    if is_too_large(file.path, len(file.data), report):
        return None
    text = _decode(file, report)
    if text is None:
        return None
    report.texts[file.path] = text
    try:
        node = compose(text)
        built = build(node) if node else Built(None, Marks(()))
    except OverLimitError as over:
        report.add(S008, str(over), Span(file.path), "write the values out, flat and fewer")
        return None
    except yaml.YAMLError as wrong:
        explain(wrong, file.path, report)
        return None
    tree = Tree(file, text, built.value, built.marks, built.repeats)
    _say_repeats(tree, report)
    if not tree.value:
        hint = "write the leaf, or delete the file"
        report.add(S006, "the file is empty", Span(file.path), hint)
        return None
    if not isinstance(tree.value, dict):
        is_list = isinstance(tree.value, list)
        report.add(
            S007,
            f"the file holds {'a list' if is_list else 'a plain value'}, not a mapping of keys",
            tree.span(()),
            "put the list under `seed_examples:`, with the other keys at the left margin"
            if is_list
            else "start it with a key and a colon at the left margin",
        )
        return None
    return tree


def lint(tree: Tree, report: Report) -> None:
    """The rules of plain text that the format's own linter counts as errors (S003, S004).

    Comments that switch one of these rules off are obeyed, as the linter does: a repeated key
    (S002) is a warning then.
    """
    path, text = tree.file.path, tree.text
    mutes = Mutes(text, tree.lines) if "yamllint" in text else None

    def is_off(rule: str, line: int) -> bool:
        return mutes is not None and mutes.hold(rule, line)

    if tree.repeats and all(
        is_off(DUPLICATE_KEYS, tree.lines.span(*repeat.again).line) for repeat in tree.repeats
    ):
        report.soften(S002, path)
    rows = [row for row in _trailing(text) if not is_off(TRAILING_SPACES, row + 1)]
    lines = LINE_END.split(text) if rows else []
    for row in rows[:MOST_LINES]:
        kept = len(lines[row].rstrip(" \t"))
        span = Span(path, row + 1, kept + 1, row + 1, len(lines[row]) + 1)
        report.add(S003, "the line ends in white space", span, "delete it")
    if (more := len(rows) - MOST_LINES) > 0:
        row = rows[MOST_LINES]
        span = Span(path, row + 1, 1, row + 1, len(lines[row]) + 1)
        report.add(S003, f"{more:,} more lines end in white space", span, "let an editor delete it")
    if text[-1] not in "\r\n" and not is_off(FINAL_NEWLINE, len(tree.lines.starts)):
        end = tree.lines.span(len(text), len(text) + 1)
        report.add(S004, "the last line has no line end", end, "end the file with a newline")


def _trailing(text: str) -> list[int]:
    """The 0-based lines that end in white space."""
    if text[-1] not in " \t" and not any(f"{s}{e}" in text for s in " \t" for e in "\r\n"):
        return []  # most texts, told at once
    return [row for row, line in enumerate(LINE_END.split(text)) if line[-1:] in (" ", "\t")]


def _say_repeats(tree: Tree, report: Report) -> None:
    for repeat in tree.repeats:
        report.add(
            S002,
            f"the key `{brief(repeat.key)}` stands twice here",
            tree.lines.span(*repeat.again),
            "keep one of the two; YAML silently takes the last",
            [Note("first here", tree.lines.span(*repeat.first))],
        )


def _decode(file: SourceFile, report: Report) -> str | None:
    data = file.data.removeprefix(BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        text = report.texts[file.path] = data.decode("utf-8", "replace")
        at = len(data[: wrong.start].decode("utf-8"))
        hint = "save the file as UTF-8"
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            hint += ": it seems to be UTF-16"
        report.add(
            S005,
            f"byte 0x{data[wrong.start]:02x} is not UTF-8",
            Lines(file.path, text).span(at, at + 1),
            hint,
        )
        return None
