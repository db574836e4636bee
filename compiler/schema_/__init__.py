"""A Tree and a JSON Schema go in; findings at the right place come out.

A pass of its own because shape is data: `schemas/*.json` says what is allowed, and may say with
which code (`x-code`) and hint (`x-hint`) a rule speaks. One file turns jsonschema's errors into
diagnostics, for leaves, pipelines, `curriculum.yaml` and recipes alike.
"""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from rapidfuzz import process

from compiler import codes
from compiler.codes import CATALOGUE, Code
from compiler.diagnostics import Note, Report, Span
from compiler.resources import SCHEMAS
from compiler.tree import Tree

Schema = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Voice:
    """The codes in which one kind of file is spoken about."""

    missing: Code
    unknown: Code
    value: Code
    empty: Code | None = None
    few: Code | None = None
    repeated: Code | None = None


LEAF = Voice(codes.T101, codes.T102, codes.T103, codes.T104, codes.T106, codes.T107)
PIPELINE = Voice(codes.P201, codes.P204, codes.P205)
CURRICULUM = Voice(codes.M301, codes.M302, codes.M303)
RECIPE = Voice(codes.F601, codes.F602, codes.F603)


@cache
def load(name: str) -> Schema:
    """The schema `schemas/NAME.json`. Raises FileNotFoundError."""
    schema: Schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    return schema


@cache
def versions() -> tuple[int, ...]:
    """The versions of the leaf format that there are schemas for, oldest first."""
    return tuple(sorted(int(f.name[1:]) for f in SCHEMAS.iterdir() if f.name[1:].isdigit()))


@cache
def _validator(name: str) -> Draft202012Validator:
    return _Validator(load(name))


def validate(tree: Tree, name: str, voice: Voice, report: Report) -> bool:
    """Reports every way in which `tree` breaks the schema; True where there is none."""
    wrong = list(_leaves(_validator(name).iter_errors(tree.value)))
    mistyped = {tuple(error.absolute_path) for error in wrong if error.validator == "type"}
    for error in wrong:
        if error.validator != "const" or tuple(error.absolute_path) not in mistyped:
            _say(error, tree, voice, report)
    return not wrong


