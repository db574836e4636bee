"""An answer's text goes in; the number that it ends in comes out, exactly, with its unit.

A file of its own because finding the number is where checkers err: teachers write it after "the
answer is", in a box, as a fraction, with commas, or in the middle of a sentence.
"""

import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import regex

from compiler.verify.units import Measure, leading, measure

_BOXED = regex.compile(r"\\boxed\s*(\{(?:[^{}]|(?1))*\})")
_SHARPS = regex.compile(r"(?m)^\s*####[ \t]*(.+)$")
_SAYS = regex.compile(
    r"(?i)\b(?:answer|result|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado|risposta)"
    r"[*_]*\s*(?:is|are|ist|lautet|est|es|è|equals|[:=：]|：)+[*_]*"
)
_CLAUSE_END = regex.compile(r"(?<=\S)(?:[.,!?;](?:\s|$)|\n)|\b(?:since|because|as|weil|da|denn)\b")
_MATH = regex.compile(r"(?<!\\)\$\$?([^$\n]+?)(?<!\\)\$\$?(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_TEXT = regex.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)\s*\{([^{}]*)\}")
_FRACTION = regex.compile(r"\\[dt]?frac\s*\{\s*([^{}]+?)\s*\}\s*\{\s*([^{}]+?)\s*\}")
_TIMES_TEN = (
    r"(?:\s?(?:[x×*·]|\\times|\\cdot)\s?10(?:\^|\*\*)?\{?(?P<power>[-−+]?\d{1,3}|[⁻⁰¹²³⁴-⁹]+)\}?)"
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_CURRENCY = "$€£¥"
_MOST_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Found:
    """A number as it was written, its value, the unit's own words and what they mean."""

    written: str
    value: Fraction
    unit: str = ""
    measure: Measure | None = None


class Unreadable(Exception):  # noqa: N818
    """What stands where the number should is no number that can be read in one way only."""


@cache
def _pattern(mark: str) -> "regex.Pattern[str]":
    """A number in a text, with `mark` before its decimals."""
    group = r"(?:,|['’_\u00a0\u202f\u2009 ])" if mark == "." else r"(?:\.|['’_\u00a0\u202f\u2009 ])"
    grouped = rf"[1-9]\d{{0,2}}(?P<group>{group})\d{{3}}(?:(?P=group)\d{{3}})*(?!\d)(?!{group}\d)"
    point = regex.escape(mark)
    return regex.compile(
        rf"(?<![\w{_CURRENCY}.,^]|\d[.,]?[eE][-−+])"
        rf"(?P<sign>(?<![\w)\]}}])[-−–+](?=[\d.,{_CURRENCY}])|(?<=(?:^|[=:(])\s*)[-−]\s)?"
        rf"(?P<money>[{_CURRENCY}]\s?)?(?P<late>[-−])?"
        rf"(?:(?P<whole>{grouped}|\d+)(?:{point}(?P<part>\d+))?|{point}(?P<bare>\d+))"
        rf"(?:[eE](?P<exponent>[-−+]?\d{{1,3}})(?!\w)|{_TIMES_TEN})?"
        r"(?:\s?[/⁄]\s?(?P<below>\d+)|[ \u00a0](?P<top>\d+)[/⁄](?P<bottom>\d+)"
        r"|\s?(?P<vulgar>[¼½¾⅐-⅞]))?"
        r"(?P<rest>(?:[.,]\d+|\.(?=\w))*)"
        r"|(?P<vulgar_sign>[-−])?(?<!\w)(?P<lone>[¼½¾⅐-⅞])"
    )


def final_number(text: str, mark: str = ".") -> Found | None:
    """The number that a text gives as its answer, None where it holds none.

    Looked for in the last box, after the last `####`, after the last "answer is" or its like, after
    the last `=`, and else at the end. `mark` is the decimal mark, `.` or `,`; the other one groups
    thousands. A percent counts as a hundredth. Raises Unreadable.
    """
    text = _without_tex(text)
    if boxes := _BOXED.findall(text):
        text = boxes[-1][1:-1]
        return _last(text.rpartition("=")[2], mark)
    if lines := _SHARPS.findall(text):
        return _last(lines[-1], mark)
    if says := list(_SAYS.finditer(text)):
        after = text[says[-1].end() :]
        clause = _CLAUSE_END.split(after)[0]
        if found := _first(clause.rpartition("=")[2], mark) or _first(after, mark):
            return found
    if "=" in text and (found := _first(text.rpartition("=")[2], mark)):
        return found
    return _last(text, mark)


def only_number(text: str, mark: str = ".") -> Found | None:
    """The number that a text is, with its unit, and nothing else; None where it is more."""
    text = text.strip()
    try:
        found = _last(text, mark)
    except Unreadable:
        return None
    return found if found and found.written == text.rstrip(" .") else None


def _without_tex(text: str) -> str:
    """The text with TeX's fractions, units and spaces as plain ones, and without its dollars."""
    text = _MATH.sub(lambda match: f" {next(group for group in match.groups() if group)} ", text)
    text = _FRACTION.sub(r"\1/\2", _TEXT.sub(r" \1", text))
    for tex, plain in (("\\!", ""), ("\\,", " "), ("\\%", "%"), ("\\$", "$"), ("{,}", ",")):
        text = text.replace(tex, plain)
    return text


def _first(text: str, mark: str) -> Found | None:
    match = _pattern(mark).search(text)
    return _read(match, mark, text)[0] if match else None


def _last(text: str, mark: str) -> Found | None:
    """Digits that belong to a unit, as in `m/s^2`, are no number."""
    found, end = None, 0
    wrong: Unreadable | None = None
    while match := _pattern(mark).search(text, end):
        try:
            (found, end), wrong = _read(match, mark, text), None
        except Unreadable as unread:
            wrong, end = unread, match.end()
    if wrong:
        raise wrong
    return found


def _read(match: "regex.Match[str]", mark: str, text: str) -> tuple[Found, int]:
    """The number, and where it ends with its unit. Raises Unreadable."""
    value = _value(match, mark)
    if match["money"]:
        sign = match["money"].strip()
        return Found(match[0], value, sign, measure(sign)), match.end()
    unit, known = leading(text[match.end() :])
    end = text.index(unit, match.end()) + len(unit)
    return Found(text[match.start() : end], value, unit, known), end


def _value(match: "regex.Match[str]", mark: str) -> Fraction:
    """Raises Unreadable."""
    if match["lone"]:
        value = _vulgar(match["lone"])
        return -value if match["vulgar_sign"] else value
    if match["rest"] or len(match[0]) > _MOST_DIGITS:
        shown = match[0][:40]
        raise Unreadable(f"`{shown}` is no number with the decimal mark `{mark}`")
    whole = regex.sub(r"\D", "", match["whole"] or "0")
    value = Fraction(f"{whole}.{match['part'] or match['bare'] or '0'}")
    power = match["exponent"] or match["power"]
    if power:
        value *= Fraction(10) ** int(power.translate(_SUPERSCRIPT))
    for below, top in ((match["below"], None), (match["bottom"], match["top"])):
        if below is None:
            continue
        if not int(below):
            raise Unreadable(f"`{match[0]}` divides by zero")
        value = value + Fraction(int(top), int(below)) if top else value / int(below)
    if match["vulgar"]:
        value += _vulgar(match["vulgar"])
    negative = (match["sign"] or "+").strip() != "+" or match["late"]
    return -value if negative else value


def _vulgar(sign: str) -> Fraction:
    return Fraction(unicodedata.numeric(sign)).limit_denominator(10)
