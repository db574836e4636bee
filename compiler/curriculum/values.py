"""Parts of a checked YAML tree go in; values of a known type come out.

A file of its own because every section of the settings is read this way: its keys are the fields of
a dataclass, and the schema has looked at them before.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


def items(value: object) -> list[object]:
    """A list, else an empty one."""
    return value if isinstance(value, list) else []


def mapping(value: object) -> dict[str, object]:
    """A mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def strings(value: object) -> dict[str, str]:
    """A mapping whose values are all made texts."""
    return {key: str(text) for key, text in mapping(value).items()}


def section(kind: type[T], value: object) -> T:
    """`kind`, a dataclass, of a mapping with some of its fields as keys; lists become tuples, and
    mappings become the dataclass that the field has.
    """
    hints = get_type_hints(kind)
    said = mapping(value)
    names = [field.name for field in fields(kind) if field.name in said]  # type: ignore[arg-type]
    return kind(**{name: _typed(hints[name], said[name]) for name in names})


def _typed(hint: Any, value: object) -> object:  # noqa: ANN401 - a type hint is any object
    inner: list[Any] = list(getattr(hint, "__args__", ()))
    if isinstance(value, list):
        return tuple(_typed(inner[0] if inner else None, one) for one in value)
    if isinstance(value, Mapping):
        kind = next((k for k in [hint, *inner] if isinstance(k, type) and is_dataclass(k)), None)
        return section(kind, value) if kind else dict(value)
    return value
