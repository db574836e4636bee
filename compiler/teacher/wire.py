"""A Request goes in and the body of a chat completion comes out; an answer's body goes in and a
Reply, or a coded Failure, comes out.

A file of its own because the live endpoint and the batch files speak one format: a request asked
on either road is the same bytes. What servers add to the format, or leave out, is read here once.
"""

import math
from collections.abc import Mapping, Sequence

from compiler.codes import R402, R403
from compiler.pipeline import Field
from compiler.teacher import Failure, Reply, Request

DIALECTS = ("vllm", "openai", "none")
"""How choices and JSON are asked for, the richest first."""

_TOP = 20


def body(
    request: Request, model: str, dialect: str, extra: Mapping[str, object]
) -> dict[str, object]:
    """The JSON of a chat completion.

    `dialect`: `vllm` binds the reply to its form by a grammar; `openai` binds JSON only, for its
    grammars are objects; `none` binds nothing. Both also ask for the likeliest first tokens of a
    choice. `extra` comes last: it may replace a key, or take one away with a null.
    """
    # No `seed`: servers treat it differently, and some builds of vLLM for the CPU die of it.
    made: dict[str, object] = {
        "model": model,
        "messages": [message.as_json() for message in request.messages],
        **request.sampling.as_json(),
    }
    if request.form == "choice" and dialect != "none":
        made |= {"logprobs": True, "top_logprobs": _TOP}
        if dialect == "vllm":
            (field,) = request.writes
            made["structured_outputs"] = {"choice": [str(choice) for choice in field.choices]}
    elif request.form == "json" and dialect != "none":
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "reply",
                "strict": True,
                "schema": schema(request.writes, request.many),
            },
        }
    if extra:
        made = {key: value for key, value in {**made, **extra}.items() if value is not None}
    return made


def schema(writes: Sequence[Field], many: bool) -> dict[str, object]:
    """The JSON Schema of a reply: an object of the fields; of `many`, a list of them under
    `records`.
    """
    record = _object({field.name: _kind(field) for field in writes})
    return _object({"records": {"type": "array", "items": record}}) if many else record


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _kind(field: Field) -> dict[str, object]:
    if not field.choices:
        return {"type": "string"}
    kinds = {"integer" if isinstance(choice, int) else "string" for choice in field.choices}
    return {"type": sorted(kinds) if len(kinds) > 1 else kinds.pop(), "enum": list(field.choices)}


def read(answer: object, seconds: float = 0.0) -> Reply | Failure:
    """The first choice's text, whatever else a server puts around it; `seconds` is what it took.

    R402 where the teacher refused or a filter took the text away, R403 where there is none. `odds`
    are read where the answer tells the likeliest first tokens, which only a choice asks for.
    """
    if not isinstance(answer, dict):
        return Failure(R403, "the answer is not a JSON object")
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return Failure(R403, "the answer holds no message")
    finish = choice.get("finish_reason")
    finish = finish if finish in ("length", "content_filter") else "stop"
    text = _text(message.get("content"))
    if not text:
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            return Failure(R402, f"the teacher refuses: {_clean(refusal)[:300]}")
        if finish == "content_filter":
            return Failure(R402, "the endpoint's content filter took the reply away")
    if text is None:
        if finish != "length":
            return Failure(R403, "the message holds no text")
        text = ""
    usage = _mapping(answer.get("usage"))
    return Reply(
        _clean(text),
        finish,
        _tokens(usage.get("prompt_tokens")),
        _tokens(usage.get("completion_tokens")),
        _tokens(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        _odds(choice.get("logprobs")),
        seconds,
    )


def _text(content: object) -> str | None:
    """A message's text: a string, or the text parts of a list; None where there is none. What a
    model thought beforehand stands in other keys, and is no text.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        if parts and all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
    return None


def _clean(text: str) -> str:
    """Half of a surrogate pair is valid JSON, but no Unicode text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _odds(logprobs: object) -> dict[str, float]:
    """The probability of each token that the answer says could have come first."""
    tokens = _mapping(logprobs).get("content")
    first = _mapping(tokens[0]) if isinstance(tokens, list) and tokens else {}
    likeliest = first.get("top_logprobs")
    odds: dict[str, float] = {}
    for one in likeliest if isinstance(likeliest, list) else ():
        token, logprob = _mapping(one).get("token"), _mapping(one).get("logprob")
        if isinstance(token, str) and isinstance(logprob, int | float) and logprob <= 1e-3:
            token = _clean(token)
            odds[token] = odds.get(token, 0.0) + math.exp(min(logprob, 0.0))
    return odds


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _tokens(count: object) -> int:
    return count if type(count) is int and 0 <= count < 2**31 else 0
