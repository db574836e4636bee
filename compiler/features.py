"""Texts go in; sparse vectors come out: counts of hashed terms, and unit rows of which the product
is a cosine.

A file of its own because selecting and valuing compare samples by the same terms. They are hashed,
so there is no vocabulary to keep, and a row takes a few hundred bytes however many there are.
"""

from collections.abc import Iterable
from typing import Any

import regex

Sparse = Any
"""A matrix of SciPy in rows (CSR), of floats; what reads it need not import SciPy."""

FEATURES = 2**20
_TERM = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]|\w+(?:[.,]\d+)*"
)


def terms(text: str) -> list[str]:
    """The words of `text` in lower case, numbers whole; of scripts without spaces, each letter."""
    return list(_TERM.findall(text.casefold()))


def counts(texts: Iterable[str]) -> Sparse:
    """How often each text (row) has each hashed term (column, of `FEATURES`)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        analyzer=terms, n_features=FEATURES, alternate_sign=False, norm=None, dtype="float64"
    )
    return hashed.transform(texts)


def weights(counted: Sparse) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """What makes unit TF-IDF rows of counts (`transform`), with the document frequencies of these.

    Term frequencies count by their logarithm. A row without a term stays 0.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True).fit(counted)


def unit(counted: Sparse) -> Sparse:
    """Unit TF-IDF rows of counts."""
    rows: Sparse = weights(counted).transform(counted)
    return rows
