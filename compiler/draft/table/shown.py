"""A workbook's value and its number format go in; the text that people see in the cell comes out.

A file of its own because a workbook holds 45123 and 0.25 where its author sees 2023-07-16 and 25%,
and a sample must say what the author saw. The usual formats are followed; a fraction, or a format
with conditions, falls back to the plain value. Month names are English, and the short date that
follows each reader's own country becomes year-month-day.
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext

_SHORT_DATES = ("mm-dd-yy", "general")
_LITERAL = r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]'
_ANY = re.compile(rf"{_LITERAL}|.", re.S)
_DIGITS = re.compile(r"[#0?][#0?,]*(?:\.[#0?]*)?(?:E[+-]0+)?,*", re.I)
_MOMENT = re.compile(rf"{_LITERAL}|AM/PM|A/P|y+|m+|d+|h+|s+(?:\.0+)?|.", re.I | re.S)
_CODES = {
    "y": "%y",
    "yy": "%y",
    "yyy": "%Y",
    "yyyy": "%Y",
    "m": "%m",
    "mm": "%m",
    "mmm": "%b",
    "mmmm": "%B",
    "d": "%d",
    "dd": "%d",
    "ddd": "%a",
    "dddd": "%A",
    "h": "%H",
    "hh": "%H",
    "s": "%S",
    "ss": "%S",
    "am/pm": "%p",
}


def shown(value: object, form: str) -> str:
    """The text of a cell; `form` is its number format, such as `0.00` or `yyyy-mm-dd`."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.timedelta):
        return _length(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return _moment(value, form)
    if isinstance(value, int | float):
        return _number(value, form)
    return "" if value is None else str(value)


def _number(value: int | float, form: str) -> str:
    sections = _sections(form)
    own_sign = value < 0 and len(sections) > 1
    section = sections[2 if value == 0 and len(sections) > 2 else own_sign]
    hidden = re.sub(_LITERAL, lambda found: "\0" * len(found[0]), section)
    digits = _DIGITS.search(hidden)
    if "/" in hidden or re.search(r"\[[<>=]", section) or re.search("@|general", hidden, re.I):
        return _plain(value)
    if not digits:
        return _said(section).strip()
    text = _amount(Decimal(repr(value)).copy_abs(), digits[0], "%" in hidden)
    sign = "-" if value < 0 and not own_sign and text.strip("0.,%") else ""
    return f"{sign}{_said(section[: digits.start()])}{text}{_said(section[digits.end() :])}".strip()


def _amount(amount: Decimal, form: str, is_percent: bool) -> str:
    """The digits of a number; a comma at the end of its format divides by a thousand."""
    body = form.rstrip(",")
    whole, _, fraction = body.partition(".")
    with localcontext(prec=400):
        amount = amount * (100 if is_percent else 1) / 1000 ** (len(form) - len(body))
        if power := re.search(r"E([+-])(0+)", body, re.I):
            places = len(re.sub(r"E.*", "", fraction, flags=re.I))
            mantissa, _, exponent = f"{float(amount):.{places}E}".partition("E")
            sign = "-" if int(exponent) < 0 else power[1].replace("-", "")
            return f"{mantissa}E{sign}{abs(int(exponent)):0{len(power[2])}d}"
        rounded = amount.quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_UP)
        text = f"{rounded:{',' if ',' in whole else ''}f}"
    units, _, rest = text.partition(".")
    least = len(fraction.rstrip("#?"))
    rest = rest[:least] + rest[least:].rstrip("0")
    units = units.zfill(whole.count("0")) if units != "0" or "0" in whole else ""
    return f"{units}.{rest}" if rest or least else units or "0"


def _plain(value: int | float) -> str:
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e15)
    return str(int(value)) if is_whole else f"{value:.10G}"


def _sections(form: str) -> list[str]:
    """A format's parts: for numbers above zero, below it, and for zero."""
    sections = [""]
    for part in _ANY.findall(form):
        if part == ";":
            sections.append("")
        else:
            sections[-1] += part
    return sections


def _said(text: str) -> str:
    """What a format says around its digits: quoted text, a currency sign, a percent sign."""
    return "".join(map(_literal, _ANY.findall(text)))


def _literal(part: str) -> str:
    if len(part) == 1:
        return part
    if part[0] == "[":
        sign = re.fullmatch(r"\[\$([^-\]]*)(?:-[^\]]*)?\]", part)
        return sign[1] if sign else ""
    return {'"': part[1:-1], "\\": part[1:], "_": " "}.get(part[0], "")


def _moment(value: dt.datetime | dt.date | dt.time, form: str) -> str:
    section = _sections(form)[0]
    if isinstance(value, dt.time):
        moment = dt.datetime.combine(dt.date(1900, 1, 1), value)
    elif isinstance(value, dt.datetime):
        moment = (value + dt.timedelta(milliseconds=500)).replace(microsecond=0)
    else:
        moment = dt.datetime.combine(value, dt.time())
    if section.lower() not in _SHORT_DATES:
        return "".join(_moment_parts(moment, _MOMENT.findall(section))).strip()
    if isinstance(value, dt.time):
        return moment.time().isoformat()
    return moment.date().isoformat() if moment.time() == dt.time() else moment.isoformat(" ")


def _moment_parts(moment: dt.datetime, parts: list[str]) -> Iterator[str]:
    half = any(part.lower() in ("am/pm", "a/p") for part in parts)
    letters = [part[0].lower() if part[0].lower() in "ymdhs" else "" for part in parts]
    for i, part in enumerate(parts):
        token = part.lower().partition(".")[0] or part
        before = next((letter for letter in reversed(letters[:i]) if letter), "")
        after = next((letter for letter in letters[i + 1 :] if letter), "")
        if token == "a/p":
            yield moment.strftime("%p")[0]
        elif token not in _CODES:
            yield _literal(part)
        else:
            code = _CODES[token]
            if letters[i] == "m" and len(token) < 3 and (before == "h" or after == "s"):
                code = "%M"
            if letters[i] == "h" and half:
                code = "%I"
            text = moment.strftime(code)
            yield str(int(text)) if len(token) == 1 and token != "y" else text


def _length(value: dt.timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
