"""The body of a request goes in; an answer in the form that it asks for comes out, always the same.

A file of its own because it is what a pipeline sees of a mock teacher: a choice, JSON that
satisfies a schema, or tagged texts about as long as the examples in the prompt. It means nothing.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from compiler.documents.chunk import estimate_tokens
from compiler.mock.prompt import Prompt, best, texts_of, tokens_of

_PLAIN_TOKENS = 24
_NUMBERS = 100_000
_DEEPEST = 8
_MOST = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply's text. `odds` are the probabilities of the choices, the likeliest first, where it is
    a choice; they sum to less than 1.
    """

    text: str
    odds: tuple[tuple[str, float], ...] = ()


def answer(body: Mapping[str, Any], draw: Random, share: float) -> Answer:
    """Answers a chat request; `share` of all judgements take the best choice."""
    asked = body.get("structured_outputs")
    structured = asked if isinstance(asked, Mapping) else {}
    choices = structured.get("choice") or body.get("guided_choice")
    if isinstance(choices, list) and choices:
        return _judge([str(choice) for choice in choices], len(choices) - 1, draw, share)
    prompt = Prompt(texts_of(body.get("messages")))
    schema = structured.get("json") or body.get("guided_json") or _schema(body)
    if isinstance(schema, str):
        schema = json.loads(schema)
    if isinstance(schema, Mapping):
        value = _Maker(prompt, schema, draw, share).make(schema, "")
        return Answer(json.dumps(value, ensure_ascii=False))
    if prompt.choices:
        made = _judge(prompt.choices, best(prompt.choices), draw, share)
        if not prompt.names:
            return made
        (name,) = prompt.names
        return Answer(f"<{name}>{made.text}</{name}>")
    if not prompt.names:
        return Answer(_text("", prompt, draw, draw.randrange(_NUMBERS)))
    records = []
    for number in draw.sample(range(_NUMBERS), min(prompt.count, _MOST)):
        for name in prompt.names:
            records.append(f"<{name}>{_text(name, prompt, draw, number)}</{name}>")
    return Answer("\n".join(records))


def cut(text: str, tokens: int) -> str:
    """The beginning of a text, of about so many tokens."""
    whole = estimate_tokens(text)
    return text if whole <= tokens else text[: len(text) * tokens // whole]


def _schema(body: Mapping[str, Any]) -> object:
    form = body.get("response_format")
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return None
    named = form.get("json_schema")
    return named.get("schema") if isinstance(named, Mapping) else None


def _judge(choices: Sequence[str], wanted: int, draw: Random, share: float) -> Answer:
    """Takes the wanted choice, or for the rest of the share one of the others."""
    chosen, others = choices[wanted], [*choices[:wanted], *choices[wanted + 1 :]]
    if others and draw.random() >= share:
        chosen = draw.choice(others)
        others = [choice for choice in choices if choice != chosen]
    first = round(draw.uniform(0.6, 0.98), 4)
    rest = 0.97 * (1 - first) / max(1, len(others))
    return Answer(chosen, ((chosen, first), *((other, rest) for other in others)))


def _text(name: str, prompt: Prompt, draw: Random, number: int) -> str:
    """Words of the prompt and a number, about as long as one of the examples of this tag."""
    examples = prompt.examples.get(name)
    like = draw.choice(examples) if examples else ""
    mark = "?" if like.endswith("?") else "."
    room = (tokens_of(like) if like else _PLAIN_TOKENS) - 3  # of the number and the mark
    words, tokens = prompt.words
    said = " ".join(draw.choices(words, k=max(2, round(room / tokens))))
    return f"{said.capitalize()} {number:05}{mark}"


class _Maker:
    """Makes a value that satisfies a JSON Schema: types, bounds, enumerations, references; no
    patterns and formats. All properties are there, the optional ones too.
    """

    def __init__(
        self, prompt: Prompt, schema: Mapping[str, Any], draw: Random, share: float
    ) -> None:
        self._prompt = prompt
        self._root = schema
        self._draw = draw
        self._share = share

    def make(self, schema: object, name: str, depth: int = 0) -> object:
        """A value of `schema`, which stands under the key `name`."""
        if not isinstance(schema, Mapping):
            return self._string({}, name)
        if isinstance(schema.get("$ref"), str):
            return self.make(self._found(schema["$ref"]), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            values = list(schema["enum"])
            texts = [json.dumps(value) for value in values]
            made = _judge(texts, len(texts) - 1, self._draw, self._share)
            return values[texts.index(made.text)]
        for key in ("allOf", "anyOf", "oneOf"):
            if schema.get(key):
                return self.make({**schema[key][0], **_without(schema, key)}, name, depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        return self._typed(str(kind), schema, name, depth)

    def _typed(self, kind: str, schema: Mapping[str, Any], name: str, depth: int) -> object:
        if kind == "object":
            keys = schema.get("properties", {})
            wanted = schema.get("required", ()) if depth > _DEEPEST else keys
            return {key: self.make(keys.get(key), key, depth + 1) for key in wanted}
        if kind == "array":
            least = int(schema.get("minItems", 0))
            most = int(schema.get("maxItems", _MOST))
            count = least if depth > _DEEPEST else max(least, min(self._prompt.count, most))
            return [self.make(schema.get("items"), name, depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        if kind == "boolean":
            return self._draw.random() < self._share
        return None if kind == "null" else self._string(schema, name)

    def _number(self, kind: str, schema: Mapping[str, Any]) -> int | float:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 100))
        if kind == "number":
            return round(
                self._draw.uniform(least + (most - least) / 4, most - (most - least) / 4), 6
            )
        low = math.floor(least) + 1 if "exclusiveMinimum" in schema else math.ceil(least)
        high = math.ceil(most) - 1 if "exclusiveMaximum" in schema else math.floor(most)
        return self._draw.randint(low, max(low, high))

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        text = _text(name, self._prompt, self._draw, self._draw.randrange(_NUMBERS))
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema.get("maxLength", len(text)))]

    def _found(self, place: str) -> object:
        """What a reference within the schema points at."""
        found: Any = self._root
        for part in place.removeprefix("#").strip("/").split("/"):
            if part:
                found = found[part.replace("~1", "/").replace("~0", "~")]
        return found


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
