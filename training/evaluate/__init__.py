"""A trained student and its build go in; what every stage answers, and how well, comes out.

A file of its own because the same questions go to every stage, in one way: greedy answers, compared
as SQuAD does (Rajpurkar et al. 2016, arXiv:1606.05250), and the loss of the reference answer. The
"trained" set is what the student was taught, the "validation" set are samples that were kept aside
and are in no phase, the "heldout" set are people's questions that are in no sample.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from compiler.diagnostics import Report, counted
from training import student
from training.ask import Answer, ask
from training.data import Build, Sample
from training.machine import settle, write_text
from training.metrics import exact_match, token_f1
from training.run import EVALUATED, EVALUATION, Run

PER_LEAF = 16
SETS = ("trained", "validation", "heldout")


def questions(build: Build) -> dict[str, tuple[Sample, ...]]:
    """The questions of each set; trained ones are at most PER_LEAF per leaf, chosen by hash."""
    taught: dict[str, list[Sample]] = defaultdict(list)
    for sample in (*build.phase1, *build.phase2):
        if not sample.replay and len(sample.messages) > 1:
            taught[sample.leaf].append(sample)
    chosen = [
        sample
        for _, samples in sorted(taught.items())
        for sample in sorted(samples, key=lambda s: hashlib.sha256(s.id.encode()).digest())[
            :PER_LEAF
        ]
    ]
    return {"trained": tuple(chosen), "validation": build.validation, "heldout": build.heldout}


def evaluate(build: Build, run: Run, report: Report, console: Console) -> dict[str, Any] | None:
    """Evaluates every stage and writes evaluation.json; what was asked before is only read."""
    hardware = settle(run.threads)
    sets = questions(build)
    asked = [sample for name in SETS for sample in sets[name]]
    given: dict[str, list[Answer]] = {}
    for stage in run.stages:
        where = run.where(stage)
        key = _key(where, run.base, asked)
        kept = run.folder / EVALUATED / f"{key}.json"
        if answers := _kept(kept):
            given[stage] = answers
            continue
        console.print(f"{stage}: {counted(len(asked), 'question')}")
        tokenizer = student.load_tokenizer(where, report)
        model = student.load_model(where, report, base=run.base, bf16=hardware.bf16)
        if tokenizer is None or model is None:
            return None
        model.to(hardware.device).eval()
        given[stage] = ask(model, tokenizer, asked)
        kept.parent.mkdir(exist_ok=True)
        write_text(kept, json.dumps([asdict(one) for one in given[stage]], ensure_ascii=False))
    result = _result(run, sets, given)
    write_text(run.folder / EVALUATION, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def _kept(path: Path) -> list[Answer]:
    """The answers of an earlier evaluation; none where the file is not there, or damaged."""
    try:
        return [Answer(**one) for one in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _key(where: str, base: str, asked: Iterable[Sample]) -> str:
    """A fingerprint of a stage's weights, and of what it is asked."""
    known = hashlib.sha256()
    for name in dict.fromkeys((where, base)):
        files = sorted(Path(name).glob("*.safetensors")) if Path(name).is_dir() else []
        for file in files:
            with file.open("rb") as data:
                known.update(hashlib.file_digest(data, "sha256").digest())
        if not files:
            known.update(name.encode())
    for sample in asked:
        known.update(json.dumps([sample.id, sample.messages], sort_keys=True).encode())
    return known.hexdigest()[:24]


def _result(
    run: Run, sets: Mapping[str, Sequence[Sample]], given: Mapping[str, Sequence[Answer]]
) -> dict[str, Any]:
    scores: dict[str, dict[str, object]] = {}
    told: list[dict[str, object]] = []
    start = 0
    for name in SETS:
        samples = sets[name]
        part = slice(start, start + len(samples))
        start += len(samples)
        scores[name] = {stage: _scores(samples, given[stage][part]) for stage in run.stages}
        told += [
            {
                "id": sample.id,
                "leaf": sample.leaf,
                "branch": sample.branch,
                "set": name,
                "question": sample.question,
                "reference": sample.answer,
                "answers": {stage: given[stage][part][i].text for stage in run.stages},
            }
            for i, sample in enumerate(samples)
        ]
    return {
        "fingerprint": run.fingerprint,
        "stages": list(run.stages),
        "sets": scores,
        "answers": told,
    }


def _scores(samples: Sequence[Sample], answers: Sequence[Answer]) -> dict[str, Any]:
    """Scores over all, per branch and per leaf."""
    branches: dict[str, list[tuple[Sample, Answer]]] = defaultdict(list)
    leaves: dict[str, list[tuple[Sample, Answer]]] = defaultdict(list)
    pairs = list(zip(samples, answers, strict=True))
    for sample, answer in pairs:
        branches[sample.branch].append((sample, answer))
        leaves[sample.leaf].append((sample, answer))
    return {
        "all": score(pairs),
        "branches": {name: score(group) for name, group in sorted(branches.items())},
        "leaves": {name: score(group) for name, group in sorted(leaves.items())},
    }


def score(pairs: Sequence[tuple[Sample, Answer]]) -> dict[str, float]:
    """Means over questions; `loss` is the mean over the reference's tokens (nats)."""
    if not pairs:
        return {"n": 0}
    n, tokens = len(pairs), sum(answer.tokens for _, answer in pairs)
    loss = sum(answer.nll for _, answer in pairs) / max(1, tokens)
    return {
        "n": n,
        "exact_match": round(sum(exact_match(a.text, s.answer) for s, a in pairs) / n, 4),
        "f1": round(sum(token_f1(a.text, s.answer) for s, a in pairs) / n, 4),
        "loss": round(loss, 4),
        "perplexity": round(math.exp(min(loss, 50.0)), 2),
    }


_TITLES = {
    "trained": "trained facts",
    "validation": "samples kept aside: the same leaves, in no phase",
    "heldout": "held-out questions",
}


def table(result: Mapping[str, Any], console: Console) -> None:
    """Prints, for each set, the branches against the stages."""
    stages: list[str] = result["stages"]
    for name, by_stage in result["sets"].items():
        first = by_stage[stages[0]]
        if not first["all"]["n"]:
            continue
        title = f"{_TITLES[name]}: exact match (token F1)"
        shown = Table("", "n", *stages, title=title, title_justify="left", title_style="bold")
        for label in ("all", *first["branches"]):
            each = [by_stage[stage] for stage in stages]
            cells = [one["all"] if label == "all" else one["branches"][label] for one in each]
            values = [f"{cell['exact_match']:.2f} ({cell['f1']:.2f})" for cell in cells]
            shown.add_row(label, str(cells[0]["n"]), *values)
        console.print(shown)
