"""Prompts go in; how many tokens the teacher's own tokenizer makes of them comes out, or None where
none is at hand.

A file of its own because a plan must not start a model to know this: servers tell it (vLLM and
llama.cpp, both under `/tokenize` beside their `/v1`), and so does the `tokenizer.json` in a model's
folder.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from compiler.curriculum import TeacherSpec
from compiler.prompt import Message
from compiler.teacher.endpoint import Endpoint

_TIMEOUT = 10.0
_AT_ONCE = 8
_COUNTING = ("vllm", "llamacpp")
_MARKS = 4  # tokens of a chat template around one message, about

Prompt = Sequence[Message]


async def count(
    spec: TeacherSpec, folder: Path, model: str, prompts: Sequence[Prompt]
) -> list[int] | None:
    """The tokens of each prompt. What a server counts has its chat template in it; to what the
    folder of a model counts, four tokens are added for each message. That folder counts from the
    current one, then from `folder`.
    """
    if spec.kind == "openai" and spec.urls:
        return await _asked(spec, model, prompts)
    if spec.kind in ("vllm", "run-batch"):
        path = Path(spec.model).expanduser() / "tokenizer.json"
        return _read(path if path.is_file() else folder / path, prompts)
    return None


async def _asked(spec: TeacherSpec, model: str, prompts: Sequence[Prompt]) -> list[int] | None:
    key = os.environ.get(spec.key_env, "")
    server = _Server(spec.urls[0][0].removesuffix("/v1"), replace(spec, timeout=_TIMEOUT), key)
    server.open()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(prompt: Prompt) -> int | None:
        async with slots:
            return await server.count(model, prompt)

    try:
        if not prompts or not await server.can_count(spec.urls[0][0]):
            return None
        counts = await asyncio.gather(*map(one, prompts))
    finally:
        await server.close()
    known = [count for count in counts if count is not None]
    return known if len(known) == len(counts) else None


class _Server(Endpoint):
    """The root of a server, which counts if it is one that can: others are not troubled."""

    def __init__(self, url: str, spec: TeacherSpec, key: str) -> None:
        super().__init__(url, 1.0, spec, key)
        self._kind = ""

    async def can_count(self, base: str) -> bool:
        """Whether its list of models says that it is a vLLM or a llama.cpp."""
        told = await self._json("GET", f"{base.removeprefix(self.url)}/models", None)
        listed = told.get("data")
        for model in listed if isinstance(listed, list) else []:
            if isinstance(model, Mapping) and model.get("owned_by") in _COUNTING:
                self._kind = str(model["owned_by"])
        return bool(self._kind)

    async def count(self, model: str, prompt: Prompt) -> int | None:
        """The tokens of a prompt; None where the server does not tell."""
        messages = [message.as_json() for message in prompt]
        if self._kind == "vllm":
            told = await self._json("POST", "/tokenize", {"model": model, "messages": messages})
            tokens = told.get("count")
            return tokens if isinstance(tokens, int) and tokens else None
        return await self._count_text(messages)

    async def _count_text(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """As llama.cpp has it: one request makes a text of the messages, another one counts."""
        made = await self._json("POST", "/apply-template", {"messages": messages})
        text = made.get("prompt")
        if not isinstance(text, str):
            return None
        told = await self._json("POST", "/tokenize", {"content": text, "parse_special": True})
        ids = told.get("tokens")
        return len(ids) if isinstance(ids, list) and ids else None

    async def _json(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> Mapping[str, object]:
        answer = await self._send(method, path, body)
        return answer if isinstance(answer, Mapping) else {}


def _read(file: Path, prompts: Sequence[Prompt]) -> list[int] | None:
    """By a `tokenizer.json`, where there is one and the package that reads it."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception:  # whatever that package raises: then there is no tokenizer
        return None
    texts = [[message.content for message in prompt] for prompt in prompts]
    return [
        sum(len(tokenizer.encode(text, add_special_tokens=False).ids) + _MARKS for text in some)
        for some in texts
    ]
