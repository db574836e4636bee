"""The commands about pipelines: `pipeline new`, `pipeline test`, `pipeline show`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.base import TaxonomyOption, finish, taxonomy_folder
from compiler.diagnostics import Report, counted

if TYPE_CHECKING:
    from compiler.pipeline import Folder, Pipeline, Stage

app = typer.Typer(help="Write, test and look at pipelines.", rich_markup_mode=None)

_NAME = typer.Argument(metavar="NAME", help="The pipeline's name.", show_default=False)


def _folders(
    taxonomy: Path | None, report: Report | None = None
) -> tuple[Path | None, "Mapping[str, Folder]"]:
    """The taxonomy's folder, None where there is none, and the pipelines by name."""
    from compiler.pipeline import folders
    from compiler.source import WorkTree

    try:
        root = taxonomy_folder(taxonomy)
    except typer.BadParameter:
        if taxonomy is not None:
            raise
        return None, folders()  # the built-in ones are there without any taxonomy
    return root, folders(WorkTree(root), report)


@app.command()
def new(
    name: Annotated[str, _NAME],
    like: Annotated[
        str, typer.Option("--like", metavar="PIPELINE", help="The pipeline to begin from.")
    ] = "skill-freeform",
    extends: Annotated[
        bool,
        typer.Option("--extends", help="Take its stages as they are, and write what differs only."),
    ] = False,
    taxonomy: TaxonomyOption = None,
) -> None:
    """Write a pipeline of your own that works at once."""
    import yaml

    from compiler.schema import guess

    root, known = _folders(taxonomy)
    place = (root or taxonomy_folder(taxonomy)) / "pipelines" / name
    if not name or not all(part.isalnum() for part in name.split("-")) or not name.islower():
        raise typer.BadParameter(f"`{name}` is no name: use small letters, digits and `-`")
    if like not in known:
        raise typer.BadParameter(f"there is no pipeline `{like}`; {guess(like, sorted(known))}")
    if place.exists():
        raise typer.BadParameter(f"{place} is there already")
    if extends and b"\nextends:" in known[like].files["pipeline.yaml"]:
        raise typer.BadParameter(f"`{like}` extends another: leave out `--extends`")
    parent, files = known[like], dict(known[like].files)
    if extends:
        files = {n: data for n, data in files.items() if n == "example.yaml"}
        said = {"version": 1, "extends": like, "about": _about(parent)}
        files["pipeline.yaml"] = (
            f"# What `{like}` does, with changes. A template of the same name here takes the place "
            f"of its own;\n# so do `settings:`, `asks:` and, all at once, `stages:`.\n"
            + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1000)
        ).encode()
    place.mkdir(parents=True)
    for file, data in files.items():
        (place / file).write_bytes(data)
    typer.echo(f"wrote {counted(len(files), 'file')} to {place}")
    typer.echo(f"test it with `trivium pipeline test {name}`; a route in `curriculum.yaml` uses it")


@app.command("test")
def walk_examples(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Which pipelines; by default the taxonomy's own, else all.",
            show_default=False,
        ),
    ] = None,
    taxonomy: TaxonomyOption = None,
) -> None:
    """Load pipelines and walk their examples; no teacher is asked."""
    from compiler.example import compare, play, read_example
    from compiler.pipeline import load
    from compiler.schema import guess

    report = Report()
    root, known = _folders(taxonomy, report)
    own = [name for name, folder in known.items() if folder.shown != name]
    for name in names or own or known:
        if name not in known:
            message = f"there is no pipeline `{name}`; {guess(name, sorted(known))}"
            raise typer.BadParameter(message)
        mine = Report()
        pipeline = load(known[name], mine)
        tree = read_example(known[name], mine) if pipeline else None
        played = play(tree, pipeline, mine) if pipeline and tree and not mine.errors else None
        if pipeline and tree and played:
            compare(tree, pipeline, played, mine)
            if not mine.errors:
                samples = counted(len(played.samples), "sample")
                typer.echo(f"{name}: {samples} and {counted(len(played.drops), 'drop')} as written")
        report.texts.update(mine.texts)
        report.take(mine.diagnostics)
    finish(report, "human", root or Path())


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="The pipeline; without it all are listed."),
    ] = "",
    prompts: Annotated[bool, typer.Option("--prompts", help="Show its templates too.")] = False,
    taxonomy: TaxonomyOption = None,
) -> None:
    """Tell what a pipeline does; without a name, list all."""
    from compiler.pipeline import load
    from compiler.schema import guess

    root, known = _folders(taxonomy)
    if not name:
        width = max(map(len, known))
        for each, folder in known.items():
            typer.echo(f"{each:{width}}  {_kinds(folder):20}  {_about(folder)}")
        return
    if name not in known:
        raise typer.BadParameter(f"there is no pipeline `{name}`; {guess(name, sorted(known))}")
    report = Report()
    pipeline = load(known[name], report)
    if pipeline is None:
        finish(report, "human", root or Path())
        return
    typer.echo("\n".join(_told(pipeline)))
    if prompts:
        for file, data in sorted(pipeline.folder.files.items()):
            if file.endswith(".j2"):
                typer.echo(f"\n{file}:\n{data.decode()}", nl=False)


