"""Checks of the texts themselves, and of folder names: length, placeholders, blanks."""

import re
from collections.abc import Mapping

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look, short
from compiler.check.search import hits, place
from compiler.lines import Lines
from compiler.tree import Path

MOST_WORDS: Mapping[str | int, int] = {"context": 500, "question": 250, "answer": 250}

_ASKED_FOR = re.compile(
    r"<\s*+(?:your|full|insert|enter|add|put|replace|name of|link to|github)\b[^<>\n]{1,80}+>", re.I
)
_LATIN = re.compile(r"[Ll]orem ipsum dolor\b")
_WHOLE = frozenset(
    "question answer context domain example text todo tbd fixme placeholder changeme yourname "
    "yourusername yourgithubname yourgithubusername".split()
)
_TO_DO = re.compile(r"\s*(?:TODO|TBD|FIXME)\b")
_IN_BRACKETS = re.compile(r"\s*<([^<>\"=/!?][^<>\"=]{0,2000}+)>\s*")
_LONGEST_WHOLE = 30
_FOLDER = re.compile(r"[a-z0-9_-]+|\.")
_FOLDERS = re.compile(r"[a-z0-9_/-]+")


def too_long(look: Look) -> Findings:
    """T123."""
    for at, text in look.texts:
        most = MOST_WORDS.get(at[-1], 0)
        if not most or len(text) <= 2 * most:
            continue  # too few letters for so many words
        count = len(text.split())
        if count > most:
            yield Finding(
                codes.T123,
                f"the {at[-1]} has {count} words, more than {most}",
                look.tree.key_span(at),
                "shorten it, or split the example",
            )


def placeholder_text(look: Look) -> Findings:
    """T129, in the leaf and in the `attribution.txt` beside it."""
    said = set()
    for at, text in look.texts:
        if found := _placeholder(at, text):
            said.add(at)
            hint = "write your own text in its place"
            yield Finding(codes.T129, found, look.tree.key_span(at), hint)
    patterns = [_ASKED_FOR] + [_LATIN] * ("orem ipsum dolor" in look.joined)
    for hit in (hit for pattern in patterns for hit in hits(look, pattern)):
        if hit[0] not in said:
            said.add(hit[0])
            message = f"{short(hit[1][0])} is a placeholder"
            yield Finding(codes.T129, message, place(look, hit), "write your own text in its place")
    if look.attribution:
        text = look.attribution.data.decode("utf-8", "replace")
        lines = Lines(look.attribution.path, text)
        for gap in _ASKED_FOR.finditer(text):
            message = f"{short(gap[0])} is a placeholder"
            span = lines.span(*gap.span())
            yield Finding(codes.T129, message, span, "write your own text in its place")


def _placeholder(at: Path, text: str) -> str:
    """What to say where a text as a whole is one of a template; "" where it is not."""
    if len(text) <= _LONGEST_WHOLE and _letters(text) in _WHOLE:
        return f"{short(text.strip())} is a placeholder"
    if "TODO" in text[:20] or "TBD" in text[:20] or "FIXME" in text[:20]:
        found = _TO_DO.match(text)
        return f"{short(found[0].strip())} is a placeholder" if found else ""
    if "<" not in text[:20]:
        return ""
    found = _IN_BRACKETS.fullmatch(text)
    if not found or (" " not in found[1] and "seed_examples" in at):
        return ""  # a single word can be the tag that a text is about
    return f"{short(text.strip())} stands in the angle brackets of a template"


def folder_name(look: Look) -> Findings:
    """T130."""
    if _FOLDERS.fullmatch(look.leaf.path):
        return
    for name in look.leaf.path.split("/"):
        if not _FOLDER.fullmatch(name):
            better = re.sub(r"[^a-z0-9-]+", "_", name.casefold()).strip("_")
            yield Finding(
                codes.T130,
                f"the folder name `{name}` has spaces, capitals or punctuation",
                look.leaf.span,
                f"rename it to `{better}`" if better else "use letters, digits, `_` and `-`",
            )


def blank_text(look: Look) -> Findings:
    """T131; of an empty pattern T126 speaks."""
    for at, text in look.texts:
        if text.isspace() and "patterns" not in at:
            yield Finding(
                codes.T131,
                f"`{_key(at)}` holds nothing but white space",
                look.tree.key_span(at),
                "write the text, or remove the key",
            )


def _letters(text: str) -> str:
    return text.strip(" \n#.0123456789").casefold().replace(" ", "").replace("_", "")


def _key(at: Path) -> str:
    return next((str(part) for part in reversed(at) if isinstance(part, str)), "")
