"""What a rule of the sift may look at beside a sample, what it says, and what the sift says.

The ground that all parts of the package stand on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compiler.codes import Code
from compiler.curriculum import SiftSettings
from compiler.expand import Sample


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is None where the sample is kept; `other` names what it is too near to: the id of a
    sample, or a file and its line.
    """

    sample: Sample
    code: Code | None = None
    detail: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Why a rule would drop a sample.

    `mark` is what it found, in a word: a leaf whose own seeds have the same mark is about that, and
    its samples may have it too. What has no mark is never excused.
    """

    code: Code
    detail: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Beside the sample: the settings, the `text` of the document that it was made from ("" for
    none), the `languages` of its leaf's seeds with how many texts are in each, and whether the leaf
    is `grounded`: its seeds work on a given text.
    """

    settings: SiftSettings
    text: str = ""
    languages: Mapping[str, int] = field(default_factory=dict)
    grounded: bool = True


Rule = Callable[[Sample, Look], Iterator[Found]]


class Comparison(Protocol):
    """What compares a sample with others. Samples have their place in the build as a number, from
    0, and come in that order.
    """

    def verdict(self, number: int, sample: Sample) -> Verdict | None:
        """Why a sample is dropped; None where it is not."""

    def keep(self, number: int, sample: Sample) -> None:
        """Takes a sample that stays; later ones are compared with it."""


def is_human(sample: Sample) -> bool:
    """Whether it is a person's seed example."""
    return sample.origin.of_seed
