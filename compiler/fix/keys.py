"""A sheet goes in; one whose keys are spelt as the format spells them, and that names its version.

A file of its own because these are the repairs that do change the value, each in one named way.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import yaml
from rapidfuzz.distance import OSA

from compiler.codes import T101, T102, T103, T108, T109, T112
from compiler.fix.sheet import Change, Edit, Part, Sheet, attempt, settle
from compiler.fix.text import tidy
from compiler.schema import versions
from compiler.tree import Path

_LONGEST = 40
_OF_VERSIONS = {code.id for code in (T108, T109, T112)}


def spell(sheet: Sheet) -> Sheet:
    """Corrects each unknown key that can only be one key, which its mapping does not have yet."""
    return settle(sheet, list(_typos(sheet)))


def _typos(sheet: Sheet) -> Iterator[Change]:
    for part in sheet.parts:
        known = sheet.known(part.path)
        if not known or not isinstance(part.node, yaml.MappingNode):
            continue
        there = [key.value for key, _ in part.node.value]
        if len(set(map(str, there))) < len(there):
            continue
        meant = [
            (key, [name for name in known if name not in there and is_near(key.value, name)])
            for key, _ in part.node.value
            if isinstance(key, yaml.ScalarNode) and key.value not in known
        ]
        for key, names in meant:
            claims = sum(names[:1] == others[:1] for _, others in meant)
            if len(names) == 1 and claims == 1:
                start = key.start_mark.index
                yield Change(
                    T102,
                    f"the key `{key.value}` spelt `{names[0]}`",
                    start,
                    (Edit(start, key.end_mark.index, (names[0],)),),
                    partial(_rename, path=part.path, old=key.value, new=names[0]),
                )


def is_near(word: str, name: str) -> bool:
    """Whether `word` is `name` but for case and separators, or for a slip: one, in long words two;
    a letter too many, too few, another, or two of them swapped.
    """
    if len(word) > _LONGEST:
        return False
    typed, right = (re.sub(r"[\W_]", "", text.casefold()) for text in (word, name))
    slips = 0 if len(right) < 6 else 1 if len(right) < 9 else 2
    return OSA.distance(typed, right) <= slips


def _rename(value: object, path: Path, old: str, new: str) -> None:
    holder: Any = value
    for step in path:
        holder = holder[step]
    holder[new] = holder.pop(old)


def name_version(sheet: Sheet) -> Sheet:
    """Writes the version as a number; where none is named, the newest that the leaf fits."""
    value: Mapping[str, Any] = sheet.tree.value if sheet.tree else {}  # type: ignore[assignment]
    parts = [part for part in sheet.parts if part.path in ((), ("version",))]
    if not parts or len(parts) > 2 or parts[0].in_flow:
        return sheet
    told = value.get("version")
    if isinstance(told, str):
        return settle(sheet, list(_unquoted(parts[-1], told)))
    if told is not None or not sheet.codes <= _OF_VERSIONS:
        return sheet
    for version in reversed(versions()[1:]):
        after = attempt(sheet, [_added(sheet, parts, version)])
        after = after and tidy(after)
        if after and not after.errors and after.codes <= sheet.codes:
            return after
    return sheet


def _unquoted(part: Part, told: str) -> Iterator[Change]:
    start, end = part.node.start_mark.index, part.node.end_mark.index
    if told in map(str, versions()):
        yield Change(
            T103,
            f"the version written as the number {told}",
            start,
            (Edit(start, end, (told,)),),
            partial(_set_version, version=int(told)),
        )


def _added(sheet: Sheet, parts: list[Part], version: int) -> Change:
    """The version at the top of the keys, or after a `version:` that says nothing."""
    told = f"version: {version}"
    if len(parts) == 2:
        code, at = T108, parts[1].node.start_mark.index
        piece = f" {version}"
    else:
        code, at = T101, _top(sheet, parts[0])
        column = parts[0].node.start_mark.column
        piece = f"{' ' * column}{told}{sheet.line_end}"
    becomes = partial(_set_version, version=version)
    return Change(code, f"`{told}` added", at, (Edit(at, at, (piece,)),), becomes)


def _top(sheet: Sheet, top: Part) -> int:
    """Where the line of the first key starts, or a comment above it that may be about that key."""
    first = line = sheet.line_of(top.node.start_mark.index)
    while line and sheet.line(line - 1).lstrip().startswith("#"):
        line -= 1
    above = sheet.text[sheet.starts[line] : sheet.starts[first]]
    return sheet.starts[first if "yaml-language-server" in above else line]


def _set_version(value: object, version: int) -> None:
    top: Any = value
    top["version"] = version
