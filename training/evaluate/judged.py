"""Verdicts of a judge that agrees with people go in; a score of each answer comes out, beside what
the judge is worth.

A file of its own because a judge's score means nothing without the figures of its calibration:
whoever shows the one has the other at hand. Who asks the judge is `training.commands.judging`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.data import Sample

Verdicts = Sequence[bool | None]
"""What the judge says of one answer to each assertion of its branch, None where it is silent."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Worth:
    """One assertion that the judge is asked about, and how it agrees with people's grades in a
    branch: shares of the `bad` samples that it fails and of the `good` ones, with Wilson's 95%
    intervals, and the harmonic mean of the first with what the second leaves, between its least and
    most. `pleaded` is the share of the bad ones that it fails where they ask it to pass them.
    """

    assertion: str
    branch: str
    good: int
    bad: int
    coverage: float
    coverage_interval: Interval
    false_failures: float
    false_failures_interval: Interval
    alignment: float
    alignment_interval: Interval
    pleaded: float

    def line(self) -> str:
        """The figures in words."""
        low, high = self.alignment_interval
        return (
            f"{self.branch}: `{self.assertion}` agrees with people {self.alignment:.2f} "
            f"({low:.2f} to {high:.2f}) on {self.good} good and {self.bad} bad samples"
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge by name, its worth, and how to ask it about answers. As a measure it gives each
    answer the share of its branch's assertions that the answer meets, of those with a verdict; None
    where there are none.
    """

    name: str
    worth: tuple[Worth, ...]
    ask: Callable[[Sequence[Sample], Sequence[str]], Sequence[Verdicts]]

    def __call__(self, samples: Sequence[Sample], texts: Sequence[str]) -> list[float | None]:
        return [met(verdicts) for verdicts in self.ask(samples, texts)]

    def as_json(self) -> dict[str, Any]:
        """What stands in evaluation.json beside the scores."""
        return {"name": self.name, "assertions": [asdict(one) for one in self.worth]}

    def lines(self) -> list[str]:
        """What is printed below the scores."""
        return [f"judge {self.name}", *(f"  {one.line()}" for one in self.worth)]


def met(verdicts: Verdicts) -> float | None:
    """The share of yes among the verdicts that there are."""
    said = [one for one in verdicts if one is not None]
    return sum(said) / len(said) if said else None
