"""A build folder and the journal go in; one HTML page on which one can explore the build comes out.

A package of its own because it only reads what the compiler wrote down, long after or at once. The
page loads nothing; the texts in it are contributors' and models', so all are escaped, and only its
own script may run. Same build and same replies, same bytes: what a run took in seconds is not on
it.
"""

import base64
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from compiler import __version__
from compiler.builds import Build, DamagedError, Json
from compiler.codes import CATALOGUE
from compiler.diagnostics import Report
from compiler.journal import Journal
from compiler.page import rivals
from compiler.page.books import Books, Yield, balance
from compiler.page.entries import Entries, safe
from compiler.page.read import MIX
from compiler.page.variety import Lengths, Variety, look
from compiler.teacher.extractive import NOTICE

NAME = "explore.html"
HERE = Path(__file__).parent
SCRIPTS = ("make", "load", "search", "list", "story", "explore")
LISTED = 200  # leaves and contributors in a table
VALUES = 12  # values of a score in a chart
BINS = 10  # of a score that is a number

_TOLD = {
    "leaves": ("leaves", "leaves of the taxonomy that have something to ask about"),
    "ask": ("units", "chunks and seed examples that the teacher is asked about"),
    "expand": ("samples", "what the teacher wrote, read and judged"),
    "sift": ("samples", "looked at for copies, held-out questions, and what is unsound"),
    "select": ("samples", "chosen within the budget"),
    MIX: ("samples", "placed in a phase, or kept aside to be asked in evaluation"),
}

_CHOICES = {"pool": "all there was", "selection": "selected", "random": "at random"}
_NUMBERS = {
    "count": "samples",
    "utility": "mean utility",
    "similarity": "highest cosine of two",
    "leaves": "leaves reached",
    "coverage": "how near each of the pool is to one",
    "gain": "gained with each sample",
}

_WORTH = {
    "share": "share to keep",
    "labels": "marks that it learnt from",
    "auc": "AUC on marks that it did not see",
    "control": "AUC of one that learnt from shuffled marks",
}


def write(folder: Path, journal: Journal, out: Path, report: Report) -> bool:
    """Writes the page on the build in `folder` to `out`; False where the build is damaged (F605).

    Raises OSError where `out` cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.writelines(_page(Build(folder), journal))
        draft.replace(out)
    except DamagedError as found:
        found.tell(report)
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _page(build: Build, journal: Journal) -> Iterable[str]:
    books = balance(build, journal)
    variety = look(build)
    entries = Entries(build, journal, books.texts)
    manifest = build.manifest
    script = "".join((HERE / "script" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    style = (HERE / "page.css").read_text("utf-8")
    return (
        _environment()
        .get_template("page.html.j2")
        .generate(
            version=__version__,
            manifest=manifest,
            sizes={name: file["count"] for name, file in manifest["files"].items()},
            notice=NOTICE if str(manifest["teacher"]).startswith("extractive") else "",
            steps=list(_steps(build)),
            books=books,
            leaves=_few(books.leaves),
            contributors=_few(books.contributors),
            codes=Markup(safe(_codes(build, books))),
            makers=Markup(safe([[one.name, one.contributor] for one in books.leaves])),
            variety=variety,
            shares=sorted(((one.kept, one.name) for one in books.leaves if one.kept), reverse=True),
            near_duplicate=manifest["curriculum"]["sift"]["near_duplicate"],
            lengths=[
                ("Words of a question", _doubled(variety.questions, variety)),
                ("Words of an answer", _doubled(variety.answers, variety)),
            ],
            scores=list(_scores(variety)),
            selection=_selection(manifest.get("selection") or {}),
            worth=_worth(manifest.get("worth") or {}),
            rivals=rivals.compare(build),
            frame=rivals,
            entries=entries,
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "percent": percent, "code": code, "path": path}
    made.filters |= {"most": most, "told": told}
    return made


def _hash(text: str) -> str:
    """What a content security policy calls a script or a style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _steps(build: Build) -> Iterable[Json]:
    """The passes in order, each with what it counts, and what came in beside what the last kept."""
    last: Json | None = None
    for account in build.passes:
        counts, told = _TOLD.get(account["name"], ("samples", ""))
        is_next = last is not None and last["counts"] == counts
        joined = account["in"] - last["kept"] if is_next and last else 0
        last = {**account, "taken": account["in"], "counts": counts, "told": told, "joined": joined}
        yield last


