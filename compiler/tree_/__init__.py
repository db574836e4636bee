"""YAML text goes in; a Tree comes out: plain values, and the place of every one of them.

A pass of its own because everything further right reports places, and no YAML loader keeps them.
libyaml does the scanning; this file only walks its nodes. Every limit that a hostile file could
reach is here.
"""

import re
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from compiler.codes import S001, S002, S003, S004, S005, S006, S007, S008
from compiler.diagnostics import Note, Report, Span
from compiler.source import SourceFile

MAX_BYTES = 5_000_000
MAX_DEPTH = 60
MAX_NODES = 200_000
MAX_STRICT = 300_000
MAX_DIGITS = 1000
_TOO_DEEP = f"the file is nested more than {MAX_DEPTH} levels deep"

Path = tuple[str | int, ...]
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tree:
    """`value` is plain Python; `places`, `keys`: a path such as ("seed_examples", 0) to a span."""

    file: SourceFile
    text: str
    value: object
    places: Mapping[Path, Span]
    keys: Mapping[Path, Span]

    def span(self, path: Path) -> Span:
        """The place of the value at `path`, or of the nearest value that holds it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Span(self.file.path))

    def key_span(self, path: Path) -> Span:
        """The place of the key that leads to `path`; of the value itself for items of a list."""
        return self.keys.get(path) or self.span(path)


def parse(file: SourceFile, report: Report) -> Tree | None:
    """Reads one file; reports S codes; None where there is no value to go on with."""
    if len(file.data) > MAX_BYTES:
        report.add(
            S008,
            f"the file has {len(file.data):,} bytes, more than {MAX_BYTES:,}",
            Span(file.path),
            "split the leaf, or move the text into a document",
        )
        return None
    text = _decode(file, report)
    if text is None:
        return None
    report.texts[file.path] = text
    walk = _Walk(file.path, text, report)
    try:
        node = _compose(text)
        if node is None:
            hint = "write the leaf, or delete the file"
            report.add(S006, "the file is empty", Span(file.path), hint)
            return None
        value = walk.build(node)
    except (_OverLimitError, RecursionError) as over:
        what = str(over) if isinstance(over, _OverLimitError) else "the file holds itself"
        report.add(S008, what, Span(file.path), "write the values out, flat and fewer")
        return None
    except yaml.YAMLError as wrong:
        _explain_syntax(wrong, file.path, report)
        return None
    if not isinstance(value, dict):
        report.add(
            S007,
            f"the file holds {_kind(value)}, not a mapping of keys",
            walk.span(node),
            "start it with a key and a colon at the left margin",
        )
        return None
    return Tree(file, text, value, walk.places, walk.keys)


def lint(tree: Tree, report: Report) -> None:
    """The rules of plain text that the format's own linter counts as errors (S003, S004)."""
    path = tree.file.path
    lines = _LINE_END.split(tree.text)
    for number, line in enumerate(lines, 1):
        kept = line.rstrip(" \t")
        if kept != line:
            span = Span(path, number, len(kept) + 1, number, len(line) + 1)
            report.add(S003, "the line ends in white space", span, "delete it")
    if lines[-1]:
        end = Span(path, len(lines), len(lines[-1]) + 1, len(lines), len(lines[-1]) + 2)
        report.add(S004, "the last line has no line end", end, "end the file with a newline")


