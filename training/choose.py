"""The scores of a phase's checkpoints go in; the one to keep, and why, comes out.

A file of its own because the last checkpoint is seldom the best: LAB starts each phase from the one
that measures best, and prefers earlier ones (arXiv 2403.01081, section 3.4). Two things are
measured, on samples that are in no phase where there are such: what the phase teaches, and what
earlier phases taught. People's held-out questions are not among them: they measure the end.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice, zip_longest

from training.data import Build, Sample
from training.metrics import token_f1

ASKED = 64  # samples for each of the two scores


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint: its step, its score at what is `new`, and of what it `retained`: mean token F1
    over leaves, from 0 to 1, None where there was nothing to ask.
    """

    step: int
    new: float | None
    retained: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates, the step of the one that is kept, and the reason in words."""

    candidates: tuple[Candidate, ...]
    kept: int
    reason: str

    def as_json(self) -> dict[str, object]:
        """The choice for stage.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Questions:
    """What the checkpoints of a phase are asked."""

    new: tuple[Sample, ...]
    retained: tuple[Sample, ...]

    def score(self, step: int, answers: Sequence[str]) -> Candidate:
        """The candidate that gave `answers`, those to `new` first."""
        new, retained = answers[: len(self.new)], answers[len(self.new) :]
        return Candidate(step, _mean(self.new, new), _mean(self.retained, retained))


def questions(
    build: Build,
    own: Sequence[Sample],
    earlier: Sequence[Sample],
    fits: Callable[[Sample], bool],
) -> Questions:
    """What is asked after a phase of `own` samples that follows phases of `earlier` ones.

    Of a leaf's samples those kept aside are asked, and where it has none, some of those that the
    student is trained on; only such as `fits` says can be.
    """
    own = [sample for sample in own if not sample.replay]
    taught = {sample.leaf for sample in own}
    before = [sample for sample in earlier if sample.leaf not in taught]
    new, retained = (_asked(build.validation, trained, fits) for trained in (own, before))
    return Questions(new, retained)


def _asked(
    aside: Iterable[Sample], trained: Iterable[Sample], fits: Callable[[Sample], bool]
) -> tuple[Sample, ...]:
    """At most ASKED samples, from every leaf alike; no more are tried than have to be."""
    known: dict[str, list[Sample]] = defaultdict(list)
    for sample in trained:
        if len(sample.messages) > 1 and not sample.replay:
            known[sample.leaf].append(sample)
    unseen: dict[str, list[Sample]] = defaultdict(list)
    for sample in aside:
        if len(sample.messages) > 1 and sample.leaf in known:
            unseen[sample.leaf].append(sample)
    groups = [_fit(unseen[leaf], known[leaf], fits) for leaf in sorted(known)]
    in_turn = chain.from_iterable(zip_longest(*groups))
    return tuple(islice((one for one in in_turn if one is not None), ASKED))


def _fit(
    unseen: Iterable[Sample], known: Iterable[Sample], fits: Callable[[Sample], bool]
) -> Iterator[Sample]:
    """Those of `unseen` that fit, by chance; those of `known` where none does."""
    found = filter(fits, sorted(unseen, key=_chance))
    first = next(found, None)
    return chain((first,), found) if first else filter(fits, sorted(known, key=_chance))


def _chance(sample: Sample) -> bytes:
    return hashlib.sha256(f"choose {sample.id}".encode()).digest()


def _mean(samples: Sequence[Sample], answers: Sequence[str]) -> float | None:
    """The mean over leaves of the mean token F1 of a leaf; None where there are no samples."""
    leaves: dict[str, list[float]] = defaultdict(list)
    for sample, answer in zip(samples, answers, strict=True):
        leaves[sample.leaf].append(token_f1(answer, sample.answer))
    means = [sum(scores) / len(scores) for scores in leaves.values()]
    return round(sum(means) / len(means), 4) if means else None


def choose(candidates: Sequence[Candidate], tolerance: float) -> Choice:
    """The candidate that is best at what is new, of those that retained at most `tolerance` less
    than the best of them did; of equals the one that retained more, then the earlier. The last
    where nothing could be asked of what is new.
    """
    if candidates[-1].new is None:
        reason = "nothing could be asked of this phase"
        return Choice(tuple(candidates), candidates[-1].step, reason)
    most = max(one.retained or 0.0 for one in candidates)
    kept = [one for one in candidates if (one.retained or 0.0) >= most - tolerance - 1e-9]
    best = max(kept, key=_rank)
    reason = f"new {best.new:.2f}, the best of {len(kept)}"
    if best.retained is not None:
        reason += f" that retained at least {most - tolerance:.2f}"
        reason += f" (it retained {best.retained:.2f})"
    if best.step != candidates[-1].step:
        reason += f"; the last one has new {_shown(candidates[-1])}"
    return Choice(tuple(candidates), best.step, reason)


def _shown(one: Candidate) -> str:
    return f"{one.new:.2f}" + ("" if one.retained is None else f" and retained {one.retained:.2f}")


def may_win(candidates: Sequence[Candidate]) -> set[int]:
    """The steps of the candidates that some later one could still leave the best: those that no
    other equals or beats at both scores; that of the last where nothing could be asked.
    """
    if candidates[-1].new is None:
        return {candidates[-1].step}
    ranks = {one.step: _rank(one) for one in candidates}
    return {
        step
        for step, mine in ranks.items()
        if not any(
            other[0] >= mine[0] and other[1] >= mine[1] and other > mine for other in ranks.values()
        )
    }


def _rank(one: Candidate) -> tuple[float, float, int]:
    return one.new or 0.0, one.retained or 0.0, -one.step
