"""Samples of which a judge labelled some go in; a score of the educational value of each comes out.

A package of its own because it is the cheap half of a judgement: the judge reads a few hundred
samples, drawn at random by a pipeline, and a forest learns from it to score the rest (Gunasekar et
al., "Textbooks are all you need", arXiv 2306.11644, section 2.1). A forest that has learnt nothing
drops nothing.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from compiler.expand import Sample, Score

LABEL = "worth"
"""The score of a sample that is its label: 1 to 5, or yes or no."""
LEAST_LABELS = 60
LEAST_OTHERS = 10
_AT_ONCE = 1024
_WORDS = {"no": 0.0, "yes": 1.0}


@dataclass(frozen=True, slots=True)
class Worth:
    """`scores` are those of the synthetic samples by their id, on the scale of the labels;
    `threshold` is the lowest that is kept.

    `auc` is that on labels that the forest did not see, `control` that of a forest fitted on
    shuffled labels; NaN where there were too few. `reason` says why nothing is dropped, "" where
    the scores count. `model` and `answers` are digests of the forest and of its labels.
    """

    share: float
    labels: int
    scores: Mapping[str, float] = field(default_factory=dict)
    threshold: float = -math.inf
    auc: float = math.nan
    control: float = math.nan
    reason: str = ""
    model: str = ""
    answers: str = ""

    def detail(self, sample: Sample) -> str:
        """Why a sample is dropped, with D529; "" where it stays, as what people wrote does."""
        score = self.scores.get(sample.id, math.inf)
        if sample.origin.of_people or self.reason or score >= self.threshold:
            return ""
        return f"worth {score:.2f}, and the best {self.share:.0%} begin at {self.threshold:.2f}"

    def as_json(self) -> dict[str, object]:
        """The figures for the manifest."""
        numbers = {"auc": self.auc, "control": self.control, "threshold": self.threshold}
        return {
            "share": self.share,
            "labels": self.labels,
            "answers": self.answers,
            "model": self.model,
            **{name: round(n, 4) if math.isfinite(n) else None for name, n in numbers.items()},
            "reason": self.reason,
        }


def worth(samples: Iterable[Sample], share: float, seed: int) -> Worth:
    """Scores the synthetic samples and finds the threshold of the `share` of them that is kept.

    `samples` are read twice. Of a labelled sample half of the score is its label, half what the
    trees say of it that did not see it. Where there are fewer than 60 labels, or fewer than 10
    beside the most frequent one, or the forest is no better than chance and its own control,
    nothing is dropped.
    """
    labelled, labels = _labelled(samples)
    answers = _digest(labelled, labels)
    if reason := _too_few(labels):
        return Worth(share, len(labels), reason=reason, answers=answers)

    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums in one order have the same last digits everywhere
        return _scored(samples, labelled, labels, Worth(share, len(labels), answers=answers), seed)


def _scored(
    samples: Iterable[Sample],
    labelled: Sequence[Sample],
    labels: Sequence[float],
    worth: Worth,
    seed: int,
) -> Worth:
    """`worth` with what a forest of the labels says of all samples."""
    import numpy as np

    from compiler.worth.forest import (
        Texts,
        digest_of,
        grown,
        tested,
    )  # scikit-learn is slow to load

    texts = Texts(labelled, seed)
    rows, known = texts.rows(labelled), np.asarray(labels)
    reached, control, by_chance = tested(rows, known, seed)
    if reached <= by_chance:
        reason = f"the forest learnt nothing: AUC {reached:.2f}, by chance up to {by_chance:.2f}"
        return replace(worth, auc=reached, control=control, reason=reason)
    forest = grown(rows, known, seed)
    own = (known + forest.oob_prediction_) / 2
    scores = {one.id: float(score) for one, score in zip(labelled, own, strict=True)}
    unread = iter(samples)
    while some := list(islice(unread, _AT_ONCE)):
        if rest := [one for one in some if not one.origin.of_people and one.id not in scores]:
            said = forest.predict(texts.rows(rest))
            scores |= {one.id: float(score) for one, score in zip(rest, said, strict=True)}
    kept = max(1, math.ceil(round(worth.share * len(scores), 9)))
    return replace(
        worth,
        scores=scores,
        threshold=sorted(scores.values(), reverse=True)[kept - 1],
        auc=reached,
        control=control,
        model=digest_of(forest),
    )


def _labelled(samples: Iterable[Sample]) -> tuple[list[Sample], list[float]]:
    """The labelled samples, each once, and their labels."""
    known: dict[str, Sample] = {}
    labels: list[float] = []
    for sample in samples:
        label = _label(sample.scores.get(LABEL))
        if label is not None and not sample.origin.of_people and sample.id not in known:
            known[sample.id] = sample
            labels.append(label)
    return list(known.values()), labels


def _label(score: Score | None) -> float | None:
    """A judge's label as a number; None where it is none."""
    if isinstance(score, str):
        return _WORDS.get(score.strip().casefold())
    return None if score is None or math.isnan(score) else float(score)


def _too_few(labels: Sequence[float]) -> str:
    """Why no forest can be grown on so many labels; "" where it can."""
    if len(labels) < LEAST_LABELS:
        return f"{len(labels)} samples are labelled, of at least {LEAST_LABELS}"
    most = Counter(labels).most_common(1)[0][1]
    if len(labels) - most < LEAST_OTHERS:
        return f"{most} of {len(labels)} labels are the same"
    return ""


def _digest(labelled: Sequence[Sample], labels: Sequence[float]) -> str:
    """16 hex digits of a hash of who was labelled what; "" where nobody was."""
    said = sorted(zip((one.id for one in labelled), labels, strict=True))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16] if said else ""
