"""A build and a trained student go in; one HTML page that explains both comes out.

A file of its own because it only reads: what the compiler, the trainer and the evaluation wrote
down. It counts and picks; the template beside it holds the words. The page loads nothing, and the
texts in it are contributors' and models', so all are escaped and only its own script may run.
"""

import base64
import hashlib
import heapq
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from compiler import __version__
from compiler.codes import E701, E704, F605
from compiler.diagnostics import Report
from training.machine import write_text
from training.report import learned, plots, trained, words
from training.report.asked import asked
from training.report.files import DamagedError, lines, mapping, test_unchanged
from training.run import EVALUATION, RUN
from training.stage import WHY

PAGE = Path(__file__).parent
LISTED = 300  # samples or drops on the page

Json = dict[str, Any]


def write(build: Path, student: Path | None, out: Path, report: Report) -> bool:
    """Writes the page to `out`; same input, same bytes. False where a file of the input is damaged.

    Damaged is F605 for the build's files, E701 and E704 for the student's.
    """
    try:
        content = _content(build, student)
    except DamagedError as found:
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
        name: getattr(words, name)
        for name in ("percent", "number", "signed", "size", "code", "cut", "path")
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
    manifest = mapping(build / "manifest.json", F605, "build it again")
    leaves, sizes = manifest["leaves"], manifest["files"]
    for name in ("samples.jsonl", "drops.jsonl"):  # the phases are looked at with the build
        test_unchanged(build / name, sizes[name].get("sha256", ""))
    samples, drops = (_few(build / f"{name}.jsonl") for name in ("samples", "drops"))
    makers: Counter[tuple[str, str]] = Counter()
    for leaf in leaves:
        who = leaf["contributor"], ", ".join(leaf["licences"]) or "none named"
        makers[who] += leaf["synthetic"] + leaf["human"]
    return {
        **_student(student, manifest, {sample["leaf"] for sample in lines(build / "phase1.jsonl")}),
        "manifest": manifest,
        "sizes": {name: entry["count"] for name, entry in sizes.items()},
        "replayed": sum(bool(sample.get("replay")) for sample in lines(build / "phase2.jsonl")),
        "branches": Counter(leaf["branch"] for leaf in leaves),
        "asked": asked(build),
        "passes": manifest["passes"],
        "told": _TOLD,
        "widest": max((p["in"] for p in manifest["passes"]), default=0),
        "samples": [_listed_sample(sample) for sample in samples],
        "drops": [_listed_drop(drop) for drop in drops],
        "makers": sorted((*who, count) for who, count in makers.items()),
    }


def _student(student: Path | None, manifest: Json, phase1: set[str]) -> Json:
    """What is known of a student; of none, the same names with nothing in them."""
    run, evaluation = {}, {}
    if student:
        run = mapping(student / RUN, E701, "train again, into another folder")
        evaluation = mapping(student / EVALUATION, E704, "run `trivium evaluate` again")
        if run and evaluation.get("fingerprint") != run.get("fingerprint"):
            evaluation = {}  # it asked what is in another build
    stages = learned.stages(evaluation)
    done = [one["stage"] for one in run.get("stages", ())] if student else []
    logs = {name: trained.log(student, name) for name in done if student}
    later = {leaf["leaf"] for leaf in manifest["leaves"]} - phase1
    return {
        "run": run,
        "model": _model(run),
        "other_build": bool(run) and run.get("fingerprint") != manifest["fingerprint"],
        "evaluation": evaluation,
        "stages": stages,
        "measures": [learned.measures(evaluation, stages, name) for name in learned.SETS],
        "known": learned.measures(evaluation, stages, learned.GENERAL),
        "scores": learned.scores(evaluation, stages),
        "kept": learned.right(evaluation, stages, phase1),
        "new": learned.right(evaluation, stages, later),
        "dots": learned.dots(evaluation, stages),
        "gates": learned.gates(evaluation, stages),
        "changes": learned.changes(evaluation, stages),
        "verdicts": learned.VERDICTS,
        "leaf_count": len({answer["leaf"] for answer in evaluation.get("answers", ())}),
        "plotted": learned.PLOTTED,
        "panels": plots.panels(run, logs),
        "orders": {name: trained.order(student, name) for name in done if student},
        "why": WHY,
        "exports": trained.exports(student) if student else [],
        "answers": learned.answers(evaluation, stages),
    }


def _few(path: Path) -> list[Json]:
    """At most LISTED lines, from every leaf alike and in turn, chosen by hash."""
    leaves: dict[str, list[tuple[str, int, Json]]] = defaultdict(list)
    for place, one in enumerate(lines(path)):
        key = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()
        leaf = leaves[one["leaf"]]
        leaf.append((key, place, one))
        if len(leaf) >= 2 * LISTED:  # a build can be larger than memory
            leaf[:] = heapq.nsmallest(LISTED, leaf)
    turns = learned.in_turn([sorted(leaves[name]) for name in sorted(leaves)])
    return [one for _, _, one in turns[:LISTED]]


# Words


def _model(run: Json) -> Json:
    """What the student is, in words; a folder is named without the way to it."""
    student = run.get("recipe", {}).get("student", {})
    named = str(student.get("model", ""))
    if named:
        local = named.startswith(("/", "~", ".")) or "\\" in named
        return {"embedded": False, "text": re.split(r"[/\\]", named)[-1] if local else named}
    shape = ""
    if {"layers", "hidden", "heads"} <= student.keys():
        shape = ", {layers} layers of width {hidden}, {heads} heads".format(**student)
    return {"embedded": True, "text": f"a small Llama made on the spot{shape}"}


_TOLD = {
    "leaves": "leaves of the taxonomy that have something to ask about",
    "ask": "units, each a chunk or seed example that the teacher is asked about",
    "expand": "samples read from the teacher's replies, and judged",
    "sift": "those and people's own examples, checked for copies and cut to the budget",
    "mix": "samples placed in a phase, or kept aside to be asked in evaluation",
}


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
        "texts": [[m["role"], words.cut(m["content"])] for m in sample["messages"]],
        "facts": [[name, value] for name, value in facts.items() if value],
    }


def _listed_drop(drop: Mapping[str, Any]) -> Json:
    facts = {"why": drop["detail"], "dropped by": drop["stage"]}
    return {
        "leaf": drop["leaf"],
        "texts": [[words.code(drop["code"]), words.cut(drop["text"]) or "(no text)"]],
        "facts": [[name, value] for name, value in facts.items() if value],
    }
