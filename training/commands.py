"""Options go in; the commands of training, and the whole road, do what they say.

They parse, and print what comes back; heavy libraries are imported inside the commands that need
them.
"""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from compiler.cli.asking import TeacherOption
from compiler.cli.base import BUILD, TaxonomyOption, print_table, taxonomy_folder
from compiler.cli.build import compile
from compiler.cli.check import check
from compiler.codes import E702, E704, F608, F611
from compiler.diagnostics import Report, clean
from compiler.render import RENDERERS
from compiler.resources import TAXONOMY
from training import data, machine, run
from training import recipe as recipes

STUDENT, REPORT = Path("out/student"), Path("out/report.html")
ERRORS, INTERRUPTED = 1, 130

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The build folder of `trivium compile`.")
]
Student = Annotated[
    Path, typer.Option("--student", metavar="DIR", help="The folder of `trivium train`.")
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", metavar="NAME", help="A built-in recipe (tiny-cpu, lora) or a YAML file."
    ),
]


def train(
    build_folder: Data = BUILD,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the student.")
    ] = STUDENT,
    recipe: RecipeOption = "tiny-cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run stopped (it does so anyway).")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained, and stop.")
    ] = False,
) -> None:
    """Train a student on a build, phase by phase."""
    if fresh and resume:
        raise typer.BadParameter("`--fresh` and `--resume` exclude each other")
    report = Report()
    if (chosen := recipes.read(recipe, report)) is None:
        _fail(report)
    if (build := data.read(build_folder, report)) is None:
        _fail(report)
    if not plan and not run.open_run(out, build, chosen, fresh, report):
        _fail(report)
    with _extra(report):
        machine.prepare(chosen.model)
        if plan:
            for line in run.plan(build, chosen, report):
                typer.echo(line)
        else:
            try:
                run.train(build, chosen, out, report, _console())
            except KeyboardInterrupt:
                typer.echo("stopped; run the same command again to go on", err=True)
                raise typer.Exit(INTERRUPTED) from None
    _finish(report)
    if not plan:
        typer.echo(f"the student is in {out}; next: trivium evaluate", err=True)


