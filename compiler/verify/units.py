"""A unit's name goes in; its dimension and size come out.

A file of its own because it is a table, ours on purpose: an answer is read against a closed list of
the names that people write, so "5 in the morning" holds no inches and no unit is guessed. Factors
are exact (BIPM, SI brochure, 9th edition; NIST SP 811, appendix B), currencies have no rates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import regex

_PREFIXES = {
    **{"n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "c": -2, "d": -1, "h": 2},
    **{"k": 3, "M": 6, "G": 9, "T": 12},
}
_PREFIX_WORDS = {
    **{"nano": -9, "micro": -6, "milli": -3, "centi": -2, "deci": -1, "hecto": 2},
    **{"kilo": 3, "mega": 6, "giga": 9, "tera": 12},
}
# symbol, words, dimension, factor: those that take prefixes
_SI = """
m  | metre metres meter meters  | m                | 1
g  | gram grams gramme grammes  | kg               | 1/1000
s  | second seconds sec secs    | s                | 1
A  | ampere amperes amp amps    | A                | 1
mol| mole moles                 | mol              | 1
cd | candela                    | cd               | 1
L  | litre litres liter liters  | m3               | 1/1000
l  |                            | m3               | 1/1000
J  | joule joules               | kg m2 s-2        | 1
N  | newton newtons             | kg m s-2         | 1
W  | watt watts                 | kg m2 s-3        | 1
Wh | watt-hours watt-hour       | kg m2 s-2        | 3600
Pa | pascal pascals             | kg m-1 s-2       | 1
bar| bars                       | kg m-1 s-2       | 100000
Hz | hertz                      | s-1              | 1
V  | volt volts                 | kg m2 s-3 A-1    | 1
Ω  | ohm ohms                   | kg m2 s-3 A-2    | 1
eV | electronvolt electronvolts | kg m2 s-2        | 1602176634/10000000000000000000000000000
cal| calorie calories           | kg m2 s-2        | 4184/1000
B  | byte bytes                 | bit              | 8
bit| bits                       | bit              | 1
"""
# names, dimension, factor, and for temperatures the zero
_OTHERS = """
K kelvin kelvins                                   | K   | 1
°C celsius degC C                                  | K   | 1   | 27315/100
°F fahrenheit degF F                               | K   | 5/9 | 45967/180
min minute minutes mins                            | s   | 60
h hour hours hr hrs                                | s   | 3600
day days d                                         | s   | 86400
week weeks                                         | s   | 604800
year years yr yrs                                  | s   | 31557600
month months                                       | month | 1
inch inches                                        | m   | 254/10000
foot feet ft                                       | m   | 3048/10000
yard yards yd                                      | m   | 9144/10000
mile miles mi                                      | m   | 1609344/1000
lb lbs pound pounds                                | kg  | 45359237/100000000
ounce ounces oz                                    | kg  | 28349523125/1000000000000
stone                                              | kg  | 635029318/100000000
tonne tonnes t                                     | kg  | 1000
gallon gallons gal                                 | m3  | 3785411784/1000000000000
quart quarts qt                                    | m3  | 946352946/1000000000000
pint pints pt                                      | m3  | 473176473/1000000000000
cup cups                                           | m3  | 2365882365/10000000000000
ha hectare hectares                                | m2  | 10000
acre acres                                         | m2  | 40468564224/10000000
mph                                                | m s-1 | 44704/100000
kph kmph                                           | m s-1 | 1000/3600
psi                                                | kg m-1 s-2 | 8896443230521/1290320000
atm atmosphere atmospheres                         | kg m-1 s-2 | 101325
hp horsepower                                      | kg m2 s-3 | 37284993579113511/50000000000000
KiB                                                | bit | 8192
MiB                                                | bit | 8388608
GiB                                                | bit | 8589934592
° degree degrees deg                               | degree | 1
rad radian radians                                 | radian | 1
% percent per-cent                                 | | 1/100
‰ permille                                         | | 1/1000
€ EUR euro euros                                   | EUR | 1
$ USD dollar dollars                               | USD | 1
¢ cent cents                                       | USD | 1/100
£ GBP                                              | GBP | 1
pence                                              | GBP | 1/100
¥ JPY yen                                          | JPY | 1
CHF franc francs                                   | CHF | 1
"""
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SQUARE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_MOST_WORDS = 6

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A unit: a value in base units is `value * factor + zero`."""

    dimension: Dimension
    factor: Fraction
    zero: Fraction = Fraction(0)

    def base(self, value: Fraction) -> Fraction:
        """A value in this unit, in base units."""
        return value * self.factor + self.zero

    def of_base(self, value: Fraction) -> Fraction:
        """The reverse of `base`."""
        return (value - self.zero) / self.factor


