"""YAML nodes go in; plain values come out, and for each of them the characters it stands at.

A pass of its own because YAML's safe loader keeps no places, trusts that every text fits its tag,
and unfolds whatever aliases promise. It goes level by level, so nothing here recurses, and the
children of a value have neighbouring numbers: a place is found by counting.
"""

from array import array
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from compiler.tree.compose import MAX_DEPTH, MAX_VALUES, TOO_DEEP, TOO_MANY, OverLimitError

MAX_KEYS = 1000
MAX_LETTERS = 2_000_000
MAX_DIGITS = 1000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key that one mapping has twice: the two places as (start, end)."""

    key: object
    first: tuple[int, int]
    again: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Marks:
    """Five numbers for each value: its start and end, those of its key, its first child's number.

    A value that is no mapping's has its own place for that of its key.
    """

    numbers: Sequence[int]

    def find(self, value: object, path: Path) -> tuple[int, bool]:
        """The number of what lies at `path`, and True; else of the nearest that holds it."""
        at = 0
        for part in path:
            if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
                step, value = part, value[part]
            elif isinstance(value, dict) and part in value:
                step, value = list(value).index(part), value[part]
            else:
                return at, False
            at = self.numbers[5 * at + 4] + step
        return at, True

    def place(self, at: int) -> tuple[int, int]:
        """The characters of a value, from and up to."""
        return self.numbers[5 * at], self.numbers[5 * at + 1]

    def key_place(self, at: int) -> tuple[int, int]:
        """The characters of a value's key."""
        return self.numbers[5 * at + 2], self.numbers[5 * at + 3]


@dataclass(frozen=True, slots=True)
class Built:
    """What nodes mean: a value, its places, and the keys that repeat."""

    value: object
    marks: Marks
    repeats: tuple[Repeat, ...] = ()


def build(top: yaml.Node) -> Built:
    """The value that YAML's safe loader would build.

    Raises OverLimitError, and yaml.YAMLError where a node means nothing.
    """
    walk = _Walk()
    value = walk.build(top)
    return Built(value, Marks(walk.numbers), tuple(walk.repeats))


# a node, that of its key, and where in which list or mapping its value belongs
_Item = tuple[yaml.Node, yaml.Node, Any, object]


