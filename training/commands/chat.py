"""`trivium chat`: questions go in, the answers of one student or of several come out."""

import io
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compiler.diagnostics import Report, clean, counted
from training import machine, run
from training import recipe as recipes
from training.commands.base import INTERRUPTED, STUDENT, Student, extra, fail, finish

if TYPE_CHECKING:
    from training.talk import Reply, Talk

NARROWEST = 30  # cells of a column; where there are fewer, answers stand below each other
ROOM = 400
HELP = (
    ("/before", "starts anew with the others beside the student, or hides them again"),
    ("/new", "starts a new conversation"),
    ("/help", "says this"),
    ("Ctrl-C", "stops an answer; at the prompt it ends, as Ctrl-D does"),
)


def chat(
    student: Student = STUDENT,
    stage: Annotated[
        str,
        typer.Option(
            "--stage", metavar="NAME", help="Which stage answers: base, phase1, ...; else the last."
        ),
    ] = "",
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", help="Show the untrained student too; /before toggles it."),
    ] = False,
    compare: Annotated[
        str,
        typer.Option(
            "--compare",
            metavar="NAME,...",
            help="Stages, folders or names of models that answer side by side.",
        ),
    ] = "",
    room: Annotated[
        int, typer.Option("--room", min=1, metavar="TOKENS", help="The longest answer.")
    ] = ROOM,
) -> None:
    """Talk to the student, and to others.

    At a terminal it is a conversation; of a pipe, each line is a question of its own.
    """
    if compare and stage:
        raise typer.BadParameter("`--compare` and `--stage` exclude each other")
    report = Report()
    found = run.find(student, report)
    if found is None:
        fail(report)
    stage = stage or [name for name in found.stages if name != recipes.CONTROL][-1]
    names = [name for name in map(str.strip, compare.split(",")) if name]
    asked = _models(names or [stage], found)
    if not names:
        asked = {"before": (found.base, found.base), "after": asked[stage]}
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a question in another encoding is still asked
    with extra(report):
        absent = [where for where, _ in asked.values() if not machine.is_here(where)]
        machine.prepare(next(iter(absent), found.base))
        hardware = machine.settle(found.threads)
        session = Session(asked, hardware, room, together=side_by_side or len(names) > 1)
        session.talk(list(asked)[-1])
        session.run(_lines())


Models = Mapping[str, tuple[str, str]]
"""For each label where to load the student from, and the base that adapters are put on."""


def _models(names: list[str], found: run.Run) -> Models:
    """What is named: a stage, a folder inside the run, or a folder or name of any model."""
    asked: dict[str, tuple[str, str]] = {}
    for name in names:
        inside = found.folder / name
        if name in found.stages:
            asked[name] = found.where(name), found.base
        elif not Path(name).is_absolute() and (inside / "config.json").is_file():
            asked[name] = str(inside), found.base
        elif Path(name).is_dir() or "/" in name:
            short = Path(name).name
            asked[name if short in asked else short] = name, ""
        else:
            raise typer.BadParameter(f"no stage `{name}`; there are {', '.join(found.stages)}")
    return asked


