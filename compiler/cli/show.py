"""The command `show`: the whole story of one sample."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD, finish, reading_a_build
from compiler.codes import E703
from compiler.diagnostics import Report, clean
from compiler.resources import home


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A sample's id, or its first digits.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The build folder.")] = BUILD,
) -> None:
    """Tell the whole story of one sample."""
    from compiler.builds import Build
    from compiler.journal import Journal
    from compiler.story import find, tell

    try:
        with reading_a_build():
            found = find(Build(data), id)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="ID") from wrong
    if found is None:
        report = Report()
        report.add(
            E703, f"no sample's id begins with `{id}`", hint=f"ids are in {data}/samples.jsonl"
        )
        finish(report, "human", data)
        return
    with Journal(home() / "journal.sqlite") as journal:
        for line in tell(*found, journal).splitlines():
            typer.echo(clean(line))