class _Walk:
    def __init__(self) -> None:
        self.numbers: array[int] = array("I")
        self.repeats: list[Repeat] = []
        self.count = self.brought = self.letters = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def build(self, top: yaml.Node) -> object:
        root: list[object] = [None]
        level: list[_Item] = [(top, top, root, 0)]
        self.count = 1
        for _ in range(MAX_DEPTH + 1):
            if not level:
                return root[0]
            level = self._descend(level)
        raise OverLimitError(TOO_DEEP)

    def _descend(self, level: list[_Item]) -> list[_Item]:
        """Makes the values of one level, and returns what lies directly below them."""
        below: list[_Item] = []
        before = self.count
        for node, key, holder, slot in level:
            start, end = node.start_mark.index, node.end_mark.index
            first = before + len(below)
            if key is node:
                self.numbers.extend((start, end, start, end, first))
            else:
                self.numbers.extend((start, end, key.start_mark.index, key.end_mark.index, first))
            if isinstance(node, yaml.ScalarNode):
                holder[slot] = node.value if node.tag == _TEXT else self._scalar(node)
                self.letters += len(node.value)
            elif node.tag == _MAPPING and isinstance(node, yaml.MappingNode):
                inside: dict[object, object] = {}
                holder[slot] = inside
                below += self._mapping(node, inside)
            elif node.tag == _LIST and isinstance(node, yaml.SequenceNode):
                items: list[object] = [None] * len(node.value)
                holder[slot] = items
                below += [(item, item, items, i) for i, item in enumerate(node.value)]
            else:
                raise wrong(_no_meaning(node), node)
            self.count = before + len(below)
            if self.count > MAX_VALUES:
                raise OverLimitError(TOO_MANY)
        if self.letters > MAX_LETTERS:
            raise OverLimitError(f"the aliases unfold to more than {MAX_LETTERS:,} letters")
        return below

    def _mapping(self, node: yaml.MappingNode, inside: dict[object, object]) -> list[_Item]:
        """The children in the order of the mapping's keys, then the values that others replace."""
        pairs = node.value
        if len(pairs) > MAX_KEYS:
            raise OverLimitError(f"a mapping has more than {MAX_KEYS:,} keys")
        names = [self._key(key) for key, _ in pairs]
        inside.update(dict.fromkeys(names))
        if len(inside) == len(names) and not any(key.tag == _MERGE for key, _ in pairs):
            return [
                (value, key, inside, name) for name, (key, value) in zip(names, pairs, strict=True)
            ]
        inside.clear()
        kept: dict[object, tuple[yaml.Node, yaml.Node]] = {}
        lost: list[yaml.Node] = []
        first: dict[object, yaml.Node] = {}
        for key_node, value_node in self._merged(node):
            key = self._key(key_node)
            if key in kept:
                lost.append(value_node)
            else:
                kept[key] = key_node, value_node
        for key, (key_node, value_node) in zip(names, pairs, strict=True):
            if key_node.tag == _MERGE:
                continue
            if key in first:
                self.repeats.append(Repeat(key, _place(first[key]), _place(key_node)))
            if key in kept:
                lost.append(kept[key][1])
            first.setdefault(key, key_node)
            kept[key] = key_node, value_node
        inside.update(dict.fromkeys(kept))
        below: list[_Item] = [(value, key, inside, name) for name, (key, value) in kept.items()]
        return below + [(value, value, [None], 0) for value in lost]

    def _merged(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """The pairs that `<<` brings in, the ones that win first."""
        waiting = [node]
        while waiting:
            holder = waiting.pop()
            if holder is not node:
                yield from (pair for pair in holder.value if pair[0].tag != _MERGE)
            sources = [
                s for key, value in holder.value if key.tag == _MERGE for s in _sources(value)
            ]
            self.brought += sum(1 + len(source.value) for source in sources)
            if self.brought > MAX_VALUES:
                raise OverLimitError(TOO_MANY)
            waiting += reversed(sources)

    def _key(self, node: yaml.Node) -> object:
        if not isinstance(node, yaml.ScalarNode):
            raise wrong("a list or a mapping cannot be a key", node)
        return node.value if node.tag in _NAMES else self._scalar(node)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        """The value of a plain node; whatever its tag promises, no text of it is an exception."""
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise wrong(f"the number has more than {MAX_DIGITS:,} digits", node)
        try:
            value = self.scalars.construct_object(node)
        except yaml.YAMLError as error:
            raise wrong(_no_meaning(node), node) from error
        except Exception as error:  # PyYAML trusts that the text fits the tag
            told = str(error) if isinstance(error, ValueError | OverflowError) else ""
            said = f": {told}" if told else f" of `{_short_tag(node)}`"
            raise wrong(f"`{brief(node.value)}` is not a possible value{said}", node) from error
        if not isinstance(value, Hashable):
            raise wrong(_no_meaning(node), node)
        return value


def _sources(node: yaml.Node) -> list[yaml.MappingNode]:
    """The mappings that a `<<` names."""
    sources: list[Any] = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for source in sources:
        if not isinstance(source, yaml.MappingNode):
            raise wrong("`<<` can only bring in a mapping", source)
    return sources


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _short_tag(node: yaml.Node) -> str:
    return str(node.tag).replace(_YAML, "!!")


def _no_meaning(node: yaml.Node) -> str:
    return f"the tag `{_short_tag(node)}` has no meaning here"


def wrong(problem: str, node: yaml.Node) -> yaml.YAMLError:
    """The error that YAML's loader would raise for `node`."""
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def brief(word: object) -> str:
    """A key or value for a message, cut where it is long."""
    text = str(word)
    return text if len(text) <= 60 else f"{text[:57]}..."


_YAML = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = (f"{_YAML}{kind}" for kind in ("str", "seq", "map"))
_MERGE, _VALUE = f"{_YAML}merge", f"{_YAML}value"
_NAMES = (_TEXT, _VALUE, _MERGE)
_NUMBERS = (f"{_YAML}int", f"{_YAML}float")
