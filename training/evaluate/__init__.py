"""A build and models go in; what each of them answers, how well, and what became better or worse,
comes out.

A package of its own because the same questions go to every model, in one way: greedy answers,
compared as SQuAD does (Rajpurkar et al. 2016, arXiv 1606.05250), the loss of the reference answer,
and a choice among answers of the leaf by their likelihood a character, as `acc_norm` of
lm-evaluation-harness counts it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compiler.diagnostics import Report, counted
from compiler.progress import Progress
from training import seen, student
from training.ask import Answer, Question, asking
from training.data import Build, read_json
from training.evaluate import gates, general, kept
from training.evaluate.checked import checked
from training.evaluate.compare import compare
from training.evaluate.judged import Judge
from training.evaluate.models import Model, fingerprint, stages, taught, unmarked
from training.evaluate.questions import GENERAL, PHASES, SETS, gather
from training.evaluate.scores import DIGITS, Columns, Measure, columns, groups, nested, score
from training.machine import Hardware, settle, write_text
from training.recipe import CONTROL
from training.run import EVALUATED, EVALUATION, Run
from training.where import RUN

Asked = Mapping[str, Sequence[Question]]
Given = Mapping[str, Mapping[str, Sequence[Answer]]]
"""By set, then by model, the answers in the order of the questions."""


def evaluate(
    build: Build,
    run: Run | None,
    report: Report,
    console: Console,
    *,
    models: Sequence[Model] = (),
    questions: Sequence[Question] | None = None,
    judge: Judge | None = None,
    limit: float = gates.MAX_FORGETTING,
    folder: Path | None = None,
) -> dict[str, Any] | None:
    """Asks the stages of `run` and then `models`, and writes evaluation.json into `folder` (that of
    the run, or `evaluation` beside it where the build is another's); what was asked before is only
    read. None where the report has errors.

    `questions` are the general ones (those that are shipped); `judge` scores what is said; `limit`
    is what the gates allow to be lost. A KeyboardInterrupt loses one batch.
    """
    hardware = settle(run.threads if run else 0)
    everyone = [*(stages(run) if run else ()), *models]
    if questions is None:
        questions = general.read(general.SHIPPED, report)
    if questions is None:
        return None
    own = run is None or run.fingerprint == build.fingerprint
    phases = _phases(run) if run else []
    data = [data for _, data in phases] if run else PHASES
    asked, left = gather(build, questions, taught(everyone), report, own=own, phases=data)
    if judge:  # it is to hear whole answers
        asked = {name: tuple(replace(q, free=q.speak) for q in asked[name]) for name in asked}
    if unknown := unmarked(models):
        said = f"no {seen.FILE} says what was taught, so that may be asked too"
        console.print(f"{', '.join(unknown)}: {said}")
    home = folder or (run.folder if run else Path())
    if run and not own and not folder:
        home = Path(os.path.normpath(run.folder / ".." / "evaluation"))
        console.print(f"the build is not that of `{run.folder}`: the result goes to {home}")
    given: dict[str, dict[str, list[Answer]]] = {name: {} for name in asked}
    for model in everyone:
        if (answers := _answers(model, asked, home / EVALUATED, hardware, report, console)) is None:
            return None
        for name in asked:
            given[name][model.name] = answers[name]
    measures: dict[str, Measure] = {"checked": partial(checked, report=report)}
    if judge:
        measures["judged"] = judge
    found = {
        name: {
            model: columns(asked[name], answers, measures) for model, answers in given[name].items()
        }
        for name in asked
    }
    told = {name: list(_told(name, asked[name], given[name], found[name])) for name in asked}
    result: dict[str, Any] = {
        "fingerprint": build.fingerprint,
        "stages": [model.name for model in everyone if model.stage],
        "models": [
            {"name": model.name} | ({} if model.stage else {"where": model.where})
            for model in everyone
        ],
        "left_out": left,
        "sets": {name: _scores(asked[name], found[name]) for name in asked},
        "comparisons": [
            {"model": model, "against": against, "sets": _compared(asked, found, against, model)}
            for against, model in _pairs([model.name for model in everyone], phases)
        ],
        "gates": [],
        "answers": [row for name in SETS for row in told[name]],
        "general": told[GENERAL],
    }
    if run:
        found_gates = gates.measured(build, phases, asked, found, limit)
        result["gates"] = [one.as_json() for one in found_gates]
    if judge:
        result["judge"] = judge.as_json()
    home.mkdir(parents=True, exist_ok=True)
    write_text(home / EVALUATION, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def _phases(run: Run) -> list[tuple[str, str]]:
    """The phases that are done, with what they are trained on; the control is none."""
    recipe = (read_json(run.folder / RUN, "run") or {}).get("recipe", {})
    known = [(phase["name"], str(phase.get("data", ""))) for phase in recipe.get("phases", ())]
    return [(name, data) for name, data in known if name in run.stages and name != CONTROL]


def _pairs(models: Sequence[str], phases: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Who is compared: all others with the first, and the last phase with the one before."""
    pairs = [(models[0], other) for other in models[1:]]
    if len(phases) > 1:
        pairs.append((phases[-2][0], phases[-1][0]))
    return pairs


def _answers(
    model: Model,
    asked: Asked,
    folder: Path,
    hardware: Hardware,
    report: Report,
    console: Console,
) -> dict[str, list[Answer]] | None:
    """What a model answers in each set; it is loaded only where something is still to be asked."""
    weights = fingerprint(model, str(hardware.bf16))
    paths = {name: folder / f"{_key(weights, asked[name])}.jsonl" for name in asked}
    known = {name: kept.read(path) for name, path in paths.items()}
    todo = [name for name in asked if not all(i in known[name] for i in range(len(asked[name])))]
    if todo:
        loaded = _loaded(model, hardware, report)
        if loaded is None:
            return None
        total = sum(len(asked[name]) for name in todo)
        console.print(f"{model.name}: {counted(total, 'question')}")
        with Progress(f"{model.name}: question", total) as progress:
            for name in todo:
                for batch in asking(*loaded, asked[name], known[name]):
                    if not batch.keys() <= known[name].keys():
                        kept.append(paths[name], batch)
                    known[name] |= batch
                    progress.done += len(batch) - 1
                    progress.step()
    return {name: [known[name][i] for i in range(len(asked[name]))] for name in asked}


def _loaded(
    model: Model, hardware: Hardware, report: Report
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase] | None:
    tokenizer = student.load_tokenizer(model.where, report)
    if tokenizer is None:
        return None
    found = student.load_model(model.where, report, base=model.base, bf16=hardware.bf16)
    if found is None:
        return None
    if not getattr(found, "is_quantized", False):  # quantized weights are where they belong
        torch.nn.Module.to(found, hardware.device)
    return found.train(False), tokenizer


def _key(weights: str, asked: Sequence[Question]) -> str:
    """A mark of a model's weights, and of what it is asked."""
    known = hashlib.sha256(weights.encode())
    for one in asked:
        free = one.free or bool(one.sample.verify)
        row = [one.sample.id, one.sample.messages, one.options, one.speak, free]
        known.update(json.dumps(row, sort_keys=True).encode())
    return known.hexdigest()[:24]


def _scores(asked: Sequence[Question], found: Mapping[str, Columns]) -> dict[str, Any]:
    """The scores of each model over all questions of a set, and per branch and leaf."""
    parts = groups(asked)
    return {
        model: nested({key: score(asked, columns, part) for key, part in parts.items()})
        for model, columns in found.items()
    }


def _compared(
    asked: Asked, found: Mapping[str, Mapping[str, Columns]], against: str, model: str
) -> dict[str, Any]:
    """For each set, and each group and measure of it, the difference of two models."""
    told: dict[str, Any] = {}
    for name, questions in asked.items():
        # A general question stands on no text of others, so each is a unit of its own.
        units = [q.sample.id if name == GENERAL else q.sample.leaf for q in questions]
        first, second = found[name][against], found[name][model]
        parts: dict[tuple[str, str], dict[str, Any]] = {}
        for key, part in groups(questions).items():
            each = {
                measure: compare(measure, first[measure], second[measure], units, part)
                for measure in first
                if measure in second
            }
            parts[key] = {measure: one.as_json() for measure, one in each.items() if one}
        told[name] = nested(parts)
    return told


def _told(
    name: str,
    asked: Sequence[Question],
    given: Mapping[str, Sequence[Answer]],
    found: Mapping[str, Columns],
) -> Iterable[dict[str, Any]]:
    """The questions of a set, what every model answered, and the value of it by every measure."""
    measures = list(dict.fromkeys(measure for each in found.values() for measure in each))
    for i, one in enumerate(asked):
        values = {
            measure: {
                model: round(float(each[measure].above[i] / each[measure].below[i]), DIGITS)
                for model, each in found.items()
                if measure in each and each[measure].applies[i]
            }
            for measure in measures
        }
        yield {
            "id": one.sample.id,
            "leaf": one.sample.leaf,
            "branch": one.sample.branch,
            "set": name,
            "question": one.sample.question,
            "reference": one.sample.answer,
            "answers": {model: answers[i].text for model, answers in given.items() if one.speak},
            "values": {measure: each for measure, each in values.items() if each},
        }
