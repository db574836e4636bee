"""Requests go to a vLLM that is started for them, and stopped after the last.

A file of its own because when a server is wanted is another matter than what it is asked: this
starts it at the first question that the journal does not answer, and lets the teacher for endpoints
speak with it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from compiler.codes import R407
from compiler.curriculum import TeacherSpec
from compiler.teacher import Failure, Reply, Request, Teacher
from compiler.teacher.flags import HOST, Seen, command, placed, ready, served_name, surroundings
from compiler.teacher.server import Server

_LOOK_EVERY = 0.25
_SAY_EVERY = 15.0


class Managed:
    """A vLLM of our own."""

    by_rule = False

    def __init__(self, spec: TeacherSpec, folder: Path, say: Callable[[str], None]) -> None:
        """A model's folder counts from the current one, then from `folder`. Raises OSError."""
        self._spec = placed(spec, folder)
        self.model = served_name(self._spec.model, spec.args)
        self.extra = spec.extra
        self._say = say
        self._python = ""
        self._seen = Seen()
        self._server: Server | None = None
        self._client: Teacher | None = None
        self._starting: asyncio.Task[Failure | None] | None = None
        self._death: asyncio.Task[Failure] | None = None

    @property
    def retried(self) -> int:
        return getattr(self._client, "retried", 0)

    @property
    def in_flight(self) -> int:
        return self._client.in_flight if self._client else self._spec.in_flight

    async def open(self) -> Failure | None:
        """Looks whether a vLLM could be started; it is when something is asked."""
        found = await ready(self._spec.model)
        if isinstance(found, Failure):
            return found
        self._python, self._seen = found
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        if failure := await asyncio.shield(self._starting):
            return failure
        assert self._client is not None
        assert self._server is not None
        assert self._death is not None
        answer = asyncio.ensure_future(self._client.ask(request))
        try:
            await asyncio.wait((answer, self._death), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() or (isinstance(answer.result(), Failure) and self._server.ended):
                return await self._death
            return answer.result()
        finally:
            answer.cancel()

    def flush(self) -> None:
        if self._client:
            self._client.flush()

    async def close(self) -> None:
        for task in (self._starting, self._death):
            if task:
                task.cancel()
        if self._client:
            await self._client.close()
        if self._server:
            await self._server.stop()

    async def _start(self) -> Failure | None:
        """Starts the server and waits until it answers: for minutes, or for hours where a model has
        to be fetched. Only its end is a failure.
        """
        from compiler.teacher.openai import OpenAI

        self._server = server = Server(self.model)
        self._say(f"vllm: starting {self._spec.model}; its log is {server.log}")
        begun = said = time.monotonic()
        words = command(self._python, self._spec, self.model, self._seen, server.port)
        server.start(words, surroundings(self._seen))
        self._death = asyncio.create_task(self._watch(server))
        step = server.step()
        while not await server.is_healthy():
            if server.ended:
                return await self._death
            now = time.monotonic()
            new = server.step()
            if new.partition(",")[0] != step.partition(",")[0] or now - said > _SAY_EVERY:
                step, said = new, now
                self._say(f"vllm: {step} ({now - begun:.0f} s)")
            await asyncio.sleep(_LOOK_EVERY)
        url = f"http://{HOST}:{server.port}/v1"
        spec = replace(self._spec, kind="openai", urls=((url, 1.0),), model=self.model, key_env="")
        self._client = OpenAI(spec, self._say)
        failure = await self._client.open()
        self._say(f"vllm: ready after {time.monotonic() - begun:.0f} s")
        return failure

    async def _watch(self, server: Server) -> Failure:
        """Waits for a server's end, and says what it said last."""
        while not server.ended:
            await asyncio.sleep(_LOOK_EVERY)
        return Failure(R407, f"{server.last_words()}; its log is {server.log}")
