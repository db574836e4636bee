"""Samples and the held-out questions go in; a verdict on each comes out: keep it, or drop it for a
named reason.

A pass of its own because what a teacher wrote is not yet a curriculum. Order matters (the first of
two duplicates stays), so samples are judged in the canonical order of their leaves and units. Near
duplicates are found by MinHash (Broder, "On the resemblance and containment of documents", 1997)
with banding, then verified exactly.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rensa import RMinHash, RMinHashLSH

from compiler.codes import D502, D503, D504, D505, D506, D513, Code
from compiler.curriculum import SiftSettings
from compiler.expand import Sample
from compiler.leaf import words

PERMUTATIONS = 128
HEAD = 3
_SEED = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is None where the sample is kept; `other` is the sample or seed that it is too near
    to.
    """

    sample: Sample
    code: Code | None = None
    detail: str = ""
    other: str = ""


def sift(
    samples: Iterable[Sample],
    held_out: Sequence[Sample],
    settings: SiftSettings,
    budget: int,
) -> list[Verdict]:
    """One Verdict per sample, in order; give the human seeds first.

    `budget` is the most synthetic samples that one leaf may keep; a human's seeds are not counted.
    """
    known = _Neighbours(settings.near_duplicate)
    for sample in held_out:
        known.add(sample, D506)
    kept: Counter[str] = Counter()
    verdicts = []
    for sample in samples:
        human = sample.origin.kind == "seed"
        verdict = _short(sample, settings) or known.verdict(sample, exact_only=human)
        if verdict is None and not human and kept[sample.leaf] >= budget:
            verdict = Verdict(sample, D513, f"the leaf has its {budget} samples")
        if verdict is None:
            verdict = Verdict(sample)
            known.add(sample, D505 if human else D504)
            kept[sample.leaf] += not human
        verdicts.append(verdict)
    return verdicts


def _short(sample: Sample, settings: SiftSettings) -> Verdict | None:
    for part, least in (
        ("question", settings.min_question_words),
        ("answer", settings.min_answer_words),
    ):
        number = len(words(getattr(sample, part)))
        if number < least:
            return Verdict(sample, D502, f"the {part} has {number} of at least {least} words")
    return None


def shingles(sample: Sample) -> frozenset[str]:
    """The word pairs of the question, marked with its context: the same words about another text
    differ.
    """
    said = ["", *words(sample.question), ""]
    mark = " ".join(words(sample.context))
    return frozenset(f"{a} {b}\0{mark}" for a, b in pairwise(said))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """The size of the intersection over that of the union."""
    return len(a & b) / len(a | b) if a or b else 1.0


class _Neighbours:
    """What was seen so far; finds the seen sample that a new one repeats."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.exact: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, ...], list[int]] = {}
        self.seen: list[tuple[str, frozenset[str], Code]] = []
        self.texts: dict[int, tuple[str, str]] = {}
        self.index = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=32)

    def add(self, sample: Sample, code: Code) -> None:
        number = len(self.seen)
        parts = shingles(sample)
        self.exact.setdefault(_key(sample), number)
        self.seen.append((sample.id, parts, code))
        self.index.insert(number, _minhash(parts))
        if code is D506:
            self.held.setdefault(tuple(words(sample.question)[:HEAD]), []).append(number)
            self.texts[number] = _key(sample)

    def verdict(self, sample: Sample, exact_only: bool) -> Verdict | None:
        """Why it repeats one that was seen; a human's seed only if it says the very same."""
        same = self.exact.get(_key(sample))
        if same is not None:
            other, _, code = self.seen[same]
            repeated = code is D504 or (code is D505 and exact_only)
            return Verdict(sample, D503 if repeated else code, "the same words", other)
        if exact_only:
            return None
        if held := self._holds(sample):
            return Verdict(sample, D506, "it holds the whole question", held)
        parts = shingles(sample)
        near = [
            (jaccard(parts, self.seen[number][1]), -number)
            for number in self.index.query(_minhash(parts))
        ]
        if not near:
            return None
        similarity, negative = max(near)
        if similarity < self.threshold:
            return None
        other, _, code = self.seen[-negative]
        return Verdict(sample, code, f"similarity {similarity:.2f}", other)

    def _holds(self, sample: Sample) -> str:
        """The id of a held-out question that stands word for word in the sample's; else ""."""
        said = words(sample.question)
        text, mark = f" {' '.join(said)} ", " ".join(words(sample.context))
        for start in range(len(said) - HEAD + 1):
            for number in self.held.get(tuple(said[start : start + HEAD]), ()):
                question, context = self.texts[number]
                if context == mark and f" {question} " in text:
                    return self.seen[number][0]
        return ""


def _key(sample: Sample) -> tuple[str, str]:
    return " ".join(words(sample.question)), " ".join(words(sample.context))


def _minhash(parts: frozenset[str]) -> RMinHash:
    made = RMinHash(num_perm=PERMUTATIONS, seed=_SEED)
    made.update(sorted(parts))
    return made
