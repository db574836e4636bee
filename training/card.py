"""A trained student, its build and its evaluation go in; its model card comes out, as the Hub reads
it.

A file of its own because it is the one text that goes with the weights wherever they go: what they
were made from, under which licences, by whom, how, and how well it went. It counts and picks; the
template beside it holds the words.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import yaml

from compiler import __version__
from compiler.codes import CATALOGUE, E701, E704, F605
from compiler.diagnostics import Report, Span, clean, counted
from training.data import read_json
from training.machine import EXTRA, write_text
from training.recipe import BASE
from training.run import EVALUATION, MERGED, RUN
from training.shown import fixed, signed
from training.stage import WHY

CARD = "README.md"
HUB_LICENCES = frozenset(
    "apache-2.0 cc-by-4.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-2.0 mit".split()
)
"""Those that the Hub has a name for, of the licences that a build may be made from."""

Json = Mapping[str, Any]


def write(run_folder: Path, build_folder: Path, report: Report) -> bool:
    """Writes the card into the run's folder, beside the weights of its last phase, and beside the
    merged ones; same input, same bytes. False where a file of the input is damaged: F605, E701,
    E704.
    """
    for place in ("", *_phases(read_json(run_folder / RUN, "run") or {})[-1:], MERGED):
        if not (run_folder / place).is_dir():
            continue
        card = text(run_folder, build_folder, report, place)
        if card is None:
            return False
        write_text(run_folder / place / CARD, card)
    return True


def text(run_folder: Path, build_folder: Path, report: Report, place: str = "") -> str | None:
    """The card of what lies in `place` of a run's folder: "" for the run itself, a phase, `merged`,
    or an export, whose name may be anything else. None where a file of the input is damaged.
    """
    run = read_json(run_folder / RUN, "run")
    if run is None or not run.get("stages"):
        at = Span(str(run_folder / RUN))
        report.add(E701, "it is not the record of a trained student", at, "train again")
        return None
    evaluation = read_json(run_folder / EVALUATION, "evaluation")
    if evaluation is None:
        at = Span(str(run_folder / EVALUATION))
        report.add(E704, "the file is damaged", at, "run `trivium evaluate` again")
        return None
    manifest = read_json(build_folder / "manifest.json", "manifest") or {}
    if manifest.get("fingerprint") != run["fingerprint"]:
        manifest = {}  # what is known of another build is not known of this student
    if evaluation.get("fingerprint") != run["fingerprint"]:
        evaluation = {}
    try:
        languages = _languages(build_folder) if manifest else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        report.add(F605, "its phases cannot be read", Span(str(build_folder)), "build it again")
        return None
    head = yaml.safe_dump(_head(run, manifest, languages, place), sort_keys=False)
    return f"---\n{head}---\n\n{_body(run, manifest, evaluation, place)}"


# What the Hub reads: https://huggingface.co/docs/hub/model-cards


def _head(run: Json, manifest: Json, languages: Sequence[str], place: str) -> dict[str, Any]:
    recipe = run["recipe"]
    model, adapters = _hub_name(recipe), _adapters(run, place)
    ours = place in ("", MERGED, *_phases(run))
    relation = "adapter" if adapters else "finetune" if ours else "quantized"
    sets = {one["hub"] for one in _sources(manifest) if one.get("hub")}
    method = "qlora" if recipe.get("bits") else "lora" if recipe.get("lora") else ""
    pairs = any(phase.get("data") == "preferences" for phase in recipe["phases"])
    head = {
        "base_model": model,
        "base_model_relation": relation if model else "",
        "license": _licence(run, manifest),
        "datasets": sorted(sets),
        "language": languages,
        "pipeline_tag": "text-generation",
        "library_name": "peft" if adapters else "transformers",
        "tags": [t for t in ("trivium", "curriculum", "sft", pairs and "dpo", method) if t],
    }
    return {key: value for key, value in head.items() if value}


def _licence(run: Json, manifest: Json) -> str:
    """The Hub's name of the one licence of all data, `other` where there are several. Where there
    is a base model its licence holds too, and is not known here.
    """
    names = {name for leaf in _used(manifest) for name in leaf["licences"] or [""]}
    names |= {one["licence"] for one in _sources(manifest)}
    alone = names.pop().casefold() if len(names) == 1 else ""
    return alone if alone in HUB_LICENCES and not _model(run["recipe"]) else "other"


def _languages(build: Path) -> list[str]:
    """The codes of the languages that the samples of both phases say they are in."""
    found = set()
    for name in ("phase1.jsonl", "phase2.jsonl"):
        with (build / name).open("rb") as lines:
            for line in filter(bytes.strip, lines):
                found.add(str(json.loads(line).get("origin", {}).get("language", "")))
    return sorted(found - {""})


# What people read


def _body(run: Json, manifest: Json, evaluation: Json, place: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # it is Markdown; what others wrote goes through `cell`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": cell,
        "listed": lambda names: ", ".join(map(cell, names)) or "none named",
        "plain": _plain,
        "counted": _counted,
        "code": lambda id: f"{CATALOGUE[id].name} ({id})" if id in CATALOGUE else cell(id),
        "why": lambda why: WHY.get(why, why),
        "signed": _signed,
        "fixed": fixed,
        "interval": _interval,
        "measure": lambda key: MEASURES.get(key, key),
    }
    recipe, phases = run["recipe"], _phases(run)
    stages = {stage["stage"]: stage for stage in run["stages"]}
    after = [name for name in phases if name in evaluation.get("stages", ())][-1:]
    return environment.get_template("card.md.j2").render(
        run=run,
        place=place,
        phases=phases,
        manifest=manifest,
        model=_model(recipe),
        adapters=_adapters(run, place),
        shape=recipe["student"],
        embedded_teacher=str(manifest.get("teacher", "")).startswith("extractive"),
        leaves=_used(manifest),
        sources=_sources(manifest),
        owed=manifest.get("obligations", {}),
        after=after,
        scores=list(_scores(evaluation, after[0])) if after else [],
        gates=evaluation.get("gates", ()),
        trained=[(p, stages[p["name"]]) for p in recipe["phases"] if p["name"] in stages],
        settings=list(_settings(recipe)),
        by_phase=list(_by_phase(recipe)),
        versions=list(_versions(manifest)),
        version=__version__,
    )


def _scores(evaluation: Json, after: str) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """For each set with questions its title, what was measured, and for all and each branch a row:
    its name, the questions, and of each measure the base and the stage `after`.
    """
    for name, by_stage in evaluation["sets"].items():
        late, early = by_stage.get(after, {}), by_stage.get(BASE, {})
        if not late.get("all", {}).get("n"):
            continue
        changed = next(
            (
                one["sets"].get(name, {})
                for one in evaluation.get("comparisons", ())
                if (one["model"], one["against"]) == (after, BASE)
            ),
            {},
        )
        measured = [key for key in MEASURES if key in late["all"]]
        rows = [_row("all", *(part.get("all", {}) for part in (early, late, changed)), measured)]
        for branch in late["branches"] if name != "general" else ():
            parts = [part.get("branches", {}).get(branch, {}) for part in (early, late, changed)]
            rows.append(_row(_plain(branch.replace("_", " ")), *parts, measured))
        yield _TITLES.get(name, name), [MEASURES[key] for key in measured], rows


MEASURES = {
    "exact_match": "exact match",
    "f1": "token F1",
    "choice": "multiple choice",
    "checked": "checker",
    "judged": "judge",
}
_TITLES = {
    "trained": "Trained questions",
    "validation": "Samples kept aside",
    "heldout": "Held-out questions of people",
    "general": "General questions, which no leaf teaches",
}


def _row(name: str, early: Json, late: Json, changed: Json, measured: Sequence[str]) -> list[str]:
    cells = []
    for key in measured:
        before, now = (fixed(one[key]) if key in one else "–" for one in (early, late))
        cells.append(f"{before} → {now}{_interval(changed.get(key) or {})}")
    return [name, str(late["n"]), *cells]


def _interval(difference: Json) -> str:
    """What a difference lies between, in brackets; "" where that is not known."""
    if difference.get("low") is None:
        return ""
    low, high = (_signed(difference[end]) for end in ("low", "high"))
    return f" ({low} to {high})"


def _signed(value: float) -> str:
    return signed(value).replace("-", "\N{MINUS SIGN}")


def _settings(recipe: Json) -> Iterator[tuple[str, str]]:
    """What decides the weights in all phases; of a student's folder no place is told."""
    untold = ("phases", "student", "lora", "threads", "checkpoint_seconds", "trackers")
    adapters = {f"adapters: {k}": v for k, v in (recipe.get("lora") or {}).items() if k != "rank"}
    for key, value in (recipe | adapters).items():
        if key not in untold:
            yield key, _shown(value)


