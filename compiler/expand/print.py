"""A sample goes in; what comparing it with others needs comes out: hashes and no text.

A file of its own because it is the part of sifting that looks at one sample alone: where many
processes expand, they do it too.
"""

from hashlib import blake2b
from itertools import pairwise

from compiler.expand.sample import Sample
from compiler.leaf import said

Print = tuple[int, frozenset[int]]
"""64-bit hashes: of all words of the question and its context; of the question's word pairs."""


def print_of(sample: Sample) -> Print:
    """The key and the word pairs of a sample, marked with its context: the same words about another
    text differ.
    """
    asked = said(sample.question)
    mark = b"%016x" % _hash(" ".join(said(sample.context)))
    pairs = frozenset(_hash(f"{a} {b}", mark) for a, b in pairwise(["", *asked, ""]))
    return _hash(" ".join(asked), mark), pairs


def _hash(text: str, mark: bytes = b"") -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8, salt=mark).digest(), "big")
