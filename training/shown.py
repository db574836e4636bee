"""A number goes in; its digits come out, as tables, cards and pages show it.

A file of its own because one number is shown in several places, and has to be the same in all: it
is rounded half up, on the decimal digits that are stored, and never shown as minus zero.
"""

import math
from decimal import ROUND_HALF_UP, Decimal


def fixed(value: float, digits: int = 2, of: int = 1, form: str = "") -> str:
    """`value` times `of` with so many decimals; `form` is what a format says before them: `,`."""
    if not math.isfinite(value):
        return str(float(value))
    exact = Decimal(str(float(value))) * of
    shown = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{shown or abs(shown):{form}.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign; what is shown as zero has none."""
    shown = fixed(value, digits)
    return shown if float(shown) <= 0 else f"+{shown}"
