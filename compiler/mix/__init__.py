"""The kept samples go in; the Mixture comes out: what phase 1 and phase 2 train on, in order.

A pass of its own because the order is the curriculum. Phase 1 is knowledge and foundational skills,
what is answered in few words first; phase 2 is compositional skills and a replayed share of phase
1, without which a student forgets it (LAB, arXiv 2403.01081, section 3.4). What people wrote is
never cut, and can be given a least share: models that learn from models alone lose what is rare
(Gerstgrasser et al., arXiv 2404.01413). Every draw is seeded by content, so the same samples make
the same phases.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from compiler.codes import M308
from compiler.curriculum import MixSettings
from compiler.diagnostics import Report
from compiler.expand import Sample
from compiler.mix.draws import balanced, draw
from compiler.mix.limits import Cut, over_budget, over_floor, over_generation
from compiler.mix.weigh import Weighed, human_share, weigh, without
from compiler.spool import Kept

__all__ = ["PHASE_1", "Cut", "Mixture", "Placed", "mix"]

PHASE_1 = ("knowledge", "foundational_skills")


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample's place in a phase; `replay` where phase 1 had it already, `step` that of phase 1
    (0 in phase 2).
    """

    sample: Kept
    replay: bool = False
    step: int = 0


@dataclass(frozen=True, slots=True)
class Mixture:
    """The two phases, in training order, and what is kept aside for evaluation.

    `human` is the share of each phase's words that people wrote.
    """

    phase1: tuple[Placed, ...]
    phase2: tuple[Placed, ...]
    validation: tuple[Kept, ...]
    cut: tuple[Cut, ...] = ()
    human: tuple[float, float] = (0.0, 0.0)


def mix(
    samples: Sequence[Kept],
    settings: MixSettings,
    seed: int,
    report: Report,
    text: Callable[[Kept], Sample] | None = None,
    least: int = 1,
) -> Mixture:
    """Cuts what is over a limit, keeps some synthetic samples aside, routes the others to their
    phase, and draws the replay.

    `text` reads a sample; without it none has words. `least` is how many synthetic samples the
    human floor leaves to every leaf that has so many; M313 where it cannot be held so.
    """
    weighed = weigh(samples, text)
    cut = over_generation(weighed, settings.max_generation)
    weighed = _rest(weighed, cut)
    first = [w for w in weighed if w.kept.branch in PHASE_1]
    second = [w for w in weighed if w.kept.branch not in PHASE_1]
    cut += over_budget("phase 1", first, settings.phase1, seed)
    cut += over_budget("phase 2", second, settings.phase2, seed)
    synthetic = [w for w in _rest(weighed, cut) if w.made]
    number = int(round(settings.validation * len(synthetic), 9))
    aside = [w.kept for w in balanced(synthetic, number, seed, "aside")]
    first, second = (without(_rest(phase, cut), aside) for phase in (first, second))
    for name, phase in (("phase 1", first), ("phase 2", second)):
        cut += over_floor(name, phase, settings.min_human, least, seed, report)
        if not phase:
            report.add(
                M308,
                f"{name} has no samples",
                hint="add leaves to its branches, or train on one phase only",
            )
    first, second = _rest(first, cut), _rest(second, cut)
    replayed = _replayed(first, settings, seed)
    steps = [Placed(w.kept, step=_step(w, settings.short_answer)) for w in first]
    return Mixture(
        tuple(sorted(_shuffled(steps, seed, "phase1"), key=lambda placed: placed.step)),
        tuple(
            _shuffled(
                [
                    *(Placed(w.kept) for w in second),
                    *(Placed(w.kept, replay=True) for w in replayed),
                ],
                seed,
                "phase2",
            )
        ),
        tuple(aside),
        tuple(cut),
        (round(human_share(first), 6), round(human_share([*second, *replayed]), 6)),
    )


def _rest(samples: Iterable[Weighed], cut: Iterable[Cut]) -> list[Weighed]:
    return without(samples, (one.sample for one in cut))


def _step(weighed: Weighed, short: int) -> int:
    """1 for knowledge that is answered in few words, 2 for the rest of phase 1 (LAB, Table 1)."""
    return 1 if weighed.kept.branch == "knowledge" and weighed.answer <= short else 2


def _replayed(first: Sequence[Weighed], settings: MixSettings, seed: int) -> list[Weighed]:
    """What phase 2 repeats of phase 1, with people's share of it where that has a floor.

    A synthetic sample then gives way to a person's that was not drawn, and to none where all are.
    """
    number = math.ceil(round(settings.replay * len(first), 9))
    if settings.replay_from == "all":
        ranked = sorted(first, key=lambda w: draw(w.kept, seed, "replay"))
    else:
        best = settings.replay_from == "top"
        ranked = balanced(first, len(first), seed, "replay", best)
    drawn, spare = ranked[:number], [w for w in ranked[number:] if w.human]
    total = sum(w.words for w in drawn)
    people = sum(w.words for w in drawn if w.human)
    out: list[Kept] = []
    for w in reversed([w for w in drawn if not w.human]):
        if people >= settings.min_human * total:
            break
        out.append(w.kept)
        joins = spare[len(out) - 1].words if len(out) <= len(spare) else 0
        people, total = people + joins, total + joins - w.words
    return [*without(drawn, out), *spare[: len(out)]]


def _shuffled(placed: Iterable[Placed], seed: int, salt: str) -> list[Placed]:
    return sorted(placed, key=lambda p: draw(p.sample, seed, salt))