@dataclass(slots=True)
class Session:
    """Conversations with all students, side by side where `together`, else with the last only."""

    asked: Models
    hardware: machine.Hardware
    room: int
    together: bool = False
    console: Console = field(
        default_factory=lambda: Console(highlight=False, markup=False, emoji=False)
    )
    talks: dict[str, "Talk"] = field(default_factory=dict)

    def run(self, lines: Iterator[str]) -> None:
        """Asks what stands in `lines`, and does what commands among them say."""
        if self._live:
            typer.echo("ask; /before shows the untrained student too; /help says more", err=True)
        for line in lines:
            if line == "/before" or (self._live and re.fullmatch(r"/[a-z]*", line)):
                self._obey(line)
            elif line:
                self._answer(line)

    def talk(self, label: str) -> "Talk":
        """The conversation with one student, which is loaded where it was not yet."""
        from training.talk import Talk

        if label not in self.talks:
            where, base = self.asked[label]
            waiting = Console(stderr=True, quiet=not self._live)
            report = Report()
            with waiting.status(f"loading {label}"):
                made = Talk.of(where, base, self.hardware, report, self.room)
            if made is None:
                fail(report)
            finish(report)
            self.talks[label] = made
        return self.talks[label]

    @property
    def _live(self) -> bool:
        """Whether somebody sits at both ends."""
        return self.console.is_terminal and _typed()

    def _obey(self, command: str) -> None:
        match command:
            case "/before":
                self.together = not self.together
                if self._live and self.together:
                    self._forget()  # who joins has not heard what was said
                    typer.echo(f"a new conversation with {', '.join(self.asked)}", err=True)
            case "/new":
                self._forget()
                typer.echo("a new conversation", err=True)
            case _:
                if command != "/help":
                    typer.echo(f"there is no command {command}", err=True)
                for name, what in HELP:
                    typer.echo(f"  {name:<9} {what}", err=True)

    def _forget(self) -> None:
        for talk in self.talks.values():
            talk.forget()

    def _answer(self, question: str) -> None:
        if not self._live:
            self._forget()
        labels = list(self.asked) if self.together else list(self.asked)[-1:]
        if self._live and len(labels) == 1:
            self._stream(labels[0], question)
            return
        replies: dict[str, Reply] = {}
        for label in labels:
            waiting = Console(stderr=True, quiet=not self._live)
            talk = self.talk(label)
            with waiting.status(f"{label} answers"):
                replies[label] = talk.ask(question)
            if replies[label].stopped:
                if not self._live:
                    raise typer.Exit(INTERRUPTED)
                break
        told = {label: _told(reply) for label, reply in replies.items()}
        if self.console.is_terminal and len(labels) > 1:
            show(told, self.console)
            return
        width = max(map(len, labels)) + 1
        for label, text in told.items():
            typer.echo(f"{label + ':':<{width}} {text}" if self.together else text)

    def _stream(self, label: str, question: str) -> None:
        """Prints an answer while it is made."""
        printed = ""

        def hear(text: str) -> None:
            nonlocal printed
            shown = text if printed else text.lstrip()
            printed += shown
            self.console.print(said(shown), end="", soft_wrap=True)

        reply = self.talk(label).ask(question, hear)
        rest = _told(reply).removeprefix(said(reply.text))
        self.console.print(rest.lstrip() if not printed else rest, soft_wrap=True)


def show(told: Mapping[str, str], console: Console) -> None:
    """Prints answers in columns, or below each other where the terminal is too narrow for that."""
    if console.width // len(told) < NARROWEST:
        for label, text in told.items():
            console.print(Text(label, "bold"))
            console.print(Text(text))
            console.print()
        return
    table = Table(box=box.MINIMAL, expand=True, show_edge=False, pad_edge=False)
    for label in told:
        table.add_column(label, ratio=1, overflow="fold", justify="left")
    table.add_row(*map(Text, told.values()))
    console.print(table)
    console.print()


def _typed() -> bool:
    """Whether the questions are typed at a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _lines() -> Iterator[str]:
    while (line := _line()) is not None:
        yield line


def _line() -> str | None:
    """The next line of the standard input, or None at its end."""
    if sys.stdin is None or sys.stdin.closed:
        return None
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def said(text: str) -> str:
    """An answer as it can be printed: whatever a student says, it does not steer the terminal."""
    return "\n".join(clean(line.expandtabs(4)) for line in text.split("\n"))


def _told(reply: "Reply") -> str:
    """An answer, and what has to be said of it."""
    notes = []
    if reply.limit:
        notes.append(f"the question is over {counted(reply.limit, 'token')}, all it can read")
    if reply.stopped:
        notes.append("stopped")
    if reply.cut:
        notes.append(f"cut at {counted(reply.cut, 'token')}")
    if reply.forgot:
        notes.append(f"forgot the first {counted(reply.forgot, 'question')}")
    text = said(reply.text) or ("" if reply.limit or reply.stopped else "(nothing)")
    return " ".join([text, *(f"[{note}]" for note in notes)]).strip()
