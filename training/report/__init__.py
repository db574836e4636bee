"""A build and a trained student go in; one HTML page that explains both comes out.

A file of its own because it only reads: what the compiler, the trainer and the evaluation wrote
down. It counts and picks; the template beside it holds the words. The page loads nothing, and the
texts in it are contributors' and models', so all are escaped and only its own script may run.
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
from compiler.codes import CATALOGUE, E701, E704, F605, Code
from compiler.diagnostics import Report, Span
from training.data import read_json
from training.machine import write_text
from training.metrics import normalise
from training.recipe import BASE, CONTROL
from training.report import plots
from training.report.asked import asked
from training.run import EVALUATION, RUN

PAGE = Path(__file__).parent
LISTED, ANSWERED, PLOTTED = 300, 12, 60  # samples or drops, questions, leaves on the page
LONGEST = 1200  # characters of a text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A student at one point of its training; `role` chooses its mark and colour in every plot."""

    name: str
    label: str
    role: str


class _DamagedError(Exception):
    """A file that one of our commands wrote, and something else has changed or cut."""

    def __init__(self, code: Code, place: Span, hint: str) -> None:
        super().__init__(place.path)
        self.code, self.place, self.hint = code, place, hint


def write(build: Path, student: Path | None, out: Path, report: Report) -> bool:
    """Writes the page to `out`; same input, same bytes. False where a file of the input is damaged.

    Damaged is F605 for the build's files, E701 and E704 for the student's.
    """
    try:
        content = _content(build, student)
    except _DamagedError as found:
        report.add(found.code, "the file is damaged", found.place, found.hint)
        return False
    script = (PAGE / "page.js").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}  # so that `write` sees all
    environment.filters |= {
        "percent": percent,
        "number": number,
        "code": code,
        "cut": cut,
        "path": path,
    }
    text = environment.get_template("report.html.j2").render(
        content,
        version=__version__,
        style=Markup((PAGE / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        plot=plots,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text.encode("utf-8", "replace").decode())  # a lone surrogate is no text
    return True


def _content(build: Path, student: Path | None) -> Json:
    manifest = _json(build / "manifest.json", F605, "build it again")
    run = _json(student / RUN, E701, "train again, into another folder") if student else {}
    evaluation = (
        _json(student / EVALUATION, E704, "run `trivium evaluate` again") if student else {}
    )
    leaves, sizes = manifest["leaves"], manifest["files"]
    _test_unchanged(build, sizes)
    phase1 = {sample["leaf"] for sample in _lines(build / "phase1.jsonl")}
    stages = _stages(evaluation.get("stages", ()))
    samples, drops = (_few(build / f"{name}.jsonl") for name in ("samples", "drops"))
    logs = {s["stage"]: _log(student, s["stage"]) for s in run.get("stages", ())} if student else {}
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
        "kept": _right(evaluation, stages, phase1),
        "new": _right(evaluation, stages, {leaf["leaf"] for leaf in leaves} - phase1),
        "dots": _dots(evaluation, stages),
        "leaf_count": len({answer["leaf"] for answer in evaluation.get("answers", ())}),
        "plotted": PLOTTED,
        "panels": plots.panels(run, logs),
        "asked": asked(build),
        "passes": manifest["passes"],
        "told": _TOLD,
        "widest": max((p["in"] for p in manifest["passes"]), default=0),
        "answers": _answers(evaluation, stages),
        "samples": [_listed_sample(sample) for sample in samples],
        "drops": [_listed_drop(drop) for drop in drops],
        "makers": sorted((*who, count) for who, count in makers.items()),
    }


def _json(path: Path, code: Code, hint: str) -> Json:
    """The mapping in `path`; an empty one where there is no such file."""
    found = read_json(path, path.stem)
    if found is None:
        raise _DamagedError(code, Span(str(path)), hint)
    return found


def _lines(path: Path, code: Code = F605, hint: str = "build it again") -> Iterator[Json]:
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line) if line.strip() else {}
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise _DamagedError(code, Span(str(path), number), hint)
            if found:
                yield found


