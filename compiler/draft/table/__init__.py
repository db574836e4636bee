"""A table of questions goes in, as a subject expert keeps it; rows of named texts come out.

A pass of its own so that whoever knows the subject need not know YAML. Which column is the question
is told by its name, in the row that names the columns. No row is lost: each is given, or skipped
for a reason.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from compiler.diagnostics import Report
from compiler.draft.table.grid import MAX_BYTES, Line, Sheet
from compiler.draft.table.plain import HEAD_LINES, decode, json_lines, separated
from compiler.schema import guess

SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl")
NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "questions", "q", "prompt"),
    "answer": ("answer", "answers", "a", "response"),
    "context": ("context", "contexts", "c", "passage", "passages"),
    "leaf": ("leaf", "path", "folder"),
}
_NEEDED = ("question", "answer")


@dataclass(frozen=True, slots=True)
class Row:
    """One row's texts by `question`, `answer`, `context` and `leaf`; `number` as people see it.

    White space around a text and at the ends of its lines is cut, line ends are `\\n`. `above` is
    the context of the rows right above, for those who write it once for several questions.
    """

    number: int
    texts: Mapping[str, str]
    above: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that is not used, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table; `word` is what their numbers count: rows or lines.

    `columns` are the ones that were found, `notes` say what was not looked at, `blank` counts the
    rows without any text.
    """

    rows: tuple[Row, ...]
    skipped: tuple[Skip, ...]
    blank: int
    columns: frozenset[str]
    notes: tuple[str, ...]
    word: str


def read_table(
    file: Path, report: Report, columns: Mapping[str, str] | None = None, sheet: str = ""
) -> Table | None:
    """Reads a CSV, TSV, XLSX or JSONL file; None where its text cannot be decoded (S005).

    `columns` maps `question` and the others to the name of their column, `sheet` names a sheet of a
    workbook. Raises ValueError where the file or its columns cannot be made out, and OSError.
    """
    kind = file.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"`{file.name}` is none of {', '.join(f'`{s}`' for s in SUFFIXES)}")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"`{file.name}` is larger than {MAX_BYTES:,} bytes")
    data = file.read_bytes()
    named = columns or {}
    if kind == ".xlsx":
        from compiler.draft.table.workbook import read_workbook

        return _from_sheets(_chosen(read_workbook(data), sheet), named)
    text = decode(data, str(file), report)
    if text is None:
        return None
    if kind == ".jsonl":
        return _from_sheets((json_lines(text),), named)
    return _from_sheets(
        (separated(text, kind == ".tsv", lambda cells: len(_places(cells, named))),), named
    )


def _chosen(sheets: Sequence[Sheet], name: str) -> Sequence[Sheet]:
    if not name:
        return sheets
    found = [sheet for sheet in sheets if sheet.name == name]
    if not found:
        raise ValueError(f"there is no sheet `{name}`; {guess(name, [s.name for s in sheets])}")
    return found


def _from_sheets(sheets: Sequence[Sheet], named: Mapping[str, str]) -> Table:
    """The table of the first sheet that names its columns."""
    for sheet in sheets:
        if (head := _head(sheet, named)) is not None:
            others = [f"the sheet `{s.name}` was not read" for s in sheets if s is not sheet]
            return _table(sheet, head, named, others)
    raise ValueError(_no_columns(sheets, named))


def _head(sheet: Sheet, named: Mapping[str, str]) -> int | None:
    """The place of the line that names the columns: near the top, and with all that are needed."""
    wanted = {*_NEEDED, *named}
    for i, line in enumerate(sheet.lines[:HEAD_LINES]):
        if wanted <= _places(line.cells, named).keys():
            return i
    return None


def _places(cells: Sequence[str], named: Mapping[str, str]) -> dict[str, int]:
    """The position of each column that is found, the first one where several fit."""
    names = [_plain(cell) for cell in cells]
    found: dict[str, int] = {}
    for field in (*named, *(field for field in NAMES if field not in named)):
        fits = (i for i, name in enumerate(names) if name in _accepted(field, named))
        at = next((i for i in fits if i not in found.values()), None)
        if at is not None:
            found[field] = at
    return found


def _accepted(field: str, named: Mapping[str, str]) -> tuple[str, ...]:
    return (_plain(named[field]),) if field in named else NAMES[field]


