"""Calls from the tests go in; what the code under test answers comes out.

A file of its own because this is the process that the code owns. It knows no test, no expected
value and no way to the verdict: it was split off before these were read.
"""

import io
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CoroutineType, FunctionType, ModuleType

from compiler.sandbox.wire import decode, encode, receive, send

_MOST_PRINTED = 1 << 20
_COROUTINE = 0x80  # inspect.CO_COROUTINE; inspect is slow to import
_OPERATIONS: Mapping[str, Callable[..., object]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv")},
    **{name: getattr(operator, name) for name in ("mod", "pow", "matmul", "neg", "abs", "index")},
    **{name: getattr(operator, name) for name in ("eq", "lt", "le", "gt", "ge", "and_", "or_")},
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem", "contains")},
    **{"len": len, "iter": iter, "next": next, "repr": repr, "str": str, "bool": bool, "int": int},
    **{"float": float, "round": round, "reversed": reversed, "isinstance": isinstance},
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value: type(value).__exit__(value, None, None, None),
}
_BASES: tuple[type, ...] = (int, float, str, list, tuple, dict, set, frozenset, bytes)


class _Printed(io.TextIOBase):
    """What the code prints, sent along with each answer; too much of it ends the code."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def write(self, text: str) -> int:
        self._size += len(text)
        if self._size > _MOST_PRINTED:
            raise _TooMuchPrinted
        self._parts.append(text)
        return len(text)

    def taken(self) -> str:
        text = "".join(self._parts)
        self._parts.clear()
        return text


class _TooMuchPrinted(BaseException):
    """The code prints without an end; no `except Exception` of it may hold this up."""


class Served:
    """Answers what is asked through `asked`, on `answers`: two ends of pipes."""

    def __init__(self, asked: int, answers: int) -> None:
        self._asked = asked
        self._answers = answers
        self._lent: list[object] = []
        self._places: dict[int, int] = {}
        self._names: dict[str, object] = {}
        self._printed = _Printed()

    def serve(self) -> None:
        """Answers until the tests' process has no more questions."""
        sys.stdout = self._printed
        while True:
            self._answer(receive(self._asked))

    def tell(self, said: str) -> None:
        """Says what the code did that it may not do."""
        send(self._answers, ["stop", said])

    def _answer(self, message: object) -> None:
        assert isinstance(message, list)
        do, *rest = message
        try:
            answer = getattr(self, f"_{do}")(*rest)
            send(self._answers, ["value", answer, self._printed.taken()])
        except _TooMuchPrinted:
            self.tell("printed more than 1 MB")
            raise
        except (SystemExit, KeyboardInterrupt):
            self.tell("ended the program")
            raise
        except BaseException as raised:
            send(self._answers, ["raised", *_described(raised), self._printed.taken()])

    def _load(self, code: str, names: list[str]) -> list[object]:
        """Runs the code, and tells what stands behind those of the names that it has."""
        module = ModuleType("solution")
        sys.modules["solution"] = module
        self._names = module.__dict__
        exec(compile(code, "solution.py", "exec"), self._names)
        return [[n, *self._kind(self._names[n])] for n in names if n in self._names]

    def _kind(self, value: object) -> list[object]:
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["exception", _builtin(value)]
        if _is_async(value):
            return ["async", encode(value, self._lend)]
        return ["value", encode(value, self._lend)]

    def _call(self, place: int, arguments: list[object], named: dict[str, object]) -> object:
        """The result, and those of the arguments that the call changed, as [number, new value]."""
        given = [decode(one, self._known) for one in arguments]
        named_given = {name: decode(one, self._known) for name, one in named.items()}
        result = self._lent[place](*given, **named_given)  # type: ignore[operator]
        if type(result) is CoroutineType:
            import asyncio

            result = asyncio.run(result)
        changed = []
        for number, (before, value) in enumerate(zip(arguments, given, strict=True)):
            if isinstance(value, list | dict | set | bytearray):
                after = encode(value, self._lend)
                if after != before:
                    changed.append([number, after])
        return [encode(result, self._lend), changed]

    def _get(self, place: int, name: str) -> object:
        return encode(getattr(self._lent[place], name), self._lend)

    def _set(self, place: int, name: str, value: object) -> None:
        setattr(self._lent[place], name, decode(value, self._known))

    def _operation(self, name: str, arguments: list[object]) -> object:
        given = (decode(one, self._known) for one in arguments)
        return encode(_OPERATIONS[name](*given), self._lend)

    def _plain(self, place: int) -> object:
        """What the object is beside its own methods: the built-in value that it extends."""
        return encode(_as_builtin(self._lent[place]), self._lend)

    def _lend(self, value: object) -> list[object]:
        if isinstance(value, _Theirs):
            return ["there", value.place]
        if id(value) not in self._places:
            self._places[id(value)] = len(self._lent)
            self._lent.append(value)
        base = next((b.__name__ for b in _BASES if isinstance(value, b)), "")
        return ["here", self._places[id(value)], base]

    def _known(self, where: str, place: int, _base: str = "") -> object:
        return self._lent[place] if where == "there" else _Theirs(self._ask_tests, place)

    def _ask_tests(self, place: int, arguments: Iterable[object]) -> object:
        """Calls a function of the tests that was given to the code."""
        sent = [encode(one, self._lend) for one in arguments]
        send(self._answers, ["back", place, sent])
        while True:
            message = receive(self._asked)
            assert isinstance(message, list)
            if message[0] == "returned":
                return decode(message[1], self._known)
            if message[0] == "failed":
                raise RuntimeError(str(message[1]))
            self._answer(message)  # the tests' function calls the code itself


def _is_async(value: object) -> bool:
    return isinstance(value, FunctionType) and bool(value.__code__.co_flags & _COROUTINE)


class _Theirs:
    """A function that lives in the tests' process."""

    def __init__(self, ask: Callable[[int, Iterable[object]], object], place: int) -> None:
        self.place = place
        self._ask = ask

    def __call__(self, *arguments: object) -> object:
        return self._ask(self.place, arguments)


def _as_builtin(value: object) -> object:
    """Read with the base type's own methods, which the value's class cannot change."""
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.__bytes__(value)
    if isinstance(value, dict):
        return dict(dict.items(value))
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(kind.__iter__(value))  # type: ignore[arg-type]
    raise TypeError(f"no plain value: {type(value).__name__}")


def _builtin(raised: type[BaseException]) -> str:
    """The nearest exception that both processes have."""
    return next(c.__name__ for c in raised.__mro__ if c.__module__ == "builtins")


def _described(raised: BaseException) -> tuple[str, str, str]:
    """The exception's own name, its built-in ancestor's, its text."""
    return type(raised).__name__, _builtin(type(raised)), str(raised)[:500]
