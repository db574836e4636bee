"""What a pipeline or a route says about a checker goes in, one key at a time; values of the right
type come out.

A file of its own because every kind of checker reads its keys in the same way, and a wrong one must
be found at its place, before a token is spent.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Protocol

Columns = Mapping[str, object]


class BrokenChecker(Exception):  # noqa: N818 - the others of our words for faults end so too
    """A checker that cannot work; `path` leads to the key at fault, from the checker's mapping."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class Kind(Protocol):
    """One kind of checker, made of what was said: frozen, and it can be pickled."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it looks at."""

    def check(self, columns: Columns) -> str:
        """Why the answer fails, "" where it passes."""


class Said:
    """The mapping of one checker; `files` are those of the pipeline's folder, by name, and `named`
    the texts of those that were read.

    Every reader raises BrokenChecker for a value that it cannot use.
    """

    def __init__(self, kind: str, values: Mapping[str, object], files: Mapping[str, bytes]) -> None:
        self.kind = kind
        self.named: dict[str, str] = {}
        self._values = values
        self._files = files

    def broken(self, message: str, *path: str | int) -> BrokenChecker:
        """The fault of the value at `path`."""
        return BrokenChecker(message, (self.kind, *path))

    def only(self, *keys: str) -> None:
        """Raises for a key that is none of these."""
        for key in self._values:
            if key not in keys:
                near = did_you_mean(str(key), keys)
                raise self.broken(f"`{self.kind}` has no key `{key}`{near}", str(key))

    def has(self, key: str) -> bool:
        return key in self._values

    def value(self, key: str) -> object:
        """The value of a key that must be there."""
        if key not in self._values:
            raise self.broken(f"`{self.kind}` needs `{key}`")
        return self._values[key]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.value(key) if default is None else self._values.get(key, default)
        if not isinstance(value, str) or not (value or default == ""):
            raise self.broken(f"`{key}` must be a text", key)
        return value

    def one_of(self, key: str, choices: Collection[str], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            listed = ", ".join(f"`{c}`" for c in choices)
            raise self.broken(f"`{key}` is `{value}`, not one of {listed}", key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of at least one; () where there is none."""
        value = self._values.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or (key in self._values and not listed):
            raise self.broken(f"`{key}` must be a text or a list of texts", key)
        for place, one in enumerate(listed):
            if not isinstance(one, str) or not one:
                raise self.broken(f"`{key}` must be a text or a list of texts", key, place)
        return tuple(listed)

    def whole(self, key: str, default: int | None, least: int, most: int) -> int:
        value = self.value(key) if default is None else self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.broken(f"`{key}` must be a whole number from {least} to {most}", key)
        return value

    def number(self, key: str, default: float) -> int | float:
        """A number that is not negative; infinity is one."""
        value = self._values.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            raise self.broken(f"`{key}` must be a number of at least 0", key)
        return value

    def yes(self, key: str, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.broken(f"`{key}` must be true or false", key)
        return value

    def file(self, key: str) -> str:
        """The text of the file that a key names."""
        name = self.text(key)
        if name not in self._files:
            near = did_you_mean(name, self._files)
            raise self.broken(f"no file `{name}` in the folder{near}", key)
        try:
            self.named[name] = self._files[name].decode()
        except UnicodeDecodeError:
            raise self.broken(f"`{name}` is not UTF-8 text", key) from None
        return self.named[name]


def did_you_mean(word: str, words: Collection[str]) -> str:
    """The end of a message about an unknown word."""
    near = get_close_matches(word, list(words), 1)
    return f", did you mean `{near[0]}`" if near else ""


def text_of(columns: Columns, name: str) -> str:
    """A column as text, "" where it is absent or null."""
    value = columns.get(name)
    return "" if value is None else str(value)


def brief(text: str, most: int = 60) -> str:
    """A text on one line, cut for a reason."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."
