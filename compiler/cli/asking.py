"""A taxonomy and the names of a teacher and a judge go in; the program, and who is asked, come out.

A file of its own because planning and compiling begin alike.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.offer import offer
from compiler.codes import M303
from compiler.diagnostics import Report, Span
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.curriculum import TeacherSpec
    from compiler.plan import Load, Plan
    from compiler.program import Program
    from compiler.teacher import Teacher

_KINDS = (
    "extractive, scripted:FILE, vllm:MODEL, batch:DIR#MODEL, run-batch:MODEL, or "
    "http://HOST:PORT/v1[,URL ...][#MODEL]"
)
TeacherOption = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="NAME",
        help=f"{_KINDS}; else curriculum.yaml's.",
        show_default=False,
    ),
]
JudgeOption = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="NAME",
        help="Who judges, named as a teacher is; else curriculum.yaml's judge, else the teacher.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked: what was named, and the teachers made of it. Paths count from `folder`."""

    folder: Path
    spec: "TeacherSpec"
    judge_spec: "TeacherSpec"
    teacher: "Teacher"
    judge: "Teacher"

    @property
    def by_rule(self) -> bool:
        return self.teacher.by_rule and self.judge.by_rule

    def told(self, plan: "Plan", left: bool) -> "Load":
        """The load of those who are no set of rules, in all or of what is left."""
        end = "_left" if left else ""
        loads = ((self.teacher, "teacher"), (self.judge, "judge"))
        return plan.load(*(name + end for who, name in loads if not who.by_rule))


def prepare_asked(
    root: Path, teacher: str | None, judge: str | None, at: str | None, report: Report
) -> "tuple[Program | None, Asked | None]":
    """The program, and who is asked; None where something is wrong."""
    from compiler.curriculum import TeacherSpec
    from compiler.program import equip, prepare
    from compiler.source import open_source

    try:
        named, judging = (TeacherSpec.named(n) if n else None for n in (teacher, judge))
        source = open_source(root, at)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    program = prepare(source, home() / "documents", report)
    program = program and equip(program, source, home() / "data", report)
    if program is None:
        return None, None
    if named is None:
        offer(source)
    spec = _with_script(named or program.curriculum.teacher, root)
    judging = judging or program.curriculum.judge
    judge_spec = _with_script(judging, root) if judging else spec
    model = named_teacher(spec, root, report)
    other = model if judge_spec == spec else named_teacher(judge_spec, root, report)
    if model is None or other is None:
        return program, None
    return program, Asked(root, spec, judge_spec, model, other)


def _with_script(spec: "TeacherSpec", root: Path) -> "TeacherSpec":
    """The same teacher; a script's path counts from the current folder, then from the taxonomy."""
    here = Path() if Path(spec.file).is_file() else root
    return replace(spec, file=str((here / spec.file).resolve())) if spec.file else spec


def named_teacher(spec: "TeacherSpec", root: Path, report: Report) -> "Teacher | None":
    """The teacher that a spec names; None where a file of it cannot be read."""
    from compiler.progress import say
    from compiler.teacher.make import make_teacher

    try:
        return make_teacher(_with_script(spec, root), root, say, report)
    except (OSError, TypeError, ValueError) as wrong:
        if spec.kind == "scripted":
            report.add(M303, f"the script `{spec.file}` cannot be read: {wrong}", Span(spec.file))
        else:
            report.add(M303, f"the teacher cannot be set up: {wrong}", hint="mend its settings")
        return None
