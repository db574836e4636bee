"""YAML text goes in; its nodes come out, as the format's own parser would make them.

A pass of its own because that parser, PyYAML in Python, takes many times longer than libyaml, which
differs from it in a few details: what libyaml lets pass is found, and where it is known to be
stricter, the other is asked. Limits are here too, since PyYAML recurses, and keeps all it reads.
"""

import re
from contextlib import suppress

import yaml

from compiler.tree.tokens import stray_tab

MAX_DEPTH = 60
MAX_VALUES = 10_000
TOO_DEEP = f"the file is nested more than {MAX_DEPTH} levels deep"
TOO_MANY = f"the file holds more than {MAX_VALUES:,} values, aliases counted"

_SURELY_SMALL = 200_000
_SURELY_FLAT = 800
_SURELY_QUICK = 50_000
_MOST_TAGS = 100
_STRICTER = (
    "found a tab character where an indentation space",
    "found incompatible YAML document",
    "found invalid Unicode character",
    "found unexpected ':'",
    "found unknown directive name",
)
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAGS: dict[type[yaml.Node], str] = {
    yaml.ScalarNode: _Loader.DEFAULT_SCALAR_TAG,
    yaml.SequenceNode: _Loader.DEFAULT_SEQUENCE_TAG,
    yaml.MappingNode: _Loader.DEFAULT_MAPPING_TAG,
}
# What opens a level of a block; a bracket may open two, with a pair inside.
_OPENER = re.compile(r"[-?:](?:\s|\Z)")


class OverLimitError(Exception):
    """The value is larger than any leaf."""


class _Quick(_Loader):  # type: ignore[valid-type,misc]
    """libyaml, with less ado around each node: nothing here is resolved by its path."""

    def descend_resolver(self, node: yaml.Node | None, index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            for tag, rule in self.yaml_implicit_resolvers.get(value[:1], ()):
                if rule.match(value):
                    return str(tag)
        return _TAGS[kind]


class _Patient(yaml.SafeLoader):
    """The format's own parser; it joins the halves of a letter that JSON escapes as two."""

    def compose_scalar_node(self, anchor: dict[object, yaml.Node]) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as half:
            problem = "found half of a character"
            raise yaml.scanner.ScannerError(None, None, problem, node.start_mark) from half
        return node


def compose(text: str) -> yaml.Node | None:
    """The tree of nodes, None where there is none. Raises yaml.YAMLError and OverLimitError."""
    if "\ufeff" in text and _is_quick(text):
        if text[0] == "\ufeff":
            raise _stray("\ufeff", 0)
        return _nodes(text, _Patient)
    try:
        _look_ahead(text)
        node = _nodes(text, _Quick)
    except yaml.YAMLError as wrong:
        said = str(getattr(wrong, "problem", wrong))
        if said.startswith(_STRICTER) and _is_quick(text):
            with suppress(yaml.YAMLError):
                return _nodes(text, _Patient)
        raise
    if "\t" in text and (at := stray_tab(text)) is not None:
        raise _stray("\t", at)
    if node and ("#" in text or ("?" in text and ("[" in text or "{" in text))):
        _forbid_strays(node, text)
    return node


def _is_quick(text: str) -> bool:
    """Whether the format's own parser has done in a moment; it slows down with open brackets."""
    return len(text) <= _SURELY_QUICK and text.count("[") + text.count("{") <= _SURELY_FLAT


def _forbid_strays(top: yaml.Node, text: str) -> None:
    """Raises yaml.YAMLError for a `?` in plain text inside brackets and a `#` glued to a `|`."""
    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        start = node.start_mark.index
        if isinstance(node, yaml.ScalarNode):
            if node.style and (glued := _GLUED.match(text, start)):
                raise _stray("#", glued.end() - 1)
        elif id(node) not in seen:
            seen.add(id(node))
            is_mapping = isinstance(node, yaml.MappingNode)
            inner = [part for pair in node.value for part in pair] if is_mapping else node.value
            waiting += inner
            for part in inner if getattr(node, "flow_style", False) else ():
                if isinstance(part, yaml.ScalarNode) and not part.style and "?" in part.value:
                    raise _stray("?", text.index("?", part.start_mark.index))


_GLUED = re.compile(r"[|>][-+0-9]*#")


def _stray(letter: str, at: int) -> yaml.YAMLError:
    """The error of a letter that libyaml lets pass and the format's own parser does not."""
    mark = yaml.Mark("", at, 0, 0, "", 0)
    return yaml.scanner.ScannerError(None, None, f"stray {letter!r}", mark)


def _nodes(text: str, kind: type[yaml.SafeLoader]) -> yaml.Node | None:
    loader = kind(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except RecursionError as deep:
        raise OverLimitError(TOO_DEEP) from deep
    except (ValueError, OverflowError) as odd:  # PyYAML trusts numbers in escapes and directives
        raise yaml.scanner.ScannerError(None, None, str(odd), loader.get_mark()) from odd
    finally:
        loader.dispose()
    return node


def _look_ahead(text: str) -> None:
    """Raises OverLimitError for what would take too long or too much to build.

    Each level is opened by one of five characters. Only a large text, or one with many of these,
    has to be gone through to tell.
    """
    if text.count("%TAG") > _MOST_TAGS:
        raise OverLimitError(f"the file has more than {_MOST_TAGS} `%TAG` directives")
    if len(text) <= _SURELY_SMALL and (
        sum(map(text.count, "-?:[{")) <= _SURELY_FLAT
        or 2 * sum(map(text.count, "[{")) + len(_OPENER.findall(text)) <= _SURELY_FLAT
    ):
        return
    depth = 0
    for count, event in enumerate(yaml.parse(text, _Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise OverLimitError(TOO_DEEP)
        if count > 4 * MAX_VALUES:
            raise OverLimitError(TOO_MANY)
