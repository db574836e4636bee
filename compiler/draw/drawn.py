"""What a stage `draw` says goes in; draws come out: columns whose values chance settles, always the
same for the same seed.

A file of its own because a draw knows nothing of units and teachers: it takes a pool and a seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import yaml

from compiler.draw.window import LEAST, MOST, Text, window

SOURCES = ("lines", "pool", "seeds", "words")
_OF_LISTS = ("from", "number", "weights")
_OF_LINES = ("from", "number", "least", "most")
_TRIES = 20

T = TypeVar("T")


class BrokenDraw(ValueError):  # noqa: N818 - a mistake of a contributor, not of ours
    """A draw that can never be made; `path` leads to its place under `writes:`."""

    def __init__(self, message: str, path: tuple[str, ...]) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Pool:
    """What there is to draw from, in an order that is always the same.

    `seeds` are the leaf's shown examples, `made` the drafts that earlier rounds accepted: mappings
    with `context`, `question`, `answer`. `words` are those of `compiler.draw.vocabulary`.
    """

    seeds: Sequence[Mapping[str, object]] = ()
    made: Sequence[Mapping[str, object]] = ()
    words: Sequence[str] = ()
    texts: Sequence[Text] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """One column. `source` is `list` or one of `SOURCES`; `file` is that of a list, "" where it
    stands in the pipeline itself.

    `number` is None for one value; whoever draws looks up what it names, where it is the name of a
    column. `values` and `weights` are those of a list, `least` and `most` the lengths of a window
    of lines.
    """

    name: str
    source: str
    number: int | str | None = None
    values: tuple[object, ...] = ()
    weights: tuple[float, ...] = ()
    least: int = LEAST
    most: int = MOST
    file: str = ""

    def draw(self, pool: Pool, seed: bytes) -> object:
        """A value, or a list of at most `number` different ones; None where one is wanted and there
        is none.

        A window of lines is a mapping {text, path, start, end, blob}.
        """
        chance = Random(seed + b"\0" + self.name.encode())
        assert not isinstance(self.number, str)
        number = 1 if self.number is None else self.number
        found: Sequence[object]
        if self.source == "lines":
            found = self._windows(pool.texts, number, chance)
        else:
            found = _picked(self._all(pool), self.weights, number, chance)
        if self.number is not None:
            return list(found)
        return found[0] if found else None

    def _all(self, pool: Pool) -> Sequence[object]:
        given = {"seeds": pool.seeds, "pool": pool.made, "words": pool.words, "list": self.values}
        return given[self.source]

    def _windows(self, texts: Sequence[Text], number: int, chance: Random) -> list[object]:
        found: list[object] = []
        for _ in range(_TRIES * number if number > 1 else 1):
            lines = window(texts, self.least, self.most, chance)
            if lines and lines not in found:
                found.append(lines)
            if len(found) == number or not lines:
                break
        return found


def _picked(values: Sequence[T], weights: Sequence[float], number: int, chance: Random) -> list[T]:
    """Some of the values, none twice: each time one is as likely as its weight among those left.

    The smallest of independent exponential times win (Efraimidis and Spirakis, "Weighted random
    sampling with a reservoir", 2006). Only `random()` is used: it is the part of Python's module
    that stays the same from version to version.
    """
    times = []
    for at in range(len(values)):
        weight = weights[at] if weights else 1.0
        time = -math.log(1.0 - chance.random())
        if weight:
            times.append((time / weight, at))
    return [values[at] for _, at in sorted(times)[:number]]


def draws(
    said: Mapping[str, Mapping[str, object]], files: Mapping[str, bytes]
) -> tuple[Drawn, ...]:
    """The draws of what a stage has under `writes:`, checked against its schema already.

    `files` are those of the pipeline's folder by name. Raises BrokenDraw.
    """
    return tuple(_drawn(name, one, files) for name, one in said.items())


def _drawn(name: str, said: Mapping[str, object], files: Mapping[str, bytes]) -> Drawn:
    source = said["from"]
    number = said.get("number")
    assert number is None or isinstance(number, int | str)
    kind = source if isinstance(source, str) and source in SOURCES else "list"
    fitting = {"lines": _OF_LINES, "list": _OF_LISTS}.get(kind, ("from", "number"))
    for key in said:
        if key not in fitting:
            raise BrokenDraw(f"a draw from {_shown(source)} has no `{key}`", (name, key))
    if kind == "pool" and number is None:
        wrong = "the pool of the first round is empty: say a `number`, and fewer will do"
        raise BrokenDraw(wrong, (name, "from"))
    if kind == "lines":
        return _lines(name, number, said)
    if kind != "list":
        return Drawn(name, kind, number)
    values = tuple(source) if isinstance(source, list) else _listed(name, str(source), files)
    weights = _weights(name, said.get("weights", ()), len(values))
    file = source if isinstance(source, str) else ""
    return Drawn(name, kind, number, values, weights, file=file)


def _shown(source: object) -> str:
    return f"`{source}`" if isinstance(source, str) else "a list"


def _lines(name: str, number: int | str | None, said: Mapping[str, object]) -> Drawn:
    least = said.get("least", LEAST)
    assert isinstance(least, int)
    most = said.get("most", max(MOST, least))
    assert isinstance(most, int)
    if least > most:
        raise BrokenDraw(f"at least {least} lines are more than at most {most}", (name, "least"))
    return Drawn(name, "lines", number, least=least, most=most)


def _weights(name: str, said: object, number: int) -> tuple[float, ...]:
    assert isinstance(said, list | tuple)
    weights = tuple(float(weight) for weight in said)
    if weights and len(weights) != number:
        wrong = f"{number} values have {number} weights, and here are {len(weights)}"
        raise BrokenDraw(wrong, (name, "weights"))
    if weights and not any(weights):
        raise BrokenDraw("a weight above 0 is missing", (name, "weights"))
    return weights


def _listed(name: str, file: str, files: Mapping[str, bytes]) -> tuple[object, ...]:
    """The values of a file: a YAML list, or one a line."""
    path = (name, "from")
    if file not in files:
        known = ", ".join(f"`{source}`" for source in SOURCES)
        raise BrokenDraw(f"`{file}` is no file of the folder, and none of {known}", path)
    try:
        text = files[file].decode("utf-8-sig")
        listed = yaml.safe_load(text) if file.endswith((".yaml", ".yml")) else _by_line(text)
    except UnicodeDecodeError as wrong:
        raise BrokenDraw(f"`{file}` is not UTF-8: {wrong.reason}", path) from wrong
    except yaml.YAMLError as wrong:
        raise BrokenDraw(f"`{file}` is no YAML", path) from wrong
    if not isinstance(listed, list) or not listed:
        raise BrokenDraw(f"`{file}` holds no list of values", path)
    return tuple(listed)


def _by_line(text: str) -> list[str]:
    """The lines that hold something and do not begin with `#`."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
