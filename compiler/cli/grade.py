"""The command `grade`: people say of samples whether they are good."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from getpass import getuser
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.asking import JudgeOption
from compiler.cli.base import BUILD, TaxonomyOption, finish, reading_a_build, taxonomy_folder
from compiler.cli.calibrate import with_judge
from compiler.diagnostics import Report, clean, counted

if TYPE_CHECKING:
    from compiler.builds import Build
    from compiler.calibrate.calibration import Branch, Graded
    from compiler.calibrate.item import Item
    from compiler.calibrate.measure import Passes
    from compiler.calibrate.verdict import Judging
    from compiler.curriculum import Curriculum

_POOL = 500
_ASK = "[g]ood, [b]ad, [s]kip, [n]ote or [q]uit? "


def grade(
    build: Annotated[Path, typer.Argument(metavar="BUILD", help="The build folder.")] = BUILD,
    taxonomy: TaxonomyOption = None,
    leaf: Annotated[
        str, typer.Option("--leaf", metavar="GLOB", help="Only samples of these leaves.")
    ] = "*",
    number: Annotated[
        int, typer.Option("--number", metavar="N", min=1, help="At most so many samples.")
    ] = 20,
    grader: Annotated[
        str,
        typer.Option(
            "--grader", metavar="NAME", help="Whose grades; else your login.", show_default=False
        ),
    ] = "",
    judge: JudgeOption = None,
) -> None:
    """Say of samples whether they are good: the most and the least suspicious in turn.

    Each grade is added to `grades/NAME.jsonl` of the taxonomy at once. With `--judge`,
    assertions that ask a judge count too.
    """
    from compiler.builds import Build
    from compiler.calibrate.calibration import read_graded
    from compiler.curriculum import read
    from compiler.source import WorkTree

    root, report = taxonomy_folder(taxonomy), Report()
    with reading_a_build():
        finished = Build(build)
    source = WorkTree(root)
    curriculum = read(source, report)
    if curriculum is not None:
        report.inherit(curriculum.policy)
        graded = read_graded(source, report)
        with reading_a_build():
            items = _pool(finished, leaf, graded)
        said = None if report.errors else _verdicts(items, graded, curriculum, judge, root, report)
        if said is not None:
            session = _Session(root, curriculum, graded, said, grader or getuser())
            session.run(_ordered(items, said)[:number])
    if report.diagnostics:
        finish(report, "human", root)


def _pool(build: "Build", glob: str, graded: "Graded") -> "list[Item]":
    """What could be graded: what has lost its grades, and samples of the build that have none, of a
    large build a part. Ids are hashes, so the first of them are a fair part.
    """
    from compiler.calibrate.item import of_build

    known = {one.item.id for one in graded.grades}
    found = {item.id: item for item in of_build(build) if item.id not in known}
    again = {item.id: item for item in graded.again}
    items = (*again.values(), *(found[id] for id in sorted(found.keys() - again.keys())))
    wanted = (item for item in items if item.branch and fnmatchcase(item.leaf, glob))
    return list(islice(wanted, _POOL))


def _verdicts(
    items: "Sequence[Item]",
    graded: "Graded",
    curriculum: "Curriculum",
    judge: str | None,
    root: Path,
    report: Report,
) -> "dict[tuple[str, str], Passes] | None":
    """What assertions say of the items and of what is graded; None where the judge fails."""
    from compiler.calibrate.verdict import conditions

    every = [*items, *(one.item for one in graded.grades)]
    if judge is None:
        return conditions(graded.criteria, every)

    async def work(judging: "Judging") -> "dict[tuple[str, str], Passes]":
        return await judging.verdicts(graded.criteria, every, graded.grades)

    return with_judge(judge, curriculum, root, report, work)


def _ordered(items: "Sequence[Item]", said: "dict[tuple[str, str], Passes]") -> "list[Item]":
    """The items in the order to grade them, by assertions and by the build's own judges."""
    from compiler.calibrate.judges import told
    from compiler.calibrate.order import grading_order, suspicions

    names = sorted({assertion for assertion, _ in said})
    verdicts = {name: [said.get((name, item.id)) for item in items] for name in names}
    suspicion = suspicions({**verdicts, **told(items)}, len(items))
    return [items[place] for place in grading_order([item.id for item in items], suspicion)]