def _codes(build: Build, books: Books) -> Json:
    """Name and summary of every code that something was dropped for."""
    dropped = {code for _, code in books.total.dropped}
    dropped |= {code for account in build.passes for code in account["dropped"]}
    known = {code: CATALOGUE[code] for code in sorted(dropped) if code in CATALOGUE}
    return {id: [one.name, one.summary] for id, one in known.items()}


def _few(yields: tuple[Yield, ...]) -> list[Yield]:
    """Those of whom most was made, in their own order."""
    most = sorted(yields, key=lambda one: (-one.made - one.human - one.given, one.name))[:LISTED]
    names = {one.name for one in most}
    return [one for one in yields if one.name in names]


def _doubled(lengths: Lengths, variety: Variety) -> list[tuple[int, float, float]]:
    """Bins of lengths with the shares of both authors: the least length, teacher, people."""
    counts = lengths.teacher + lengths.people
    return [
        (
            2 ** (n - 1) if n else 0,
            lengths.teacher[n] / max(1, variety.synthetic),
            lengths.people[n] / max(1, variety.human),
        )
        for n in range(min(counts, default=0), max(counts, default=-1) + 1)
    ]


def _scores(variety: Variety) -> Iterable[Json]:
    """For each score its name, and its values or, of a number, its bins: label, count, link."""
    for name, counts in variety.scores.items():
        known = {value: n for value, n in counts.items() if value is not None}
        numbers = {v: n for v, n in known.items() if isinstance(v, int | float)}
        if len(numbers) == len(known) and (len(known) > VALUES or name.endswith("_odds")):
            rows = [(label, n, "") for label, n in _binned(numbers, name.endswith("_odds"))]
        else:
            most = sorted(known.items(), key=lambda one: (-one[1], str(one[0])))[:VALUES]
            most.sort(key=lambda one: (isinstance(one[0], str), one[0]))
            rows = [(str(value), n, f"{name} is {value}") for value, n in most]
        rest = counts.total() - sum(n for _, n, _ in rows)
        yield {
            "name": name,
            "rows": [*rows, *([("others", rest, "")] if rest else [])],
            "count": counts.total(),
        }


def _binned(values: Mapping[Any, int], is_share: bool) -> Iterable[tuple[str, int]]:
    low, high = (0.0, 1.0) if is_share else (min(values), max(values))
    width = (high - low) / BINS or 1.0
    bins = [0] * BINS
    for value, count in values.items():
        bins[max(0, min(int((value - low) / width), BINS - 1))] += count
    first = next((place for place, count in enumerate(bins) if count), 0)
    for place in range(first, BINS):
        yield f"{low + place * width:.3g} to {low + (place + 1) * width:.3g}", bins[place]


def _selection(told: Json) -> list[list[list[Any]]]:
    """The tables of what the manifest tells of the selection, heads first: the numbers with a
    column for each choice, and what each step of the budget gained.
    """
    choices = {name: of for name, of in told.items() if isinstance(of, Mapping)}
    names = list(dict.fromkeys(name for of in choices.values() for name in of))
    tables = [
        [
            ["", *(_CHOICES.get(name, name) for name in choices)],
            *(
                [_NUMBERS.get(name, name), *(of.get(name) for of in choices.values())]
                for name in names
            ),
        ]
    ]
    if curve := [step for step in told.get("curve", ()) if isinstance(step, Mapping)]:
        head = list(curve[0])
        lines = [[step.get(name) for name in head] for step in curve]
        tables.append([[_NUMBERS.get(name, name) for name in head], *lines])
    return tables if names else tables[1:]


def _worth(said: Json) -> Json | None:
    """What the manifest tells of the score of educational value; None where it tells nothing."""
    lines = [(label, said[name]) for name, label in _WORTH.items() if name in said]
    return {"lines": lines, "reason": said.get("reason", "")} if lines else None


# Words and numbers


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage, or a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thin spaces between thousands, or a dash."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def code(id: str) -> str:
    """The name of a code, or its number where it is not known."""
    return CATALOGUE[id].name if id in CATALOGUE else id


def path(text: str) -> Markup:
    """`text` with places where a line may break."""
    return Markup("/<wbr>").join(Markup("_<wbr>").join(p.split("_")) for p in text.split("/"))


def most(values: Iterable[Any]) -> float:
    """The largest number; 0 of none."""
    return max(values, default=0)


def told(value: object) -> str:
    """A value of a manifest."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_small = 0 < abs(value) < 0.001
        return f"{value:.1e}" if is_small else number(value, 0 if isinstance(value, int) else 3)
    return "–" if value is None else str(value)
