"""Several answers to one question go in; the one that most of them give comes out, with its count.

A file of its own because it compares answers with each other, not with what is known. After
self-consistency (Wang et al., arXiv 2203.11171, section 2): a majority over final answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.verify.number import Found, Unreadable, final_number, only_number
from compiler.verify.said import Columns, Said, text_of
from compiler.verify.text import folded

_DIGITS = 6
_MARKS = ("\\boxed", "####")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `of` answers in the column `column`, `least` must be the same."""

    of: int
    least: int
    column: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The answers."""
        return (self.column,)

    def check(self, columns: Columns) -> str:
        """Why the answers do not agree; the column holds a list of them."""
        held = columns.get(self.column)
        values = [str(one) for one in held] if isinstance(held, list | tuple) else []
        if not values:
            values = [text_of(columns, self.column)]
        _, count = agreed(values)
        if count >= self.least:
            return ""
        return f"{count} of {len(values)} answers agree, expected at least {self.least}"


def agreed(values: Sequence[str]) -> tuple[str, int]:
    """The answer that most of `values` give and how many do; ("", 0) for none.

    Numbers are the same that agree in six digits, and in unit; texts, those that differ only in
    case, white space and what surrounds them. Of several answers that are as frequent, and of
    several wordings of one, the shortest counts, then the first in the order of letters: the order
    of `values` does not matter. An empty answer agrees with none.
    """
    groups: dict[str, list[str]] = {}
    for value in values:
        if key := _key(value):
            groups.setdefault(key, []).append(value)
    if not groups:
        return "", 0
    said = [(len(group), min(group, key=_shortest)) for group in groups.values()]
    count, value = min(said, key=lambda one: (-one[0], _shortest(one[1])))
    return value, count


def _shortest(value: str) -> tuple[int, str]:
    return len(value), value


def _key(value: str) -> str:
    try:
        marked = any(mark in value for mark in _MARKS)
        found = final_number(value) if marked else only_number(value.strip().strip("*_`$"))
    except Unreadable:
        found = None
    return _number_key(found) if found else folded(value)


def _number_key(found: Found) -> str:
    if found.measure is None:
        return f"{float(found.value):.{_DIGITS}g}"
    dimension = " ".join(f"{name}{power}" for name, power in found.measure.dimension)
    return f"{float(found.measure.base(found.value)):.{_DIGITS}g} {dimension}".strip()


def agreement(said: Said) -> Agreement:
    """Raises BrokenChecker."""
    said.only("of", "least", "column")
    of = said.whole("of", None, 2, 100)
    least = said.whole("least", of // 2 + 1, 1, 100)
    if least > of:
        raise said.broken(f"`least` is {least}, more than `of`", "least")
    return Agreement(of, least, said.text("column", "answer"))
