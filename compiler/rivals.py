"""The folder of a build goes in; what keeping the best of n answers was worth comes out, as lines.

A file of its own because a best answer that was dropped later counts as much as one that stayed:
the curve of those alone that a checker passed would always rise.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.bestof import SIZES, curve, table

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


def report(folder: Path) -> list[str]:
    """A table of the best of n for each n, what to make of it, and what it cost; nothing where no
    prompt had rivals.
    """
    known = list(groups(_lines(folder)))
    most = max(map(len, known), default=0)
    ns = [*(n for n in SIZES if n < most), most] if most > 1 else []
    return [*table(curve(known, ns)), *_cost(known)] if ns else []


def _cost(known: Sequence[Group]) -> list[str]:
    """How many answers it took, beside one a prompt."""
    answers = sum(map(len, known))
    return [f"{answers:,} answers were written and scored for {len(known):,} prompts"]


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines that tell of rivals."""
    for name in FILES:
        with (folder / name).open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if _KEY in line)


def _score(value: float | None) -> float:
    return math.nan if value is None else value
