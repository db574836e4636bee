"""The preference pairs of a build go in; what keeping the best of n was worth comes out, drawn.

A file of its own because it is the one place where a proxy, which chose, meets a checker, which
knew better: where the proxy still rises and the truth falls, n is too large.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.bestof import Point, curve, turn
from compiler.builds import Build
from compiler.rivals import Group, alike, groups

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 260, 46, 16, 14, 44


@dataclass(frozen=True, slots=True)
class Rivals:
    """The best of n for each n; `turn` is the n from which on only the proxy rises, 0 for none.

    `proxy` and `verified` are the points of a `polyline`, a tick is (place, text); `verified` is ""
    where nothing was verified.
    """

    points: tuple[Point, ...]
    turn: int
    proxy: str
    verified: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def compare(build: Build) -> Rivals | None:
    """Scores against the divergence from the teacher; None where no sample had a rival."""
    found = alike(_groups(build))
    if not found:
        return None
    most: list[Group] = max(found.values(), key=len)
    points = curve(most)
    lines = [[(p.kl, p.proxy) for p in points], [(p.kl, p.verified) for p in points]]
    known = [v for line in lines for _, v in line if not math.isnan(v)]
    low, high = min(known), max(known)
    if math.isclose(low, high):
        low, high = low - 0.5, high + 0.5
    best = turn(points)

    def x(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * value / points[-1].kl, 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    proxy, verified = (
        " ".join(f"{x(at)},{y(value)}" for at, value in line if not math.isnan(value))
        for line in lines
    )
    return Rivals(
        points,
        best.n if best else 0,
        proxy,
        verified,
        tuple((x(p.kl), str(p.n)) for p in points),
        tuple((y(v), f"{v:.2f}") for v in (low, (low + high) / 2, high)),
    )


def _groups(build: Build) -> Iterator[Group]:
    """The (proxy, verified) scores of each prompt's rivals; one that nobody gave is NaN."""
    for name in ("samples", "drops"):
        yield from groups(build.lines(name))
