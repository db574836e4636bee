"""An answer and the expected number go in; why they differ comes out.

A file of its own because a number has a tolerance and a unit, and a text has neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isinf

from compiler.verify.arithmetic import NoArithmetic, value_of
from compiler.verify.number import Found, Unreadable, final_number, only_number
from compiler.verify.said import Columns, Said, brief, did_you_mean, text_of
from compiler.verify.units import Measure, measure, table


@dataclass(frozen=True, slots=True)
class Numeric:
    """`equals` is a number or the name of a column that holds one, or an expression.

    An answer may be off by `tolerance` or by the share `relative` of the expected number, whichever
    is more. Of `units` it must name one; the expected number is in the first.
    """

    value: str
    equals: str | Fraction
    tolerance: int | float
    relative: int | float
    units: tuple[str, ...]
    mark: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer, and the expected number where it is a column."""
        return (self.value, self.equals) if isinstance(self.equals, str) else (self.value,)

    def check(self, columns: Columns) -> str:
        """Why the final number of the answer is not the expected one."""
        try:
            wanted = self._wanted(columns)
        except (NoArithmetic, Unreadable) as wrong:
            return f"no expected number: {wrong}"
        try:
            found = final_number(text_of(columns, self.value), self.mark)
        except Unreadable as wrong:
            return str(wrong)
        if found is None:
            return f"no number in the answer, expected {_shown(wanted)}"
        value = found.value
        if self.units:
            allowed = tuple(_known(unit) for unit in self.units)
            if not found.unit or found.measure is None:
                return f"found {found.written.strip()} without a unit, expected {self._listed()}"
            if found.measure not in allowed:
                return f"found {found.written.strip()}, expected {self._listed()}"
            value = allowed[0].of_base(found.measure.base(value))
        elif found.unit in ("%", "‰") or found.unit.lower() in ("percent", "permille"):
            assert found.measure
            value = found.measure.base(value)
        if self._near(value, wanted):
            return ""
        said = f"found {_shown(value)}, expected {_shown(wanted)}"
        return f"{said} {self.units[0]}" if self.units else said

    def _listed(self) -> str:
        return " or ".join(self.units)

    def _near(self, value: Fraction, wanted: Fraction) -> bool:
        if isinf(self.tolerance) or isinf(self.relative):
            return True
        share = Fraction(str(self.relative)) * abs(wanted)
        return abs(value - wanted) <= max(Fraction(str(self.tolerance)), share)

    def _wanted(self, columns: Columns) -> Fraction:
        """The expected number, in the first unit. Raises NoArithmetic and Unreadable."""
        if isinstance(self.equals, Fraction):
            return self.equals
        text = text_of(columns, self.equals).strip()
        if not text:
            raise NoArithmetic(f"the column `{self.equals}` is empty")
        found = only_number(text, self.mark)
        if found is None:
            try:
                return value_of(text)
            except NoArithmetic as wrong:
                found = final_number(text, self.mark)
                if found is None:
                    raise NoArithmetic(f"`{brief(text)}` is {wrong}") from None
        return self._in_first(found)

    def _in_first(self, found: Found) -> Fraction:
        if found.measure is None:
            return found.value
        if not self.units:
            return found.measure.base(found.value) if found.unit in ("%", "‰") else found.value
        first = _known(self.units[0])
        if found.measure.dimension != first.dimension:
            raise Unreadable(f"`{found.written}` is not in {self.units[0]}")
        return first.of_base(found.measure.base(found.value))


def numeric(said: Said) -> Numeric:
    """Raises BrokenChecker."""
    said.only("value", "equals", "tolerance", "relative", "units", "decimal_mark")
    equals = said.value("equals")
    if isinstance(equals, bool) or not isinstance(equals, str | int | float):
        raise said.broken("`equals` must be a number or the name of a column", "equals")
    if isinstance(equals, float) and (isinf(equals) or equals != equals):
        raise said.broken("`equals` must be a finite number", "equals")
    mark = said.one_of("decimal_mark", (".", ","), ".")
    units = said.texts("units")
    _compatible(said, units)
    return Numeric(
        said.text("value", "answer"),
        equals if isinstance(equals, str) else Fraction(str(equals)),
        said.number("tolerance", 0),
        said.number("relative", 0),
        units,
        mark,
    )


def _compatible(said: Said, units: Sequence[str]) -> None:
    """Raises BrokenChecker for an unknown unit, and for one that is not of the first's kind."""
    for place, unit in enumerate(units):
        found = measure(unit)
        if found is None:
            near = did_you_mean(unit, table())
            raise said.broken(f"unknown unit `{unit}`{near}", "units")
        if found.dimension != _known(units[0]).dimension:
            message = f"`{unit}` cannot be converted to `{units[0]}`"
            raise said.broken(message, "units", place)


def _known(unit: str) -> Measure:
    found = measure(unit)
    assert found, unit
    return found


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**15 else f"{float(value):g}"
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return "a number beyond all bounds"
