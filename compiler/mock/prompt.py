"""The messages of a request go in; what they ask for comes out: which tags, how many, of which
choices, and the words and examples to answer with.

A file of its own because it reads prose that was written for a language model. It knows the forms
that the shipped pipelines use, and takes the likeliest meaning of others.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from compiler.documents.chunk import estimate_tokens

_PAIR = re.compile(r"<([A-Za-z_][\w-]*)>(.*?)</\1\s*>", re.DOTALL)
_COUNT = re.compile(
    r"\b(?:write|give|make|list|generate|create|produce|ask|draft)\s+(?:(?:me|us|your|exactly|about|"
    r"another|the|up to)\s+)*(\d{1,3})\b",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"\bone (?:of|word|number|letter)(?: of)?:?\s+((?:[\w-]+ ){0,4}[\w-]+"
    r"(?:(?:, or|,| or) (?:[\w-]+ ){0,4}[\w-]+)+)\s*(?:[.)\n]|$)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_HOLDERS = frozenset(("...", "…"))
_SOURCES = ("document", "passage", "context", "text", "source", "article")
_POOR = re.compile(
    r"(un|non|off|not|mis|dis|no$|false|wrong|bad|poor|fail|reject|dependent|invalid|incorrect)",
    re.IGNORECASE,
)
_LONGEST_CHOICE = 5


@dataclass(frozen=True, slots=True)
class _Pair:
    """What stands between two tags; `start` and `end` are characters with the tags."""

    name: str
    text: str
    start: int
    end: int


class Prompt:
    """What was asked, of all messages that are not the model's own.

    The last message decides the form. Tags around `...` are wanted once for each record. Choices
    are a list after "one of" or "one word" behind all tags, or one tag with short texts again and
    again at the end. Else the tags of the last examples are wanted.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        *before, last = texts or ("",)
        self._last = _pairs(last)
        self._around = _around(last, self._last)
        self._shown = [pair for text in before for pair in _pairs(text)] + self._last
        self._outside = [piece for text in before for piece in _around(text, _pairs(text))]
        self._outside += self._around

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The choices of a judge; nothing where a text is wanted."""
        run = self._run
        alike = len(run) > 1 and len({pair.name for pair in run}) == 1
        short = all(0 < len(pair.text.split()) <= _LONGEST_CHOICE for pair in run)
        if alike and short and not self._held and not self._around[-1].strip():
            return tuple(pair.text.strip() for pair in run)
        listed = _LISTED.search(self._around[-1])
        if listed and len(self._held) <= 1:
            return tuple(re.split(r", or |, | or ", listed[1]))
        return ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tags that the reply shall have, in order; nothing where it is plain text."""
        if self._held or _LISTED.search(self._around[-1]):
            return self._held
        shown = [pair.name for pair in self._run]
        made = [name for name in shown if name not in _SOURCES]
        return tuple(dict.fromkeys(made or shown))

    @cached_property
    def _held(self) -> tuple[str, ...]:
        """The tags that stand around `...`."""
        held = (pair.name for pair in self._last if pair.text.strip() in _HOLDERS)
        return tuple(dict.fromkeys(held))

    @cached_property
    def count(self) -> int:
        """How many records are wanted, at least 1."""
        found = _COUNT.findall("\n".join(self._outside))
        return max(1, int(found[-1])) if found else 1

    @cached_property
    def examples(self) -> Mapping[str, Sequence[str]]:
        """The texts that the prompt shows, by their tag."""
        found: dict[str, list[str]] = {}
        for pair in self._shown:
            text = pair.text.strip()
            if text and text not in _HOLDERS:
                found.setdefault(pair.name, []).append(text)
        return found

    @cached_property
    def words(self) -> tuple[Sequence[str], float]:
        """The words of the documents that it shows, else of all that it says, and about how many
        tokens one has; never empty.
        """
        shown = [text for name in _SOURCES for text in self.examples.get(name, ())]
        said = [*self._outside, *(pair.text for pair in self._shown)]
        return _words("\n".join(shown or said))

    @cached_property
    def _run(self) -> Sequence[_Pair]:
        """The last tags that only white space parts."""
        run: list[_Pair] = []
        for pair, gap in zip(reversed(self._last), reversed(self._around), strict=False):
            if run and gap.strip():
                break
            run.insert(0, pair)
        return run


@lru_cache(maxsize=1024)  # a document is asked about many times
def _words(text: str) -> tuple[Sequence[str], float]:
    words = _WORD.findall(text.lower()) or ["word"]
    return words, sum(math.ceil(len(word) / 7) for word in words) / len(words)


def _pairs(text: str) -> list[_Pair]:
    return [_Pair(found[1], found[2], *found.span()) for found in _PAIR.finditer(text)]


def _around(text: str, pairs: Sequence[_Pair]) -> list[str]:
    """What stands before, between and after the tags: one piece more than there are pairs."""
    starts = [0, *(pair.end for pair in pairs)]
    ends = [*(pair.start for pair in pairs), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def best(choices: Sequence[str]) -> int:
    """The number of the choice that a prompt's author hopes for: the last that does not sound
    poor, as `unsupported` does.
    """
    good = [number for number, choice in enumerate(choices) if not _POOR.match(choice)]
    return good[-1] if good else len(choices) - 1


def tokens_of(text: str) -> int:
    """About how many tokens a text has: quick where its paragraphs came before, as a document's and
    an instruction's do.
    """
    return sum(map(_tokens, text.split("\n\n")))


_tokens = lru_cache(maxsize=16384)(estimate_tokens)


def texts_of(messages: object) -> list[str]:
    """The texts of the messages that a model did not write itself, without the system's."""
    found = []
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, Mapping) and message.get("role") not in ("assistant", "system"):
            found.append(text_of(message))
    return found


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text; of one in parts, the texts of the parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
