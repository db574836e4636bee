"""Numbers, names and texts go in; the words that the page shows come out."""

import re

from markupsafe import Markup

from compiler.codes import CATALOGUE
from training import shown

LONGEST = 1200  # characters of a text


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage, or a dash."""
    return "–" if share is None else f"{shown.fixed(share, digits, 100)}\N{NO-BREAK SPACE}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thin spaces between thousands, or a dash."""
    if value is None:
        return "–"
    return shown.fixed(value, digits, form=",").replace(",", "\N{NARROW NO-BREAK SPACE}")


def signed(value: float | None) -> str:
    """A difference with its sign, or a dash."""
    return "–" if value is None else shown.signed(value).replace("-", "\N{MINUS SIGN}")


def size(n: float) -> str:
    """Bytes in a unit that suits them."""
    for unit in ("bytes", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} GB"


def code(id: str) -> str:
    """The name and the number of a code, as the commands print them."""
    known = CATALOGUE.get(id)
    return f"{known.name} ({id})" if known else id


def cut(text: str, longest: int = LONGEST) -> str:
    """`text`, or its beginning and how much of it is missing."""
    more = len(text) - longest
    return text if more <= 0 else f"{text[:longest]} … [{more} more characters]"


def path(text: str) -> Markup:
    """`text` with places where a line may break."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_])", text))
