"""Two models' answers to the same questions go in; what each branch lost comes out.

A file of its own because a smaller model is only worth having where it still knows what was taught:
recalled facts break before skills do, and the mean over both hides it (https://arxiv.org/abs/
2404.14047 finds that what a low-rank fine-tune adds is what rounding takes first).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.codes import E709
from compiler.diagnostics import Report
from training.data import Build, Sample
from training.metrics import exact_match
from training.shown import fixed

if TYPE_CHECKING:
    from rich.console import Console

    from training.ask import Answer


@dataclass(frozen=True, slots=True)
class Score:
    """Of `n` answers the share that is exact (0 to 1), and the mean loss of the references' tokens
    (nats).
    """

    n: int
    exact_match: float
    loss: float

    @property
    def probability(self) -> float:
        """What a reference's token is given, in the geometric mean: 0 to 1, as exact match is."""
        return math.exp(-self.loss)


@dataclass(frozen=True, slots=True)
class Drop:
    """What a branch was before and after."""

    branch: str
    before: Score
    after: Score

    @property
    def lost(self) -> float:
        """The larger of what exact match and the tokens' probability lost; below 0 for a gain.

        Long answers are hardly ever exact, before or after, so exact match alone would see nothing.
        """
        # A loss that is no number stays one, and is under no limit, only as the first of the two.
        return max(
            self.before.probability - self.after.probability,
            self.before.exact_match - self.after.exact_match,
        )

    def as_json(self) -> dict[str, object]:
        return {
            "branch": self.branch,
            "n": self.before.n,
            "exact_match": [round(one.exact_match, 4) for one in (self.before, self.after)],
            "loss": [round(one.loss, 4) for one in (self.before, self.after)],
            "lost": round(self.lost, 4),
        }


def questions(build: Build) -> tuple[Sample, ...]:
    """What the student may know: trained samples of every leaf, those kept aside, and
    people's held-out questions, as evaluation asks them.
    """
    from training.evaluate.questions import samples_of

    return tuple(sample for samples in samples_of(build).values() for sample in samples)


def compare(
    asked: Sequence[Sample], before: Sequence["Answer"], after: Sequence["Answer"]
) -> tuple[Drop, ...]:
    """What each branch lost between two sets of answers, both in the order of the questions."""
    branches: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(asked):
        branches[sample.branch].append(i)
    return tuple(
        Drop(branch, _score(asked, before, which), _score(asked, after, which))
        for branch, which in sorted(branches.items())
    )


def _score(asked: Sequence[Sample], given: Sequence["Answer"], which: Sequence[int]) -> Score:
    exact = sum(exact_match(given[i].text, asked[i].answer) for i in which) / len(which)
    tokens = sum(given[i].tokens for i in which)
    return Score(len(which), exact, sum(given[i].nll for i in which) / max(1, tokens))


def judge(drops: Sequence[Drop], most: float, what: str, where: str, report: Report) -> bool:
    """Whether no branch lost more than `most`; E709 for each that did."""
    broken = [drop for drop in drops if not drop.lost <= most]
    for drop in broken:
        one, two = drop.before, drop.after
        report.add(
            E709,
            f"{what}: `{drop.branch}` lost {fixed(drop.lost)}: "
            f"exact match {fixed(one.exact_match)} to {fixed(two.exact_match)}, "
            f"loss {fixed(one.loss)} to {fixed(two.loss)}",
            hint=f"use more bits, or allow more with `--max-drop`; it is in `{where}`",
        )
    return not broken


def table(drops: Sequence[Drop], what: str, console: "Console") -> None:
    """Prints a line for each branch."""
    from rich.table import Table

    shown = Table("branch", *_COLUMNS, title=f"merged -> {what}", title_justify="left")
    for drop in drops:
        one, two = drop.before, drop.after
        shown.add_row(
            drop.branch,
            str(one.n),
            f"{fixed(one.exact_match)} -> {fixed(two.exact_match)}",
            f"{fixed(one.loss, 3)} -> {fixed(two.loss, 3)}",
            fixed(drop.lost, 3),
        )
    console.print(shown)


_COLUMNS = ("n", "exact match", "loss", "lost")
