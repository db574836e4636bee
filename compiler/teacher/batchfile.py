"""A request goes in, and comes out as a line of a batch file; a line of results goes in, and comes
out as a reply.

A file of its own because the format is OpenAI's, not ours: hosted services and vLLM's runner read
and write it (https://platform.openai.com/docs/api-reference/batch), each with its own way to tell
what failed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from compiler.codes import R402
from compiler.teacher import Failure, Reply
from compiler.teacher.wire import read

_MOST_SAID = 300
# What some readers take for the end of a line; JSON may hold them as they are.
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the request that was sent as `id`."""

    id: str
    reply: Reply | Failure


def request_line(id: str, body: Mapping[str, object]) -> bytes:
    """One request as a line, with its line end. It begins with the id."""
    line = {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_LINE_ENDS).encode() + b"\n"


def read_result(line: bytes) -> Result:
    """Reads one line of an output or error file. Raises ValueError where it is none."""
    try:
        value = json.loads(line.rstrip())
    except UnicodeDecodeError as wrong:
        raise ValueError(f"not UTF-8: {wrong.reason}") from wrong
    except RecursionError as wrong:
        raise ValueError("nested too deeply") from wrong
    except ValueError as wrong:
        raise ValueError(f"not JSON: {wrong}") from wrong
    id = value.get("custom_id") if isinstance(value, Mapping) else None
    if not isinstance(id, str):
        raise ValueError("no `custom_id`")
    return Result(id, _reply(value.get("response"), value.get("error")))


def _reply(response: object, error: object) -> Reply | Failure:
    said = response if isinstance(response, Mapping) else {}
    status, body = said.get("status_code", 200), said.get("body")
    if status == 200 and not error and isinstance(body, Mapping):
        return read(body)
    why = _message(error) or _message(body) or ("" if error else "there is no answer in the line")
    parts = (f"HTTP {status}" if said else "", why)
    return Failure(R402, ": ".join(part for part in parts if part)[:_MOST_SAID])


def _message(error: object) -> str:
    """What an error says, however deep it lies: a text, or an object with a message."""
    while isinstance(error, Mapping):
        error = error.get("error") or error.get("message") or error.get("code")
    return error if isinstance(error, str) else ""
