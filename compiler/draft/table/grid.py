"""What every reader of a table gives: lines of cells, with the number that people see beside them.

A file of its own so that comma-separated text, JSON and workbooks become one thing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of cells as text. `number` is 1-based, as a spreadsheet or an editor shows it.

    `wrong` says why the whole line cannot be used, `broken` why one cell cannot, by its position.
    `inherited` are the positions of cells whose text is that of a merged cell which begins above.
    """

    number: int
    cells: tuple[str, ...]
    wrong: str = ""
    broken: Mapping[int, str] = field(default_factory=dict)
    inherited: frozenset[int] = frozenset()

    @property
    def is_blank(self) -> bool:
        """Whether nothing was written on this line."""
        written = (cell for i, cell in enumerate(self.cells) if i not in self.inherited)
        return not self.wrong and not self.broken and not any(cell.strip() for cell in written)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of one table; `name` is "" where a file holds one only.

    `line` is the word for a line's number: "row" where cells can have several lines.
    """

    name: str
    lines: tuple[Line, ...]
    line: str = "row"
