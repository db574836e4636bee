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
_FEWER = 50  # trees of a forest that is only tested
_TERMS = 5000
_LEAST_LEAF = 5  # a judge errs, so no leaf of a tree rests on a single label
_MOST_TESTED = 4000
_PARTS = 4
_SHUFFLES = 100
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
    """The AUC on labels that the forest did not see; that of forests fitted on shuffled labels and
    tested on such; and what chance alone reaches once in a hundred times.

    Each is a mean over four parts of at most 4,000 labels, each held out once.
    """
    chance = np.random.default_rng(seed)
    some = chance.permutation(len(labels))[:_MOST_TESTED]
    order = some[np.argsort(labels[some], kind="stable")]
    parts = [order[at::_PARTS] for at in range(_PARTS)]  # each with its share of every label
    reached, control, by_chance = [], [], []
    for held in parts:
        learnt = np.setdiff1d(order, held)
        scores = _forest(_FEWER, seed).fit(rows[learnt], labels[learnt]).predict(rows[held])
        reached.append(auc(labels[held], scores))
        wrong = np.empty_like(labels)
        for part in parts:
            wrong[part] = chance.permutation(labels[part])
        guesses = _forest(_FEWER, seed).fit(rows[learnt], wrong[learnt]).predict(rows[held])
        control.append(auc(wrong[held], guesses))
        by_chance.append([auc(chance.permutation(labels[held]), scores) for _ in range(_SHUFFLES)])
    once = np.quantile(np.mean(by_chance, axis=0), 0.99)
    return float(np.mean(reached)), float(np.mean(control)), float(once)


def digest_of(forest: Any) -> str:  # noqa: ANN401
    """16 hex digits that tell one forest from another: its splits, and who grew it."""
    digest = hashlib.sha256(f"scikit-learn {sklearn.__version__}".encode())
    for tree in forest.estimators_:
        for part in (tree.tree_.feature, tree.tree_.threshold, tree.tree_.value):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]
