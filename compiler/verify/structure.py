"""An answer that should be JSON goes in; why it is none, or does not fit its schema, comes out.

A file of its own because the schema is the contributor's data, and nothing that it says may reach a
network or take long: references stay inside it, patterns run in linear time.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from compiler.verify.said import Columns, Said, brief, text_of

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_FENCE = regex.compile(r"(?ms)^[ \t]*(```+|~~~+)[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$")


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """`schema` is the text of a JSON Schema."""

    value: str
    schema: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer."""
        return (self.value,)

    def check(self, columns: Columns) -> str:
        """Why the answer, bare or in a fence, is not JSON that fits."""
        text = text_of(columns, self.value)
        fences = [body for _, word, body in _FENCE.findall(text) if word.lower() in ("", "json")]
        if len(fences) > 1:
            return f"{len(fences)} fenced blocks, expected one"
        try:
            found = json.loads(
                fences[0] if fences else text,
                parse_constant=_refuse,
                object_pairs_hook=_unrepeated,
            )
        except (ValueError, RecursionError) as wrong:
            return f"not JSON: {wrong}"
        unfit = next(_validator(self.schema).iter_errors(found), None)
        if unfit is None:
            return ""
        place = ".".join(map(str, unfit.instance_path))
        return f"{place}: {brief(unfit.message, 120)}" if place else brief(unfit.message, 120)


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


@lru_cache(maxsize=64)
def _validator(schema: str) -> "Validator":
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for(json.loads(schema), pattern_options=options, offline=True)


def json_schema(said: Said) -> JsonSchema:
    """Raises BrokenChecker for a schema that is none."""
    said.only("value", "schema", "file")
    if said.has("schema") == said.has("file"):
        raise said.broken("`json_schema` needs either `schema` or `file`")
    key = "schema" if said.has("schema") else "file"
    try:
        schema = said.value("schema") if key == "schema" else json.loads(said.file("file"))
        text = json.dumps(schema, sort_keys=True)
        if not isinstance(schema, dict | bool):
            raise ValueError("a JSON Schema is a mapping")
        _validator(text)
    except (ValueError, TypeError, RecursionError) as wrong:
        first = str(wrong).splitlines()[0] if str(wrong) else "nested too deeply"
        raise said.broken(f"this is no JSON Schema: {first}", key) from None
    return JsonSchema(said.text("value", "answer"), text)