def _about(folder: "Folder") -> str:
    """What a pipeline makes, also where it has mistakes."""
    from compiler.pipeline import load

    made = load(folder, Report())
    return " ".join(made.about.split()) if made else "has mistakes: see `trivium pipeline test`"


def _kinds(folder: "Folder") -> str:
    from compiler.pipeline import load

    made = load(folder, Report())
    return ", ".join(made.takes) if made else ""


def _told(pipeline: "Pipeline") -> Iterator[str]:
    yield f"{pipeline.name}: {' '.join(pipeline.about.split())}"
    asks = f"{counted(pipeline.asks, 'sample')} a unit" if pipeline.asks else "a leaf is one unit"
    yield f"takes {' and '.join(pipeline.takes)} leaves; {asks}"
    for name, default in pipeline.settings.defaults.items():
        choices = ", ".join(map(str, pipeline.settings.choices.get(name, ())))
        yield f"setting {name}: {default}" + (f" (one of {choices})" if choices else "")
    yield ""
    yield from _stages(pipeline.stages, "")


def _stages(stages: "tuple[Stage, ...]", indent: str) -> Iterator[str]:
    from compiler.pipeline import Best, Rounds

    for stage in stages:
        yield indent + _stage(stage) + (f", when {stage.when.source}" if stage.when else "")
        if isinstance(stage, Best | Rounds):
            yield from _stages(stage.stages, indent + "  ")


def _stage(stage: "Stage") -> str:
    from compiler import pipeline as p

    def listed(names: object) -> str:
        return ", ".join(f"`{name}`" for name in names)  # type: ignore[attr-defined]

    match stage:
        case p.Draw():
            drawn = (f"`{one.name}` from {one.source}" for one in stage.draws)
            return f"draw      {', '.join(drawn)}"
        case p.Generate():
            who = "judge" if stage.judge else "teacher"
            many = ", many" if stage.many else ""
            writes = listed(field.name for field in stage.writes)
            reads = listed(stage.prompt.reads)
            return f"generate  {stage.id}: the {who} reads {reads}; writes {writes}{many}"
        case p.Verify():
            what = stage.checker.kind if stage.checker else "the route's checker, if it has one"
            then = f"writes `{stage.writes}`" if stage.writes else f"else {stage.code}"
            return f"verify    {what}; {then}"
        case p.Keep():
            return f"keep      by {listed(stage.condition.reads)}; else {stage.code}"
        case p.Best():
            pair = "; the worst is the rejected half of a pair" if stage.pair else ""
            return f"best      of {stage.of} by {listed(stage.by.reads)}{pair}"
        case p.Unique():
            against = f", against {', '.join(stage.against)}" if stage.against else ""
            return f"unique    {listed(stage.of)} by {stage.by}{against}; else {stage.code}"
        case p.Spread():
            return f"spread    `{stage.column}` to `{stage.writes}`"
        case p.Rounds():
            return f"rounds    {stage.number} over {stage.over}"
        case p.Say():
            return f"say       {', '.join(turn.role for turn in stage.turns)}"