def _leaves(errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Goes into `anyOf` and `oneOf` to the branch that fits best, for it holds the real mistake."""
    for error in errors:
        if error.validator in ("anyOf", "oneOf") and error.context:
            branches: dict[object, list[ValidationError]] = {}
            for inner in error.context:
                branches.setdefault(inner.schema_path[0], []).append(inner)
            best = min(
                branches.values(), key=lambda found: (-max(len(e.path) for e in found), len(found))
            )
            if any(e.path for e in best) or best[0].validator in (
                "required",
                "additionalProperties",
            ):
                yield from _leaves(iter(best))
                continue
        yield error


def _say(error: ValidationError, tree: Tree, voice: Voice, report: Report) -> None:
    path = tuple(error.absolute_path)
    where = _where(path)
    rules = _rules(error)
    own = rules.get("x-code")
    hint = str(rules.get("x-hint", ""))
    if error.validator == "required":
        for key in _missing(error):
            codes_by_key = rules.get("x-required-codes", {})
            code = CATALOGUE[codes_by_key[key]] if key in codes_by_key else voice.missing
            place = tree.key_span(path) if path else Span(tree.file.path)
            advice = rules.get("x-required-hints", {}).get(key, f"add `{key}:`")
            report.add(code, f"{where} has no `{key}`", place, advice)
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = sorted(rules.get("properties", {}))
        for key in _extra(error):
            place = tree.key_span((*path, key))
            report.add(
                voice.unknown, f"{where} has the unknown key `{key}`", place, guess(key, known)
            )
    elif error.validator == "uniqueItems":
        for first, again in _repeats(error.instance):
            report.add(
                voice.repeated or voice.value,
                f"{_where((*path, again))} is the same as {_where((*path[-1:], first))}",
                tree.span((*path, again)),
                hint or "change one of the two, or remove it",
                [Note("the same", tree.span((*path, first)))],
            )
    else:
        code = CATALOGUE[str(own)] if own else _code(error, voice)
        is_many = isinstance(error.instance, list | dict)
        place = tree.key_span(path) if is_many else tree.span(path)
        report.add(code, _message(error, where), place, hint or _hint(error))


def _repeats(items: object) -> Iterator[tuple[int, int]]:
    """The position of each item that the list has twice, after the one of its first place."""
    first: dict[Hashable, int] = {}
    for i, item in enumerate(items if isinstance(items, list) else ()):
        earlier = first.setdefault(_identity(item), i)
        if earlier != i:
            yield earlier, i


def _identity(value: object) -> Hashable:
    """Equal for the values that JSON Schema holds to be equal: 1 is 1.0, but true is not 1."""
    if isinstance(value, dict):
        return frozenset((key, _identity(inner)) for key, inner in value.items())
    if isinstance(value, list | bytes):
        return tuple(_identity(item) for item in value)
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        return float, repr(int(value) if whole else value)
    return value


def _unique_items(
    _: object, wanted: object, instance: object, schema: object
) -> Iterator[ValidationError]:
    """The rule `uniqueItems` in linear time; jsonschema compares each item with each."""
    if wanted and any(_repeats(instance)):
        yield ValidationError("two items are the same")


_Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"uniqueItems": _unique_items}
)


def _rules(error: ValidationError) -> Mapping[str, Any]:
    """The part of the schema that was broken."""
    return error.schema if isinstance(error.schema, Mapping) else {}


def _missing(error: ValidationError) -> list[str]:
    """jsonschema raises one error per absent key, and names it in the message only."""
    wanted: Any = error.validator_value
    return [key for key in wanted if error.message.startswith(f"{key!r} ")]


def _extra(error: ValidationError) -> list[str]:
    known = _rules(error).get("properties", {})
    instance: Any = error.instance
    return [key for key in instance if key not in known]


def _code(error: ValidationError, voice: Voice) -> Code:
    by_rule = {"minLength": voice.empty, "minItems": voice.few}
    return by_rule.get(str(error.validator)) or voice.value


def _message(error: ValidationError, where: str) -> str:
    wanted: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            return f"{where} is {_type_of(error.instance)}, not {_type_name(wanted)}"
        case "minLength":
            return f"{where} is empty"
        case "minItems":
            return f"{where} has {len(instance)} of at least {wanted} items"
        case "enum":
            return f"{where} is `{error.instance}`, not one of {_list(wanted)}"
        case "const":
            return f"{where} is `{error.instance}`, not `{wanted}`"
        case "minimum":
            return f"{where} is {error.instance}, below {wanted}"
        case "exclusiveMinimum":
            return f"{where} is {error.instance}, not above {wanted}"
        case "maximum":
            return f"{where} is {error.instance}, above {wanted}"
        case "exclusiveMaximum":
            return f"{where} is {error.instance}, not below {wanted}"
        case _:
            return f"{where}: {error.message[:200]}"


def _hint(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    match error.validator:
        case "type" if error.instance is None:
            return "write it, or remove the key"
        case "type" if wanted == "string":
            return "put the text in quotes"
        case "minLength":
            return "write the text, or remove the item"
        case "minItems":
            return "add more, each different from the others"
        case "enum":
            return guess(str(error.instance), [str(v) for v in wanted])
        case "minimum":
            return f"use {wanted} or more"
        case "exclusiveMinimum":
            return f"use more than {wanted}"
        case "maximum":
            return f"use {wanted} or less"
        case "exclusiveMaximum":
            return f"use less than {wanted}"
    return ""


def guess(word: object, known: Sequence[str]) -> str:
    """A hint for a word that is none of `known`: the nearest one, or all of them."""
    near = process.extractOne(str(word), known, score_cutoff=70)
    return f"did you mean `{near[0]}`?" if near else f"use one of {_list(known)}"


def _list(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


_NAMES = {
    "seed_examples": "seed example",
    "questions_and_answers": "question",
    "patterns": "pattern",
    "stages": "stage",
    "phases": "phase",
    "routes": "route",
    "messages": "message",
}


def _where(path: tuple[str | int, ...]) -> str:
    """The path in words: `question 2 of seed example 1`, "`domain`", "the file"."""
    words: list[str] = []
    for i, part in enumerate(path):
        if isinstance(part, int):
            before = path[i - 1] if i else ""
            words[-1:] = [f"{_NAMES.get(str(before), f'item of `{before}`')} {part + 1}"]
        else:
            words.append(f"`{part}`")
    return " of ".join(reversed(words)) if words else "the file"


def _type_of(value: object) -> str:
    if value is None:
        return "empty"
    return _type_name(
        {
            bool: "boolean",
            int: "integer",
            float: "number",
            str: "string",
            list: "array",
            dict: "object",
        }.get(type(value), "date")
    )


def _type_name(kind: object) -> str:
    names = {
        "string": "a text",
        "array": "a list",
        "object": "a mapping",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "null": "empty",
        "date": "a date",
    }
    if isinstance(kind, list):
        return " or ".join(names.get(k, str(k)) for k in kind)
    return names.get(str(kind), str(kind))
