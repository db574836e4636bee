"""What was kept so far, by its words in order; finds what a new sample is too like by ROUGE-L.

A file of its own because it is the same comparison that Self-Instruct makes inside a leaf
(`compiler.novelty`), here of all leaves, the seeds and the held-out questions.
"""

from collections.abc import Iterable

from compiler.codes import D516
from compiler.expand import Sample
from compiler.novelty import Novelty
from compiler.sift.look import Verdict, is_human


class Novel:
    """A question counts with its context: the same words about another text are new."""

    def __init__(self, threshold: float, held_out: Iterable[Sample]) -> None:
        self._known = Novelty(threshold)
        for sample in held_out:
            self._known.add(_text(sample), sample.id)

    def verdict(self, number: int, sample: Sample) -> Verdict | None:
        """The kept sample that a synthetic one is most like, where that is too much."""
        if is_human(sample) or not (near := self._known.nearest(_text(sample))):
            return None
        similarity, other = near
        return Verdict(sample, D516, f"ROUGE-L {similarity:.2f}", other)

    def keep(self, number: int, sample: Sample) -> None:
        """Others are compared with it."""
        self._known.add(_text(sample), sample.id)


def _text(sample: Sample) -> str:
    return f"{sample.context}\n{sample.question}" if sample.context else sample.question