def _by_phase(recipe: Json) -> Iterator[tuple[str, list[str]]]:
    """What each phase decides for itself: a name, and the values of all phases."""
    phases = recipe["phases"]
    for key in dict.fromkeys(key for phase in phases for key in phase):
        values = [_shown(phase.get(key)) for phase in phases]
        if key not in ("name", "data") and any(values):
            yield key, values


def _shown(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _versions(manifest: Json) -> Iterator[tuple[str, str]]:
    yield "trivium", __version__
    if (built := manifest.get("trivium", __version__)) != __version__:
        yield "trivium of the build", cell(built)
    for name in EXTRA:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


# What is picked


def _used(manifest: Json) -> list[Json]:
    """The leaves that samples were made from."""
    return [leaf for leaf in manifest.get("leaves", ()) if leaf["synthetic"] or leaf["human"]]


def _sources(manifest: Json) -> list[Json]:
    """The data sets that samples were taken from."""
    return [one for one in manifest.get("sources", ()) if one.get("kept")]


def _phases(run: Json) -> list[str]:
    """The phases that are done."""
    done = {stage["stage"] for stage in run.get("stages", ())}
    phases = run.get("recipe", {}).get("phases", ())
    return [phase["name"] for phase in phases if phase["name"] in done]


def _adapters(run: Json, place: str) -> bool:
    """Whether what lies in `place` is adapters: those of a phase, not what they are merged into."""
    return bool(run["recipe"].get("lora")) and place in ("", *_phases(run))


def _hub_name(recipe: Json) -> str:
    """The base model's name on the Hub; "" where there is none, or only a folder."""
    model = str(recipe["student"].get("model", ""))
    return model if re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", model) else ""


def _model(recipe: Json) -> str:
    """The base model's name, without the way to a folder; "" where there is none."""
    model = str(recipe["student"].get("model", ""))
    return _hub_name(recipe) or re.split(r"[/\\]", model.rstrip("/\\"))[-1]


def cell(value: object) -> str:
    """What others wrote as code, within a line or a table's cell: there Markdown and HTML mean
    nothing.
    """
    shown = clean(" ".join(str(value).split())).replace("|", r"\x7c")
    ticks = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if "`" in (shown[:1], shown[-1:]) else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}" if shown else "none"


def _plain(text: str) -> str:
    """A name as it is, where it holds nothing that Markdown reads."""
    return text if re.fullmatch(r"[\w ./-]+", text) else cell(text)


def _counted(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {many}" if many and n != 1 else counted(n, one)
