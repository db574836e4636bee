"""Checks of `attribution.txt`: is it there, and may what it names be passed on?

Licences have SPDX names (https://spdx.org/licenses). People write them in many ways; a way that can
mean one licence only is understood.
"""

import re
from bisect import bisect_left

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look, short
from compiler.lines import Lines
from compiler.source import ATTRIBUTION_NAME, beside

LICENCES = (
    "Apache-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MIT",
    "Public-Domain",
)
_LONGEST = 200
_ALLOWED = frozenset(name.casefold() for name in LICENCES)
_DENIED = {"nc": "forbids commercial use", "nd": "forbids changed copies"}

_TITLE = r"(?im)^[ \t]*title of (?:the )?work[ \t]*:[ \t]*(.*?)[ \t]*\r?$"
_LICENCE = r"(?im)^[ \t]*licen[cs]e of the work[ \t]*:[ \t]*(.*?)[ \t]*\r?$"
_UNTOLD = r"(?i)[\W_]*(?:(?:unknown|none|n/?a|tbd|todo|not (?:known|sure|applicable))[\W_]*)?"
_ADDRESS = r"(?i)(?:https?://)?[\w.-]+\.(?:org|com|net)/(?:\S*/)?([^/\s]+?)(?:\.\w{3,4})?/?"
_CREATIVE = r"(?i)\S*creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)(?:/(\d\.\d))?\S*"
_WORD = r"[a-z]+|\d+(?:\.\d+)*"
_PHRASES = (
    ("creative commons", "cc"),
    ("attribution", "by"),
    ("share alike", "sa"),
    ("sharealike", "sa"),
    ("non commercial", "nc"),
    ("noncommercial", "nc"),
    ("no derivatives", "nd"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("zero", "0"),
)
_EMPTY = frozenset(
    "a the v version license licence licensed international universal unported generic deed "
    "dedication software foundation".split()
)


def missing_attribution(look: Look) -> Findings:
    """T127; the oldest format asks for no attribution."""
    found = look.attribution
    if look.leaf.version > 1 and not (found and found.data.strip()):
        what = "is empty" if found else "is not there"
        yield Finding(
            codes.T127,
            f"`{beside(look.leaf.file, ATTRIBUTION_NAME)}` {what}",
            look.leaf.span,
            "write title, link, licence and creator of each source into it",
        )


def unlisted_licence(look: Look) -> Findings:
    """T128."""
    found = look.attribution
    if not found or not found.data.strip():
        return
    text = found.data.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = Lines(found.path, text)
    named = list(re.finditer(_LICENCE, text))
    for licence in named:
        if told := _fault(licence[1]):
            place = licence.span(1) if licence[1] else licence.span()
            yield Finding(codes.T128, told[0], lines.span(*place), told[1])
    hint = "add a line `License of the work: ` and the licence's SPDX name"
    if not named:
        first_line = 0, len(text.split("\n", 1)[0])
        yield Finding(codes.T128, f"`{found.path}` names no licence", lines.span(*first_line), hint)
    elif untold := _without_licence(text, [licence.start() for licence in named]):
        message = f"the work {short(untold[1])} has no licence"
        yield Finding(codes.T128, message, lines.span(*untold.span()), hint)


def _without_licence(text: str, licences: list[int]) -> re.Match[str] | None:
    """The first work that no licence follows, where there are more works than licences."""
    titles = list(re.finditer(_TITLE, text))
    if len(titles) <= len(licences):
        return None
    ends = [*(title.start() for title in titles[1:]), len(text)]
    for title, end in zip(titles, ends, strict=True):
        at = bisect_left(licences, title.start())
        if at == len(licences) or licences[at] >= end:
            return title
    return None


def _fault(text: str) -> tuple[str, str] | None:
    """What is wrong with a licence, and what to do; None where it is one of the list."""
    use = f"use a source under one of {', '.join(LICENCES)}"
    if re.fullmatch(_UNTOLD, text):
        told = f"the licence is not told: `{text}`" if text else "the licence is not told"
        return told, "write the licence's SPDX name; " + use
    refused = _refused(text) if len(text) <= _LONGEST else [text]
    if not refused:
        return None
    name = refused[0]
    parts = name.casefold().split("-")
    for part, why in _DENIED.items():
        if parts[0] == "cc" and part in parts:
            return f"the licence {short(text)} {why}", use
    if parts[0] == "cc" and not any(char.isdigit() for char in name):
        listed = [known for known in LICENCES if known.startswith(f"{name}-")]
        example = f", such as `{listed[0]}`" if listed else ""
        return f"the licence {short(text)} has no version", f"write which{example}"
    if _is_spdx(name):
        return f"the licence {short(text)} is not on the list", use
    return f"the licence {short(text)} has no SPDX name", f"write it as SPDX does; {use}"


def _refused(text: str) -> list[str]:
    """The names in a licence that are not on the list; of a choice, none where one of them is."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    choices = _split(text, r"\s+OR\s+" if "://" in text else r"\s+OR\s+|\s*/\s*")
    if len(choices) > 1:
        refused = [_refused(choice) for choice in choices]
        return [] if not all(refused) else refused[0]
    parts = _split(text, r"\s+AND\s+|\s*[,;]\s+(?!version)")
    if len(parts) > 1:
        return [name for part in parts for name in _refused(part)]
    name = _spdx(re.sub(r"\s+WITH\s+\S+$", "", text))
    return [] if name.casefold() in _ALLOWED else [name]


def _closes(text: str) -> int:
    """Where the bracket that `text` starts with is closed; -1 for nowhere."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if not depth:
            return i
    return -1


def _split(text: str, word: str) -> list[str]:
    """`text` at each `word` that is in no brackets."""
    parts, start = [], 0
    for match in re.finditer(word, text, re.I):
        before = text[: match.start()]
        if before.count("(") == before.count(")"):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _spdx(text: str) -> str:
    """The SPDX name that these words can only mean, else the words."""
    inner = re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]", text)
    if inner:
        names = [_spdx(part) for part in inner.groups() if part]
        return next((name for name in names if name.casefold() in _ALLOWED), names[-1])
    if made := re.fullmatch(_CREATIVE, text):
        kind = {"zero": "CC0", "mark": "Public-Domain"}.get(made[1].casefold())
        version = made[2] or ""
        if kind == "Public-Domain":
            return kind
        return "-".join(part for part in (kind or f"CC-{made[1].upper()}", version) if part)
    if address := re.fullmatch(_ADDRESS, text):
        text = address[1] if "apache" not in text.casefold() else "apache " + address[1]
    plain = re.sub(r"[\s_-]+", " ", text.casefold())
    for phrase, short_form in _PHRASES:
        plain = plain.replace(phrase, short_form)
    told = [word for word in re.findall(_WORD, plain) if word not in _EMPTY]
    return _of_words(told) or text


def _of_words(told: list[str]) -> str:
    words = [word for word in told if word.isalpha()]
    version = next((word for word in told if not word.isalpha() and word != "0"), "")
    if words == ["cc"] and "0" in told:
        return "CC0-1.0" if version in ("", "1", "1.0") else f"CC0-{version}"
    if "by" in words and set(words) <= {"cc", "by", "nc", "sa", "nd"}:
        kinds = [kind for kind in ("by", "nc", "sa", "nd") if kind in words]
        full = f"{version}.0" if version.isdigit() else version
        return "-".join(part for part in ("CC", *(kind.upper() for kind in kinds), full) if part)
    if words == ["apache"] and version in ("", "2", "2.0"):
        return "Apache-2.0"
    if words in (["public", "domain"], ["pd"]):
        return "Public-Domain"
    if words == ["mit"] and not version:
        return "MIT"
    return "CDLA-Permissive-2.0" if told == ["cdla", "permissive", "2.0"] else ""


def _is_spdx(name: str) -> bool:
    """Whether SPDX has this name."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return False
    return True
