"""The texts of a leaf go in, as terms; how surprising each is to the others comes out, in bits.

A file of its own because it is a language model, if a very small one: informativeness without a
GPU, a download or a teacher.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

PAIR, TERM, ANY = 1 / 2, 1 / 3, 1 / 6


def surprisals(texts: Sequence[Sequence[str]]) -> list[float]:
    """The mean surprisal of a term of each text under a bigram model of the other texts.

    The probability of a term w after v mixes three, with fixed weights (Jelinek, Mercer, 1980):
    `PAIR` times the share of w among what follows v, `TERM` times the share of w, and `ANY` over
    the number of different terms in all texts. Where the others never have v, its weight goes to
    the share of w; where they have no term at all, every term is as likely. A text begins with "".
    A text without a term has 0 bits.
    """
    pairs, heads, terms = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for text in texts:
        said = list(pairwise(["", *text]))
        pairs.update(said)
        heads.update(head for head, _ in said)
        terms.update(text)
    number, total = len(terms), terms.total()
    found = []
    for text in texts:
        said = list(pairwise(["", *text]))
        own, own_heads, own_terms = Counter(said), Counter(v for v, _ in said), Counter(text)
        others, bits = total - len(text), 0.0
        for head, term in said:
            after = heads[head] - own_heads[head]
            share = (terms[term] - own_terms[term]) / others if others else 1 / number
            pair = (pairs[head, term] - own[head, term]) / after if after else share
            bits -= math.log2(PAIR * pair + TERM * share + ANY / number)
        found.append(bits / len(said) if said else 0.0)
    return found
