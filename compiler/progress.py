"""Steps of long work go in; a line that moves, or a line now and then where nothing can move, comes
out on stderr.

A file of its own because passes never print: a command hands them a `step` to call. Rate and time
left are of the work that was done in this run.
"""

import sys
import time
from types import TracebackType

from compiler.diagnostics import clean

SECONDS_BETWEEN_LINES = 10.0
_open: list["Progress"] = []


def say(text: str) -> None:
    """Prints a line on stderr, above the line of a Progress that moves."""
    if _open:
        _open[-1].say(text)
    else:
        sys.stderr.write(f"{clean(text)}\n")
        sys.stderr.flush()


class Progress:
    """Counts to `total`; silent on a stream that is no terminal until ten seconds have passed."""

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._moves = sys.stderr.isatty()
        self._start = self._shown = time.monotonic()
        self._line = ""

    def __enter__(self) -> "Progress":
        _open.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _open.remove(self)
        if self._moves:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def say(self, text: str) -> None:
        """Prints a line; the one that moves stays below it."""
        sys.stderr.write(
            f"\r\x1b[K{clean(text)}\n{self._line}" if self._moves else f"{clean(text)}\n"
        )
        sys.stderr.flush()

    def step(self, note: str = "") -> None:
        """One more is done; `note` is shown behind the counts."""
        self.done += 1
        now = time.monotonic()
        if now - self._shown < (0.1 if self._moves else SECONDS_BETWEEN_LINES):
            return
        self._shown = now
        self._line = self.line(now - self._start, note)
        sys.stderr.write(f"\r\x1b[K{self._line}" if self._moves else f"{self._line}\n")
        sys.stderr.flush()

    def line(self, seconds: float, note: str = "") -> str:
        """What is shown after `seconds` of work."""
        rate = self.done / seconds if seconds > 0 else 0.0
        left = (self.total - self.done) / rate if rate else 0.0
        parts = [
            f"{self.label} {self.done:,} of {self.total:,}",
            f"{rate:,.1f}/s",
            f"{duration(left)} left",
        ]
        return ", ".join([*parts, note] if note else parts)


def duration(seconds: float) -> str:
    """`75` as `1m 15s`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {whole % 60:02}s" if minutes else f"{whole}s"
