"""What the tests do with the code's functions and objects goes in; what the code answers comes out.

A file of its own because it is the judge's side of the wall. Plain values are compared here, by
Python's own rules. An object of the code's own is a number behind which the code stands, and it is
never asked whether it equals, or is less or more than, a value that the test holds: an object that
says yes to everything would pass.
"""

import builtins
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from compiler.sandbox.wire import decode, encode, receive, send

_WORDS = 80
_ORDER = ("lt", "le", "gt", "ge")


class Stopped(BaseException):
    """The code did what it may not do, or is there no more; no test can catch it by accident."""


class Link:
    """The way to the code's process: `ask` writes one question and waits for its answer.

    `calls` counts how often the code was called, `last` tells of the last call in words, `stopped`
    is why the code is there no more.
    """

    def __init__(self, questions: int, answers: int) -> None:
        self._questions = questions
        self._answers = answers
        self._lent: list[Callable[..., object]] = []
        self._errors: dict[str, type[BaseException]] = {}
        self.calls = 0
        self.last = ""
        self.stopped: Stopped | None = None

    def load(self, code: str, names: Iterable[str], classes: frozenset[str]) -> dict[str, object]:
        """Runs the code there; what each of the names is here. Raises what the code raises."""
        found: dict[str, object] = {}
        wanted = list(names)
        answer = self.ask("load", code, wanted)
        assert isinstance(answer, list)
        for name, kind, what in answer:
            if name not in wanted:
                raise self._stop("the code answers what was not asked")
            if kind == "exception":
                base = getattr(builtins, what, Exception)
                found[name] = self._errors[name] = type(name, (base,), {})
                continue
            value = self.decode(what)
            if isinstance(value, Far):
                value.__dict__["_name"] = name
                value.__dict__["_makes"] = name in classes and name[:1].isupper()
            found[name] = _awaited(value) if kind == "async" else value
        return found

    def ask(self, do: str, *rest: object) -> object:
        """The answer, still encoded. Raises what the code raised, and Stopped."""
        self._say([do, *rest])
        while True:
            kind, *said = self._hear()
            if kind == "back":
                self._call_back(*said)
                continue
            if kind == "stop":
                raise self._stop(f"the code {said[0]}")
            if printed := str(said[-1]):
                sys.stdout.write(printed)
            if kind == "raised":
                raise self._error(*map(str, said[:3]))
            return said[0]

    def _say(self, message: object) -> None:
        try:
            send(self._questions, message)
        except OSError as end:
            raise self._stop("") from end

    def _hear(self) -> list[Any]:
        try:
            message = receive(self._answers)
        except (EOFError, OSError) as end:
            raise self._stop("") from end
        except ValueError as end:
            raise self._stop(f"the code's answer cannot be read: {end}") from end
        if not isinstance(message, list) or len(message) < 2:
            raise self._stop("the code broke its answer off")
        return message

    def call(self, far: "Far", arguments: tuple[object, ...], named: dict[str, object]) -> object:
        """Calls what lives there; what it changed of the given lists, sets and dicts changes here
        too (call by copy-restore).
        """
        self.calls += 1
        shown = f"{far._name or 'it'}({', '.join(_short(one) for one in arguments)})"
        self.last = f"{shown} did not return"
        sent = [self.encode(one) for one in arguments]
        try:
            answer = self.ask(
                "call", far._place, sent, {n: self.encode(v) for n, v in named.items()}
            )
        except Exception as raised:
            self.last = f"{shown} raised {type(raised).__name__}: {_short(raised)}"
            raise
        assert isinstance(answer, list)
        for number, after in answer[1]:
            _restore(arguments[number], self.decode(after))
        result = self.decode(answer[0])
        if isinstance(result, Far):
            result.__dict__["_made"] = far._makes
        self.last = f"{shown} gave {_short(result)}"
        return result

    def encode(self, value: object) -> object:
        """As JSON; a function of the tests goes as a number."""
        return encode(value, self._lend)

    def decode(self, tree: object) -> Any:  # noqa: ANN401 - any plain value
        """What an answer stands for."""
        return decode(tree, self._known)

    def _lend(self, value: object) -> list[object]:
        if type(value) is Far:
            return ["there", value._place]
        if not callable(value) or isinstance(value, type):
            raise TypeError(f"a {type(value).__name__} of the tests cannot be given to the code")
        self._lent.append(value)
        return ["here", len(self._lent) - 1]

    def _known(self, where: str, place: int, base: str = "") -> object:
        return self._lent[place] if where == "there" else Far(self, place, base)

    def _call_back(self, place: int, arguments: list[object]) -> None:
        try:
            result = self._lent[place](*(self.decode(one) for one in arguments))
            answer: list[object] = ["returned", self.encode(result)]
        except Exception as raised:
            answer = ["failed", f"{type(raised).__name__}: {raised}"]
        self._say(answer)

    def _stop(self, why: str) -> Stopped:
        self.stopped = self.stopped or Stopped(why)
        return self.stopped

    def _error(self, name: str, base: str, text: str) -> BaseException:
        kind = self._errors.get(name) or getattr(builtins, base, Exception)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise self._stop(f"the code raised {name}")
        try:
            return kind(text)
        except TypeError:  # some want more than a text
            return Exception(f"{name}: {text}")


