"""Labelled samples go in; a model of their labels comes out, and how far it can be trusted.

A file of its own because it alone needs scikit-learn. Textbooks are all you need (Gunasekar et al.,
arXiv 2306.11644, section 2.1) fits a random forest on a code model's embedding; the text here is
TF-IDF reduced to 64 dimensions, which needs no model.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer

from compiler.draw.tokens import tokens
from compiler.expand import Sample
from compiler.worth.features import figures_of, text_of

TREES, DIMENSIONS = 200, 64
_FEWER = 25  # trees of a forest that is only tested
_TERMS = 5000
_LEAST_LEAF = 5  # a judge errs, so no leaf of a tree rests on a single label
_MOST_TESTED = 4000
_PARTS = 4
_SHUFFLES = 8
_ONCE_IN_100 = 3.2  # standard deviations, where these are known from eight draws (Student's t)
_DECIMALS = 4  # so that another machine's last digits split no branch elsewhere

Numbers = NDArray[np.float64]


class Texts:
    """Turns samples into rows of numbers, by the words of the samples that it was made of."""

    def __init__(self, samples: Sequence[Sample], seed: int) -> None:
        self._terms: Any = TfidfVectorizer(analyzer=_marked, max_features=_TERMS, sublinear_tf=True)
        said = [tokens(text_of(sample)) for sample in samples]
        rows = self._terms.fit_transform(said)
        size = min(DIMENSIONS, rows.shape[1])
        self._svd: Any = TruncatedSVD(size, random_state=seed).fit(rows)

    def rows(self, samples: Sequence[Sample]) -> Numbers:
        """A row for each sample: its place among the words, then its figures."""
        said = [tokens(text_of(sample)) for sample in samples]
        figures = [figures_of(*one) for one in zip(samples, said, strict=True)]
        places = self._svd.transform(self._terms.transform(said))
        return np.round(np.hstack([places, np.asarray(figures)]), _DECIMALS)


def _marked(words: list[str]) -> list[str]:
    """The words, and one that all texts have: some term there is always."""
    return ["", *words]


def grown(rows: Numbers, labels: Numbers, seed: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A forest, with what it says of each row by the trees that did not see it
    (`oob_prediction_`).
    """
    return _forest(TREES, seed, oob_score=True).fit(rows, labels)


def _forest(trees: int, seed: int, oob_score: bool = False) -> RandomForestRegressor:
    """One job at a time, so that sums have the same last digits on every machine."""
    return RandomForestRegressor(
        trees,
        min_samples_leaf=_LEAST_LEAF,
        max_features="sqrt",
        oob_score=oob_score,
        random_state=seed,
        n_jobs=1,
    )


def auc(labels: Numbers, scores: Numbers) -> float:
    """How often, of two samples with different labels, the better one has the higher score; a tie
    counts half. For two labels it is the area under the ROC curve.
    """
    better = labels[:, None] > labels[None, :]
    over, equal = scores[:, None] > scores[None, :], scores[:, None] == scores[None, :]
    return float((over[better].sum() + 0.5 * equal[better].sum()) / better.sum())


def tested(rows: Numbers, labels: Numbers, seed: int) -> tuple[float, float, float]:
    """The AUC on labels that the forest did not see; the mean of what forests reach on shuffled
    labels; and what these reach once in a hundred times.

    Each AUC is a mean over four parts of at most 4,000 labels, each held out once. A forest on
    shuffled labels goes through all of it anew, because the four parts err together.
    """
    chance = np.random.default_rng(seed)
    some = chance.permutation(len(labels))[:_MOST_TESTED]
    order = some[np.argsort(labels[some], kind="stable")]
    parts = [order[at::_PARTS] for at in range(_PARTS)]  # each with its share of every label
    reached = _reached(rows, labels, parts, seed)
    shuffled = []
    for _ in range(_SHUFFLES):
        wrong = np.empty_like(labels)
        for part in parts:
            wrong[part] = chance.permutation(labels[part])
        shuffled.append(_reached(rows, wrong, parts, seed))
    control = float(np.mean(shuffled))
    return reached, control, control + _ONCE_IN_100 * float(np.std(shuffled, ddof=1))


def _reached(rows: Numbers, labels: Numbers, parts: Sequence[NDArray[np.int_]], seed: int) -> float:
    """The mean AUC of forests that each saw all parts but one, on that one."""
    found = []
    for held in parts:
        learnt = np.concatenate([part for part in parts if part is not held])
        forest = _forest(_FEWER, seed).fit(rows[learnt], labels[learnt])
        found.append(auc(labels[held], forest.predict(rows[held])))
    return float(np.mean(found))


def digest_of(forest: Any) -> str:  # noqa: ANN401
    """16 hex digits that tell one forest from another: its splits, and who grew it."""
    digest = hashlib.sha256(f"scikit-learn {sklearn.__version__}".encode())
    for tree in forest.estimators_:
        for part in (tree.tree_.feature, tree.tree_.threshold, tree.tree_.value):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]
