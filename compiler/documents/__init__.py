"""Pinned documents go in; normalised text and chunks of it come out.

A package of three thoughts: `text` makes bytes plain and comparable, `fetch` brings the files of a
commit, `chunk` cuts them to a token budget.
"""

from compiler.documents.chunk import Chunk, chunk, estimate_tokens
from compiler.documents.fetch import Document, fetch, matches
from compiler.documents.text import normalise, words

__all__ = [
    "Chunk",
    "Document",
    "chunk",
    "estimate_tokens",
    "fetch",
    "matches",
    "normalise",
    "words",
]
