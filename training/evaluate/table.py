"""The result of an evaluation goes in; tables that a person can read come out.

A file of its own because a terminal is narrow: who is measured stands in the columns, and of the
differences as many measures as there is room for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.evaluate.compare import IMPROVED, LEVEL, REGRESSED, RESAMPLES
from training.evaluate.questions import GENERAL
from training.evaluate.scores import CUT, LOSS, MEASURES
from training.recipe import CONTROL
from training.shown import fixed, signed

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
_LEAST = 16
"""Cells of a name at least, however narrow the terminal."""
_COLOURS = {IMPROVED: "green", REGRESSED: "red"}


def show(result: Json, console: Console, *, leaves: bool = False) -> None:
    """Prints the scores of each set, the differences, and the gates; with `leaves` also a row for
    each leaf. What is no terminal gets no spaces at the ends of lines.
    """
    shown = Group(*_all(result, console.width, leaves))
    if console.is_terminal:
        console.print(shown)
        return
    with console.capture() as lines:
        console.print(shown)
    console.file.writelines(f"{line.rstrip()}\n" for line in lines.get().splitlines())


def _all(result: Json, width: int, leaves: bool) -> Iterator[RenderableType]:
    models = [model["name"] for model in result["models"]]
    for name, by_model in result["sets"].items():
        if by_model and by_model[models[0]]["all"]["n"]:
            yield _scores(name, models, by_model, width, leaves)
            if cut := {m: one["all"][CUT] for m, one in by_model.items() if CUT in one["all"]}:
                told = ", ".join(f"{model} {number}" for model, number in cut.items())
                yield Text(f"answers cut at their longest: {told}\n", style="dim")
    compared = [one for one in result["comparisons"] if _is_shown(one, result["stages"])]
    for one in compared:
        if table := _differences(one, width, leaves):
            yield table
    if compared:
        told = f"intervals of {LEVEL:.0%} from {RESAMPLES:,} paired resamples"
        yield Text(f"{told}; too few: fewer than six questions\n", style="dim")
    if result["gates"]:
        yield Text("gates", style="bold")
        yield from map(_gate, result["gates"])
        yield Text()


def _is_shown(comparison: Json, stages: Sequence[str]) -> bool:
    """Whether a comparison is of the last phase, or of a model that is no stage: the others are in
    the result.
    """
    phases = [stage for stage in stages if stage != CONTROL]
    return comparison["model"] not in stages or comparison["model"] == phases[-1]


def _scores(name: str, models: Sequence[str], by_model: Json, width: int, leaves: bool) -> Table:
    """A table of one set: for each measure all questions, then its branches. The names of leaves
    leave the models' their room.
    """
    table = _table(_TITLES[name])
    table.add_column("", no_wrap=True)
    table.add_column("n", justify="right")
    for model in models:
        table.add_column(model, justify="right", overflow="fold")
    whole = [by_model[model]["all"] for model in models]
    # Two spaces stand between columns.
    first = width - sum(max(4, len(model)) + 2 for model in models) - len(str(whole[0]["n"])) - 2
    for measure, words in MEASURES.items():
        if not any(measure in score for score in whole):
            continue
        unit = ", nats a token" if measure == LOSS else ""
        chance = f", {fixed(whole[0]['chance'])} by chance" if measure == "choice" else ""
        table.add_row(_fitted(f"{words}{unit}{chance}", first), *_cells(measure, whole))
        if measure not in _IN_PARTS or (name == GENERAL and not leaves):
            continue
        for label, kind, part in _parts(by_model[models[0]], leaves):
            scores = [by_model[model][kind][part] for model in models]
            if any(measure in score for score in scores):
                table.add_row(Text(_fitted(label, first), style="dim"), *_cells(measure, scores))
    table.add_row()
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _cells(measure: str, scores: Sequence[Json]) -> list[str]:
    """How many questions a measure applies to, and its mean for each model."""
    n = max(score.get("of", {}).get(measure, score["n"]) for score in scores)
    return [str(n), *(fixed(score[measure]) if measure in score else "-" for score in scores)]


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


def _fitted(label: str, width: int) -> str:
    """A label in so many cells: of a path the end is kept, of other words the beginning."""
    width = max(_LEAST, width)
    if len(label) <= width:
        return label
    name = label.lstrip()
    indent = label[: len(label) - len(name)]
    kept = width - len(indent) - 1
    return f"{indent}…{name[-kept:]}" if indent else f"{name[:kept]}…"


def _short(name: str) -> str:
    return name.removesuffix("_skills").replace("_", " ")


def _differences(comparison: Json, width: int, leaves: bool) -> Table | None:
    """A table of one comparison: for each set and branch the measures that there is room for."""
    rows = list(_rows(comparison["sets"], leaves))
    there = [name for name in _COMPARED if any(name in found for _, found in rows if found)]
    if not there:
        return None
    first = max(_LEAST, min(max(len(label) for label, _ in rows), width - 33))
    measures = there[: max(1, (width - first) // 32)]
    table = _table(f"{comparison['model']} against {comparison['against']}")
    table.add_column("", no_wrap=True)
    for measure in measures:
        table.add_column(MEASURES[measure], no_wrap=True)
    for label, found in rows:
        table.add_row(
            _fitted(label, first), *(_difference(found.get(measure)) for measure in measures)
        )
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
    said = signed(found["difference"])
    if found["low"] is None:
        return said
    return f"{said} [{signed(found['low'])}, {signed(found['high'])}]"