class Far:
    """An object that lives with the code.

    `_made` is whether the test made it itself, from a class with a name such as `Vector`: only then
    do its own operators, comparisons apart, take a plain value, as in `Vector(1, 2) * 3` and `3 in
    Bag([3])`. What is called like a function has to answer like one.
    """

    def __init__(self, link: Link, place: int, base: str = "") -> None:
        first = {"_link": link, "_place": place, "_base": base, "_name": ""}
        self.__dict__.update(first, _makes=False, _made=False)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # so that a Counter is a dict to `isinstance`
        return getattr(builtins, self._base, Far) if self._base else Far

    def __call__(self, *arguments: object, **named: object) -> object:
        return self._link.call(self, arguments, named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the code has it
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)
        found = self._link.decode(self._link.ask("get", self._place, name))
        if isinstance(found, Far):
            found.__dict__["_name"] = name
        return found

    def __setattr__(self, name: str, value: object) -> None:
        self._link.ask("set", self._place, name, self._link.encode(value))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Far):
            return self._place == other._place or bool(self._do("eq", other))
        try:
            return bool(self._plain() == other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self._place)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, Far) and self._do("isinstance", value, turned=True) is True

    def __contains__(self, item: object) -> bool:
        if self._made:
            return bool(self._do("contains", item))
        return any(one == item for one in self)

    def __iter__(self) -> Iterator[object]:
        steps = self._do("iter")
        while True:
            try:
                yield self._link.decode(self._link.ask("operation", "next", [_there(steps)]))
            except StopIteration:
                return

    def __next__(self) -> object:
        return self._do("next")

    def __enter__(self) -> object:
        return self._do("enter")

    def __exit__(self, *raised: object) -> None:
        self._do("exit")

    def _plain(self) -> object:
        """The built-in value that it extends. Raises TypeError where it extends none."""
        return self._link.decode(self._link.ask("plain", self._place))

    def _do(self, name: str, *others: object, turned: bool = False) -> Any:  # noqa: ANN401
        arguments = [_there(self), *(self._link.encode(one) for one in others)]
        answer = self._link.ask("operation", name, arguments[::-1] if turned else arguments)
        result = self._link.decode(answer)
        if isinstance(result, Far):
            result.__dict__["_made"] = self._made
        return result

    def _with(self, name: str, other: object, turned: bool) -> Any:  # noqa: ANN401
        """An operator with two sides, of which this is one. Raises AssertionError where it would
        be the object's own word that counts.
        """
        if isinstance(other, Far) or (self._made and name not in _ORDER):
            return self._do(name, other, turned=turned)
        try:
            plain = self._plain()
        except TypeError as none:
            self._do(name, other, turned=turned)  # to raise can be right
            raise AssertionError(str(none)) from None
        sides = (other, plain) if turned else (plain, other)
        return getattr(operator, name)(*sides)


def _there(far: object) -> list[object]:
    assert type(far) is Far
    return ["there", far._place]


def _one(name: str) -> Callable[..., object]:
    return lambda self, *others: self._do(name, *others)


def _two(name: str, turned: bool = False) -> Callable[..., object]:
    return lambda self, other: self._with(name, other, turned)


for _name in "len repr str bool int float round reversed neg abs index".split():
    setattr(Far, f"__{_name}__", _one(_name))
for _name in "getitem setitem delitem".split():
    setattr(Far, f"__{_name}__", _one(_name))
for _name in _ORDER:
    setattr(Far, f"__{_name}__", _two(_name))
for _name in "add sub mul truediv floordiv mod pow matmul and_ or_".split():
    setattr(Far, f"__{_name.strip('_')}__", _two(_name))
for _name in "add sub mul truediv floordiv mod pow matmul and_ or_".split():
    setattr(Far, f"__r{_name.strip('_')}__", _two(_name, turned=True))


def _awaited(far: object) -> Callable[..., Any]:
    async def call(*arguments: object, **named: object) -> object:
        assert isinstance(far, Far)
        return far(*arguments, **named)

    return call


def _restore(mine: object, after: Any) -> None:  # noqa: ANN401 - of the same type
    if isinstance(mine, list | bytearray):
        mine[:] = after
    elif isinstance(mine, dict | set):
        mine.clear()
        mine.update(after)


def _short(value: object) -> str:
    if isinstance(value, Far):
        return "an object"
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= _WORDS else text[:_WORDS] + "..."
