"""A seed and a pool go in; values drawn by chance come out, the same for the same seed.

A package of its own because a teacher that is asked the same way again answers the same way again:
what differs between two prompts is drawn here. `drawn` reads the verb, `window` draws lines,
`vocabulary` finds a leaf's own words, `checks` and `code` test whether a reply kept to what was
drawn.
"""

from compiler.draw.checks import FILTERS, TESTS
from compiler.draw.code import completed, parses, same_code
from compiler.draw.drawn import SOURCES, BrokenDraw, Drawn, Pool, draws
from compiler.draw.tokens import tokens
from compiler.draw.vocabulary import Background, background, vocabulary
from compiler.draw.window import Text, reextract, window

__all__ = [
    "FILTERS",
    "SOURCES",
    "TESTS",
    "Background",
    "BrokenDraw",
    "Drawn",
    "Pool",
    "Text",
    "background",
    "completed",
    "draws",
    "parses",
    "reextract",
    "same_code",
    "tokens",
    "vocabulary",
    "window",
]
