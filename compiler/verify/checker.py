"""What a pipeline or a route says about a checker goes in; the checker comes out.

A file of its own because it is the list of the kinds that exist.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from compiler.verify.agreement import Agreement, agreement
from compiler.verify.citation import citation
from compiler.verify.numeric import numeric
from compiler.verify.python_tests import PythonTests, obstacle, python_tests
from compiler.verify.said import BrokenChecker, Columns, Kind, Said, did_you_mean
from compiler.verify.structure import json_schema
from compiler.verify.text import exact, pattern

KINDS: Mapping[str, Callable[[Said], Kind]] = {
    "numeric": numeric,
    "exact": exact,
    "regex": pattern,
    "json_schema": json_schema,
    "citation": citation,
    "python_tests": python_tests,
    "agreement": agreement,
}


@dataclass(frozen=True, slots=True)
class Checker:
    """One checker: the name of its kind, what it does, and what it was made of: the mapping under
    that name, and the files that this names.
    """

    kind: str
    by: Kind
    said: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it looks at: that of the answer, then those of what is known."""
        return self.by.reads

    @property
    def asks(self) -> int:
        """How many answers to one question it wants in its column, 1 for all kinds but `agreement`;
        `agreed` says which of them counts.
        """
        return self.by.of if isinstance(self.by, Agreement) else 1

    @property
    def obstacle(self) -> str:
        """Why it cannot work on this machine, "" where it can: look before a token is spent."""
        return obstacle() if isinstance(self.by, PythonTests) else ""

    def check(self, columns: Columns) -> str:
        """Why the answer fails, in few words: what was found, what was expected."""
        return self.by.check(columns)

    async def run(self, columns: Columns) -> str:
        """Like `check`, for an event loop; Python tests run meanwhile, a few at once."""
        if isinstance(self.by, PythonTests):
            return await self.by.run(columns)
        return self.by.check(columns)


def checker(said: Mapping[str, object], files: Mapping[str, bytes]) -> Checker:
    """The checker that a mapping with one key, its kind, describes.

    `files` are those of the folder that it may name. Raises BrokenChecker.
    """
    if len(said) != 1:
        raise BrokenChecker("a checker has exactly one kind")
    kind, values = next(iter(said.items()))
    if kind not in KINDS:
        raise BrokenChecker(f"unknown kind of checker `{kind}`{did_you_mean(kind, KINDS)}", (kind,))
    if not isinstance(values, Mapping):
        raise BrokenChecker(f"`{kind}` must be a mapping", (kind,))
    read = Said(kind, values, files)
    return Checker(kind, KINDS[kind](read), values, read.named)
