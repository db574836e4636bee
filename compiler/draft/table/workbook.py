"""The bytes of an XLSX workbook go in; its visible sheets come out, as the text that people see.

A file of its own because a workbook is a program's memory, not a text: formulas have values, merged
cells stand for all their rows, and numbers look as their format says.
"""

import io
import warnings
import zipfile
from typing import TYPE_CHECKING

from compiler.draft.table.grid import Line, Sheet
from compiler.draft.table.shown import shown

if TYPE_CHECKING:
    from openpyxl.cell import Cell, MergedCell
    from openpyxl.worksheet.worksheet import Worksheet

MAX_UNPACKED = 300_000_000
MAX_CELLS = 2_000_000


def read_workbook(data: bytes) -> tuple[Sheet, ...]:
    """The visible sheets, in order. Raises ValueError where the file is no workbook of this kind.

    A merged cell's text stands on each of its rows, in its first column. A formula has the value
    that the spreadsheet program saved with it; one without such a value is a broken cell.
    """
    import openpyxl

    _test_archive(data)
    try:
        with warnings.catch_warnings(action="ignore"):
            values = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
            formulas = openpyxl.load_workbook(io.BytesIO(data))
    except Exception as wrong:  # openpyxl passes on whatever its XML and ZIP readers raise
        raise ValueError(f"the workbook is damaged: {wrong}") from wrong
    return tuple(
        _sheet(sheet, formulas[sheet.title])
        for sheet in values.worksheets
        if sheet.sheet_state == "visible"
    )


def _test_archive(data: bytes) -> None:
    """Refuses what is no archive, or would fill the memory once unpacked."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ValueError("it is encrypted or in the old `.xls` format: save it as `.xlsx` or CSV")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as wrong:
        raise ValueError("it is no XLSX workbook") from wrong
    if size > MAX_UNPACKED:
        raise ValueError(f"unpacked it has {size:,} bytes, more than {MAX_UNPACKED:,}")


def _sheet(sheet: "Worksheet", formulas: "Worksheet") -> Sheet:
    size = sheet.max_row * sheet.max_column
    if size > MAX_CELLS:
        raise ValueError(
            f"the sheet `{sheet.title}` spans {size:,} cells, more than {MAX_CELLS:,}; delete its "
            "empty rows and columns"
        )
    rows = [[_text(cell) for cell in row] for row in sheet.iter_rows()]
    inherited: dict[int, set[int]] = {}
    for merged in sheet.merged_cells.ranges:
        column = merged.min_col - 1
        for row in range(merged.min_row, min(merged.max_row, len(rows) + 1)):
            rows[row][column] = rows[merged.min_row - 1][column]
            inherited.setdefault(row, set()).add(column)
    lines = []
    for i, (cells, typed) in enumerate(zip(rows, formulas.iter_rows(), strict=True)):
        broken = {j: why for j, cell in enumerate(typed) if (why := _trouble(cell, cells[j]))}
        shared = frozenset(inherited.get(i, ()))
        lines.append(Line(i + 1, tuple(cells), broken=broken, inherited=shared))
    return Sheet(sheet.title, tuple(lines))


def _text(cell: "Cell | MergedCell") -> str:
    return shown(cell.value, cell.number_format)


def _trouble(cell: "Cell | MergedCell", text: str) -> str:
    """Why the text of a cell cannot be used; `cell` is as it was typed, formulas as formulas."""
    if cell.data_type == "f" and not text:
        return "its formula was never calculated: open and save the file in a spreadsheet program"
    if cell.data_type in "ef" and text.startswith("#") and text.endswith(("!", "?", "/A")):
        return f"it shows the spreadsheet error `{text}`"
    return ""
