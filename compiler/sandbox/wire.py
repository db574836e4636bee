"""Values go in; messages between the tests' process and the code's come out, and back.

A file of its own because this is all that passes the wall: plain values, by value, and numbers that
stand for everything else. A message can name no type and call nothing, so reading one from the code
under test is safe.
"""

import json
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

_MOST = 16 << 20

Opaque = Callable[[object], list[object]]
Known = Callable[..., object]

# types of Python's library that travel by value, and what makes them of their text
_LIBRARY = {
    "datetime.date": "fromisoformat",
    "datetime.time": "fromisoformat",
    "datetime.datetime": "fromisoformat",
    "datetime.timedelta": "",
    "decimal.Decimal": "",
    "fractions.Fraction": "",
}


def send(pipe: int, message: object) -> None:
    """Writes one message. Raises OSError, where the other side ended, and ValueError."""
    data = json.dumps(message).encode()
    if len(data) > _MOST:
        raise ValueError("more than 16 MB in one message")
    data = len(data).to_bytes(4, "big") + data
    while data:
        data = data[os.write(pipe, data) :]


def receive(pipe: int) -> object:
    """Reads one message. Raises EOFError where the other side ended, ValueError for no message."""
    size = int.from_bytes(_exactly(pipe, 4), "big")
    if size > _MOST:
        raise ValueError("more than 16 MB in one message")
    return json.loads(_exactly(pipe, size))


def _exactly(pipe: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(pipe, min(size, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _in_library(name: str) -> Any:  # noqa: ANN401 - a type
    """Imported when the first value of the kind travels: most tests know none."""
    module, _, kind = name.partition(".")
    return getattr(import_module(module), kind)


def encode(value: Any, opaque: Opaque) -> object:  # noqa: ANN401 - by its type
    """A plain value as JSON; `opaque` says what stands for any other object."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind in (list, tuple, set, frozenset):
        return [kind.__name__, *(encode(item, opaque) for item in value)]
    if kind is dict:
        return ["dict", *([encode(k, opaque), encode(v, opaque)] for k, v in value.items())]
    if kind is range:
        return ["range", value.start, value.stop, value.step]
    if kind in (bytes, bytearray):
        return [kind.__name__, value.hex()]
    if kind in (float, complex):
        return [kind.__name__, repr(value)]
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in _LIBRARY and kind is _in_library(name):
        if name == "datetime.timedelta":
            told: Any = value
            return [name, told.days, told.seconds, told.microseconds]
        return [name, value.isoformat() if name.startswith("datetime") else str(value)]
    return opaque(value)


_ONE_TEXT: dict[str, Callable[[str], object]] = {
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "float": float,
    "complex": complex,
}
_MANY: dict[str, Callable[[list[object]], object]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}


def decode(tree: object, known: Known) -> object:
    """The value of what `encode` made; `known` finds what `here` or `there` and a number stand for;
    with `here` may come the built-in type that the object extends.

    Raises ValueError, TypeError and others for what `encode` never makes.
    """
    if not isinstance(tree, list):
        return tree
    kind, *rest = tree
    if kind in _MANY:
        return _MANY[kind]([decode(item, known) for item in rest])
    if kind == "dict":
        return {decode(k, known): decode(v, known) for k, v in rest}
    if kind in _ONE_TEXT:
        return _ONE_TEXT[kind](str(rest[0]))
    if kind == "range":
        return range(*map(int, rest))
    if kind in _LIBRARY:
        made = _in_library(str(kind))
        return getattr(made, _LIBRARY[kind])(*rest) if _LIBRARY[kind] else made(*rest)
    if kind in ("here", "there"):
        return known(kind, int(rest[0]), *map(str, rest[1:]))
    raise ValueError(f"no value: {kind}")