def evaluate(
    build_folder: Data = BUILD,
    student: Student = STUDENT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure every stage of a student."""
    report = Report()
    build = data.read(build_folder, report)
    if build is None:
        _fail(report)
    if not build.heldout:
        hint = "hold some seed examples back when building"
        report.add(E702, "the build has no held-out questions", hint=hint)
    found = run.find(student, report)
    if found and found.fingerprint != build.fingerprint:
        hint = "name its build with `--data`, or train again"
        report.add(F608, f"`{student}` was trained on another build", hint=hint)
    if found is None or report.errors:
        _fail(report)
    with _extra(report):
        machine.prepare(found.base)
        from training import evaluate as evaluation

        result = evaluation.evaluate(build, found, report, _console())
        if result is None:
            _fail(report)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        evaluation.table(result, Console(width=None if sys.stdout.isatty() else 110))
    _finish(report)


def chat(
    student: Student = STUDENT,
    stage: Annotated[
        str,
        typer.Option(
            "--stage", metavar="NAME", help="Which stage answers: base, phase1, ...; else the last."
        ),
    ] = "",
) -> None:
    """Talk to the trained student."""
    report = Report()
    found = run.find(student, report)
    if found is None:
        _fail(report)
    known = found.stages
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a question in another encoding is still asked
    stage = stage or [name for name in known if name != recipes.CONTROL][-1]
    if stage not in known:
        raise typer.BadParameter(f"no stage `{stage}`; there are {', '.join(known)}")
    with _extra(report):
        machine.prepare(found.base)
        from training.student import Speaker

        machine.settle(found.threads)
        now = Speaker.of(found.where(stage), found.base, report)
        if now is None:
            _fail(report)
        before: Speaker | None = None
        shown = False
        if sys.stdin and not sys.stdin.closed and sys.stdin.isatty():
            typer.echo("ask; /before shows the untrained student too; Ctrl-D ends", err=True)
        while (line := _line()) is not None:
            if line == "/before":
                shown = not shown
                before = before or Speaker.of(found.where(recipes.BASE), found.base, report)
            elif line:
                if shown and before:
                    typer.echo(f"before: {_said(before.answer(line))}")
                typer.echo(f"{'after:  ' if shown else ''}{_said(now.answer(line))}")


def report(
    build_folder: Data = BUILD,
    student: Annotated[
        Path | None,
        typer.Option(
            "--student",
            metavar="DIR",
            help="The folder of `trivium train`; else out/student, where there is one.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", dir_okay=False, help="The page to write."),
    ] = REPORT,
) -> None:
    """Write one HTML page on a build and its student."""
    _write_page(build_folder, student, out)
    typer.echo(out)


def _write_page(build_folder: Path, student: Path | None, out: Path) -> None:
    report = Report()
    if data.read(build_folder, report) is None:
        _fail(report)
    if student and not (student / "evaluation.json").is_file():
        hint = f"run `trivium evaluate --student {student}` first"
        report.add(E704, f"`{student}` was not evaluated", hint=hint)
        _fail(report)
    if student is None and (STUDENT / "evaluation.json").is_file():
        student = STUDENT
    from training import report as pages

    pages.write(build_folder, student, out, report)
    _finish(report)


def whole_road(
    taxonomy: TaxonomyOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for everything.")
    ] = Path("out"),
    teacher: TeacherOption = None,
    recipe: RecipeOption = "tiny-cpu",
) -> None:
    """Check, compile, train, evaluate and report."""
    build, student, page = (out / path.relative_to("out") for path in (BUILD, STUDENT, REPORT))
    report = Report()
    chosen = recipes.read(recipe, report)
    if chosen is None or not run.may_use(student, chosen, report):
        _fail(report)
    root = _taxonomy(taxonomy)
    _head(1, f"check: {root}")
    check(taxonomy=root)
    _head(2, f"compile: {build}")
    compile(taxonomy=root, out=build, teacher=teacher)
    _head(3, f"train: {student}")
    if (made := data.read(build, report)) is None:
        _fail(report)
    if what := run.difference(student, made, chosen):
        typer.echo(f"`{student}` holds a run of {what}: that one is deleted, to start over")
    train(build, student, recipe, fresh=bool(what))
    _head(4, f"evaluate: {student}")
    evaluate(build, student)
    _head(5, "report")
    _write_page(build, student, page)
    typer.echo()
    print_table(
        [f"everything is in {out}", ""],
        [
            [f"  {build}", "the curriculum: phase1.jsonl, phase2.jsonl, manifest.json, README.md"],
            [f"  {build}/explore.html", "what was kept and dropped, to look through"],
            [f"  {student}", "the student after each stage, its log and evaluation"],
            [f"  {page}", "the report; open it in a browser"],
            ["next:", ""],
            [f"  trivium chat --student {student}", "talk to the student"],
            [
                f"  trivium show ID --data {build}",
                "the story of a sample; ids are in samples.jsonl",
            ],
        ],
        left=(0, 1),
    )


def _head(number: int, what: str) -> None:
    """The line that a step of the road begins with."""
    typer.echo(f"\n[{number}/5] {what}\n")


def _taxonomy(named: Path | None) -> Path:
    """The taxonomy that every command would take here; where there is none, the shipped one."""
    try:
        return taxonomy_folder(named)
    except typer.BadParameter:
        if named is not None:
            raise
        typer.echo("no taxonomy here: the one that Trivium ships is taken")
        return TAXONOMY


def _line() -> str | None:
    """The next line of the standard input, or None at its end."""
    if sys.stdin is None or sys.stdin.closed:
        return None
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _console() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


def _said(text: str) -> str:
    """An answer as it can be printed: whatever a student says, it does not steer the terminal."""
    return "\n".join(clean(line) for line in text.splitlines()) or "(nothing)"


@contextmanager
def _extra(report: Report) -> Iterator[None]:
    """Says which package is missing, where one of those that training needs is."""
    try:
        yield
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in machine.EXTRA:
            raise
        hint = "pip install 'trivium[train]'"
        report.add(F611, f"the package `{package}` is not installed", hint=hint)
        _fail(report)


def _finish(report: Report) -> None:
    if report.diagnostics:
        typer.echo(RENDERERS["human"](report), err=True)
    if report.errors:
        raise typer.Exit(ERRORS)


def _fail(report: Report) -> NoReturn:
    _finish(report)
    raise typer.Exit(ERRORS)
