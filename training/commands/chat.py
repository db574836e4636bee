"""`trivium chat`: questions go in, the student's answers come out."""

import io
import sys
from typing import Annotated

import typer

from compiler.diagnostics import Report, clean
from training import machine, run
from training import recipe as recipes
from training.commands.base import STUDENT, Student, extra, fail


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
        fail(report)
    known = found.stages
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a question in another encoding is still asked
    stage = stage or [name for name in known if name != recipes.CONTROL][-1]
    if stage not in known:
        raise typer.BadParameter(f"no stage `{stage}`; there are {', '.join(known)}")
    with extra(report):
        machine.prepare(found.base)
        from training.student import Speaker

        machine.settle(found.threads)
        now = Speaker.of(found.where(stage), found.base, report)
        if now is None:
            fail(report)
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


def _line() -> str | None:
    """The next line of the standard input, or None at its end."""
    if sys.stdin is None or sys.stdin.closed:
        return None
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _said(text: str) -> str:
    """An answer as it can be printed: whatever a student says, it does not steer the terminal."""
    return "\n".join(clean(line) for line in text.splitlines()) or "(nothing)"
