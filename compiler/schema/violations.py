"""A value and a JSON Schema go in; every way in which the value breaks it comes out.

A file of its own because it is needed only for values that do not fit. The errors of two validators
are turned into plain ones here, so nothing else knows of them: jsonschema knows all that YAML can
hold, but takes long to import and to run; the fast one is asked first, and tells enough of a leaf.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from math import isfinite
from operator import getitem
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_PLAIN = frozenset(
    "type required additionalProperties unevaluatedProperties uniqueItems minLength minItems "
    "maxItems enum const minimum exclusiveMinimum maximum exclusiveMaximum pattern".split()
)


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
    said: str = ""


def violations(value: object, schema: Mapping[str, object]) -> list[Violation]:
    """Every broken rule, in the order of the schema."""
    errors = _validator()(schema).iter_errors(value)  # type: ignore[arg-type]
    return _telling(_plain(error) for error in _leaves(errors))


def quick_violations(
    errors: Iterable[Any], value: object, schema: Mapping[str, object]
) -> list[Violation] | None:
    """The same from the errors of the fast validator; None where one needs more than its path."""
    found = []
    for error in errors:
        *way, rule = error.schema_path
        if rule not in _PLAIN or "$ref" in way:
            return None
        rules = _part(schema, way)
        wanted = error.kind.property if rule == "required" else rules[rule]
        path = tuple(error.instance_path)
        part = _part(value, path)
        if rule == "type" and isinstance(part, float):
            return None  # JSON knows no `.nan`
        found.append(Violation(path, rule, wanted, part, rules))
    return _telling(found)


def _part(whole: Any, path: Iterable[Any]) -> Any:  # noqa: ANN401 - as deep as JSON goes
    return reduce(getitem, path, whole)


def _telling(found: Iterable[Violation]) -> list[Violation]:
    """All but a `const` beside a `type`, which says the same."""
    found = list(found)
    mistyped = {one.path for one in found if one.rule == "type"}
    return [one for one in found if one.rule != "const" or one.path not in mistyped]


def _plain(error: "ValidationError") -> Violation:
    rules = error.schema if isinstance(error.schema, Mapping) else {}
    return Violation(
        tuple(error.absolute_path),
        str(error.validator),
        error.validator_value,
        error.instance,
        rules,
        error.message,
    )


def _leaves(errors: "Iterator[ValidationError]") -> "Iterator[ValidationError]":
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


def endless(value: object) -> Iterator[Violation]:
    """Every number that is infinite or none at all (`.inf`, `.nan`), which no schema can tell; the
    rule is `finite`.
    """
    waiting: list[tuple[tuple[Any, ...], object]] = [((), value)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, dict | list):
            inner = part.items() if isinstance(part, dict) else enumerate(part)
            waiting += [((*path, key), one) for key, one in inner]
        elif isinstance(part, float) and not isfinite(part):
            yield Violation(path, "finite", True, part, {})


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


@cache
def _validator() -> "type[Validator]":
    """jsonschema's validator, with two rules of our own."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def unique_items(
        _: object, wanted: object, instance: object, schema: object
    ) -> Iterator[ValidationError]:
        """The rule `uniqueItems` in linear time; jsonschema compares each item with each."""
        if wanted and any(repeats(instance)):
            yield ValidationError("two items are the same")

    def required(
        _: object, wanted: Sequence[str], instance: object, schema: object
    ) -> Iterator[ValidationError]:
        """The rule `required`, with the key that is absent as a value and not only in words."""
        if isinstance(instance, dict):
            for key in (key for key in wanted if key not in instance):
                yield ValidationError("a key is absent", validator_value=key)

    rules = {"uniqueItems": unique_items, "required": required}
    made: type[Validator] = extend(Draft202012Validator, rules)  # type: ignore[no-untyped-call]
    return made
