"""The result of an evaluation goes in; tables that a person can read come out.

A file of its own because a terminal is narrow: who is measured stands in the columns, and of the
differences as many measures as there is room for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.evaluate.compare import IMPROVED, LEVEL, REGRESSED, RESAMPLES
from training.evaluate.questions import GENERAL
from training.evaluate.scores import LOSS, MEASURES
from training.recipe import CONTROL

Json = Mapping[str, Any]

_TITLES = {
    "trained": "trained: questions that the phases teach",
    "validation": "validation: samples kept aside, of the same leaves",
    "heldout": "held-out questions, which people wrote",
    GENERAL: "general questions, which no build teaches",
}
_IN_PARTS = ("exact_match", "choice", "checked", "judged")
"""What is shown for each branch; the other measures stand for the whole set."""
_COMPARED = ("exact_match", "choice", "checked", "judged", "f1", LOSS)
_COLOURS = {IMPROVED: "green", REGRESSED: "red"}


def show(result: Json, console: Console, *, leaves: bool = False) -> None:
    """Prints the scores of each set, the differences, and the gates; with `leaves` also a row for
    each leaf.
    """
    models = [model["name"] for model in result["models"]]
    for name, by_model in result["sets"].items():
        if by_model and by_model[models[0]]["all"]["n"]:
            console.print(_scores(name, models, by_model, leaves))
    compared = [one for one in result["comparisons"] if _is_shown(one, result["stages"])]
    for one in compared:
        if table := _differences(one, console.width, leaves):
            console.print(table)
    if compared:
        told = f"intervals of {LEVEL:.0%} from {RESAMPLES:,} paired resamples"
        console.print(f"{told}; too few: fewer than six questions\n", style="dim")
    if result["gates"]:
        console.print(Text("gates", style="bold"))
        for gate in result["gates"]:
            console.print(_gate(gate))
        console.print()


def _is_shown(comparison: Json, stages: Sequence[str]) -> bool:
    """Whether a comparison is of the last phase, or of a model that is no stage: the others are in
    the result.
    """
    phases = [stage for stage in stages if stage != CONTROL]
    return comparison["model"] not in stages or comparison["model"] == phases[-1]


def _scores(name: str, models: Sequence[str], by_model: Json, leaves: bool) -> Table:
    """A table of one set: for each measure all questions, then its branches."""
    table = _table(_TITLES[name])
    table.add_column("", no_wrap=True)
    table.add_column("n", justify="right")
    for model in models:
        table.add_column(model, justify="right", overflow="fold")
    whole = [by_model[model]["all"] for model in models]
    for measure, words in MEASURES.items():
        if not any(measure in score for score in whole):
            continue
        unit = ", nats a token" if measure == LOSS else ""
        chance = f", {whole[0]['chance']:.2f} by chance" if measure == "choice" else ""
        table.add_row(f"{words}{unit}{chance}", *_cells(measure, whole))
        if measure not in _IN_PARTS or (name == GENERAL and not leaves):
            continue
        for label, kind, part in _parts(by_model[models[0]], leaves):
            scores = [by_model[model][kind][part] for model in models]
            if any(measure in score for score in scores):
                table.add_row(Text(label, style="dim"), *_cells(measure, scores))
    table.add_row()
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _cells(measure: str, scores: Sequence[Json]) -> list[str]:
    """How many questions a measure applies to, and its mean for each model."""
    n = max(score.get("of", {}).get(measure, score["n"]) for score in scores)
    return [str(n), *(f"{score[measure]:.2f}" if measure in score else "-" for score in scores)]


def _parts(found: Json, leaves: bool) -> Iterator[tuple[str, str, str]]:
    """The label, the kind and the name of each branch, and of the leaves in it."""
    for branch in found["branches"]:
        yield f"  {_short(branch)}", "branches", branch
        if not leaves:
            continue
        for leaf in found["leaves"]:
            first, _, rest = leaf.partition("/")
            if first == branch:
                yield f"    {rest}", "leaves", leaf


def _short(name: str) -> str:
    return name.removesuffix("_skills").replace("_", " ")


def _differences(comparison: Json, width: int, leaves: bool) -> Table | None:
    """A table of one comparison: for each set and branch the measures that there is room for."""
    rows = list(_rows(comparison["sets"], leaves))
    there = [name for name in _COMPARED if any(name in found for _, found in rows if found)]
    if not there:
        return None
    first = max(len(label) for label, _ in rows)
    measures = there[: max(1, (width - first) // 32)]
    table = _table(f"{comparison['model']} against {comparison['against']}")
    table.add_column("", no_wrap=True)
    for measure in measures:
        table.add_column(MEASURES[measure], no_wrap=True)
    for label, found in rows:
        table.add_row(label, *(_difference(found.get(measure)) for measure in measures))
    table.add_row()
    return table


def _rows(sets: Json, leaves: bool) -> Iterator[tuple[str, Json]]:
    for name, found in sets.items():
        if not found["all"]:
            continue
        yield name, found["all"]
        if name == GENERAL and not leaves:
            continue
        for label, kind, part in _parts(found, leaves):
            if found[kind][part]:
                yield label, found[kind][part]


def _difference(found: Json | None) -> Text:
    """`+0.12 [+0.05, +0.19] improved`."""
    if not found:
        return Text("")
    said = f"{_interval(found)} {found['verdict']}"
    return Text(said, style=_COLOURS.get(found["verdict"], "dim"))


def _gate(gate: Json) -> Text:
    """What a gate is about and whether it held, the figures, and each part that was lost."""
    against = f" against {gate['against']}" if gate["against"] else ""
    words = f"  {gate['what']}, {gate['stage']}{against}: "
    if gate["held"] is None:
        return Text(f"{words}not measured, {gate['why']}", style="dim")
    text = Text(f"{words}{'held' if gate['held'] else 'not held'}")
    text.stylize("green" if gate["held"] else "red")
    limit = f"; {gate['limit']:g} may be lost"
    text.append(f"\n    {MEASURES[gate['measure']]} {_interval(gate)}{limit}")
    for one in gate["lost"]:
        if one["kind"] != "all":
            text.append(f"\n    {one['where']} {_interval(one)}")
    return text


def _interval(found: Json) -> str:
    """`+0.12 [+0.05, +0.19]`; without the interval where there is none."""
    said = f"{found['difference']:+.2f}"
    if found["low"] is None:
        return said
    return f"{said} [{found['low']:+.2f}, {found['high']:+.2f}]"
