"""Files that our commands wrote go in; their content comes out, or which of them is damaged.

A file of its own because every part of the page reads such files.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compiler.codes import F605, Code
from compiler.diagnostics import Span
from training.data import read_json

Json = dict[str, Any]


class DamagedError(Exception):
    """A file that one of our commands wrote, and something else has changed or cut."""

    def __init__(self, code: Code, place: Span, hint: str) -> None:
        super().__init__(place.path)
        self.code, self.place, self.hint = code, place, hint


def mapping(path: Path, code: Code, hint: str) -> Json:
    """The mapping in `path`; an empty one where there is no such file."""
    found = read_json(path, path.stem)
    if found is None:
        raise DamagedError(code, Span(str(path)), hint)
    return found


def lines(path: Path, code: Code = F605, hint: str = "build it again") -> Iterator[Json]:
    """The mappings in the lines of `path`; none where there is no such file."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line) if line.strip() else {}
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise DamagedError(code, Span(str(path), number), hint)
            if found:
                yield found


def test_unchanged(path: Path, wanted: str) -> None:
    """Holds a file of a build against its hash in the manifest, where that has one."""
    if wanted and (not path.is_file() or _sha256(path) != wanted):
        raise DamagedError(F605, Span(str(path)), "build it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