def _test_unchanged(build: Path, files: Mapping[str, Json]) -> None:
    """Looks at what only this page reads; the phase files are looked at with the build."""
    for name in ("samples.jsonl", "drops.jsonl"):
        path, wanted = build / name, files[name].get("sha256")
        if wanted and (not path.is_file() or _sha256(path) != wanted):
            raise _DamagedError(F605, Span(str(path)), "build it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _few(path: Path) -> list[Json]:
    """At most LISTED lines, from every leaf alike and in turn, chosen by hash."""
    leaves: dict[str, list[tuple[str, int, Json]]] = defaultdict(list)
    for place, one in enumerate(_lines(path)):
        key = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()
        leaf = leaves[one["leaf"]]
        leaf.append((key, place, one))
        if len(leaf) >= 2 * LISTED:  # a build can be larger than memory
            leaf[:] = heapq.nsmallest(LISTED, leaf)
    return [one for _, _, one in _in_turn([sorted(leaves[name]) for name in sorted(leaves)])][
        :LISTED
    ]


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


def path(text: str) -> Markup:
    """`text` with places where a line may break."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_])", text))


def _stages(names: Iterable[str]) -> list[Stage]:
    names = list(names)
    last = [name for name in names if name not in (BASE, CONTROL)][-1:]
    known = {BASE: ("before", "before"), CONTROL: ("control, no replay", "control")}
    return [
        Stage(name, *known[name])
        if name in known
        else Stage(
            name, f"after {plots.phase_label(name)}", "after" if [name] == last else "during"
        )
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


_TOLD = {
    "leaves": "leaves of the taxonomy that have something to ask about",
    "ask": "units, each a chunk or seed example that the teacher is asked about",
    "expand": "samples read from the teacher's replies, and judged",
    "sift": "those and people's own examples, checked for copies and cut to the budget",
    "mix": "samples placed in a phase, or kept aside to be asked in evaluation",
}


# Learning


def _score(evaluation: Json, set_: str, stage: str, *where: str) -> Json:
    found: Any = evaluation.get("sets", {}).get(set_, {}).get(stage, {})
    for key in where:
        found = found.get(key, {})
    return dict(found)


def _scores(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """For all questions and for each branch: the scores of every stage on each set."""
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


_SETS = ("trained", "validation", "heldout")


def _right(evaluation: Json, stages: Sequence[Stage], leaves: Iterable[str]) -> Json:
    """Exact match on the trained questions of `leaves`, by the role of the stage."""
    found: Json = {}
    for stage in stages:
        scores = [_score(evaluation, "trained", stage.name, "leaves", leaf) for leaf in leaves]
        n = sum(score.get("n", 0) for score in scores)
        right = math.fsum(score["n"] * score["exact_match"] for score in scores if score.get("n"))
        found |= {"n": n, stage.role: right / n} if n else {}
    return found


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
        for set_ in _SETS[:2]:
            scores = [(s, _score(evaluation, set_, s.name, "leaves", leaf)) for s in drawn]
            marks = [(stage, score["exact_match"]) for stage, score in scores if score.get("n")]
            cells.append({"n": scores[0][1].get("n", 0), "marks": marks})
        folder, _, name = rest.rpartition("/")
        branches[branch].append({"leaf": leaf, "folder": folder, "name": name, "cells": cells})
    return list(branches.items())


def _answers(evaluation: Json, stages: Sequence[Stage]) -> list[Json]:
    """A few questions with every stage's answer, from all branches and sets, by hash."""
    groups: dict[tuple[int, str], list[Json]] = defaultdict(list)
    for answer in evaluation.get("answers", ()):
        groups[_SETS.index(answer["set"]), answer["branch"]].append(answer)
    for group in groups.values():
        group.sort(key=lambda a: hashlib.sha256(str(a["id"]).encode()).hexdigest())
    taken = _in_turn([groups[key] for key in sorted(groups)])[:ANSWERED]
    taken.sort(key=lambda a: (_SETS.index(a["set"]), a["branch"], a["leaf"], a["id"]))
    return [{**one, "given": list(_given(one, stages))} for one in taken]


def _given(answer: Json, stages: Sequence[Stage]) -> Iterator[tuple[Stage, str, bool]]:
    for stage in stages:
        text = answer["answers"].get(stage.name, "")
        yield stage, text, normalise(text) == normalise(answer["reference"])


def _log(student: Path, stage: str) -> plots.Log:
    """Tokens and loss of every step of a stage that has both."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", stage):  # it names a folder
        return []
    lines = _lines(student / stage / "log.jsonl", E701, "train again, with `--fresh`")
    rows = [(row.get("tokens"), row.get("loss")) for row in lines]
    return [
        (tokens, loss)
        for tokens, loss in rows
        if isinstance(tokens, int) and isinstance(loss, int | float) and 0 < loss < math.inf
    ]


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
