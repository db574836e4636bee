"""An answer goes in; why it is not the accepted text, or does not match the pattern, comes out.

A file of its own because these two look at letters only.
"""

import unicodedata
from dataclasses import dataclass

import regex

from compiler.verify.said import Columns, Said, brief, text_of

_SECONDS = 0.5
_ENDS = " \t\n\"'“”„‟‘’‚«»‹›`*_"
_LAST = ".,;:!?…。！？"


@dataclass(frozen=True, slots=True)
class Exact:
    """`equals` is the name of a column, or the accepted texts."""

    value: str
    equals: str | tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer, and the expected text where it is a column."""
        return (self.value, self.equals) if isinstance(self.equals, str) else (self.value,)

    def check(self, columns: Columns) -> str:
        """Why the answer is none of the accepted texts."""
        is_column = isinstance(self.equals, str)
        accepted = (text_of(columns, self.equals),) if isinstance(self.equals, str) else self.equals
        if is_column and not folded(accepted[0]):
            return f"no expected text: the column `{self.equals}` is empty"
        answer = text_of(columns, self.value)
        if folded(answer) in {folded(text) for text in accepted}:
            return ""
        listed = " or ".join(f"`{brief(text)}`" for text in accepted[:3])
        more = " or others" if len(accepted) > 3 else ""
        return f"found `{brief(answer)}`, expected {listed}{more}"


@dataclass(frozen=True, slots=True)
class Regex:
    """`pattern` must match a part of the value, or with `full` all of it."""

    value: str
    pattern: str
    full: bool
    flags: int

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer."""
        return (self.value,)

    def check(self, columns: Columns) -> str:
        """Why the pattern does not match; one that takes half a second does not."""
        compiled = regex.compile(self.pattern, self.flags)
        text = text_of(columns, self.value)
        text = text.strip() if self.full else text
        match = compiled.fullmatch if self.full else compiled.search
        try:
            found = match(text, timeout=_SECONDS)
        except TimeoutError:
            return f"the pattern took more than {_SECONDS} s on the answer"
        shown = f"`{brief(text)}` does not match `{brief(self.pattern)}`"
        return "" if found else shown


def folded(text: str) -> str:
    """A text without what does not tell two answers apart: case, width and form of letters (NFKC),
    white space, quotes and emphasis around it, and the punctuation that ends it.
    """
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    before = ""
    while before != text:
        before = text
        text = text.strip(_ENDS).rstrip(_LAST)
    return text


def exact(said: Said) -> Exact:
    """Raises BrokenChecker."""
    said.only("value", "equals")
    equals = said.value("equals")
    return Exact(
        said.text("value", "answer"),
        said.text("equals") if isinstance(equals, str) else said.texts("equals"),
    )


def pattern(said: Said) -> Regex:
    """Raises BrokenChecker for a pattern that does not compile."""
    said.only("value", "pattern", "full", "ignore_case")
    text = said.text("pattern")
    flags = regex.VERSION0 | (regex.IGNORECASE if said.yes("ignore_case", False) else 0)
    try:
        regex.compile(text, flags)
    except regex.error as wrong:
        raise said.broken(f"the pattern does not compile: {wrong}", "pattern") from None
    return Regex(said.text("value", "answer"), text, said.yes("full", False), int(flags))
