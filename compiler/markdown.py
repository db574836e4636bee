"""Text that somebody else wrote goes in; Markdown that shows it and does nothing else comes out.

A file of its own because it has to hold for every text: as code, Markdown knows no mentions, links,
images or HTML, so all that a contributor typed is shown as code, and cannot end it.
"""

import re

from compiler.diagnostics import clean

# What no reader of Markdown gives a meaning to, inside a line.
_PLAIN = re.compile(r"(?:[^\W_]|[ ,.;:()'…-]|(?<=\d)%)*")
# Yet some make links of addresses, issues, commits and emoji without being asked.
_LINKED = re.compile(r"[^\W\d]\.\w|\bgh-\d|\b[0-9a-f]{7,40}\b|:\S+:", re.IGNORECASE)


def code(text: str, longest: int = 160) -> str:
    """`text` as code within a line, cut to `longest` characters."""
    shown = _cut(text, longest)
    ticks = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}" if shown.strip() else "(blank)"


def cell(text: str, longest: int = 160) -> str:
    """`text` as code within a table's cell, which a bar would end."""
    return code(text.replace("|", r"\x7c"), longest)


def words(text: str, longest: int = 200) -> str:
    """A message of ours within a line: plain, and what stands in backticks as code.

    Where that could be anything but ours, the whole message is code.
    """
    shown = _cut(text, longest)
    plain, typed = shown.split("`")[::2], shown.split("`")[1::2]
    harmless = all(_PLAIN.fullmatch(part) and not _LINKED.search(part) for part in plain)
    # Two pieces of code without a word between them would become one with an open end.
    parted = len(plain) > len(typed) and all(plain[1:-1]) and all(part.strip() for part in typed)
    return shown if harmless and parted else code(text, longest)


def fenced(text: str, longest: int) -> str:
    """`text` as a block of code, cut to `longest` characters."""
    shown = "\n".join(clean(line) for line in text.split("\n"))
    if len(shown) > longest:
        shown = f"{shown[:longest]}…"
    ticks = "`" * max(3, _longest_run(shown) + 1)
    return f"{ticks}text\n{shown}\n{ticks}"


def _cut(text: str, longest: int) -> str:
    shown = clean(text[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