def _decode(file: SourceFile, report: Report) -> str | None:
    try:
        text = file.data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        report.texts[file.path] = file.data.decode("utf-8", "replace")
        before = file.data[: wrong.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        report.add(
            S005,
            f"byte 0x{file.data[wrong.start]:02x} is not UTF-8",
            Span(file.path, line, column, line, column + 1),
            "save the file as UTF-8",
        )
        return None
    return text.removeprefix("\ufeff")


def _compose(text: str) -> yaml.Node | None:
    """The tree of nodes; libyaml's own recursion has no limit, so the depth is counted before."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _OverLimitError(_TOO_DEEP)
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    if "\t" in text and len(text) < MAX_STRICT:
        for _ in yaml.parse(text, yaml.SafeLoader):
            pass  # libyaml lets tabs pass in plain texts; YAML and other readers do not
    return node


class _OverLimitError(Exception):
    """The value is larger than any leaf."""


class _Walk:
    """Builds values from nodes as YAML's safe loader does, and notes places on the way."""

    def __init__(self, path: str, text: str, report: Report) -> None:
        self.path = path
        self.report = report
        self.lines = Lines(path, text)
        self.places: dict[Path, Span] = {}
        self.keys: dict[Path, Span] = {}
        self.count = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, at: Path = ()) -> object:
        self._count()
        if len(at) > MAX_DEPTH:
            raise _OverLimitError(_TOO_DEEP)
        self.places[at] = self.span(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in _COLLECTIONS:
            raise _wrong(f"the tag `{node.tag}` has no meaning here", node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        return [self.build(item, (*at, i)) for i, item in enumerate(node.value)]

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise _OverLimitError(f"the file holds more than {MAX_NODES:,} values, aliases counted")

    def span(self, node: yaml.Node) -> Span:
        return self.lines.span(node.start_mark.index, node.end_mark.index)

    def _mapping(self, node: yaml.MappingNode, at: Path) -> dict[object, object]:
        value: dict[object, object] = {}
        for key_node, value_node in self._merged(node):
            value.setdefault(self._key(key_node), self.build(value_node, at))
        first: dict[object, Span] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            span = self.span(key_node)
            key = self._key(key_node)
            if key in first:
                self.report.add(
                    S002,
                    f"the key `{key}` stands twice here",
                    span,
                    "keep one of the two; YAML silently takes the last",
                    [Note("first here", first[key])],
                )
            first.setdefault(key, span)
            inner: Path = (*at, key if isinstance(key, str | int) else str(key))
            self.keys[inner] = span
            value[key] = self.build(value_node, inner)
        return value

    def _merged(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """The pairs that `<<` brings in, the ones that win first."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            is_list = isinstance(value_node, yaml.SequenceNode)
            for source in value_node.value if is_list else [value_node]:
                self._count()
                if not isinstance(source, yaml.MappingNode):
                    raise _wrong("`<<` can only bring in a mapping", source)
                yield from (pair for pair in source.value if pair[0].tag != _MERGE)
                yield from self._merged(source)

    def _key(self, node: yaml.Node) -> object:
        if not isinstance(node, yaml.ScalarNode):
            raise _wrong("a list or a mapping cannot be a key", node)
        if node.tag == "tag:yaml.org,2002:value":
            return str(node.value)
        return self._scalar(node)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        """The value of a plain node; whatever its tag promises, no text of it is an exception."""
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise _wrong(f"the number has more than {MAX_DIGITS:,} digits", node)
        try:
            value = self.scalars.construct_object(node)
        except yaml.YAMLError as wrong:
            raise _wrong(f"the tag `{node.tag}` has no meaning here", node) from wrong
        except Exception as wrong:  # PyYAML trusts that the text fits the tag
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            told = f": {wrong}" if isinstance(wrong, ValueError | OverflowError) else f" of `{tag}`"
            raise _wrong(f"`{node.value[:60]}` is not a possible value{told}", node) from wrong
        if not isinstance(value, Hashable):
            raise _wrong(f"the tag `{node.tag}` has no meaning here", node)
        return value


_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def _wrong(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class Lines:
    """Turns 0-based characters of a text into places; a line ends where an editor ends it."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.starts = [0, *(mark.end() for mark in _LINE_END.finditer(text))]

    def span(self, start: int, end: int) -> Span:
        return Span(self.path, *self._place(start), *self._place(end))

    def _place(self, at: int) -> tuple[int, int]:
        line = bisect_right(self.starts, at)
        return line, at - self.starts[line - 1] + 1


_LINE_END = re.compile(r"\r\n|\n|\r")


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "a plain value"


@dataclass(frozen=True, slots=True)
class _Cause:
    """What a YAML parser's words mean to an author; `begun` points at what was left open."""

    words: str
    message: str
    hint: str
    begun: bool = False


_CAUSES = (
    _Cause(
        r"could not find expected ':'",
        "this line is neither a key nor part of a text",
        "indent it like the text it belongs to, or put a colon and a space after the key",
        begun=True,
    ),
    _Cause(
        r"unexpected end of stream.*quoted scalar",
        "this quote is never closed",
        "close it; inside single quotes write `''` for an apostrophe",
        begun=True,
    ),
    _Cause(
        r"did not find expected ('[,-].|node content).*flow",
        "this bracket is never closed",
        "close it, or quote the text",
        begun=True,
    ),
    _Cause(
        r"mapping values are not allowed",
        "a second `: ` on the line",
        "quote the text, or write it under `|`: in YAML `: ` follows a key",
    ),
    _Cause(
        r"expected comment or line break",
        "text on the line of a `|` or `>`",
        "start the text on the next line, indented",
    ),
    _Cause(
        r"starts? any token",
        "a plain text cannot start with this character",
        "quote the text; indent with spaces, never with tabs",
    ),
    _Cause(
        r"did not find expected key",
        "this does not continue the mapping",
        "give this key the indent of the keys beside it; write `''` for an apostrophe in quotes",
    ),
    _Cause(
        r"did not find expected '-'",
        "this does not continue the list",
        "start each item with `- ` at the same indent",
    ),
    _Cause(r"undefined alias", "`*` starts an alias in YAML", "quote the text"),
    _Cause(
        r"expected a single document",
        "a second YAML document starts here",
        "keep one leaf in the file; quote `---` inside a text",
    ),
    _Cause(
        r"control characters|unacceptable character|special characters",
        "a control character",
        "delete it",
    ),
)


def _explain_syntax(wrong: yaml.YAMLError, path: str, report: Report) -> None:
    lines = Lines(path, report.texts.get(path, ""))
    mark = getattr(wrong, "problem_mark", None)
    begun = getattr(wrong, "context_mark", None)
    problem = str(
        getattr(wrong, "problem", None) or getattr(wrong, "reason", None) or wrong
    ).strip()
    said = f"{problem} {getattr(wrong, 'context', None) or ''}"
    cause = next((c for c in _CAUSES if re.search(c.words, said)), None)
    span = lines.span(mark.index, mark.index + 1) if mark else Span(path)
    notes = []
    if begun and mark and begun.index != mark.index:
        other = lines.span(begun.index, begun.index + 1)
        if cause and cause.begun:
            span = other
        elif other.line != span.line:
            context = str(getattr(wrong, "context", None) or "")
            notes.append(Note(re.sub(r"^while \w+ an? ", "in this ", context), other))
    message, hint = (cause.message, cause.hint) if cause else (problem, "check quotes and indent")
    report.add(S001, message, span, hint, notes)
