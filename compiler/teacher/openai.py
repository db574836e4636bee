"""Requests go to an OpenAI-compatible endpoint over one pooled connection set; its answers come out
as replies.

vLLM, Ollama, llama.cpp, SGLang and hosted services speak this format. aiohttp carries it because it
costs the client least CPU per request; `bench/client.py` measures that.
"""

import asyncio
import os
import random
from collections.abc import Mapping
from urllib.request import getproxies

import aiohttp

from compiler.codes import R401, R402, R403
from compiler.curriculum import TeacherSpec
from compiler.teacher import Failure, Reply, Request

TRIES = 6
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}


class OpenAI:
    """One chat-completions endpoint."""

    by_rule = False

    def __init__(self, spec: TeacherSpec) -> None:
        self.url = spec.urls[0][0]
        self.model = spec.model
        self.in_flight = spec.in_flight
        self._timeout = aiohttp.ClientTimeout(total=spec.timeout)
        self._key = os.environ.get(spec.key_env, "")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> Failure | None:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self.in_flight),
            # Looking for a proxy costs more than the rest of a request: not where there is none.
            trust_env=bool(getproxies()),
        )
        answer = await self._send("GET", "/models", None, tries=1)
        if self.model and not (isinstance(answer, Failure) and answer.code is R401):
            return None
        if isinstance(answer, Failure):
            return answer
        served = answer.get("data")
        if not isinstance(served, list) or not served:
            return Failure(R403, f"`{self.url}/models` lists no model; name one with `#MODEL`")
        first = served[0]
        if not isinstance(first, Mapping) or not isinstance(first.get("id"), str):
            return Failure(R403, f"`{self.url}/models` names no model; name one with `#MODEL`")
        self.model = first["id"]
        return None

    def flush(self) -> None:
        return None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def ask(self, request: Request) -> Reply | Failure:
        # No `seed`: servers treat it differently, and some builds of vLLM for the CPU die of it.
        body: dict[str, object] = {
            "model": self.model,
            "messages": [message.as_json() for message in request.messages],
            **request.sampling.as_json(),
        }
        answer = await self._send("POST", "/chat/completions", body)
        if isinstance(answer, Failure):
            return answer
        return _reply(answer)

    async def _send(
        self, method: str, path: str, body: Mapping[str, object] | None, tries: int = TRIES
    ) -> Mapping[str, object] | Failure:
        """Sends with retries: exponential waits with jitter, or what `Retry-After` asks for."""
        assert self._session is not None
        failure = Failure(R401, "never tried")
        for attempt in range(tries):
            wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) * random.uniform(0.5, 1.0)
            try:
                async with self._session.request(method, self.url + path, json=body) as answer:
                    if answer.status == 200:
                        value = await answer.json(content_type=None)
                        if isinstance(value, Mapping):
                            return value
                        return Failure(R403, "the answer is not a JSON object")
                    text = (await answer.text())[:300]
                    failure = Failure(R402, f"HTTP {answer.status}: {text}")
                    if answer.status not in _AGAIN:
                        return failure
                    wait = _asked_wait(answer.headers.get("Retry-After")) or wait
            except (aiohttp.ClientError, TimeoutError, OSError) as wrong:
                failure = Failure(R401, f"`{self.url}` did not answer: {_reason(wrong)}")
            except (ValueError, RecursionError) as wrong:
                failure = Failure(R403, f"the answer is not JSON: {wrong}")
            if attempt + 1 < tries:
                await asyncio.sleep(wait)
        return failure


def _reply(answer: Mapping[str, object]) -> Reply | Failure:
    """The first choice's text, whatever else a server puts around it."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        return Failure(R403, "the answer holds no message")
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) else "stop"
    text = _text(message.get("content"))
    if text is None:
        if finish != "length":
            return Failure(R403, "the message holds no text")
        text = ""
    usage = answer.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text.encode("utf-8", "replace").decode(),
        finish,
        _tokens(counts.get("prompt_tokens")),
        _tokens(counts.get("completion_tokens")),
    )


def _text(content: object) -> str | None:
    """A message's text: a string, or the text parts of a list; None where there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        if parts and all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
    return None


def _tokens(count: object) -> int:
    return count if isinstance(count, int) and 0 <= count < 2**31 else 0


def _reason(wrong: Exception) -> str:
    if isinstance(wrong, TimeoutError):
        return "the time is up"
    cause = getattr(wrong, "os_error", wrong)
    return getattr(cause, "strerror", None) or str(cause) or type(wrong).__name__


def _asked_wait(header: str | None) -> float:
    try:
        return min(float(header or 0), LONGEST_WAIT)
    except ValueError:
        return 0.0
