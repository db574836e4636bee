"""The command `value`: what each sample of a build is worth, and those of each contributor."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.base import BUILD, print_table, reading_a_build
from compiler.diagnostics import counted

if TYPE_CHECKING:
    from compiler.value import Task

_METHODS = ("knn-shapley", "cs-shapley", "leave-one-out")
_BY = ("sample", "contributor", "document", "leaf")
_FORMS = ("human", "json")
_MOST_SHOWN = 20


def _one_of(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - as typer takes it
    def known(name: str | None) -> str | None:
        if name is not None and name not in names:
            raise typer.BadParameter(f"`{name}` is not one of {', '.join(names)}")
        return name

    return known


def _number(share: float) -> float:
    if math.isnan(share):  # which no bound refuses
        raise typer.BadParameter("`nan` is not a number")
    return share


def value(
    build: Annotated[Path, typer.Argument(metavar="BUILD", help="The build folder.")] = BUILD,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(_METHODS),
            callback=_one_of(_METHODS),
            help="Else that of the build's `select:`, else knn-shapley.",
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="|".join(_BY), callback=_one_of(_BY), help="What is listed.")
    ] = "contributor",
    quarantine: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.5,
            callback=_number,
            help="Which share counts as the lowest.",
        ),
    ] = 0.1,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(_FORMS),
            callback=_one_of(_FORMS),
            help="How it is printed.",
        ),
    ] = "human",
) -> None:
    """Say whose samples stand out as odd. Nothing is deleted.

    A sample has a low value where it makes its leaf harder to tell from others. First come those
    with the largest share among the lowest.
    """
    from compiler.builds import Build
    from compiler.curriculum import ValueSettings
    from compiler.curriculum.values import section
    from compiler.value import lowest, point_from, task_of
    from compiler.value import value as value_of

    with reading_a_build():
        finished = Build(build)
        settings = finished.manifest["curriculum"]
        points = [point_from(line) for line in finished.lines("samples")]
        held_out = [point_from(line) for line in finished.lines("heldout")]
    known = settings.get("select", {}).get("value", {})
    kind = method or known.get("method", "none")
    kind = _METHODS[0] if kind == "none" else kind
    chosen = section(ValueSettings, {**known, "method": kind})
    task = task_of(points, held_out)
    values = value_of(task, chosen, settings["seed"])
    low = lowest(task.points, values, quarantine)
    rows = _rows(task, values, low, by)
    if form == "json":
        found = {
            "method": kind,
            "by": by,
            "classes": list(task.names),
            "samples": len(task.points),
            "dev": len(task.dev),
            "standings": rows,
            "quarantine": list(low),
        }
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(
        f"{counted(len(task.points), 'sample')} by {kind}; classes: {len(task.names):,}; "
        f"judged by {counted(len(task.dev), 'example')} of people"
    )
    if len(task.names) < 2 or not task.dev:
        typer.echo("all values are 0: there are no two classes to tell apart")
        return
    _print_rows(rows, by)
    named = ", ".join(low[:_MOST_SHOWN]) + (", ..." if len(low) > _MOST_SHOWN else "")
    typer.echo(
        f"quarantine: {counted(len(low), 'sample')} of lowest value{': ' * bool(low)}{named}"
    )


def _rows(
    task: "Task", values: dict[str, float], low: tuple[str, ...], by: str
) -> list[dict[str, Any]]:
    """What the table shows and JSON holds: one sample or group each, the worst first."""
    from compiler.value import standings

    if by != "sample":
        return [
            {
                by: standing.name,
                "samples": standing.samples,
                "lowest": standing.lowest,
                "share": round(standing.share, 6),
                "value": standing.mean,
            }
            for standing in standings(task.points, values, low, by)
        ]
    return [
        {
            "sample": point.id,
            "leaf": point.leaf,
            "contributor": point.contributor,
            "document": point.document,
            "human": point.human,
            "lowest": point.id in low,
            "value": values[point.id],
        }
        for point in sorted(task.points, key=lambda p: (values[p.id], p.id))
    ]


def _print_rows(rows: list[dict[str, Any]], by: str) -> None:
    """A table of the first rows."""
    if by == "sample":
        head = ["sample", "leaf", "contributor", "value"]
        cells = [[row["sample"], row["leaf"], row["contributor"]] for row in rows]
    else:
        head = [by, "samples", "lowest", "share", "value"]
        cells = [
            [row[by], f"{row['samples']:,}", f"{row['lowest']:,}", f"{row['share']:.0%}"]
            for row in rows
        ]
    if not rows:
        typer.echo(f"no sample has a {by}")
        return
    shown = [[*c, f"{row['value']:.6f}"] for c, row in zip(cells, rows, strict=True)]
    print_table(head, shown[:_MOST_SHOWN], left=(0, 1, 2) if by == "sample" else (0,))
    if len(rows) > _MOST_SHOWN:
        typer.echo(f"and {len(rows) - _MOST_SHOWN:,} more: `--format json` lists all")
