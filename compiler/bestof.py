"""The scores of rival answers go in; what the best of n is worth, for every n, comes out.

A file of its own because keeping the best by a proxy, such as a judge, is a search: it can find
answers that only the proxy likes (Gao, Schulman and Hilton, "Scaling laws for reward model
overoptimization", arXiv 2210.10760). What shows it is the verified score beside the proxy's, both
against n.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class Point:
    """The means over `count` prompts of what the best of `n` rivals scores.

    `verified` is NaN where no rival was verified, `error` its standard error over the prompts. `kl`
    is in nats.
    """

    n: int
    proxy: float
    verified: float
    kl: float
    count: int
    error: float = math.nan


def best_of(proxies: Sequence[float], trues: Sequence[float], n: int) -> float:
    """The mean true score of the best of `n` answers by proxy, over all ways to take n of these N.

    It is the unbiased estimate from N samples: with the answers in the order of their proxies, the
    k-th is the best of C(k-1, n-1) of the C(N, n) subsets (Nakano et al., "WebGPT", arXiv
    2112.09332, appendix I). Of equal proxies the answer that comes first counts as better. Raises
    ValueError for an n that is not from 1 to N.
    """
    if not 1 <= n <= len(proxies):
        raise ValueError(f"the best of {n} cannot be told from {len(proxies)} answers")
    order = sorted(range(len(proxies)), key=lambda at: (proxies[at], -at))
    ways = math.comb(len(proxies), n)
    return math.fsum(
        trues[at] * (math.comb(k, n - 1) / ways)
        for k, at in enumerate(order)
        if k >= n - 1  # an unknown score of an answer that never wins does no harm
    )


def kl(n: int) -> float:
    """How far the best of `n` is from the teacher itself: KL divergence in nats, ln n - (n-1)/n.

    An upper bound, and nearly exact (Beirami et al., arXiv 2401.01879).
    """
    return math.log(n) - (n - 1) / n


def curve(
    groups: Iterable[Sequence[tuple[float, float]]], ns: Sequence[int] = SIZES
) -> tuple[Point, ...]:
    """A point for each of `ns` for which some prompt has so many rivals.

    `groups` are the (proxy, verified) scores of one prompt's rivals each, NaN where nobody gave
    one. A rival without a proxy is none; a prompt counts for the verified mean where the rivals
    that can win are verified.
    """
    proxies: dict[int, list[float]] = {n: [] for n in ns}
    verified: dict[int, list[float]] = {n: [] for n in ns}
    for group in groups:
        known = [rival for rival in group if not math.isnan(rival[0])]
        by, true = [rival[0] for rival in known], [rival[1] for rival in known]
        for n in ns:
            if n <= len(known):
                proxies[n].append(best_of(by, by, n))
                if not math.isnan(found := best_of(by, true, n)):
                    verified[n].append(found)
    return tuple(
        Point(n, _mean(found), _mean(verified[n]), kl(n), len(found), _error(verified[n]))
        for n, found in proxies.items()
        if found
    )


def turn(points: Sequence[Point]) -> Point | None:
    """The point from which on the verified score falls while the proxy's rises; None where it does
    not.

    A fall counts where it is more than two standard errors of the lower point.
    """
    known = [point for point in points if not math.isnan(point.verified)]
    best = max(known, key=lambda point: point.verified, default=None)
    if best is None:
        return None
    for point in known:
        fall = best.verified - point.verified
        worse = fall > 2 * (0.0 if math.isnan(point.error) else point.error)
        if point.n > best.n and point.proxy > best.proxy and worse:
            return best
    return None


def table(points: Sequence[Point]) -> list[str]:
    """The lines of a table of the curve, and what to make of it."""
    if not points:
        return []
    rows = [("best of", "proxy", "verified", "KL", "prompts")]
    rows += [
        (str(p.n), _shown(p.proxy), _shown(p.verified), f"{p.kl:.2f}", f"{p.count:,}")
        for p in points
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    if best := turn(points):
        lines.append(
            f"the verified score is highest for the best of {best.n}; "
            "with more answers only the proxy's rises"
        )
    return lines


def _shown(score: float) -> str:
    return "-" if math.isnan(score) else f"{score:.3f}"


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores) if scores else math.nan


def _error(scores: Sequence[float]) -> float:
    """The standard error of the mean; NaN for fewer than two scores."""
    if len(scores) < 2:
        return math.nan
    mean = _mean(scores)
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return math.sqrt(variance / len(scores))
