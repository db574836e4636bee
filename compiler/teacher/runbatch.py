"""Waves of requests go through vLLM's batch runner on this machine, and the next wave follows from
their answers.

A file of its own because such a vLLM is no server: it is started with a file of all that can be
asked now, and ends with a file of answers. For a machine on which no port may be opened, and to
try offline what will be sent to a batch service.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from compiler.codes import R407
from compiler.curriculum import TeacherSpec
from compiler.diagnostics import counted
from compiler.journal import key_of
from compiler.resources import home
from compiler.teacher import Failure, Reply, Request
from compiler.teacher.batchfile import read_result, request_line
from compiler.teacher.flags import (
    Seen,
    command,
    placed,
    ready,
    served_name,
    surroundings,
)
from compiler.teacher.server import Server
from compiler.teacher.wire import body

RUNNER = "vllm.entrypoints.openai.run_batch"
_SERVER_ONLY = ("--disable-uvicorn-access-log",)
_PROGRESS = re.compile(rb"Running batch: +(\d+%)")
_TAIL = 10_000
_LOOK_EVERY = 0.25
_SAY_EVERY = 15.0


class RunBatch:
    """A vLLM of our own that is started for each wave."""

    by_rule = False
    in_flight = 2500  # a wave loads the model anew: the more units it takes along, the better

    def __init__(self, spec: TeacherSpec, folder: Path, say: Callable[[str], None]) -> None:
        """A model's folder counts from the current one, then from `folder`. Raises OSError."""
        self._spec = placed(spec, folder)
        self.model = served_name(self._spec.model, spec.args)
        self.extra = spec.extra
        self._dialect = "vllm" if spec.structured == "auto" else spec.structured
        self._say = say
        self._python = ""
        self._seen = Seen()
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._open: IO[bytes] | None = None
        self._asked: dict[str, asyncio.Future[Reply | Failure]] = {}
        self._stuck = False
        self._running: asyncio.Task[None] | None = None
        self._waves = 0
        self._end: Failure | None = None

    async def open(self) -> Failure | None:
        """Looks whether a vLLM could be started; it is when there is something to answer."""
        found = await ready(self._spec.model)
        if isinstance(found, Failure):
            return found
        self._python, self._seen = found
        home().mkdir(parents=True, exist_ok=True)
        self._files = tempfile.TemporaryDirectory(prefix="run-batch-", dir=home())
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        """Waits for the answer of the next wave; after the end of a vLLM there is none."""
        if self._end:
            return self._end
        key = key_of(self, request)
        if key not in self._asked:
            if self._open is None:
                self._open = self._file("next").open("wb")
            asked = body(request, self.model, self._dialect, self.extra)
            self._open.write(request_line(key, asked))
            self._asked[key] = asyncio.get_running_loop().create_future()
        return await self._asked[key]

    def flush(self) -> None:
        """Starts the wave, or lets it follow the one that runs."""
        self._stuck = True
        if self._running is None and self._open:
            self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._open:
            self._open.close()
        if self._files:
            self._files.cleanup()

    def _file(self, name: str) -> Path:
        assert self._files is not None
        return Path(self._files.name) / f"{name}.jsonl"

    async def _run(self) -> None:
        """Runs waves, until an answer lets units go on and ask more before the next."""
        wave: dict[str, asyncio.Future[Reply | Failure]] = {}
        try:
            while self._stuck and self._open and not self._end:
                self._open.close()
                self._open = None
                wave, self._asked = self._asked, {}
                self._file("next").rename(self._file("asked"))
                self._file("answered").unlink(missing_ok=True)
                self._waves += 1
                self._end = await self._wave(wave)
                if self._end:
                    for future in (*wave.values(), *self._asked.values()):
                        self._settle(future, self._end)
        except Exception as wrong:  # a full disk, or a mistake of ours: whoever waits must know
            for future in (*wave.values(), *self._asked.values()):
                if not future.done():
                    future.set_exception(wrong)
        finally:
            self._running = None

    async def _wave(self, wave: Mapping[str, asyncio.Future[Reply | Failure]]) -> Failure | None:
        """Starts vLLM once; a Failure where it ended without all answers."""
        server = Server(self.model)
        try:
            begun = said = time.monotonic()
            wanted = counted(len(wave), "request")
            self._say(f"vllm: wave {self._waves} of {wanted}; its log is {server.log}")
            server.start(self._command(server.port), surroundings(self._seen))
            step, read, ended = "", 0, False
            while not ended:
                await asyncio.sleep(_LOOK_EVERY)
                ended = server.ended  # before what it wrote last is read
                read = self._take(wave, read)
                now, new = time.monotonic(), _step(server)
                if new.partition(",")[0] != step.partition(",")[0] or now - said > _SAY_EVERY:
                    step, said = new, now
                    self._say(f"vllm: {step} ({now - begun:.0f} s)")
            if all(future.done() for future in wave.values()):
                return None
            return Failure(R407, f"{server.last_words()}; its log is {server.log}")
        finally:
            await server.stop()

    def _take(self, wave: Mapping[str, asyncio.Future[Reply | Failure]], read: int) -> int:
        """Hands out the answers behind the first `read` bytes; returns how many are read then."""
        place = self._file("answered")
        if not place.exists():
            return read
        with place.open("rb") as file:
            file.seek(read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                read += len(line)
                result = read_result(line)
                if result.id in wave:
                    self._settle(wave[result.id], result.reply)
        return read

    def _settle(self, future: asyncio.Future[Reply | Failure], answer: Reply | Failure) -> None:
        if not future.done():
            future.set_result(answer)
            self._stuck = False

    def _command(self, port: int) -> list[str]:
        """The words that start the runner: those of a server, but for what only a server knows."""
        words = command(self._python, self._spec, self.model, self._seen, port)
        module = words.index("-m") + 1
        kept = [word for word in words[module + 1 :] if word not in _SERVER_ONLY]
        files = ["-i", str(self._file("asked")), "-o", str(self._file("answered"))]
        return [*words[:module], RUNNER, *files, *kept]


def _step(server: Server) -> str:
    """What a runner is doing now."""
    step = server.step()
    with server.log.open("rb") as log:
        log.seek(max(0, server.log.stat().st_size - _TAIL))
        shares = _PROGRESS.findall(log.read())
    return f"answering, {shares[-1].decode()}" if shares else step
