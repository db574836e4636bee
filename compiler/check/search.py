"""A leaf and what to look for go in; where its texts hold it comes out.

A file of its own because several checks look for words that are almost never there: they search all
texts at once, and only what is found is looked at closely.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from compiler.check.look import Look
from compiler.diagnostics import Span
from compiler.tree import Path

Hit = tuple[Path, re.Match[str]]
_MANY = 200


def hits(look: Look, pattern: re.Pattern[str]) -> Iterator[Hit]:
    """Every match in a text of the leaf."""
    if pattern.search(look.joined):
        for at, text in look.texts:
            for match in pattern.finditer(text):
                yield at, match


def place(look: Look, hit: Hit, group: int | str = 0, most: int = 0) -> Span:
    """The characters of a hit, or of one group of it, in the file; at most the first `most` of
    them (0: all).

    Where an escape or a doubled quote hides them, the key of the text.
    """
    at, match = hit
    found = match[group][:most] if most else match[group]
    spelled = r"\s+".join(re.escape(part) for part in re.split(r"\s+", found))
    earlier = match.string.count(found, 0, match.start(group))
    tree = look.tree
    start, end = tree.marks.place(tree.marks.find(tree.value, at)[0])
    there = re.compile(spelled).finditer(tree.text, start, end)
    seen = next(islice(there, earlier, None), None)
    return tree.lines.span(seen.start(), seen.end()) if seen else tree.key_span(at)


@dataclass(frozen=True)
class Sought:
    """A pattern, made when it is first needed, and `words` one of which is in every match of it.

    To find a word costs little, so a text without any is not searched. `before` and `after`: how
    many characters around the start of a word a match may take.
    """

    words: tuple[str, ...]
    source: str
    flags: int = 0
    before: int = 0
    after: int = 100

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern."""
        return re.compile(self.source, self.flags)

    def is_in(self, text: str) -> bool:
        """Whether the pattern is found around one of the words; they are in the case of `text`."""
        tried = 0
        for word in self.words:
            at = text.find(word)
            while at >= 0:
                if self.pattern.search(text, max(0, at - self.before), at + self.after):
                    return True
                tried += 1
                if tried > _MANY:
                    return bool(self.pattern.search(text))
                at = text.find(word, at + 1)
        return False
