"""Checks of the texts themselves, and of folder names: length, placeholders, what nobody sees."""

import re
import unicodedata

from compiler import codes
from compiler.check.look import Finding, Findings, Look, short
from compiler.diagnostics import Span
from compiler.tree import Lines, Path

CONTEXT_WORDS = 500
PAIR_WORDS = 250

_TEMPLATE = re.compile(
    r"<\s*(?:your|full|insert|enter|add|put|replace|name of|link to|github)\b[^<>\n]{1,80}>"
    r"|\blorem ipsum dolor\b|\A\s*(?:question|answer|context|domain|example|text)\s*#?\d*\s*\Z"
    r"|\A\s*(?-i:TODO|TBD|FIXME)\b",
    re.I,
)

# Joiners are at home in emoji and in several scripts: they count only beside ASCII. A character can
# have one variation selector; a row of them is hidden text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e"
    "\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f]"
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
    "|(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_INVISIBLE_IN_VALUE = re.compile(_INVISIBLE.pattern + "|\r")


def too_long(look: Look) -> Findings:
    """T123."""
    for key, most in (("context", CONTEXT_WORDS), ("question", PAIR_WORDS), ("answer", PAIR_WORDS)):
        for at, text in look.named(key):
            count = len(text.split())
            if count > most:
                yield Finding(
                    codes.T123,
                    f"the {key} has {count} words, more than {most}",
                    look.tree.key_span(at),
                    "shorten it, or split the example",
                )


def placeholder_text(look: Look) -> Findings:
    """T129."""
    for at, text in look.texts:
        if found := _TEMPLATE.search(text):
            yield Finding(
                codes.T129,
                f"{short(found[0].strip())} is a placeholder",
                look.tree.key_span(at),
                "write your own text in its place",
            )


def folder_name(look: Look) -> Findings:
    """T130."""
    for name in look.leaf.path.split("/"):
        if not re.fullmatch(r"[a-z0-9_-]+|\.", name):
            better = re.sub(r"[^a-z0-9-]+", "_", name.casefold()).strip("_")
            yield Finding(
                codes.T130,
                f"the folder name `{name}` has spaces, capitals or punctuation",
                look.leaf.span,
                f"rename it to `{better}`" if better else "use letters, digits, `_` and `-`",
            )


def blank_text(look: Look) -> Findings:
    """T131."""
    for at, text in look.texts:
        if text and not text.strip():
            yield Finding(
                codes.T131,
                f"`{_key(at)}` holds nothing but white space",
                look.tree.key_span(at),
                "write the text, or remove the key",
            )


def invisible_character(look: Look) -> Findings:
    """T132: as it stands in the file, or as an escape in quotes."""
    seen = set()
    lines = Lines(look.tree.file.path, look.tree.text)
    for found in _INVISIBLE.finditer(look.tree.text):
        span = lines.span(found.start(), found.end())
        if span.line not in seen:
            seen.add(span.line)
            yield _hidden(found[0], span)
    for at, text in look.texts:
        there = (found[0] for found in _INVISIBLE_IN_VALUE.finditer(text))
        escaped = next((one for one in there if one not in look.tree.text), "")
        if escaped:
            yield _hidden(escaped, look.tree.span(at))


def _hidden(character: str, span: Span) -> Finding:
    name = unicodedata.name(character, "control character").lower()
    return Finding(
        codes.T132,
        f"U+{ord(character):04X} ({name}) cannot be seen",
        span,
        "delete it, and type the words again by hand",
    )


def _key(at: Path) -> str:
    return next((str(part) for part in reversed(at) if isinstance(part, str)), "")
