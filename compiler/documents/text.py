"""The bytes of a document go in; plain normalised Markdown comes out.

A pass of its own because a passage that an author copied and the document that it came from must
meet in one form, and because link targets and comments are tokens that teach nothing. Every step
takes linear time.
"""

import re
import unicodedata
from collections.abc import Iterator

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n(?=[ \t]*(?:[\w.-]+:|#|---))(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_TARGET = (
    r"\(\s*+<?[^()\s]*+(?:\([^()]*+\)[^()\s]*+)*+>?"
    r"(?:\s++(?:\"[^\"]*+\"|'[^']*+'))?\s*+\)"
)
_LABEL = r"(?<!\\)\[(?P<label>(?:[^\[\]\\]|\\.){0,2000}+)\]"
_CODE = r"(?P<code>``[^\n]{1,2000}?``|`[^`\n]+`)"
_IMAGE = re.compile(rf"{_CODE}|!{_LABEL}(?:{_TARGET}|\[[^\[\]]*\])|<img\b[^<>]*>")
_LINK = re.compile(rf"{_CODE}|{_LABEL}{_TARGET}|<(?P<address>https?://[^<>\s]+)>")
_DEFINITION = re.compile(
    r"^ {0,3}\[(?!\^)([^\[\]\n]+)\]:[ \t]*\S+(?:[ \t]*+\"[^\"\n]*\")?[ \t]*+$", re.M
)
_REFERENCE = re.compile(rf"{_LABEL}\[(?P<name>[^\[\]]{{0,500}})\]")
_MARKS = re.compile(r"([^\w\s\x00-\x7f]{31,})")
_WORD = re.compile(r"\w+")


def normalise(data: bytes) -> str:
    """The text of a document; bytes that are not UTF-8 become U+FFFD.

    Line ends become `\\n`; front matter, HTML comments and images go; links become their text;
    trailing spaces go, and several empty lines become one. Fenced code keeps its inside.
    """
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    text = _composed(text).replace("\r\n", "\n").replace("\r", "\n")
    text = _FRONT_MATTER.sub("", text, count=1)
    text = "".join(part if fenced else _prose(part) for fenced, part in _fences(text))
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", text).strip("\n")
    return text + "\n" if text.strip() else ""


def words(text: str) -> list[str]:
    """The words of a text as they are compared: folded case, no punctuation or emphasis."""
    return _WORD.findall(text.replace("_", " ").casefold())


def _composed(text: str) -> str:
    """The text in form NFC; more than 30 marks in a row are left as they are.

    They are no writing, and putting n marks in order takes n * n steps.
    """
    parts = _MARKS.split(text)
    return "".join(
        part if i % 2 else unicodedata.normalize("NFC", part) for i, part in enumerate(parts)
    )


def _fences(text: str) -> Iterator[tuple[bool, str]]:
    """The text in parts: (False, prose) and (True, fenced code with its fences)."""
    part: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if not fence and mark:
            yield False, "".join(part)
            part, fence = [line], mark[1]
        elif fence and mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            yield True, "".join([*part, line])
            part, fence = [], ""
        else:
            part.append(line)
    yield bool(fence), "".join(part)


def _prose(text: str) -> str:
    text = _uncomment(text)
    text = _IMAGE.sub(lambda m: m["code"] or "", text)
    text = _LINK.sub(lambda m: m["code"] or m["label"] or m["address"] or "", text)
    defined = {_label(label) for label in _DEFINITION.findall(text)}
    if defined:
        text = _DEFINITION.sub("", text)
        text = _REFERENCE.sub(
            lambda m: m["label"] if _label(m["name"] or m["label"]) in defined else m[0],
            text,
        )
    return text


def _label(text: str) -> str:
    return " ".join(text.casefold().split())


def _uncomment(text: str) -> str:
    """Drops `<!-- ... -->`; a comment that nobody closed stays, so that a slip loses nothing."""
    kept = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])
