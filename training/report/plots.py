"""The logs of a training run go in; loss curves in the coordinates of their plots come out.

A file of its own because it is all the arithmetic of drawing that the page needs: the other plots
are laid out in shares of their width by the template.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.recipe import CONTROL

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 270, 54, 14, 12, 44
POINTS = 80  # at most, of one curve
STEPS = tuple(m * 10.0**e for e in range(-6, 4) for m in (1, 3))  # of the axis of losses

Log = list[tuple[float, float]]  # tokens trained on so far, loss (nats per token)


@dataclass(frozen=True, slots=True)
class Curve:
    """One stage: the points of its mean loss, and the outline of the range it was taken over."""

    label: str
    role: str
    line: str
    band: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The plot of one phase; ticks are (place, text), `stop` is the loss at which training ends."""

    title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    stop: tuple[float, str] | None


@dataclass(frozen=True, slots=True)
class Part:
    """Some steps in a row."""

    tokens: float
    low: float
    mean: float
    high: float


def phase_label(name: str) -> str:
    """`phase1` as words."""
    return re.sub(r"^phase-?(?=\d+$)", "phase ", name)


def panels(run: Mapping[str, Any], logs: Mapping[str, Log]) -> list[Panel]:
    """A plot per phase, all with one axis of losses; the control lies beside the last phase."""
    phases = run.get("recipe", {}).get("phases", [])
    parts = {stage: _parts(log) for stage, log in logs.items() if log}
    every = [part for stage in parts.values() for part in stage]
    if not every:
        return []
    low, high = min(part.low for part in every), max(part.high for part in every)

    def y(loss: float) -> float:
        share = math.log(high / loss) / max(math.log(high / low), 1e-9)
        return round(TOP + share * (HEIGHT - TOP - BOTTOM), 1)

    y_ticks = tuple((y(loss), f"{loss:g}") for loss in STEPS if low <= loss <= high)
    found = []
    for phase in phases:
        last = phase is phases[-1]
        drawn = {phase["name"]: "after" if last else "during"} | (
            {CONTROL: "control"} if last else {}
        )
        drawn = {stage: role for stage, role in drawn.items() if stage in parts}
        if not drawn:
            continue
        most = max(parts[stage][-1].tokens for stage in drawn)

        def x(tokens: float, most: float = most) -> float:
            return round(LEFT + tokens / max(most, 1) * (WIDTH - LEFT - RIGHT), 1)

        stop = phase.get("stop_at_loss") or 0
        found.append(
            Panel(
                phase_label(phase["name"]),
                tuple(_curve(stage, role, parts[stage], x, y) for stage, role in drawn.items()),
                tuple((x(tokens), short(tokens)) for tokens in round_steps(most)),
                y_ticks,
                (y(stop), f"ends at a mean of {stop:g}") if low <= stop <= high else None,
            )
        )
    return found


def _parts(log: Log) -> list[Part]:
    size = math.ceil(len(log) / POINTS)
    found = []
    for start in range(0, len(log), size):
        losses = [loss for _, loss in log[start : start + size]]
        tokens = log[min(start + size, len(log)) - 1][0]
        found.append(Part(tokens, min(losses), math.fsum(losses) / len(losses), max(losses)))
    return found


Place = Callable[[float], float]


def _curve(stage: str, role: str, parts: Sequence[Part], x: Place, y: Place) -> Curve:
    line = [f"{x(part.tokens)},{y(part.mean)}" for part in parts]
    upper = [f"{x(part.tokens)},{y(part.high)}" for part in parts]
    lower = [f"{x(part.tokens)},{y(part.low)}" for part in reversed(parts)]
    label = "control, no replay" if stage == CONTROL else phase_label(stage)
    return Curve(label, role, " ".join(line), " ".join(upper + lower))


def round_steps(most: float) -> list[float]:
    """Zero and at most five multiples of a round number, none above `most`."""
    size = 10.0 ** math.floor(math.log10(max(most, 1)))
    step = next(s * size for s in (0.2, 0.5, 1.0, 2.0) if most / (s * size) < 6)
    return [i * step for i in range(int(most / step) + 1)]


def short(value: float) -> str:
    """1500 as 1.5k, 2000000 as 2M."""
    scale, unit = (1e6, "M") if value >= 1e6 else (1e3, "k") if value >= 1e3 else (1, "")
    return f"{value / scale:g}{unit}"
