"""The rows of a table go in; the examples of each leaf come out, and why other rows gave none.

A pass of its own so that no row is lost between a spreadsheet and a leaf: each row is an example,
or is named with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.draft.table import Row, Skip, Table
from compiler.draft.text import Example


@dataclass(frozen=True, slots=True)
class Harvest:
    """What the rows of one leaf gave; `carried` counts those that took the context above them."""

    examples: tuple[Example, ...]
    skipped: tuple[Skip, ...]
    carried: int


def by_leaf(table: Table, default: str) -> tuple[dict[str, list[Row]], tuple[Skip, ...]]:
    """The rows by the leaf that they name, which is `default` where they name none; the others."""
    found: dict[str, list[Row]] = {}
    homeless = []
    for row in table.rows:
        if leaf := row.texts.get("leaf") or default:
            found.setdefault(leaf, []).append(row)
        else:
            homeless.append(Skip(row.number, "it names no leaf"))
    return found, tuple(homeless)


def harvest(rows: Sequence[Row], is_knowledge: bool, word: str) -> Harvest:
    """The examples of the rows of one leaf. `word`: what a row's number counts.

    A row of a knowledge leaf without a context belongs to the context above it. A row that repeats
    another is skipped.
    """
    first: dict[Example, int] = {}
    skipped = []
    carried = 0
    for row in rows:
        own = row.texts.get("context", "")
        context = own or (row.above if is_knowledge else "")
        example = Example(row.texts["question"], row.texts["answer"], context)
        if is_knowledge and not context:
            skipped.append(Skip(row.number, "it has no context, nor have the rows right above"))
        elif example in first:
            skipped.append(Skip(row.number, f"it is the same as {word} {first[example]}"))
        else:
            first[example] = row.number
            carried += not own and bool(context)
    return Harvest(tuple(first), tuple(skipped), carried)
