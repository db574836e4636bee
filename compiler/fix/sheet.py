"""A leaf's text goes in; a Sheet comes out, and a change turns one sheet into the next.

Kept apart from the repairs because the promise is kept here, whichever repair asks: the value after
a change is the value before with exactly what the change names, no error is added, and no code is
found that was not found before. A change that breaks it is not made.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import yaml

from compiler.codes import Code
from compiler.diagnostics import Report, Span
from compiler.format import kind, read_tree
from compiler.lines import LINE_END, Lines
from compiler.schema import load, versions
from compiler.source import SourceFile
from compiler.tree import Path, Tree, parse
from compiler.tree.compose import compose

GROUPS = 16
MANY = 200
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Repair:
    """What was repaired, and where in the file as it was; `code` is the finding that it answers."""

    code: Code | None
    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to before `end` make way for texts, and for stretches of the old text."""

    start: int
    end: int
    pieces: tuple[str | range, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A repair to be made at character `at`.

    `becomes` does to a copy of the parsed value what the repair does to it; None for a repair that
    leaves it as it is. The texts at the paths of `loose` are compared by what its functions see.
    """

    code: Code | None
    message: str
    at: int
    edits: tuple[Edit, ...]
    becomes: Callable[[object], None] | None = None
    loose: Mapping[Path, Callable[[str], object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One value of the text: where it lies, its key where a mapping holds it."""

    path: Path
    key: yaml.ScalarNode | None
    node: yaml.Node
    in_flow: bool

    @property
    def name(self) -> str:
        """The nearest key above it."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")


_Stretch = tuple[int, int, int]


@dataclass(frozen=True)
class Sheet:
    """A text on its way, what `check` finds in it, and the repairs that led to it.

    `history` tells, sheet by sheet, which characters came from where: (new, old, how many).
    """

    path: str
    text: str
    tree: Tree | None
    errors: int
    codes: frozenset[str]
    first: Lines
    repairs: tuple[Repair, ...] = ()
    history: tuple[tuple[_Stretch, ...], ...] = ()

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every value, holders first; of a key that stands twice the last, as YAML takes it. None
        at all where an alias gives one of them two places.
        """
        top = compose(self.text) if self.tree else None
        if top is None:
            return ()
        seen: set[int] = set()
        found = []
        for part in _walk(Part((), None, top, False)):
            if id(part.node) in seen:
                return ()
            seen.add(id(part.node))
            found.append(part)
        return tuple(found)

    @cached_property
    def starts(self) -> Sequence[int]:
        """The character that each line starts at; the last line may be empty."""
        return Lines(self.path, self.text).starts

    def line_of(self, at: int) -> int:
        """The line that holds character `at`; lines count from 0."""
        return bisect_right(self.starts, at) - 1

    def line(self, number: int) -> str:
        """A line with what ends it; "" where there is none."""
        edges = [*self.starts[number : number + 2], len(self.text), len(self.text)]
        return self.text[edges[0] : edges[1]]

    @cached_property
    def line_end(self) -> str:
        """What ends the first line."""
        mark = LINE_END.search(self.text)
        return mark.group() if mark else "\n"

    def known(self, path: Path, version: int | None = None) -> Mapping[str, Any]:
        """The keys that the format has in the mapping at `path`, with their schemas; in its newest
        version if none is named.
        """
        if self.tree is None:
            return {}
        rules: Any = load(f"v{version or versions()[-1]}/{kind(self.tree)}")
        for step in path:
            is_item = isinstance(step, int)
            rules = rules.get("items", {}) if is_item else rules.get("properties", {}).get(step, {})
        keys: Mapping[str, Any] = rules.get("properties", {})
        return keys

    def place(self, at: int) -> Span:
        """Where character `at` was in the file before all repairs."""
        for stretches in reversed(self.history):
            new, old, length = stretches[bisect_right(stretches, (at + 1,)) - 1]
            at = old + min(at - new, length)
        return self.first.span(at, at)


def _walk(part: Part) -> Iterator[Part]:
    yield part
    in_flow = part.in_flow or bool(getattr(part.node, "flow_style", False))
    if isinstance(part.node, yaml.MappingNode):
        last = {key.value: (key, value) for key, value in part.node.value if key.tag == _TEXT}
        for name, (key, value) in last.items():
            yield from _walk(Part((*part.path, name), key, value, in_flow))
    elif isinstance(part.node, yaml.SequenceNode):
        for i, item in enumerate(part.node.value):
            yield from _walk(Part((*part.path, i), None, item, in_flow))


def begin(path: str, text: str) -> Sheet:
    """The sheet of a text as it is."""
    return Sheet(path, text, *_judge(path, text), Lines(path, text))


def _judge(path: str, text: str) -> tuple[Tree | None, int, frozenset[str]]:
    """The tree where the text has one, how many errors `check` finds, and all codes it finds."""
    file = SourceFile(path, text.encode())
    report = Report()
    tree = read_tree(file, report) or parse(file, Report())
    return tree, report.errors, frozenset(d.code.id for d in report.diagnostics)


def settle(sheet: Sheet, changes: Sequence[Change]) -> Sheet:
    """The sheet with all changes that keep the promise; those that do not are left out.

    A broken promise is looked for in a fixed number of groups, so that the cost stays linear; the
    innocent of a guilty group get their turn when the repairs are tried again. It is not looked for
    among hundreds of errors, which take long to find.
    """
    if not changes:
        return sheet
    whole = _kept(sheet, changes)
    if whole or len(changes) == 1 or sheet.errors > MANY:
        return whole or sheet
    groups = [changes[i::GROUPS] for i in range(min(GROUPS, len(changes)))]
    good = [change for group in groups if _kept(sheet, group) for change in group]
    return (_kept(sheet, good) if good else None) or sheet


def _kept(sheet: Sheet, changes: Sequence[Change]) -> Sheet | None:
    after = attempt(sheet, changes)
    return after if after and is_no_worse(after, sheet) else None


def is_no_worse(after: Sheet, before: Sheet) -> bool:
    """Whether no error was added, and no code that was not there."""
    return after.errors <= before.errors and after.codes <= before.codes


def attempt(sheet: Sheet, changes: Sequence[Change]) -> Sheet | None:
    """The sheet with the changes, None where its value is not what they name."""
    edits = sorted((e for c in changes for e in c.edits), key=lambda e: (e.start, e.end))
    if sheet.tree is None or any(a.end > b.start for a, b in pairwise(edits)):
        return None
    text, stretches = rewritten(sheet.text, edits)
    tree, errors, codes = _judge(sheet.path, text)
    if tree is None:
        return None
    wanted, got = deepcopy(sheet.tree.value), deepcopy(tree.value)
    for change in changes:
        if change.becomes:
            change.becomes(wanted)
    for change in changes:
        for path, seen in change.loose.items():
            _loosen(wanted, path, seen)
            _loosen(got, path, seen)
    if exact(wanted) != exact(got):
        return None
    repairs = tuple(Repair(c.code, c.message, sheet.place(c.at)) for c in changes)
    return Sheet(
        sheet.path,
        text,
        tree,
        errors,
        codes,
        sheet.first,
        sheet.repairs + repairs,
        (*sheet.history, stretches),
    )


def rewritten(text: str, edits: Sequence[Edit]) -> tuple[str, tuple[_Stretch, ...]]:
    """The text after edits that are sorted and apart, and what of it came from where."""
    out: list[str] = []
    stretches: list[_Stretch] = []
    at = length = 0

    def put(piece: str, old: int, kept: int) -> None:
        nonlocal length
        stretches.append((length, old, kept))
        out.append(piece)
        length += len(piece)

    for edit in edits:
        put(text[at : edit.start], at, edit.start - at)
        for piece in edit.pieces:
            if isinstance(piece, str):
                put(piece, edit.start, 0)
            else:
                put(text[piece.start : piece.stop], piece.start, len(piece))
        at = edit.end
    put(text[at:], at, len(text) - at)
    return "".join(out), tuple(stretches)


def _loosen(value: object, path: Path, seen: Callable[[str], object]) -> None:
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    if isinstance(holder[path[-1]], str):
        holder[path[-1]] = seen(holder[path[-1]])


def exact(value: object) -> object:
    """Equal for equal values only: true is not 1, 1 is not 1.0, and NaN is NaN."""
    if isinstance(value, dict):
        return {(type(key), repr(key)): exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return value if isinstance(value, str) else (type(value), repr(value))
