"""An answer that cites and its source go in; the quotation that is not there comes out.

A file of its own because it holds what counts as the same words: the letters, in their order.
"""

import unicodedata
from dataclasses import dataclass

import regex

from compiler.verify.said import Columns, Said, brief, text_of

# a mark, and those that may close what it opens
_MARKS = {"“": "”“", "„": "“”", "«": "»", "»": "«", "‹": "›", "「": "」", "『": "』", '"': '"'}
_QUOTED = regex.compile(
    "|".join(f"{opens}([^{opens}{closes}]+)[{closes}]" for opens, closes in _MARKS.items())
    + r"|(?m:^>[ \t]?(.+(?:\n>.*)*)$)"
)
_FOLD = str.maketrans(dict.fromkeys("“”„‟«»‹›「」『』", '"') | dict.fromkeys("‘’‚‛`´", "'"))


@dataclass(frozen=True, slots=True)
class Citation:
    """The column `source` must hold every quotation of `value`, of which there are `least` or more;
    without `quoted`, all of `value` is the quotation. Those shorter than `words` are mere terms.
    """

    value: str
    source: str
    least: int
    quoted: bool
    words: int

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer and its source."""
        return (self.value, self.source)

    def check(self, columns: Columns) -> str:
        """Which quotation is not in the source to the letter."""
        source = _plain(text_of(columns, self.source))
        text = text_of(columns, self.value)
        spans = quotations(text) if self.quoted else [text]
        spans = [span for span in spans if len(_plain(span).split()) >= self.words]
        if len(spans) < self.least:
            return f"{len(spans)} quotations, expected at least {self.least}"
        for span in spans:
            if not holds(source, _plain(span)):
                return f"`{brief(span)}` is not in the {self.source}"
        return ""


def quotations(text: str) -> list[str]:
    """What stands in quotation marks of any language, or in quoted lines of Markdown."""
    found = []
    for match in _QUOTED.finditer(text):
        span = next(group for group in match.groups() if group)
        found.append(regex.sub(r"(?m)^>[ \t]?", "", span))
    return found


def holds(source: str, span: str) -> bool:
    """Whether a plain text stands in a plain source, and not as a part of longer words.

    Punctuation that ends the span may be the citing sentence's own.
    """
    span = span.strip('" ').rstrip(".,;:!?… ")
    if not span:
        return False
    place = source.find(span)
    while place >= 0:
        end = place + len(span)
        before, after = source[max(place - 1, 0) : place], source[end : end + 1]
        if not _one_word(before, span[0]) and not _one_word(span[-1], after):
            return True
        place = source.find(span, place + 1)
    return False


def _one_word(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return left.isalnum() and right.isalnum()


def _plain(text: str) -> str:
    """White space and the style of quotes folded; every other letter as it is."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_FOLD).split())


def citation(said: Said) -> Citation:
    """Raises BrokenChecker."""
    said.only("value", "in", "least", "quoted", "words")
    quoted = said.yes("quoted", True)
    return Citation(
        said.text("value", "answer"),
        said.text("in", "document"),
        said.whole("least", 1, 0, 100),
        quoted,
        said.whole("words", 1, 1, 100),
    )
