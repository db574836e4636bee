"""Checks of `attribution.txt`: is it there, and may what it names be passed on?

A file of its own because it looks at places in a text; what a licence allows is told by
`compiler.licences`.
"""

import re
from bisect import bisect_left

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look, short
from compiler.licences import LICENCES, fault, refused, untold
from compiler.lines import Lines
from compiler.source import ATTRIBUTION_NAME, beside

_TITLE = r"(?im)^[ \t]*title of (?:the )?work[ \t]*:[ \t]*(.*?)[ \t]*\r?$"
_LICENCE = r"(?im)^[ \t]*licen[cs]e of the work[ \t]*:[ \t]*(.*?)[ \t]*\r?$"


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
    if untold(text):
        told = f"the licence is not told: `{text}`" if text else "the licence is not told"
        return told, "write the licence's SPDX name; " + use
    why = fault(text)
    if why == "has no version":
        listed = [known for known in LICENCES if known.startswith(f"{refused(text)[0]}-")]
        use = f"write which{f', such as `{listed[0]}`' if listed else ''}"
    elif why == "is no SPDX name":
        use = f"write it as SPDX does; {use}"
    return (f"the licence {short(text)} {why}", use) if why else None