class _Session:
    """One person grades, and sees what becomes of the figures."""

    def __init__(
        self,
        root: Path,
        curriculum: "Curriculum",
        graded: "Graded",
        said: "dict[tuple[str, str], Passes]",
        who: str,
    ) -> None:
        name = re.sub(r"[^A-Za-z0-9-]+", "-", who).strip("-") or "grades"
        self.path = root / "grades" / f"{name}.jsonl"
        self.curriculum = curriculum
        self.graded = graded
        self.said = said
        self.who = who
        self.given = 0

    def run(self, items: "Sequence[Item]") -> None:
        """Shows one after the other until there is no more, or the person has had enough."""
        if not items:
            typer.echo("no sample is left to grade")
        for number, item in enumerate(items, 1):
            self._show(item, f"{number} of {len(items)}")
            note = ""
            while (key := _key()) == "n":
                note = _line("note: ")
            if key == "q":
                break
            if key in "gb":
                self._take(item, key == "g", note)
        typer.echo(f"{counted(self.given, 'grade')} added to {self.path}")

    def _show(self, item: "Item", place: str) -> None:
        typer.echo(f"\n{place}: {clean(item.leaf)}")
        for criterion in self.graded.criteria.of(item.branch):
            typer.echo(f"  by {criterion.id}: {clean(' '.join(criterion.text.split()))}")
        for name in ("context", "question", "answer"):
            if text := getattr(item, name):
                typer.echo(f"{name}:")
                for line in text.splitlines():
                    typer.echo(f"  {clean(line)}")

    def _take(self, item: "Item", good: bool, note: str) -> None:
        from compiler.calibrate.grades import Grade, append, now

        criteria = now(self.graded.criteria.of(item.branch))
        before = self._measured(item.branch)
        given = Grade(item, good, self.who, note, criteria)
        append(given, self.path)
        self.given += 1
        self.graded = replace(self.graded, grades=(*self.graded.grades, given))
        typer.echo(_moved(before, self._measured(item.branch)))

    def _measured(self, branch: str) -> "Branch | None":
        from compiler.calibrate.calibration import calibration

        found = calibration(self.graded, self.curriculum.gate, self.said).branches
        return next((one for one in found if one.name == branch), None)


def _moved(before: "Branch | None", after: "Branch | None") -> str:
    """How a grade moved the figures of its branch."""
    from compiler.calibrate.calibration import shown
    from compiler.calibrate.measure import Figures

    assert after is not None
    old, new = before.kept_by if before else Figures(), after.kept_by
    chosen = ", ".join(one.id for one in after.chosen) or "none"
    return (
        f"{after.name}: {new.good:,} good, {new.bad:,} bad; "
        f"coverage {shown(old.coverage)} -> {shown(new.coverage)}, "
        f"false failures {shown(old.false_failures)} -> {shown(new.false_failures)}; "
        f"chosen: {chosen}"
    )


def _key() -> str:
    """The first letter of what a person answers; `q` at the end of the input."""
    while True:
        if sys.stdin.isatty():
            import click

            typer.echo(_ASK, nl=False)
            said = click.getchar()
            typer.echo(said if said.isprintable() else "")
        else:
            said = _line(_ASK, end="q")
        if (key := said.strip().lower()[:1]) in ("g", "b", "s", "n", "q"):
            return key


def _line(ask: str, end: str = "") -> str:
    """A line of the input, `end` where there is none."""
    typer.echo(ask, nl=False)
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        typer.echo()
    return line.strip() if line else end
