"""The texts of a report go in; what stands at a place comes out.

Apart from the forms because several of them quote, and a file with a thousand findings is cut into
lines once.
"""

from collections.abc import Mapping
from dataclasses import replace

from compiler.diagnostics import Span
from compiler.lines import LINE_END


class Quotes:
    """The lines of the texts that are known; nothing is quoted of the others."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._lines: dict[str, list[str]] = {}

    def line(self, path: str, number: int) -> str | None:
        """Line `number` (1-based) of a file, without its end; None where there is none."""
        lines = self._split(path)
        return lines[number - 1] if 0 < number <= len(lines) else None

    def text(self, span: Span) -> str | None:
        """What stands at a place, its lines parted by newlines; None where that is not known."""
        lines = self._split(span.path)
        if not 0 < span.line <= span.end_line <= len(lines):
            return None
        found = lines[span.line - 1 : span.end_line]
        found[-1] = found[-1][: span.end_column - 1]
        found[0] = found[0][span.column - 1 :]
        return "\n".join(found)

    def tight(self, span: Span) -> Span:
        """`span` without the white space at its end, where it has several lines.

        A YAML block goes on to where the next one starts; a reader sees it end with its last word.
        """
        lines = self._split(span.path)
        if not 0 < span.line < span.end_line <= len(lines):
            return span
        last, kept = span.end_line, lines[span.end_line - 1][: span.end_column - 1].rstrip()
        while not kept and last > span.line:
            last -= 1
            kept = lines[last - 1].rstrip()
        least = span.column + 1 if last == span.line else 1
        return replace(span, end_line=last, end_column=max(len(kept) + 1, least))

    def _split(self, path: str) -> list[str]:
        if path not in self._lines:
            text = self._texts.get(path)
            self._lines[path] = LINE_END.split(text) if text else []
        return self._lines[path]
