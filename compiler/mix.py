"""The kept samples go in; the Mixture comes out: what phase 1 and phase 2 train on, in order.

A pass of its own because the order is the curriculum. Phase 1 is knowledge and foundational skills;
phase 2 is compositional skills and a replayed share of phase 1, without which a student forgets it
(LAB, arXiv 2403.01081, section 3.4). Every draw is seeded by content, so the same samples make the
same phases.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compiler.codes import M308
from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.spool import Kept

PHASE_1 = ("knowledge", "foundational_skills")


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample's place in a phase; `replay` where phase 1 had it already."""

    sample: Kept
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Mixture:
    """The two phases, in training order, and what is kept aside for evaluation."""

    phase1: tuple[Placed, ...]
    phase2: tuple[Placed, ...]
    validation: tuple[Kept, ...]


def mix(samples: Sequence[Kept], settings: MixSettings, seed: int, report: Report) -> Mixture:
    """Keeps some samples aside, routes the others to their phase, and draws the replay.

    Both draws are balanced over leaves.
    """
    synthetic = [s for s in samples if not s.human]
    aside = _balanced(synthetic, int(round(settings.validation * len(synthetic), 9)), seed, "aside")
    kept_aside = {sample.id for sample in aside}
    trained = [s for s in samples if s.id not in kept_aside]
    first = [s for s in trained if s.branch in PHASE_1]
    second = [s for s in trained if s.branch not in PHASE_1]
    for name, phase in (("phase 1", first), ("phase 2", second)):
        if not phase:
            report.add(
                M308,
                f"{name} has no samples",
                hint="add leaves to its branches, or train on one phase only",
            )
    replayed = _balanced(first, _share(settings.replay, len(first)), seed, "replay")
    return Mixture(
        tuple(_shuffled((Placed(s) for s in first), seed, "phase1")),
        tuple(
            _shuffled(
                [*(Placed(s) for s in second), *(Placed(s, replay=True) for s in replayed)],
                seed,
                "phase2",
            )
        ),
        tuple(aside),
    )


def _share(share: float, of: int) -> int:
    """`share` of `of`, rounded up; what a float adds behind the ninth digit is not counted."""
    return math.ceil(round(share * of, 9))


def _balanced(samples: Sequence[Kept], number: int, seed: int, salt: str) -> list[Kept]:
    """`number` samples, the same share of every leaf as nearly as whole numbers allow."""
    by_leaf: dict[str, list[Kept]] = {}
    for sample in sorted(samples, key=lambda s: _draw(s, seed, salt)):
        by_leaf.setdefault(sample.leaf, []).append(sample)
    ranked = [
        ((place + 0.5) / len(group), leaf, sample)
        for leaf, group in by_leaf.items()
        for place, sample in enumerate(group)
    ]
    ranked.sort(key=lambda item: item[:2])
    return [sample for _, _, sample in ranked[:number]]


def _shuffled(placed: Iterable[Placed], seed: int, salt: str) -> list[Placed]:
    return sorted(placed, key=lambda p: _draw(p.sample, seed, salt))


def _draw(sample: Kept, seed: int, salt: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{salt}\0{sample.leaf}\0{sample.id}".encode()).digest()
