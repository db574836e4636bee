"""Questions and answers go in; a value for each question and measure, and means of them, come out.

A file of its own because tables, intervals and gates all count the same values. Every measure is a
sum over questions divided by another one: the loss is nats over tokens, all others are points over
the questions that they apply to.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.ask import Answer, Question
from training.data import Sample
from training.metrics import exact_match, token_f1

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Values = Sequence[float | None]
Measure = Callable[[Sequence[Sample], Sequence[str]], Values]
"""Samples and answers -> a value from 0 to 1 for each, None where the measure does not apply."""

LOSS = "loss"
MEASURES = {
    "exact_match": "exact match",
    "f1": "token F1",
    "choice": "multiple choice",
    "checked": "checker",
    "judged": "judge",
    LOSS: "loss",
}
"""Their names in words, in the order of the tables."""
CUT = "cut"
"""How many answers were cut. It is no measure: as a column it applies to no question."""
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Column:
    """A measure of one model: for each question what it adds `above` and `below` the line."""

    above: Numbers
    below: Numbers

    @classmethod
    def of(cls, values: Values) -> "Column":
        """Of one value for each question; None is no part of the mean."""
        return cls(
            np.array([value or 0.0 for value in values], dtype=np.float64),
            np.array([value is not None for value in values], dtype=np.float64),
        )

    @property
    def applies(self) -> NDArray[np.bool_]:
        return self.below > 0

    def mean(self, chosen: Indices | None = None) -> float | None:
        """The mean over the questions numbered `chosen`, or over all; None where it applies to
        none.
        """
        over = slice(None) if chosen is None else chosen
        below = self.below[over].sum()
        return float(self.above[over].sum() / below) if below else None


Columns = dict[str, Column]


def columns(
    asked: Sequence[Question], answers: Sequence[Answer], measures: Mapping[str, Measure]
) -> Columns:
    """The columns of one model in one set, those of `measures` the last."""
    found: Columns = {}
    spoken = [question.speak for question in asked]
    pairs = list(zip(asked, answers, strict=True))
    for name, like in (("exact_match", exact_match), ("f1", token_f1)):
        found[name] = Column.of(
            [like(a.text, q.sample.answer) if q.speak else None for q, a in pairs]
        )
    found["choice"] = Column.of([_chosen(answer) for answer in answers])
    found[LOSS] = Column(
        np.array([answer.nll for answer in answers], dtype=np.float64),
        np.array([answer.tokens for answer in answers], dtype=np.float64),
    )
    if any(spoken):
        for name, measure in measures.items():
            values = iter(measure(*_said(pairs)))
            found[name] = Column.of([next(values) if one else None for one in spoken])
    found = {name: column for name, column in found.items() if column.applies.any()}
    cut = np.array([answer.cut for answer in answers], dtype=np.float64)
    return found | ({CUT: Column(cut, np.zeros(len(cut)))} if cut.any() else {})


def _said(pairs: Sequence[tuple[Question, Answer]]) -> tuple[list[Sample], list[str]]:
    spoken = [(q.sample, a.text) for q, a in pairs if q.speak]
    return [sample for sample, _ in spoken], [text for _, text in spoken]


def _chosen(answer: Answer) -> float | None:
    """1 where the right option is likelier, a character, than any other; None without options."""
    if len(answer.choices) < 2:
        return None
    return float(answer.choices[0] < min(answer.choices[1:]))


Groups = dict[tuple[str, str], Indices]


def groups(asked: Sequence[Question]) -> Groups:
    """The numbers of all questions, of those of each of the `branches`, and of the `leaves`."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, question in enumerate(asked):
        found["branches", question.sample.branch].append(number)
        found["leaves", question.sample.leaf].append(number)
    whole = {("all", ""): np.arange(len(asked))}
    return whole | {key: np.array(found[key]) for key in sorted(found)}


def nested(parts: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """What was found for each group, as it stands in evaluation.json."""
    told: dict[str, Any] = {"all": {}, "branches": {}, "leaves": {}}
    for (kind, name), value in parts.items():
        if kind == "all":
            told["all"] = value
        else:
            told[kind][name] = value
    return told


def score(asked: Sequence[Question], found: Columns, chosen: Indices) -> dict[str, Any]:
    """Means over the `chosen` questions, `n` of them; `loss` is in nats a token, `chance` what
    guessing gives at the multiple choice, `of` says how many a measure applies to, where that is
    not all, and `cut` how many answers had no room to end.
    """
    told: dict[str, Any] = {"n": len(chosen)}
    of: dict[str, int] = {}
    if CUT in found and (cut := int(found[CUT].above[chosen].sum())):
        told[CUT] = cut
    for name, column in found.items():
        if (mean := column.mean(chosen)) is None:
            continue
        told[name] = round(mean, DIGITS)
        if (applies := int(column.applies[chosen].sum())) < len(chosen):
            of[name] = applies
        if name == LOSS:
            told["perplexity"] = round(math.exp(min(mean, 50.0)), 2)
        if name == "choice":
            chances = [1 / len(asked[i].options) for i in chosen if asked[i].options]
            told["chance"] = round(sum(chances) / len(chances), DIGITS)
    return told | ({"of": of} if of else {})
