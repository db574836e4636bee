"""A report goes in; text for people comes out: each finding with the line it is about, and marks
under the place.

The text is made in pieces that carry their colour, so that a terminal can show them and nothing has
to be guessed from the finished text.
"""

from collections.abc import Iterator

from rich.cells import cell_len

from compiler.codes import T152, T153, Severity
from compiler.diagnostics import Diagnostic, Report, Span, clean, summary
from compiler.render.quote import Quotes

Piece = tuple[str, str]
COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.DROP: "bold"}
_PRIVATE = (T152, T153)
_FRAME = "blue"
_LABEL = "cyan"
_WIDTH = 100


def human(report: Report) -> str:
    """The whole report, without colour."""
    return "".join(text for text, _ in pieces(report))


def pieces(report: Report) -> Iterator[Piece]:
    """The whole report as (text, style of rich) one after the other."""
    quotes = Quotes(report.texts)
    for found in report.diagnostics:
        yield from finding(found, quotes)
        yield "\n", ""
    yield summary(report), ""


def finding(found: Diagnostic, quotes: Quotes) -> Iterator[Piece]:
    """One finding, its last line ended."""
    colour = COLOURS[found.severity]
    spans = [note.span for note in found.notes] + ([found.span] if found.span else [])
    gap = " " * max(2, *(len(str(span.line)) for span in spans), 0)

    def label(word: str, text: str) -> Iterator[Piece]:
        yield f"{gap} = {word}:", _LABEL
        yield f" {clean(text)}\n", ""

    yield f"{found.severity}[{found.code.id}]", colour
    yield f" {found.code.name}: {clean(found.message)}\n", ""
    if found.span:
        is_private = found.code in _PRIVATE
        yield from _excerpt(quotes.tight(found.span), quotes, gap, colour, is_private)
    for note in found.notes:
        yield from label("note", note.message)
        yield from _excerpt(quotes.tight(note.span), quotes, gap, _LABEL)
    if found.hint:
        yield from label("help", found.hint)
    yield from label("more", f"trivium explain {found.code.id}")


def _excerpt(
    span: Span, quotes: Quotes, gap: str, colour: str, is_private: bool = False
) -> Iterator[Piece]:
    """Where the place is, and its first line with marks under it; of what is private only the
    place itself, for logs are read by many.
    """
    yield f"{gap}-->", _FRAME
    if not span.end_line:
        yield f" {clean(span.path)}\n", ""
        return
    yield f" {clean(span.path)}:{span.line}:{span.column}\n", ""
    line = quotes.line(span.path, span.line)
    if line is None:
        return
    at = min(span.column - 1, len(line))
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    if is_private:
        line, at, end = f"…{line[at:end]}…", 1, 1 + end - at
    first, last = _window(line, at)
    left, right = "…" * (first > 0), "…" * (last < len(line))
    lead = len(left) + cell_len(_visible(line[first:at]))
    width = len(left) + cell_len(_visible(line[first : min(end, last)])) - lead
    yield f"{gap} |\n", _FRAME
    yield f"{span.line:>{len(gap)}} |", _FRAME
    yield f" {left}{_visible(line[first:last])}{right}\n", ""
    yield f"{gap} |", _FRAME
    yield f" {' ' * lead}{'^' * max(1, width)}", colour
    yield f"{f' to line {span.end_line}' if span.end_line > span.line else ''}\n", _FRAME


def _window(line: str, at: int) -> tuple[int, int]:
    """From and up to which character (0-based) a line is shown, so that `at` is in sight."""
    if len(line) <= _WIDTH and cell_len(_visible(line)) <= _WIDTH:
        return 0, len(line)
    first = last = at
    room = _WIDTH
    while first > 0 and (cells := cell_len(_visible(line[first - 1]))) <= room - _WIDTH // 2:
        first, room = first - 1, room - cells
    while last < len(line) and (cells := cell_len(_visible(line[last]))) <= room:
        last, room = last + 1, room - cells
    return first, last


def _visible(text: str) -> str:
    """`text` as it is shown: nothing in it is invisible, and a tab is seen to be one."""
    return clean(text.replace("\t", "→   "))
