"""The folder of a build goes in; what keeping the best of n answers was worth comes out, as lines.

A file of its own because a best answer that was dropped later counts as much as one that stayed:
the curve of those alone that a checker passed would always rise.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compiler.bestof import SIZES, curve, table
from compiler.diagnostics import counted

FILES = ("samples.jsonl", "drops.jsonl")
_KEY = '"rivals": [['

Group = list[tuple[float, float]]


def groups(lines: Iterable[Mapping[str, Any]]) -> Iterator[Group]:
    """The (proxy, verified) scores of each prompt's rivals, of the parsed lines of `FILES`; a score
    that nobody gave is NaN.
    """
    for line in lines:
        if rivals := line.get("rivals"):
            yield [(_score(proxy), _score(verified)) for proxy, verified in rivals]


def alike(known: Iterable[Group]) -> dict[int, list[Group]]:
    """The groups by their size, from 2 on, without sizes that fewer than a tenth of them have: a
    curve over prompts that differ from point to point would tell of the prompts.
    """
    by_size: dict[int, list[Group]] = {}
    for group in known:
        by_size.setdefault(len(group), []).append(group)
    total = sum(map(len, by_size.values()))
    return {
        size: by_size[size]
        for size in sorted(by_size)
        if size > 1 and len(by_size[size]) >= total / 10
    }


def report(folder: Path) -> list[str]:
    """For each number of answers a table of what the best of them is worth, what to make of it, and
    what it cost; nothing where no prompt had rivals.
    """
    lines = []
    for size, found in alike(groups(_lines(folder))).items():
        lines += table(curve(found, [*(n for n in SIZES if n < size), size]))
        asked = f"{size * len(found):,} answers were written and scored"
        lines.append(f"{asked} for {counted(len(found), 'prompt')}")
    return lines


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines that tell of rivals."""
    for name in FILES:
        with (folder / name).open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if _KEY in line)


def _score(value: float | None) -> float:
    return math.nan if value is None else value
