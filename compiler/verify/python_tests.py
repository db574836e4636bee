"""Code and its tests go in; why the tests fail comes out.

A file of its own because it is the only checker that runs what a teacher wrote. How that is held in
is the matter of `compiler.sandbox`.
"""

import asyncio
from dataclasses import dataclass

import regex

from compiler.sandbox.run import Limits, obstacle, run
from compiler.verify.said import Columns, Said, text_of

_FENCE = regex.compile(r"(?ms)^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$")
_PYTHON = ("python", "py", "python3")


@dataclass(frozen=True, slots=True)
class PythonTests:
    """`tests` is the name of a column, or with `text` the tests themselves.

    `functions` are the names of the code that the tests get, by default all that it defines.
    """

    code: str
    tests: str
    text: str
    functions: tuple[str, ...]
    limits: Limits

    @property
    def reads(self) -> tuple[str, ...]:
        """The code, and the tests where they are a column."""
        return (self.code,) if self.text else (self.code, self.tests)

    def check(self, columns: Columns) -> str:
        """Like `run`, outside of an event loop."""
        return asyncio.run(self.run(columns))

    async def run(self, columns: Columns) -> str:
        """Why the tests fail."""
        code = unfenced(text_of(columns, self.code))
        tests = self.text or unfenced(text_of(columns, self.tests))
        for name, text in ((self.code, code), (self.tests, tests)):
            if not text.strip():
                return f"the column `{name}` is empty"
        return await run(code, tests, self.functions, self.limits)


def unfenced(text: str) -> str:
    """The fenced Python of a text, or the first fence without a language, or all of the text."""
    blocks = _FENCE.findall(text)
    python = [body for _, word, body in blocks if word.lower() in _PYTHON]
    nameless = [body for _, word, body in blocks if not word]
    return "\n".join(python) or (nameless[0] if nameless else text)


def python_tests(said: Said) -> PythonTests:
    """Raises BrokenChecker."""
    said.only("code", "tests", "function", "seconds", "megabytes")
    tests = said.text("tests")
    text = said.file("tests") if tests.endswith(".py") else ""
    if text:
        try:
            compile(text, tests, "exec")
        except (SyntaxError, ValueError) as wrong:
            raise said.broken(f"`{tests}` is not valid Python: {wrong}", "tests") from None
    limits = Limits(said.whole("seconds", 5, 1, 600), said.whole("megabytes", 512, 64, 65536))
    functions = said.texts("function")
    for name in functions:
        if not name.isidentifier():
            raise said.broken(f"`{name}` is no name of Python", "function")
    return PythonTests(said.text("code", "answer"), tests, text, functions, limits)


__all__ = ["PythonTests", "obstacle", "python_tests", "unfenced"]
