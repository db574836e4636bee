"""Two texts go in; how alike they are comes out, as SQuAD compares (Rajpurkar et al. 2016,
arXiv:1606.05250).

A file of its own because checkpoints are chosen and students compared by the same measures.
"""

import re
from collections import Counter


def normalise(text: str) -> str:
    """Lower case, single spaces, no punctuation at the end."""
    return re.sub(r"[\s.,;:!?]+$", "", " ".join(text.lower().split()))


def exact_match(answer: str, reference: str) -> float:
    """1 where the normalised texts are equal, else 0."""
    return float(normalise(answer) == normalise(reference))


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall over the words that the two share, repeats counted."""
    ours, theirs = (re.findall(r"\w+|[^\w\s]", normalise(text)) for text in (answer, reference))
    common = (Counter(ours) & Counter(theirs)).total()
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * common / (len(ours) + len(theirs))
