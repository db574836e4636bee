"""A text goes in; the lines whose comments switch a text rule off come out.

A file of its own because the linter that InstructLab's validator runs obeys such comments, so its
verdict hangs on them: `# yamllint disable rule:trailing-spaces` and its kin.
"""

import re
from bisect import bisect_right

from compiler.lines import Lines
from compiler.tree.tokens import comments

TRAILING_SPACES = "trailing-spaces"
FINAL_NEWLINE = "new-line-at-end-of-file"
DUPLICATE_KEYS = "key-duplicates"

_RULES = frozenset((TRAILING_SPACES, FINAL_NEWLINE, DUPLICATE_KEYS))
_WHOLE_FILE = re.compile(r"#[^\S\n]*yamllint disable-file[^\S\n]*(?:\n|\Z)")
_COMMENT = re.compile(r"# yamllint (disable|enable|disable-line)((?: rule:\S+)*)\s*")


class Mutes:
    """Which rules are off on which lines of a text; `text` must be YAML that can be read."""

    def __init__(self, text: str, lines: Lines) -> None:
        self._from: list[int] = [0]
        self._off: list[frozenset[str]] = [frozenset()]
        self._alone: dict[int, frozenset[str]] = {}
        if _WHOLE_FILE.match(text):
            self._off = [_RULES]
            return
        for at, comment in comments(text):
            if not (said := _COMMENT.fullmatch(comment)):
                continue
            named = frozenset(rule.removeprefix("rule:") for rule in said[2].split()) or _RULES
            place = lines.span(at, at)
            now = self._off[-1]
            if said[1] == "disable-line":
                is_inline = text[at - place.column + 1 : at].strip() != ""
                self._alone[place.line + (not is_inline)] = named
            else:
                self._from.append(place.line)
                self._off.append(now | named if said[1] == "disable" else now - named)

    def hold(self, rule: str, line: int) -> bool:
        """Whether `rule` is off on the 1-based `line`."""
        here = self._off[bisect_right(self._from, line) - 1]
        return rule in here or rule in self._alone.get(line, ())
