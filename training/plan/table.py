"""A Plan goes in; its text comes out, as a terminal shows it.

A file of its own because a plan is also JSON.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict

from training.plan import Line, Plan

_HEAD = ("phase", "samples", "replayed", "left out", "tokens", "that teach", "longest", "epochs")
_STEPS = ("steps", "time")


def shown(plan: Plan) -> str:
    """The phases as a table, then what the run takes."""
    timed = plan.rate > 0
    rows = [(*_HEAD, *(_STEPS if timed else _STEPS[:1]))]
    rows += [_row(line, timed) for line in plan.lines]
    return "\n".join([*_aligned(rows), "", *_notes(plan)])


def _row(line: Line, timed: bool) -> tuple[str, ...]:
    numbers = (line.samples, line.replayed, line.left_out, line.tokens, line.taught)
    more = (line.longest, line.epochs, line.steps)
    cells = (line.name, *(f"{number:,}" for number in (*numbers, *more)))
    return (*cells, duration(line.seconds)) if timed else cells


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _notes(plan: Plan) -> list[str]:
    rough = "" if plan.sizes_exact else "about "
    trained = f"{plan.trained:,} of them trained ({plan.trained / max(1, plan.parameters):.1%})"
    if plan.trained == plan.parameters:
        trained = "all of them trained"
    parts = ((name, number) for name, number in asdict(plan.memory).items() if number)
    return [
        f"student  {plan.student}: {rough}{plan.parameters:,} parameters, {trained}",
        f"tokens   of one epoch, {plan.counted_with}{_about(plan)}",
        f"memory   about {size(plan.memory.total)} on `{plan.device}`{_free(plan)}",
        f"         {', '.join(f'{name} {size(number)}' for name, number in parts)}",
        f"time     {_time(plan)}",
        f"disk     at most about {size(plan.disk)}",
    ]


def _about(plan: Plan) -> str:
    shares = [f"{line.counted:.0%} of {line.name}" for line in plan.lines if line.counted < 1]
    if shares:
        return f"; looked at were {', '.join(shares)}"
    if not plan.exact and "estimated" not in plan.counted_with:
        return "; its chat template cannot be read here, and a plain one stands for it"
    return ""


def _free(plan: Plan) -> str:
    return f", where {size(plan.free)} are free" if plan.free else ""


def _time(plan: Plan) -> str:
    if not plan.rate:
        return plan.rule
    rate = f"{plan.rate:,.{0 if plan.rate >= 10 else 1}f} tokens/s"
    return f"at most about {duration(plan.seconds)}, at {rate} ({plan.rule})"


def size(count: int) -> str:
    """Bytes in GB, MB or kB, powers of a thousand."""
    unit, name = next((one for one in _UNITS if count >= one[0]), _UNITS[-1])
    number = count / unit
    return f"{number:,.{0 if number >= 100 else 1}f} {name}"


_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def duration(seconds: float) -> str:
    """Seconds in the unit that fits."""
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
