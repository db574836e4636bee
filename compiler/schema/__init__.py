"""A Tree and a JSON Schema go in; findings at the right place come out.

A pass of its own because shape is data: `schemas/*.json` says what is allowed, and may say with
which code (`x-code`) and hint (`x-hint`) a rule speaks. One file turns jsonschema's errors into
diagnostics, for leaves, pipelines, `curriculum.yaml` and recipes alike.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from compiler import codes
from compiler.codes import CATALOGUE, Code
from compiler.diagnostics import Note, Report, Span
from compiler.resources import SCHEMAS
from compiler.tree import Path, Tree
from compiler.tree.values import brief

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

    from compiler.schema.violations import Violation

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
def _fast(name: str) -> "Draft202012Validator":
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(dict(load(name)))


def fits(value: object, name: str) -> bool:
    """Whether a validator accepts that is fast but knows only JSON: its no is not the last word."""
    try:
        return _fast(name).is_valid(value)
    except (ValueError, RecursionError):  # a date, a key that is no text
        return False


def validate(tree: Tree, name: str, voice: Voice, report: Report) -> bool:
    """Reports every way in which `tree` breaks the schema, and every number that is not finite;
    True where there is none.
    """
    wrong = [] if fits(tree.value, name) else _violations(tree.value, name)
    if voice is not LEAF:  # a leaf has no such numbers, and there are many leaves
        from compiler.schema.violations import endless

        told = {one.path: one for one in endless(tree.value)}
        wrong = [*(one for one in wrong if one.path not in told), *told.values()]
    slips = _slips(wrong)
    for one in wrong:
        if one.rule == "required":
            _say_missing(one, slips.get((*one.path, one.wanted)), tree, voice, report)
        elif one.rule in _CLOSED:
            _say_unknown(one, tree, voice, report)
        elif one.rule == "uniqueItems":
            _say_repeats(one, tree, voice, report)
        else:
            _say_value(one, tree, voice, report)
    return not wrong


def _violations(value: object, name: str) -> "list[Violation]":
    """Every way in which a value breaks a schema."""
    from compiler.schema.violations import quick_violations, violations

    found = None
    with suppress(ValueError, RecursionError):
        found = quick_violations(_fast(name).iter_errors(value), value, load(name))
    return violations(value, load(name)) if found is None else found


_CLOSED = ("additionalProperties", "unevaluatedProperties")


def _slips(wrong: Iterable["Violation"]) -> dict[Path, str]:
    """The path of each absent key to the unknown key beside it that seems to be meant."""
    absent: dict[Path, list[str]] = {}
    for one in wrong:
        if one.rule == "required":
            absent.setdefault(one.path, []).append(one.wanted)
    return {
        (*one.path, near): key
        for one in wrong
        if one.rule in _CLOSED and one.path in absent
        for key in _unknown(one)
        if (near := nearest(key, absent[one.path]))
    }


def _say_missing(
    one: "Violation", slip: str | None, tree: Tree, voice: Voice, report: Report
) -> None:
    """A key that is absent: at the unknown key that seems to be meant, else at what lacks it."""
    by_key = one.rules.get("x-required-codes", {})
    code = CATALOGUE[by_key[one.wanted]] if one.wanted in by_key else voice.missing
    hint = one.rules.get("x-required-hints", {}).get(one.wanted, f"add `{one.wanted}:`")
    place = tree.key_span(one.path) if one.path else Span(tree.file.path)
    if slip is not None:
        place = tree.key_span((*one.path, slip))
        hint = f"rename `{brief(slip)}` to `{one.wanted}`"
    report.add(code, f"{_where(one.path)} has no `{one.wanted}`", place, hint)


def _say_unknown(one: "Violation", tree: Tree, voice: Voice, report: Report) -> None:
    known = one.rules.get("properties", {})
    absent = [key for key in known if key not in one.value]
    for key in _unknown(one):
        message = f"{_where(one.path)} has the unknown key `{brief(key)}`"
        hint = one.rules.get("x-unknown-hints", {}).get(key, "")
        if not hint and (near := nearest(key, absent)):
            hint = f"did you mean `{near}`?"
        hint = hint or f"remove it, or use one of {_list(known)}"
        report.add(voice.unknown, message, tree.key_span((*one.path, key)), hint)


def _unknown(one: "Violation") -> list[Any]:
    return [key for key in one.value if key not in one.rules.get("properties", {})]


def _say_repeats(one: "Violation", tree: Tree, voice: Voice, report: Report) -> None:
    from compiler.schema.violations import repeats

    for first, again in repeats(one.value):
        report.add(
            voice.repeated or voice.value,
            f"{_where((*one.path, again))} is the same as {_where((*one.path[-1:], first))}",
            tree.span((*one.path, again)),
            one.rules.get("x-hint", "change one of the two, or remove it"),
            [Note("the same", tree.span((*one.path, first)))],
        )


def _say_value(one: "Violation", tree: Tree, voice: Voice, report: Report) -> None:
    code = {"minLength": voice.empty, "minItems": voice.few}.get(one.rule) or voice.value
    if "x-code" in one.rules:
        code = CATALOGUE[one.rules["x-code"]]
    at_key = one.value is None or isinstance(one.value, list | dict)
    place = tree.key_span(one.path) if at_key else tree.span(one.path)
    word = _typed(one, tree)
    hint = one.rules.get("x-hint") or _hint(one, word)
    report.add(code, _message(one, _where(one.path), word), place, hint)


def _typed(one: "Violation", tree: Tree) -> str:
    """A value as people typed it: what YAML reads as `True` may be a `yes`."""
    if one.value is None or isinstance(one.value, str | list | dict):
        return brief(one.value)
    at, _ = tree.marks.find(tree.value, one.path)
    return brief(tree.text[slice(*tree.marks.place(at))])


def _message(one: "Violation", where: str, word: str) -> str:
    match one.rule:
        case "finite":
            return f"{where} is `{word}`, not a finite number"
        case "not":
            return f"{where} has no place here"
        case "type":
            return f"{where} is {_type_of(one.value)}, not {_type_name(one.wanted)}"
        case "minLength":
            return f"{where} is empty"
        case "minItems":
            return f"{where} has {len(one.value)} of at least {one.wanted} items"
        case "maxItems":
            return f"{where} has {len(one.value)} items, more than {one.wanted}"
        case "enum":
            return f"{where} is `{word}`, not one of {_list(one.wanted)}"
        case "const":
            return f"{where} is `{word}`, not `{one.wanted}`"
        case "minimum":
            return f"{where} is {word}, below {one.wanted}"
        case "exclusiveMinimum":
            return f"{where} is {word}, not above {one.wanted}"
        case "maximum":
            return f"{where} is {word}, above {one.wanted}"
        case "exclusiveMaximum":
            return f"{where} is {word}, not below {one.wanted}"
        case "pattern":
            return f"{where} is `{word}`, which does not match `{one.wanted}`"
        case _:
            return f"{where}: {brief(one.said)}"


def _hint(one: "Violation", word: str) -> str:
    match one.rule:
        case "finite":
            return "write a number that is finite"
        case "type" if one.value is None:
            return "write it, or remove the key"
        case "type":
            return _TYPE_HINTS.get(str(one.wanted), f"write {_type_name(one.wanted)}")
        case "minLength":
            return "write the text, or remove the item"
        case "minItems":
            return f"add {one.wanted - len(one.value)} more, each different from the others"
        case "maxItems":
            return f"leave {one.wanted} of them"
        case "enum":
            return guess(word, [str(known) for known in one.wanted])
        case "const":
            return f"write `{one.wanted}`"
        case "minimum":
            return f"use {one.wanted} or more"
        case "exclusiveMinimum":
            return f"use more than {one.wanted}"
        case "maximum":
            return f"use {one.wanted} or less"
        case "exclusiveMaximum":
            return f"use less than {one.wanted}"
    return "write what the schema asks for"


def guess(word: object, known: Sequence[str]) -> str:
    """A hint for a word that is none of `known`: the nearest one, or all of them."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else f"use one of {_list(known)}"


def nearest(word: object, known: Collection[str]) -> str:
    """The one of `known` that `word` is a slip of, "" where it is of none."""
    from rapidfuzz import process

    near = process.extractOne(brief(word), known, score_cutoff=70)
    return str(near[0]) if near else ""


def _list(words: Iterable[object]) -> str:
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


def _where(path: Path) -> str:
    """The path in words: `question 2 of seed example 1`, "`domain`", "the file"."""
    words: list[str] = []
    for i, part in enumerate(path):
        if isinstance(part, int):
            before = path[i - 1] if i else ""
            name = _NAMES.get(str(before))
            words[len(words) - bool(name) :] = [f"{name or 'item'} {part + 1}"]
        else:
            words.append(f"`{brief(part)}`")
    return " of ".join(reversed(words)) if words else "the file"


_TYPE_HINTS = {
    "string": "put the text in quotes",
    "array": "write a list: each item on a line of its own, after `- `",
    "object": "write keys with their values, each on a line of its own, indented under it",
    "integer": "write a whole number, without quotes",
    "number": "write a number, without quotes",
    "boolean": "write `true` or `false`, without quotes",
}


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
