"""A build and a trained student go in; one HTML page that explains both comes out.

A file of its own because it only reads: what the compiler, the trainer and the evaluation wrote
down. It counts and places; `page/` holds the words, the style and the script. The page loads
nothing, and every text in it is a contributor's or a model's, so it is escaped and its script is
the only one that may run.
"""

import base64
import hashlib
import heapq
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from compiler import __version__
from compiler.codes import CATALOGUE
from training.machine import write_text
from training.recipe import BASE, CONTROL

PAGE = Path(__file__).parent / "page"
LISTED, ANSWERED, PLOTTED = 300, 12, 60  # samples or drops, questions, leaves on the page
LONGEST = 1200  # characters of a text
POINTS = 160  # of a loss curve
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 270, 46, 12, 12, 44  # of its plot

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A student at one point of its training; `role` chooses its mark and colour in every plot."""

    name: str
    label: str
    role: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A loss curve in the plot's own coordinates: the mean, and the range it was taken over."""

    label: str
    role: str
    line: str
    band: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The loss curves of one phase; ticks are (position, text), `stop` is where training ends."""

    title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    stop: float | None
    stop_text: str


def write(build: Path, student: Path | None, out: Path) -> Path:
    """Writes the page to `out` and returns it; same input, same bytes."""
    script = (PAGE / "page.js").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "code": code, "cut": cut}
    text = environment.get_template("report.html.j2").render(
        _content(build, student),
        version=__version__,
        style=Markup((PAGE / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        plot={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP}
        | {"bottom": BOTTOM},
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text.encode("utf-8", "replace").decode())  # a lone surrogate is no text
    return out


def _content(build: Path, student: Path | None) -> Json:
    manifest = _json(build / "manifest.json")
    run = _json(student / "run.json") if student else {}
    evaluation = _json(student / "evaluation.json") if student else {}
    leaves, sizes = manifest["leaves"], manifest["files"]
    phase1 = {sample["leaf"] for sample in _lines(build / "phase1.jsonl")}
    stages = _stages(evaluation.get("stages", ()))
    samples, drops = (_few(build / f"{name}.jsonl") for name in ("samples", "drops"))
    makers: Counter[tuple[str, str]] = Counter()
    for leaf in leaves:
        who = leaf["contributor"], ", ".join(leaf["licences"]) or "none named"
        makers[who] += leaf["synthetic"] + leaf["human"]
    return {
        "manifest": manifest,
        "sizes": {name: entry["count"] for name, entry in sizes.items()},
        "replayed": sum(bool(sample.get("replay")) for sample in _lines(build / "phase2.jsonl")),
        "branches": Counter(leaf["branch"] for leaf in leaves),
        "run": run,
        "model": _model(run),
        "other_build": bool(run) and run.get("fingerprint") != manifest["fingerprint"],
        "evaluation": evaluation,
        "stages": stages,
        "scores": _scores(evaluation, stages),
        "kept": _kept(evaluation, stages, phase1),
        "dots": _dots(evaluation, stages),
        "plotted": PLOTTED,
        "panels": _panels(student, run) if student else (),
        "passes": manifest["passes"],
        "widest": max((p["in"] for p in manifest["passes"]), default=0),
        "answers": _answers(evaluation, stages),
        "samples": [_listed_sample(sample) for sample in samples],
        "drops": [_listed_drop(drop) for drop in drops],
        "makers": sorted((*who, count) for who, count in makers.items()),
    }


def _json(path: Path) -> Json:
    """The mapping in `path`; an empty one where there is no such file."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _lines(path: Path) -> Iterator[Json]:
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())


def _few(path: Path) -> list[Json]:
    """At most LISTED lines in their order, from every leaf alike, chosen by hash."""
    leaves: dict[str, list[tuple[str, int, Json]]] = defaultdict(list)
    for number_, one in enumerate(_lines(path)):
        key = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()
        leaves[one["leaf"]].append((key, -number_, one))
        if len(leaves[one["leaf"]]) >= 2 * LISTED:
            leaves[one["leaf"]] = heapq.nsmallest(LISTED, leaves[one["leaf"]])
    taken = _in_turn([sorted(leaves[leaf]) for leaf in sorted(leaves)])[:LISTED]
    return [one for _, _, one in sorted(taken, key=lambda entry: -entry[1])]


def _in_turn(groups: Iterable[Sequence[Any]]) -> list[Any]:
    """The first of every group, then the second of every group, and so on."""
    nothing = object()
    return [one for one in chain(*zip_longest(*groups, fillvalue=nothing)) if one is not nothing]


