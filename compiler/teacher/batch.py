"""Requests are written to files for a batch service; its result files answer them.

A file of its own because nobody waits for a batch: what has no result yet fails with R406 at once,
the compile ends without a build, and the next one finds the results and goes on from there.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from compiler.codes import R402, R406, R411
from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report, counted
from compiler.journal import key_of
from compiler.teacher import Failure, Reply, Request
from compiler.teacher.batchfolder import TRIES, BatchFolder, Count, Limits
from compiler.teacher.wire import body

try:
    import fcntl
except ImportError:  # Windows: two compiles at once may ask the same
    fcntl = None  # type: ignore[assignment]

_MOST_NAMED = 10
_SECONDS_BETWEEN_LOOKS = 0.2


class Batch:
    """A batch service that people, or their programs, carry the files to.

    `say` is told what was read and written; what cannot be read goes to `report`. The folder counts
    from the current one.
    """

    by_rule = False
    in_flight = 1000  # units at once, for memory: nothing is ever waited for

    def __init__(
        self,
        spec: TeacherSpec,
        say: Callable[[str], None],
        report: Report,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        self.model = spec.model
        self._path = Path(spec.folder)
        name = hashlib.sha256(spec.model.encode()).hexdigest()[:8]
        self._folder = BatchFolder(self._path, name, limits)
        self._dialect = "openai" if spec.structured == "auto" else spec.structured
        self.extra = spec.extra
        self._say, self._report = say, report
        self._lock: IO[bytes] | None = None
        self._written: list[Path] = []
        self._new = 0

    async def open(self) -> Failure | None:
        """Reads the folder, alone: another compile that works in it ends first."""
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = (self._path / ".lock").open("ab")
        said = False
        while not _locked(self._lock):
            if not said:
                self._say(f"another compile works in `{self._path}`: waiting for its end")
            said = True
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        count = self._folder.read()
        if count.files:
            self._say(f"read {_told(count, self._folder.results)}")
        for path, (numbers, wrong) in count.broken.items():
            lines = ", ".join(map(str, numbers[:_MOST_NAMED]))
            more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
            self._report.add(
                R411,
                f"`{path}`: {counted(len(numbers), 'line')} cannot be read: {lines}{more}; "
                f"the first: {wrong}",
                hint="fetch the file again; what no line answers is asked again",
            )
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        """The answer in the results; else R406, once the request is written, or R402 where it
        failed too often.
        """
        key = key_of(self, request)
        if reply := self._folder.answer(key):
            return reply
        if not self._folder.waits(key):
            if why := self._folder.failure(key):
                return Failure(R402, f"it failed in {TRIES} batches; the last time: {why}")
            asked = body(request, self.model, self._dialect, self.extra)
            self._note(self._folder.add(key, asked))
            self._new += 1
        return Failure(
            R406,
            f"send the files of `{self._folder.requests}` as batches and put the result files into "
            f"`{self._folder.results}`",
        )

    def flush(self) -> None:
        return None

    async def close(self) -> None:
        """Gives the last file its name, and says what waits."""
        self._note(self._folder.complete())
        self._folder.close()
        if self._lock:
            self._lock.close()
        before = self._folder.waiting - self._new
        if self._new:
            first = f"`{self._written[0]}`"
            more = f" and {counted(len(self._written) - 1, 'file')} more"
            self._say(
                f"wrote {counted(self._new, 'request')} to {first}"
                + (more if len(self._written) > 1 else "")
            )
        if before:
            wait = f"{counted(before, 'request')} of an earlier compile"
            self._say(f"{wait} in `{self._folder.requests}` without a result")

    def _note(self, path: Path | None) -> None:
        if path:
            self._written.append(path)


def _locked(file: IO[bytes]) -> bool:
    """Takes the lock of a process on a file; the teacher and the judge of one compile share it."""
    if fcntl is None:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _told(count: Count, folder: Path) -> str:
    broken = sum(len(numbers) for numbers, _ in count.broken.values())
    parts = [
        counted(count.good, "answer"),
        f"{count.failed:,} failed" if count.failed else "",
        f"{count.repeated:,} repeated" if count.repeated else "",
        f"{count.unknown:,} of requests that no file here asks" if count.unknown else "",
        f"{counted(broken, 'broken line')}" if broken else "",
    ]
    files = counted(count.files, "result file")
    return f"{files} of `{folder}`: {', '.join(part for part in parts if part)}"
