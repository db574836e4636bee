"""Options go in; a server runs that speaks the chat-completions format, until it is told to stop.

A file of its own because it is all of the mock teacher that waits and counts. It does little for a
request, since benchmarks measure clients with it.
"""

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import blake2b
from random import Random
from typing import IO, Any

from aiohttp import web

from compiler.documents.chunk import estimate_tokens
from compiler.mock.answers import Answer, answer, cut
from compiler.mock.faults import drawn, error, instead, send, spoiled
from compiler.mock.options import Options
from compiler.mock.prompt import text_of, tokens_of
from compiler.mock.stats import Stats

CONTEXT = 32768
_MOST_CHOICES = 16
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def serve(options: Options, host: str, port: int, say: Callable[[str], None]) -> Stats:
    """Listens until the process is interrupted; says where. Port 0 is a free one.

    Raises OSError where the port cannot be had.
    """
    stop = asyncio.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, stop.set)
    async with AsyncExitStack() as after:
        record = after.enter_context(options.record.open("a")) if options.record else None
        server = Server(options, record)
        wire = web.Server(server.handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(wire, shutdown_timeout=0)
        await runner.setup()
        after.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port).start()
        shown = f"[{host}]" if ":" in host else host
        say(f"listening on http://{shown}:{runner.addresses[0][1]}/v1")
        await stop.wait()
    return server.stats