# Words and numbers


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage, or a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thin spaces between thousands, or a dash."""
    if value is None:
        return "–"
    return f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def code(id: str) -> str:
    """The name and the number of a code, as the commands print them."""
    known = CATALOGUE.get(id)
    return f"{known.name} ({id})" if known else id


def cut(text: str, longest: int = LONGEST) -> str:
    """`text`, or its beginning and how much of it is missing."""
    more = len(text) - longest
    return text if more <= 0 else f"{text[:longest]} … [{more} more characters]"


def _phase_label(name: str) -> str:
    return re.sub(r"^phase-?(?=\d+$)", "phase ", name)


def _stages(names: Iterable[str]) -> list[Stage]:
    names = list(names)
    last = [name for name in names if name not in (BASE, CONTROL)][-1:]
    known = {BASE: ("before", "before"), CONTROL: ("control, no replay", "control")}
    return [
        Stage(name, *known[name])
        if name in known
        else Stage(name, f"after {_phase_label(name)}", "after" if [name] == last else "during")
        for name in names
    ]


def _model(run: Json) -> Json:
    """What the student is, in words; a folder is named without the way to it."""
    student = run.get("recipe", {}).get("student", {})
    named = str(student.get("model", ""))
    if named:
        local = named.startswith(("/", "~", ".")) or "\\" in named
        return {"embedded": False, "text": re.split(r"[/\\]", named)[-1] if local else named}
    shape = [f"{student[key]} {key}" for key in ("layers", "hidden", "heads") if key in student]
    return {"embedded": True, "text": ", ".join(["a small Llama made on the spot", *shape])}


# Learning


def _score(evaluation: Json, set_: str, stage: str, *where: str) -> Json:
    found: Any = evaluation.get("sets", {}).get(set_, {}).get(stage, {})
    for key in where:
        found = found.get(key, {})
    return dict(found)


def _scores(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """For all questions and for each branch: the scores of every stage on both sets."""
    if not stages:
        return []
    sets = {name: _score(evaluation, name, stages[0].name, "branches") for name in _SETS}
    places = [("all",), *(("branches", name) for name in sorted({*chain(*sets.values())}))]
    groups = []
    for where in places:
        rows = [[_score(evaluation, set_, s.name, *where) for set_ in _SETS] for s in stages]
        counts = [score.get("n", 0) for score in rows[0]]
        groups.append({"name": where[-1], "counts": counts, "rows": rows})
    return groups


_SETS = ("trained", "heldout")


def _kept(evaluation: Json, stages: Sequence[Stage], leaves: Iterable[str]) -> Json:
    """Exact match on the trained questions of phase 1's `leaves`, by the role of the stage."""
    kept: Json = {}
    for stage in stages:
        scores = [_score(evaluation, "trained", stage.name, "leaves", leaf) for leaf in leaves]
        n = sum(score.get("n", 0) for score in scores)
        right = math.fsum(score["n"] * score["exact_match"] for score in scores if score.get("n"))
        kept |= {"n": n, stage.role: right / n} if n else {}
    return kept


def _dots(evaluation: Json, stages: Sequence[Stage]) -> list[tuple[str, list[Json]]]:
    """For each branch its leaves, and for each the marks of both plots in drawing order."""
    if not stages:
        return []
    counts: Counter[str] = Counter()
    for set_ in _SETS:
        for leaf, score in _score(evaluation, set_, stages[0].name, "leaves").items():
            counts[leaf] += score["n"]
    shown = sorted(counts, key=lambda leaf: (-counts[leaf], leaf))[:PLOTTED]
    drawn = sorted(stages, key=lambda s: ("before", "control", "during", "after").index(s.role))
    branches: dict[str, list[Json]] = defaultdict(list)
    for leaf in sorted(shown):
        branch, _, rest = leaf.partition("/")
        cells = []
        for set_, metric in zip(_SETS, ("exact_match", "f1"), strict=True):
            scores = [(s, _score(evaluation, set_, s.name, "leaves", leaf)) for s in drawn]
            marks = [(stage, score[metric]) for stage, score in scores if score.get("n")]
            cells.append({"n": scores[0][1].get("n", 0), "marks": marks})
        folder, _, name = rest.rpartition("/")
        branches[branch].append({"leaf": leaf, "folder": folder, "name": name, "cells": cells})
    return list(branches.items())


def normalise(text: str) -> str:
    """As `training.evaluate` does before it compares; that one cannot be had without torch."""
    return re.sub(r"[\s.,;:!?]+$", "", " ".join(text.lower().split()))


