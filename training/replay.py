"""A build and a phase of a recipe go in; the phase's samples come out, what is replayed apart.

A file of its own because replay is what keeps a student from forgetting (LAB, arXiv 2403.01081,
section 3.4; Phi-3's second phase repeats the best of its first, arXiv 2404.14219, section 2), so
its share, its source and its order must be seen at one place. Draws are seeded by content: the same
build and recipe repeat the same samples.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle, islice, zip_longest

from compiler.codes import F619
from compiler.diagnostics import Report
from training.data import Build, Sample
from training.mistakes import PREFERENCES
from training.recipe import Phase, Recipe, Replay


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of a phase: its own, and those of earlier phases that it repeats."""

    own: tuple[Sample, ...]
    replayed: tuple[Sample, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.own + self.replayed

    @property
    def share(self) -> float:
        """What is replayed, as a share of the phase's own samples."""
        return len(self.replayed) / len(self.own) if self.own else 0.0


def samples_of(
    build: Build, phase: Phase, recipe: Recipe, earlier: Sequence[Phase], report: Report
) -> Drawn:
    """The samples of `phase`, after the phases `earlier`; F619 where nothing can be replayed.

    Without `replay` of its own phase 2 repeats what the compiler's mix put there.
    """
    if phase.data == PREFERENCES:
        return Drawn(build.preferences)
    own = own_of(build, phase.data)
    if not recipe.replay:
        return Drawn(own)
    if phase.replay is None:
        placed = tuple(s for s in build.phase2 if s.replay) if phase.data == "phase2" else ()
        return Drawn(own, placed)
    known = {sample.id for sample in own}
    found = {s.id: s for one in earlier for s in own_of(build, one.data) if s.id not in known}
    count = int(round(phase.replay.share * len(own), 9))
    drawn = draw(list(found.values()), phase.replay, count, recipe.seed)
    if count and not drawn:
        hint = "leave `replay` out, or put a phase with other samples before this one"
        report.add(F619, f"{phase.name}: no earlier phase has samples to replay", hint=hint)
    elif drawn and _human(drawn) < phase.replay.min_human:
        least, got = phase.replay.min_human, _human(drawn)
        report.add(
            F619,
            f"{phase.name}: of the replay people wrote {got:.0%}, and `min_human` is {least:.0%}",
            hint="lower `min_human`, or add seed examples to the leaves of earlier phases",
        )
    return Drawn(own, tuple(replace(sample, replay=True) for sample in drawn))


def own_of(build: Build, data: str) -> tuple[Sample, ...]:
    """The samples of `data`, replay left out, in the build's order; none for `preferences`."""
    match data:
        case "phase1":
            return build.phase1
        case "phase1-short":
            return tuple(sample for sample in build.phase1 if sample.step < 2)
        case "phase1-long":
            return tuple(sample for sample in build.phase1 if sample.step == 2)
        case "phase2":
            return tuple(sample for sample in build.phase2 if not sample.replay)
        case "stacked":
            return build.phase1 + own_of(build, "phase2")
    return ()


def draw(pool: Sequence[Sample], replay: Replay, count: int, seed: int) -> list[Sample]:
    """`count` samples of `pool` as `replay` says; where there are fewer, each comes again."""
    order = _ordered(pool, replay.source, seed)
    if not order or count <= 0:
        return []
    drawn = list(islice(cycle(order), count))
    missing = math.ceil(round(replay.min_human * count, 9)) - sum(s.human for s in drawn)
    people = [sample for sample in order if sample.human]
    if missing > 0 and people:
        taken = {sample.id for sample in drawn}
        fresh = [sample for sample in people if sample.id not in taken]
        more = islice(chain(fresh, cycle(people)), missing)
        others = [i for i in reversed(range(count)) if not drawn[i].human]
        for place, sample in zip(others, more, strict=False):
            drawn[place] = sample
    return drawn


def _ordered(pool: Iterable[Sample], source: str, seed: int) -> list[Sample]:
    by_chance = sorted(pool, key=lambda sample: _chance(seed, sample))
    if source == "all":
        return by_chance
    leaves: dict[str, list[Sample]] = defaultdict(list)
    for sample in by_chance:
        leaves[sample.leaf].append(sample)
    if source == "top":
        for samples in leaves.values():
            samples.sort(key=lambda sample: -sample.quality)
    return list(_in_turn([leaves[leaf] for leaf in sorted(leaves)]))


def _in_turn(groups: Iterable[Sequence[Sample]]) -> Iterator[Sample]:
    """The first of every group, then the second of every group, and so on."""
    return (one for one in chain(*zip_longest(*groups)) if one is not None)


def _chance(seed: int, sample: Sample) -> bytes:
    return hashlib.sha256(f"{seed} replay {sample.id}".encode()).digest()


def _human(samples: Sequence[Sample]) -> float:
    return sum(sample.human for sample in samples) / len(samples)