class Server:
    """Answers requests; `record` gets the body of each, a line of JSON."""

    def __init__(self, options: Options, record: IO[str] | None = None) -> None:
        self.stats = Stats()
        self._options = options
        self._record = record
        self._slots = asyncio.Semaphore(options.slots) if options.slots else None
        self._answered = 0
        self._routes: Mapping[tuple[str, str], Handler] = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("GET", "/v1/models"): self._models,
            ("GET", "/health"): self._health,
            ("POST", "/tokenize"): self._tokenize,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/stats"): self._stats,
            ("POST", "/stats/reset"): self._reset,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one HTTP request."""
        handler = self._routes.get((request.method, request.path))
        if handler is None:
            return error(404, f"There is no {request.method} {request.path}.", "NotFoundError")
        return await handler(request)

    async def _chat(self, request: web.BaseRequest) -> web.StreamResponse:
        data = await request.read()
        digest = blake2b(data, digest_size=16).digest()
        tries = self.stats.begin(digest)
        call = _Call()
        try:
            body = _object(data)
            if self._record and body is not None:
                self._record.write(json.dumps(body, ensure_ascii=False) + "\n")
                self._record.flush()
            async with self._slot():
                response = await self._answer(request, body, digest, tries, call)
            call.status = call.status or str(response.status)
            return response
        finally:
            self.stats.end(call.status or "gone", call.fault, call.prompt, call.completion)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._slots is None:
            yield
            return
        self.stats.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.stats.waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _answer(
        self,
        request: web.BaseRequest,
        body: Mapping[str, Any] | None,
        digest: bytes,
        tries: int,
        call: "_Call",
    ) -> web.StreamResponse:
        options = self._options
        start = time.monotonic()
        if wrong := self._wrong(body):
            return wrong
        assert body is not None
        texts = [text_of(message) for message in body["messages"]]
        draw = _draw(options.seed, tries, digest)
        if options.faults:
            call.fault = drawn(options.faults, draw.random(), "\n".join(texts))
        slow = draw.random() < options.straggle.share
        if call.fault == "hang":
            await asyncio.Event().wait()
        response = instead(call.fault, str(body.get("model", "")))
        made: dict[str, Any] = {}
        if response is None:
            try:
                made = spoiled(self._made(body, digest, texts), call.fault)
            except (KeyError, TypeError, ValueError, RecursionError) as reason:
                response = error(400, f"This cannot be read: {reason!r}.", "BadRequestError")
        usage = made.get("usage", {})
        seconds = options.straggle.seconds if slow else options.latency
        if options.tokens_per_second:
            seconds += usage.get("completion_tokens", 0) / options.tokens_per_second
        if (left := start + seconds - time.monotonic()) > 0:
            await asyncio.sleep(left)
        if response is not None:
            return response
        sent = await send(request, json.dumps(made).encode(), call.fault)
        call.status = "reset" if call.fault == "reset" else ""
        call.prompt, call.completion = usage["prompt_tokens"], usage["completion_tokens"]
        self._answered += 1
        if self._answered == options.die_after:
            os._exit(1)
        return sent

    def _wrong(self, body: Mapping[str, Any] | None) -> web.Response | None:
        """What a server says to a request that it cannot understand."""
        if body is None:
            return error(400, "The body is not a JSON object.", "BadRequestError")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return error(400, "`messages` is not a list of messages.", "BadRequestError")
        if not all(isinstance(message, Mapping) for message in messages):
            return error(400, "A message is not an object.", "BadRequestError")
        if body.get("stream"):
            return error(400, "This server does not stream.", "BadRequestError")
        if body.get("model") not in (None, "", self._options.model):
            return error(404, f"The model `{body['model']}` does not exist.", "NotFoundError")
        return None

    def _made(self, body: Mapping[str, Any], digest: bytes, texts: list[str]) -> dict[str, Any]:
        """The whole answer, as chat completions have it."""
        most = body.get("max_completion_tokens") or body.get("max_tokens") or CONTEXT
        choices, completion = [], 0
        for index in range(min(int(body.get("n") or 1), _MOST_CHOICES)):
            said = answer(body, _draw(self._options.seed, -1 - index, digest), self._options.best)
            text = cut(said.text, most)
            completion += estimate_tokens(text)
            choices.append(
                {
                    "index": index,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": _logprobs(said, body) if body.get("logprobs") else None,
                    "finish_reason": "stop" if text == said.text else "length",
                }
            )
        prompt = sum(map(tokens_of, texts))
        return {
            "id": f"chatcmpl-{digest.hex()}",
            "object": "chat.completion",
            "created": 0,
            "model": self._options.model,
            "choices": choices,
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }

    async def _models(self, request: web.BaseRequest) -> web.Response:
        served = {
            "id": self._options.model,
            "object": "model",
            "created": 0,
            "owned_by": "vllm",
            "max_model_len": CONTEXT,
        }
        return web.json_response({"object": "list", "data": [served]})

    async def _health(self, request: web.BaseRequest) -> web.Response:
        return web.Response()

    async def _tokenize(self, request: web.BaseRequest) -> web.Response:
        """vLLM's form, of a `prompt` or of `messages`; the ids of the tokens mean nothing."""
        body = _object(await request.read()) or {}
        texts = [body["prompt"]] if isinstance(body.get("prompt"), str) else []
        messages = body.get("messages")
        if isinstance(messages, list):
            texts += [text_of(message) for message in messages if isinstance(message, Mapping)]
        count = sum(map(estimate_tokens, texts))
        told = {"count": count, "max_model_len": CONTEXT, "tokens": list(range(count))}
        return web.json_response({**told, "token_strs": None})

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        return web.Response(text=self.stats.as_metrics(self._options.model))

    async def _stats(self, request: web.BaseRequest) -> web.Response:
        return web.json_response(self.stats.as_json())

    async def _reset(self, request: web.BaseRequest) -> web.Response:
        self.stats.reset()
        return web.Response()


class _Call:
    """What became of one request; no `status` yet while it is open."""

    def __init__(self) -> None:
        self.status = self.fault = ""
        self.prompt = self.completion = 0


def _object(data: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _draw(seed: int, number: int, digest: bytes) -> Random:
    """Chance that is the same for the same request."""
    salt = blake2b(b"%d %d" % (seed, number), digest_size=16, key=digest)
    return Random(int.from_bytes(salt.digest()))


def _logprobs(said: Answer, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The odds of a choice as those of one token; nothing for other text."""
    if not said.odds:
        return None
    tokens = [
        {"token": text, "logprob": math.log(odds), "bytes": list(text.encode())}
        for text, odds in said.odds
    ]
    shown = tokens[: int(body.get("top_logprobs") or 0)]
    return {"content": [{**tokens[0], "top_logprobs": shown}], "refusal": None}