def _answers(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """A few questions with every stage's answer, from all branches and both sets, by hash."""
    groups: dict[tuple[bool, str], list[Json]] = defaultdict(list)
    for answer in evaluation.get("answers", ()):
        groups[answer["set"] == "heldout", answer["branch"]].append(answer)
    for group in groups.values():
        group.sort(key=lambda a: hashlib.sha256(str(a["id"]).encode()).hexdigest())
    taken = _in_turn([groups[key] for key in sorted(groups)])[:ANSWERED]
    taken.sort(key=lambda a: (a["set"] == "heldout", a["branch"], a["leaf"], a["id"]))
    return [{**one, "given": list(_given(one, stages))} for one in taken]


def _given(answer: Json, stages: Sequence[Stage]) -> Iterator[tuple[Stage, str, bool]]:
    for stage in stages:
        text = answer["answers"].get(stage.name, "")
        yield stage, text, normalise(text) == normalise(answer["reference"])


# Loss curves


def _panels(student: Path, run: Json) -> list[Panel]:
    """One plot per phase on one scale of loss; the control lies in the plot of the last phase."""
    phases = run.get("recipe", {}).get("phases", [])
    logs = {one["stage"]: _log(student, one["stage"]) for one in run.get("stages", ())}
    low = min((low for log in logs.values() for _, low, _, _ in log), default=0.1)
    high = max((high for log in logs.values() for _, _, _, high in log), default=10.0)

    def y(loss: float) -> float:
        share = math.log(high / loss) / max(math.log(high / low), 1e-9)
        return round(TOP + share * (HEIGHT - TOP - BOTTOM), 1)

    steps = [m * 10.0**e for e in range(-6, 4) for m in (1, 3)]
    y_ticks = tuple((y(loss), f"{loss:g}") for loss in steps if low <= loss <= high)
    panels = []
    for phase in phases:
        last = phase is phases[-1]
        drawn = [(phase["name"], "after" if last else "during"), *([(CONTROL, "control")] * last)]
        here = [(name, role, logs[name]) for name, role in drawn if logs.get(name)]
        if not here:
            continue
        most = max(log[-1][0] for _, _, log in here)
        x_ticks = tuple((_x(v, most), _thousands(v)) for v in _round_steps(most))
        curves = tuple(_curve(name, role, log, most, y) for name, role, log in here)
        stop = phase.get("stop_at_loss")
        line = y(stop) if stop and low <= stop <= high else None
        title = _phase_label(phase["name"])
        panels.append(Panel(title, curves, x_ticks, y_ticks, line, f"{stop or 0:g}"))
    return panels


def _log(student: Path, stage: str) -> list[tuple[float, float, float, float]]:
    """The log of a stage in at most POINTS parts: tokens, and the least, mean and largest loss."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", stage):
        return []
    rows = [
        (row["tokens"], row["loss"])
        for row in _lines(student / stage / "log.jsonl")
        if math.isfinite(row["loss"]) and row["loss"] > 0
    ]
    size = max(1, math.ceil(len(rows) / POINTS))
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    found = []
    for part in parts:
        losses = [loss for _, loss in part]
        mean = math.fsum(losses) / len(losses)
        found.append((part[-1][0], min(losses), mean, max(losses)))
    return found


def _x(tokens: float, most: float) -> float:
    return round(LEFT + tokens / most * (WIDTH - LEFT - RIGHT), 1)


def _curve(
    name: str,
    role: str,
    log: Sequence[tuple[float, float, float, float]],
    most: float,
    y: Any,  # noqa: ANN401
) -> Curve:
    line = [f"{_x(tokens, most)},{y(mean)}" for tokens, _, mean, _ in log]
    upper = [f"{_x(tokens, most)},{y(high)}" for tokens, _, _, high in log]
    lower = [f"{_x(tokens, most)},{y(low)}" for tokens, low, _, _ in reversed(log)]
    label = "control, no replay" if role == "control" else _phase_label(name)
    return Curve(label, role, " ".join(line), " ".join(upper + lower))


def _round_steps(most: float) -> list[float]:
    """Zero and up to five multiples of a round number, none above `most`."""
    size = 10.0 ** math.floor(math.log10(max(most, 1)))
    step = next(s * size for s in (0.2, 0.25, 0.5, 1.0, 2.0) if most / (s * size) <= 5)
    return [i * step for i in range(int(most / step) + 1)]


def _thousands(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"


# The lists that the page's script filters


def _listed_sample(sample: Mapping[str, Any]) -> Json:
    origin = sample["origin"]
    facts = {
        "made by": "a person" if origin["kind"] == "seed" else f"{origin['teacher']}",
        "pipeline": origin["pipeline"],
        "contributor": origin["contributor"],
        "licence": ", ".join(origin["licences"]),
        "document": f"{origin['document']}, characters {origin['start']} to {origin['end']}"
        if origin["document"]
        else "",
        "scores": ", ".join(f"{name} {value}" for name, value in sample["scores"].items()),
        "id": sample["id"],
    }
    return {
        "leaf": sample["leaf"],
        "texts": [[m["role"], cut(m["content"])] for m in sample["messages"]],
        "facts": [[name, value] for name, value in facts.items() if value],
    }


def _listed_drop(drop: Mapping[str, Any]) -> Json:
    facts = {"why": drop["detail"], "dropped by": drop["stage"]}
    return {
        "leaf": drop["leaf"],
        "texts": [[code(drop["code"]), cut(drop["text"]) or "(no text)"]],
        "facts": [[name, value] for name, value in facts.items() if value],
    }
