"""A build folder goes in; its manifest and the lines of its files come out, one at a time.

A file of its own because every part of the page reads the same files, none of which fits into
memory, and each of which somebody may have cut.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from compiler.diagnostics import Span
from compiler.teacher import Failure, Reply

Json = Mapping[str, Any]
Replies = Mapping[str, Reply | Failure]

EXPAND, MIX = "expand", "mix"
PHASES = ("phase1", "phase2")


class DamagedError(Exception):
    """A file of the build that cannot be read; `span` is the place."""

    def __init__(self, span: Span) -> None:
        super().__init__(span.path)
        self.span = span


class Build:
    """A finished build. Raises DamagedError where a file is cut or no JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = self._value("manifest.json")
        if not {"curriculum", "files", "leaves", "passes"} <= self.manifest.keys():
            raise DamagedError(Span(str(folder / "manifest.json")))
        self.passes: list[Json] = self.manifest["passes"]
        self.leaves: dict[str, Json] = {leaf["leaf"]: leaf for leaf in self.manifest["leaves"]}

    @property
    def run(self) -> Json:
        """What `run.json` holds; nothing where there is none that can be read."""
        try:
            return self._value("run.json")
        except DamagedError:
            return {}

    def lines(self, name: str) -> Iterator[Json]:
        """The values of a file of JSON lines; none where there is no such file."""
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    found = None
                if not isinstance(found, dict):
                    raise DamagedError(Span(str(path), number, 1, number, 2))
                yield found

    def size(self, name: str) -> int:
        """Bytes of a file of JSON lines."""
        path = self.folder / f"{name}.jsonl"
        return path.stat().st_size if path.is_file() else 0

    def pass_of(self, drop: Json) -> str:
        """The pass that dropped a sample: the one that its stage is named after, else `expand`."""
        names = {account["name"] for account in self.passes}
        return str(drop["stage"]) if drop["stage"] in names else EXPAND

    def _value(self, name: str) -> Json:
        path = self.folder / name
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise DamagedError(Span(str(path)))
        return found


def is_human(sample: Json) -> bool:
    """Whether no teacher of this build wrote it: a seed example, or of another data set."""
    return bool(sample["origin"]["kind"] != "synthetic")
