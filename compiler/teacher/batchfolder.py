"""A folder goes in; what was asked there, and what was answered, comes out: the state of a batch.

A file of its own because the files are the whole state, and people put theirs beside ours:
`requests` holds what waits for its results, `results` what came back, under any names, and `done`
the files of requests that need no attention any more. Each is read anew by every compile, and a new
one is there whole or not at all, so a compile may be killed at any moment.
"""

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from compiler.teacher import Failure, Reply
from compiler.teacher.batchfile import read_result, request_line

TRIES = 3
_ID = re.compile(rb'\{"custom_id":"([0-9a-f]{32})(?:-([2-9]))?"')
_LOST = "no result came for it"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service takes in one file: OpenAI's 50,000 requests, and 200 MB with some room."""

    requests: int = 50_000
    bytes: int = 180_000_000


@dataclass(slots=True)
class Count:
    """What lay in `results`. `broken` names the lines of each file that cannot be read: numbers
    from 1, and what is wrong with the first.
    """

    files: int = 0
    good: int = 0
    failed: int = 0
    repeated: int = 0
    unknown: int = 0
    broken: dict[Path, tuple[list[int], str]] = field(default_factory=dict)


class BatchFolder:
    """The requests and results of one batch.

    A request's id is the journal's key, with `-2` or `-3` behind it where it was sent before: so
    every result says which try it belongs to, however often and late its file is read.
    """

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.path = path
        self.requests, self.results, self.done = (
            path / part for part in ("requests", "results", "done")
        )
        self._draft = path / f".{name}.draft"
        self._limits = limits
        self._tries: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._sources: list[Path | IO[bytes]] = []
        self._good: dict[str, tuple[int, int]] = {}
        self._failed: dict[str, str] = {}
        self._open: IO[bytes] | None = None
        self._lines = self._bytes = 0

    def read(self) -> Count:
        """Reads what is there, and moves to `done` every file of which results came back.

        What such a file asked and no result answers is lost, and will be asked again. Raises
        OSError.
        """
        for folder in (self.requests, self.results, self.done):
            folder.mkdir(parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)
        for path in _requests(self.done):
            self._note_tries(_asked(path))
        asked = {path: list(_asked(path)) for path in _requests(self.requests)}
        for ids in asked.values():
            self._note_tries(ids)
        count = self._read_results()
        for path, ids in asked.items():
            if any(_id(*one) in self._good or _id(*one) in self._failed for one in ids):
                path.rename(self.done / path.name)
            else:
                self._waiting.update(key for key, _ in ids if self._place(key) is None)
        return count

    def answer(self, key: str) -> Reply | None:
        """The first good answer to any try of a request."""
        place = self._place(key)
        reply = read_result(self._line(*place)).reply if place else None
        return reply if isinstance(reply, Reply) else None

    def _place(self, key: str) -> tuple[int, int] | None:
        tries = (_id(key, number) for number in range(1, TRIES + 1))
        return next((self._good[id] for id in tries if id in self._good), None)

    def waits(self, key: str) -> bool:
        """Whether a request is written, and its last try has no result yet."""
        return key in self._waiting

    @property
    def waiting(self) -> int:
        """How many requests wait for results."""
        return len(self._waiting)

    def failure(self, key: str) -> str:
        """Why the last try of a request failed that does not wait; empty where it may be tried
        again.
        """
        if self._tries.get(key, 0) < TRIES:
            return ""
        return self._failed.get(_id(key, TRIES), _LOST)

    def add(self, key: str, body: Mapping[str, object]) -> Path | None:
        """Writes a request; returns the file that was full before it, if one was."""
        number = 1 + self._tries.get(key, 0)
        line = request_line(_id(key, number), body)
        full = None
        if self._lines == self._limits.requests or self._bytes + len(line) > self._limits.bytes:
            full = self.complete()
        if self._open is None:
            self._open = self._draft.open("wb")
        self._open.write(line)
        self._lines += 1
        self._bytes += len(line)
        self._tries[key] = number
        self._waiting.add(key)
        return full

    def complete(self) -> Path | None:
        """Gives the file that is being written its name; None where there is none."""
        if self._open is None:
            return None
        self._open.flush()
        os.fsync(self._open.fileno())
        self._open.close()
        self._open, self._lines, self._bytes = None, 0, 0
        names = [path.stem for path in (*_files(self.requests), *_files(self.done))]
        number = 1 + max((int(name) for name in names if name.isdecimal()), default=0)
        path = self.requests / f"{number:05}.jsonl"
        self._draft.rename(path)
        return path

    def close(self) -> None:
        """Closes every file."""
        for source in self._sources:
            if not isinstance(source, Path):
                source.close()
        if self._open:
            self._open.close()

    def _note_tries(self, ids: Iterable[tuple[str, int]]) -> None:
        for key, number in ids:
            self._tries[key] = max(number, self._tries.get(key, 0))

    def _read_results(self) -> Count:
        count = Count()
        for path in _files(self.results):
            count.files += 1
            place = len(self._sources)
            for number, at, line in self._unpacked(path, count):
                if not line.strip():
                    continue
                try:
                    self._take(line, (place, at), count)
                except ValueError as wrong:
                    _note(count, path, number, str(wrong))
        count.good, count.failed = len(self._good), len(self._failed)
        return count

    def _take(self, line: bytes, place: tuple[int, int], count: Count) -> None:
        result = read_result(line)
        id, (key, number) = result.id, _parts(result.id)
        known = number <= self._tries.get(key, 0)
        if id in self._good or (id in self._failed and isinstance(result.reply, Failure)):
            count.repeated += 1
        elif isinstance(result.reply, Failure):
            self._failed[id] = result.reply.detail
        else:
            self._good[id] = place
            count.repeated += self._failed.pop(id, None) is not None
        if not known:
            count.unknown += 1
            self._tries[key] = number  # `done` may have been cleared away

    def _unpacked(self, path: Path, count: Count) -> Iterator[tuple[int, int, bytes]]:
        """The lines of a result file with their numbers and their places in the unpacked text."""
        number = at = 0
        if path.suffix != ".gz":
            self._sources.append(path)
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    yield number, at, line
                    at += len(line)
            return
        unpacked = tempfile.TemporaryFile(dir=self.path)  # noqa: SIM115  # open until `close`
        self._sources.append(unpacked)
        try:
            with gzip.open(path) as file:
                for number, line in enumerate(file, 1):
                    unpacked.write(line)
                    yield number, at, line
                    at += len(line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as wrong:
            _note(count, path, number + 1, f"the packed file is damaged: {wrong}")

    def _line(self, source: int, at: int) -> bytes:
        file = self._sources[source]
        if isinstance(file, Path):
            with file.open("rb") as opened:
                opened.seek(at)
                return opened.readline()
        file.seek(at)
        return file.readline()


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.endswith((".jsonl", ".jsonl.gz"))
        and not path.name.startswith(".")
        and path.is_file()
    ]


def _requests(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if path.suffix == ".jsonl"]


def _asked(path: Path) -> Iterator[tuple[str, int]]:
    """The key and the number of the try of each request in a file of ours."""
    with path.open("rb") as file:
        for line in file:
            if found := _ID.match(line):
                yield found[1].decode(), int(found[2] or 1)


def _id(key: str, number: int) -> str:
    return key if number == 1 else f"{key}-{number}"


def _parts(id: str) -> tuple[str, int]:
    key, _, number = id.partition("-")
    return (key, int(number)) if number in ("2", "3") else (id, 1)


def _note(count: Count, path: Path, number: int, wrong: str) -> None:
    count.broken.setdefault(path, ([], wrong))[0].append(number)
