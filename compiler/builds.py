"""A build folder goes in; its manifest and the lines of its files come out, one at a time.

A file of its own because several commands read a build long after it was written: none of its files
need fit into memory, and each may have been cut, edited, or written by another program.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from compiler.codes import F605
from compiler.diagnostics import Report, Span
from compiler.schema import fits

Json = Mapping[str, Any]

MANIFEST = "manifest.json"
_SCHEMAS = {"drops": "drop", "preferences": "preference"}  # of the others: `sample`


class DamagedError(Exception):
    """A file of a build that cannot be read; `span` is the place, None where the file is absent."""

    def __init__(
        self, message: str, span: Span | None = None, hint: str = "build it again"
    ) -> None:
        super().__init__(message)
        self.span = span
        self.hint = hint

    def tell(self, report: Report) -> None:
        """Adds the finding (F605); its place is a path as the build folder was named."""
        report.add(F605, str(self), self.span, self.hint)


class Build:
    """A finished build. Whatever of it is read is checked, and raises DamagedError where it is not
    what a compile writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            message = f"`{folder}` holds no finished build"
            raise DamagedError(message, hint="run `trivium compile` first")

    @cached_property
    def manifest(self) -> Json:
        """What `manifest.json` holds, as `schemas/manifest.json` says."""
        path = self.folder / MANIFEST
        found: Json = _value(_bytes(path))
        if not fits(found, "manifest") or "curriculum" not in found:
            raise DamagedError("the manifest is damaged", Span(str(path)))
        return found

    @property
    def passes(self) -> list[Json]:
        """The account of each pass, in order."""
        return list(self.manifest["passes"])

    @cached_property
    def leaves(self) -> dict[str, Json]:
        """What became of each leaf, by its name."""
        return {leaf["leaf"]: leaf for leaf in self.manifest["leaves"]}

    @property
    def run(self) -> Json:
        """What `run.json` holds, which is no part of the build; nothing where it cannot be read."""
        try:
            found = _value(_bytes(self.folder / "run.json"))
        except DamagedError:
            return {}
        return found if isinstance(found, dict) else {}

    def lines(self, name: str) -> Iterator[Json]:
        """The values of `NAME.jsonl`: samples, drops or preference pairs."""
        path, schema = self.folder / f"{name}.jsonl", _SCHEMAS.get(name, "sample")
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    found = _value(line)
                    if not fits(found, schema):
                        place = Span(str(path), number, 1, number, 2)
                        raise DamagedError("the line is damaged", place)
                    yield found
        except OSError as error:
            raise _absent(path) from error

    def size(self, name: str) -> int:
        """Bytes of a file of JSON lines."""
        path = self.folder / f"{name}.jsonl"
        return path.stat().st_size if path.is_file() else 0


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _absent(path) from error


def _absent(path: Path) -> DamagedError:
    return DamagedError(f"the build has no `{path.name}` that can be read")


def _value(data: bytes) -> Any:  # noqa: ANN401 - JSON, before a schema has looked at it
    """The JSON in `data`, None where it is none; half characters, which no file holds, replaced."""
    try:
        found = json.loads(data.decode())
        if b"\\ud" in data.lower():
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
        return found
    except (ValueError, RecursionError):
        return None
