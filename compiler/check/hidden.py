"""Checks of characters that nobody sees, and of those that turn the direction of what is read.

They read the raw text, comments and keys too, and `attribution.txt`. An escape in quotes hides a
character from the raw text, so where there is a backslash they read the values as well.
"""

import re
import unicodedata
from collections.abc import Iterator

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.codes import Code
from compiler.diagnostics import Span
from compiler.lines import Lines

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\U0001d173-\U0001d17a"
_BLANKS = "\u115f\u1160\u3164\uffa0\u17b4\u17b5\u00ad\u034f\u180e\u200b\ufeff"
_FORMATS = "\u2060-\u2065\u206a-\u206f\U000e0000-\U000e007f"
_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TURNS = "\u202a-\u202e\u2066-\u2069"
_MARKS = "\u061c\u200e\u200f"

# Joiners are at home in emoji and in several scripts: they count only beside ASCII. A character can
# have one variation selector; a row of them is hidden text.
_INVISIBLE = (
    rf"[{_CONTROLS}{_BLANKS}{_FORMATS}]"
    rf"|(?<=[\x00-\x7f])[{_JOINERS}]|[{_JOINERS}](?=[\x00-\x7f])"
    rf"|(?<=[{_SELECTORS}])[{_SELECTORS}]"
)
_TURNING = f"[{_TURNS}{_MARKS}]"
_RIGHT_TO_LEFT = (
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
    "\U00010800-\U00010fff\U0001e800-\U0001eeff]"
)
_SUSPECT = f"[{_CONTROLS}{_BLANKS}{_FORMATS}{_JOINERS}{_SELECTORS}{_TURNS}{_MARKS}]"
_PLAIN = bytes((*range(0x20, 0x7F), 0x09, 0x0A, 0x0D))
_NEAR = 40


def invisible_character(look: Look) -> Findings:
    """T132."""
    return _find(look, codes.T132)


def bidirectional_text(look: Look) -> Findings:
    """T154; the three marks are at home near letters that are written from right to left."""
    return _find(look, codes.T154)


def _find(look: Look, code: Code) -> Findings:
    tree, beside = look.tree, look.attribution
    if _is_suspect(tree.file.data, code):
        yield from _in_lines(tree.text, tree.lines, code)
    if beside and _is_suspect(beside.data, code):
        text = beside.data.decode("utf-8", "replace").removeprefix("\ufeff")
        yield from _in_lines(text, Lines(beside.path, text), code)
    if "\\" in tree.text and (
        "\r" in look.joined or _is_suspect(look.joined.encode("utf-8", "surrogatepass"), code)
    ):
        yield from _escaped(look, code)


def _is_suspect(data: bytes, code: Code) -> bool:
    """Whether a text needs a closer look; most texts are plain but for a few letters."""
    if code is codes.T154 and data.isascii():
        return False
    rest = data.translate(None, _PLAIN)
    return bool(rest) and bool(re.search(_SUSPECT, rest.decode("utf-8", "replace")))


def _escaped(look: Look, code: Code) -> Findings:
    """The first in each text of those that the raw text does not show."""
    for at, text in look.texts:
        told = dict.fromkeys(found[0] for found in _matches(text, code))
        if code is codes.T132 and "\r" in text:
            told["\r"] = None
        escaped = [one for one in told if one == "\r" or one not in look.tree.text]
        if escaped:
            yield _say(escaped[0], look.tree.span(at), code)


def _in_lines(text: str, lines: Lines, code: Code) -> Findings:
    """The first of each line."""
    at = 0
    while found := next(_matches(text, code, at), None):
        yield _say(found[0], lines.span(found.start(), found.end()), code)
        at = text.find("\n", found.end())
        if at < 0:
            return


def _matches(text: str, code: Code, start: int = 0) -> Iterator[re.Match[str]]:
    if code is codes.T132:
        yield from re.compile(_INVISIBLE).finditer(text, start)
        return
    right_to_left = re.compile(_RIGHT_TO_LEFT)
    for found in re.compile(_TURNING).finditer(text, start):
        near = max(0, found.start() - _NEAR), found.end() + _NEAR
        if found[0] not in _MARKS or not right_to_left.search(text, *near):
            yield found


def _say(character: str, span: Span, code: Code) -> Finding:
    name = unicodedata.name(character, "control character").lower()
    does = "cannot be seen" if code is codes.T132 else "turns the direction of the text"
    hint = (
        "delete it, and type the words again by hand"
        if code is codes.T132
        else "delete it, and write the words in the order in which they are read"
    )
    return Finding(code, f"U+{ord(character):04X} ({name}) {does}", span, hint)