def _refuse_twins(
    cells: Sequence[str], places: Mapping[str, int], named: Mapping[str, str]
) -> None:
    """Raises ValueError where a second column could be meant too."""
    for field, at in places.items():
        for i, cell in enumerate(cells):
            if i not in places.values() and _plain(cell) in _accepted(field, named):
                raise ValueError(
                    f"the columns `{_short(cells[at])}` and `{_short(cell)}` both look like the "
                    f"{field}; give a row one question and answer, or rename a column"
                )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= 40 else f"{line[:37]}..."


def _no_columns(sheets: Sequence[Sheet], named: Mapping[str, str]) -> str:
    """What to say where no line names the columns: which there are, and which were meant."""
    lines = (line for sheet in sheets for line in sheet.lines if not line.is_blank)
    first = next(lines, None)
    if first is None:
        return "the table is empty"
    cells = [_short(cell) for cell in first.cells if cell.strip()]
    found = _places(first.cells, named)
    missing = [field for field in (*_NEEDED, *named) if field not in found]
    said = [
        f"no column is named {' or '.join(f'`{field}`' for field in missing)}; the first "
        f"{sheets[0].line} has {', '.join(f'`{cell}`' for cell in islice(cells, 8))}"
    ]
    for field in missing:
        hint = guess(named.get(field, field).casefold(), [cell.casefold() for cell in cells])
        if hint.startswith("did you mean"):
            near = next(cell for cell in cells if f"`{cell.casefold()}`" in hint)
            said.append(f"did you mean `{near}`? then add `--columns {field}={near}`")
    if len(said) == 1:
        said.append("name them with `--columns question=NAME,answer=NAME`")
    return "; ".join(said)


def _table(sheet: Sheet, head: int, named: Mapping[str, str], notes: Sequence[str]) -> Table:
    names, below = sheet.lines[head].cells, sheet.lines[head + 1 :]
    places = _places(names, named)
    _refuse_twins(names, places, named)
    above = (line for line in sheet.lines[:head] if not line.is_blank)
    skipped = [Skip(line.number, "it stands above the names of the columns") for line in above]
    rows, unusable = _rows(below, places)
    return Table(
        rows,
        (*skipped, *unusable),
        sum(line.is_blank for line in below),
        frozenset(places),
        (*notes, *_unused(names, places)),
        sheet.line,
    )


def _rows(
    lines: Sequence[Line], places: Mapping[str, int]
) -> tuple[tuple[Row, ...], tuple[Skip, ...]]:
    """The rows that can be examples, and the other ones that are not blank."""
    rows: list[Row] = []
    skipped: list[Skip] = []
    leaf = above = ""
    for line in lines:
        cells = dict(enumerate(line.cells))
        texts = {field: _tidy(cells.get(at, "")) for field, at in places.items()}
        unknown = line.is_blank or line.wrong or places.get("context") in line.broken
        if unknown or texts.get("leaf", leaf) != leaf:
            above = ""
        leaf = texts.get("leaf", leaf)
        broken = (f"{f}: {line.broken[at]}" for f, at in places.items() if at in line.broken)
        reason = line.wrong or next(broken, "") or _lacks(texts)
        if not reason:
            rows.append(Row(line.number, texts, above))
        elif not line.is_blank:
            skipped.append(Skip(line.number, reason))
        above = "" if unknown else texts.get("context") or above
    return tuple(rows), tuple(skipped)


def _lacks(texts: Mapping[str, str]) -> str:
    """Why a row cannot be an example."""
    for field in _NEEDED:
        if not texts.get(field):
            return f"it has no {field}"
    if any("\ud800" <= c <= "\udfff" for text in texts.values() for c in text):
        return "it holds half a character, which no file can"
    return ""


def _tidy(text: str) -> str:
    """A text without white space around it or at the ends of its lines."""
    lines = re.sub(r"\r\n?", "\n", text).split("\n")
    return "\n".join(line.rstrip(" \t") for line in lines).strip()


def _unused(cells: Sequence[str], places: Mapping[str, int]) -> Iterator[str]:
    """A note for each column that is none of ours; a near miss says what it may be."""
    open_ = [field for field in NAMES if field not in places]
    for i, cell in enumerate(cells):
        if i in places.values() or not cell.strip():
            continue
        hint = guess(cell.casefold(), open_) if open_ else ""
        near = re.fullmatch(r"did you mean `(\w+)`\?", hint)
        also = f"; if it is the {near[1]}, add `--columns {near[1]}={_short(cell)}`" if near else ""
        yield f"the column `{_short(cell)}` is not used{also}"