def _dimension(text: str) -> Dimension:
    powers = regex.findall(r"([A-Za-z]+)(-?\d+)?", text)
    return tuple(sorted((name, int(power or 1)) for name, power in powers))


@cache
def table() -> dict[str, Measure]:
    """Every single name, those with prefixes too. Words stand in lower case."""
    found: dict[str, Measure] = {}
    for line in _SI.strip().splitlines():
        symbol, written, dimension, factor = (part.strip() for part in line.split("|"))
        one = Measure(_dimension(dimension), Fraction(factor))
        for names, prefixes in ((written.split(), _PREFIX_WORDS), ([symbol], _PREFIXES)):
            for name in names:
                found[name] = one
                for prefix, power in prefixes.items():
                    size = one.factor * Fraction(10) ** power
                    found[prefix + name] = Measure(one.dimension, size)
    for line in _OTHERS.strip().splitlines():
        words, dimension, *sizes = line.split("|")
        measure = Measure(_dimension(dimension), *(Fraction(size.strip()) for size in sizes))
        for name in words.split():
            found[name] = measure
    return found


def measure(text: str) -> Measure | None:
    """The unit that a text names, as `km/h`, `kg/m^3`, `m s-2`, `square feet`, `miles per hour`;
    None where it names none.
    """
    parts = regex.findall(r"[^\W\d_]+|[°%‰€$£¥¢]\w?|-?\d+|[/*·^]|\S", text.translate(_POWERS))
    powers: dict[str, int] = {}
    factor, zero = Fraction(1), Fraction(0)
    sign, square, count = 1, 1, 0
    place = 0
    while place < len(parts):
        part = parts[place]
        place += 1
        if part in ("*", "·", "(", ")"):
            continue
        if part in ("/", "per"):
            sign = -1
            continue
        if part.lower() in _SQUARE:
            square = _SQUARE[part.lower()]
            continue
        known = table().get(part) or table().get(part.lower() if len(part) > 3 else part)
        if known is None:
            return None
        if place < len(parts) and parts[place] == "^":
            place += 1
        power = square
        if place < len(parts) and regex.fullmatch(r"-?\d", parts[place]):
            power = int(parts[place])
            place += 1
        for name, own in known.dimension:
            powers[name] = powers.get(name, 0) + own * power * sign
        factor *= known.factor ** (power * sign)
        zero += known.zero
        square, count = 1, count + 1
    if not count or (zero and count > 1):
        return None
    return Measure(tuple(sorted((n, p) for n, p in powers.items() if p)), factor, zero)


def leading(text: str) -> tuple[str, Measure | None]:
    """The longest unit that a text begins with, as it is written there, and what it is."""
    best: tuple[str, Measure | None] = ("", None)
    for end in _ends(text):
        written = text[:end].strip(" \t~*·/")
        if written and (found := measure(written)):
            best = (written, found)
    return best


def _ends(text: str) -> Iterator[int]:
    """Where a unit could end: after each of the first words or signs."""
    power = r"(?:\^?\{?-?\d\}?(?!\d)|[⁻⁰¹²³⁴-⁹]+)?"
    step = rf"[ \t~*·/]*(?:per\b|[^\W\d_]+|°[CF]\b|[°%‰€$£¥¢]){power}"
    place = 0
    for _ in range(_MOST_WORDS):
        match = regex.compile(step).match(text, place)
        if not match:
            return
        place = match.end()
        yield place
