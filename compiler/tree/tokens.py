"""YAML text goes in; what only its tokens tell comes out: comments, and tabs out of place.

A pass of its own because libyaml throws comments away, and lets tabs pass that YAML forbids. Few
texts need it.
"""

import re
from collections.abc import Iterator

import yaml

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAKS = "\n\r\x85\u2028\u2029"
_COMMENT_OR_TAB = re.compile(f"#[^{_BREAKS}]*|\t")
_LINE = re.compile(f"[^{_BREAKS}]*")


def stray_tab(text: str) -> int | None:
    """The character of the first tab outside of quotes, comments and texts under `|`, if any."""
    return next((at for at, found in _between_tokens(text) if found == "\t"), None)


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Every comment in order: the character of its `#`, and what it says from there on."""
    return ((at, found) for at, found in _between_tokens(text) if found != "\t")


def _between_tokens(text: str) -> Iterator[tuple[int, str]]:
    """Comments and tabs with their characters; `text` must be YAML that can be read."""
    before = 0
    for token in yaml.scan(text, _Loader):
        start, end = token.start_mark.index, token.end_mark.index
        yield from _found(text, before, start)
        before = end
        if isinstance(token, yaml.DirectiveToken):
            yield from _found(text, start, end)
        elif isinstance(token, yaml.ScalarToken) and not token.style:
            yield from ((at, "\t") for at in range(start, end) if text[at] == "\t")
        elif isinstance(token, yaml.ScalarToken) and token.style in "|>":
            header = _LINE.match(text, start)
            yield from _found(text, start, header.end() if header else start)


def _found(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    return ((found.start(), found[0]) for found in _COMMENT_OR_TAB.finditer(text, start, end))
