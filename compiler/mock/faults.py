"""A good answer and a fault go in; what goes over the wire instead comes out.

A file of its own because it is the list of what endpoints do wrong, each in the form in which a
client meets it.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from compiler.mock.answers import cut
from compiler.mock.options import Fault

_HUGE = 10_000_000
_DRIP = 0.05
_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
Value = dict[str, Any]


def drawn(faults: Sequence[Fault], chance: float, messages: str) -> str:
    """The fault of one try, or ""; `chance` is drawn evenly from 0 to 1."""
    for fault in faults:
        if fault.text and fault.text in messages:
            return fault.name
    for fault in faults:
        if chance < fault.share:
            return fault.name
        chance -= fault.share
    return ""


def spoiled(answer: Value, fault: str) -> Value:
    """The answer with the fault in it, where it is one of the answer's content."""
    change = _SPOIL.get(fault)
    return change(answer) if change else answer


def _first(answer: Value, finish: str, **message: object) -> Value:
    """The answer with another first choice and no logprobs."""
    choice = answer["choices"][0]
    made = {**choice, "finish_reason": finish, "logprobs": None}
    return {**answer, "choices": [{**made, "message": {**choice["message"], **message}}]}


def _said(answer: Value) -> str:
    return str(answer["choices"][0]["message"]["content"])


_SPOIL: Mapping[str, Callable[[Value], Value]] = {
    "empty": lambda answer: {**answer, "choices": []},
    "length": lambda a: _first(
        a, "length", content=cut(_said(a), a["usage"]["completion_tokens"] // 2)
    ),
    "huge": lambda a: _first(a, "stop", content=_said(a) + " and so on" * (_HUGE // 10)),
    "duplicate": lambda answer: {**answer, "id": "chatcmpl-0"},
    "refusal": lambda a: _first(a, "stop", content=None, refusal="I cannot help with that."),
}


def instead(fault: str, model: str) -> web.Response | None:
    """The response that comes in place of an answer; None where the answer is sent."""
    if fault in ("429", "429-retry-after"):
        headers = {"Retry-After": "1"} if fault != "429" else None
        return error(429, "Rate limit reached.", "rate_limit_error", headers)
    if fault == "500":
        return error(500, "The server had an error.", "server_error")
    if fault == "refuse":
        return error(400, "This request is refused.", "invalid_request_error")
    if fault == "wrong-model":
        return error(404, f"The model `{model}` does not exist.", "NotFoundError")
    if fault == "html":
        return web.Response(text=_PAGE.format("Sign in"), content_type="text/html")
    if fault == "html-502":
        page = _PAGE.format("502 Bad Gateway")
        return web.Response(status=502, text=page, content_type="text/html")
    return None


def error(
    status: int, message: str, kind: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the form of OpenAI's."""
    told = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return web.Response(
        status=status,
        body=json.dumps(told).encode(),
        content_type="application/json",
        headers=headers,
    )


async def send(request: web.BaseRequest, data: bytes, fault: str) -> web.StreamResponse:
    """Sends an answer's bytes, whole or as the fault has it."""
    if fault == "truncated":
        data = data[: len(data) // 2]
    if fault not in ("reset", "drip"):
        response = web.Response(body=data, content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        return response
    stream = web.StreamResponse()
    stream.content_type = "application/json"
    stream.content_length = len(data)
    await stream.prepare(request)
    if fault == "reset":
        await stream.write(data[: len(data) // 2])
        _reset(request)
        return stream
    for at in range(len(data)):
        await stream.write(data[at : at + 1])
        await asyncio.sleep(_DRIP)
    await stream.write_eof()
    return stream


def _reset(request: web.BaseRequest) -> None:
    """Closes the connection with what TCP calls a reset, not with an end."""
    if request.transport:
        line = request.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
