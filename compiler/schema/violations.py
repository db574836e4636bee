"""A value and a JSON Schema go in; every way in which the value breaks it comes out.

A file of its own because jsonschema takes long to import and to run: it is asked only about values
that do not fit. Its errors are turned into plain ones here, so nothing else knows of them.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: `rule` and `wanted` are its key and value in the schema part `rules`.

    For a `required` key that is absent, `wanted` is that key. `said` are jsonschema's own words.
    """

    path: tuple[Any, ...]
    rule: str
    wanted: Any
    value: Any
    rules: Mapping[str, Any]
    said: str


def violations(value: object, schema: Mapping[str, object]) -> list[Violation]:
    """Every broken rule, in the order of the schema."""
    found = [_plain(error) for error in _leaves(_Validator(schema).iter_errors(value))]
    mistyped = {one.path for one in found if one.rule == "type"}
    return [one for one in found if one.rule != "const" or one.path not in mistyped]


def _plain(error: ValidationError) -> Violation:
    rules = error.schema if isinstance(error.schema, Mapping) else {}
    return Violation(
        tuple(error.absolute_path),
        str(error.validator),
        error.validator_value,
        error.instance,
        rules,
        error.message,
    )


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


def repeats(items: object) -> Iterator[tuple[int, int]]:
    """The position of each item that the list has twice, after the one of its first place."""
    first: dict[Hashable, int] = {}
    for i, item in enumerate(items if isinstance(items, list) else ()):
        earlier = first.setdefault(_identity(item), i)
        if earlier != i:
            yield earlier, i


def _identity(value: object) -> Hashable:
    """Equal for the values that JSON Schema holds to be equal: 1 is 1.0, but true is not 1."""
    if isinstance(value, dict):
        return frozenset((_identity(key), _identity(inner)) for key, inner in value.items())
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
    if wanted and any(repeats(instance)):
        yield ValidationError("two items are the same")


def _required(
    _: object, wanted: Sequence[str], instance: object, schema: object
) -> Iterator[ValidationError]:
    """The rule `required`, with the key that is absent as a value and not only in words."""
    if isinstance(instance, dict):
        for key in (key for key in wanted if key not in instance):
            yield ValidationError("a key is absent", validator_value=key)


_Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"uniqueItems": _unique_items, "required": _required}
)
