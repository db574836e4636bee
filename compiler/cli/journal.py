"""The commands that look after the journal: `journal stats`, `export`, `import`, `gc`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.ask import on_terminal
from compiler.cli.base import finish, print_table
from compiler.codes import E706, F605
from compiler.diagnostics import Report, Span, counted
from compiler.resources import home

if TYPE_CHECKING:
    from compiler.journal import Journal

app = typer.Typer(help="Look after the replies that are kept.")

_MOST_NAMED = 20
_DAY = 86_400


@app.command()
def stats() -> None:
    """Say what the journal holds, and how fast the last runs were."""
    path = home() / "journal.sqlite"
    with _opened(Report()) as journal:
        shares, runs = journal.shares(), journal.runs(10)
        number, size = sum(share.replies for share in shares), journal.size()
    typer.echo(f"{path}: {_plural(number)}, {size / 1e6:,.1f} MB")
    if shares:
        oldest, newest = min(s.oldest for s in shares), max(s.newest for s in shares)
        typer.echo(f"oldest {_date(oldest)}, newest {_date(newest)}\n")
        head = ["model", "replies", "prompt tok.", "cached", "reply tok.", "mean s", "newest"]
        print_table(
            head,
            [
                [
                    share.model,
                    f"{share.replies:,}",
                    f"{share.prompt_tokens:,}",
                    f"{share.cached:,}",
                    f"{share.completion_tokens:,}",
                    f"{share.seconds:.2f}" if share.seconds else "-",
                    _date(share.newest),
                ]
                for share in shares
            ],
        )
    if runs:
        typer.echo("\nthe last runs:")
        head = ["model", "ended", "asked", "prompt tok.", "reply tok.", "seconds", "reply tok./s"]
        print_table(
            head,
            [
                [
                    run.model,
                    _date(run.ended),
                    f"{run.asked:,}",
                    f"{run.prompt_tokens:,}",
                    f"{run.completion_tokens:,}",
                    f"{run.seconds:,.1f}",
                    f"{run.completion_tokens / run.seconds:,.0f}" if run.seconds else "-",
                ]
                for run in runs
            ],
        )


@app.command("export")
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="To write; `.gz` at its end compresses it.")
    ],
) -> None:
    """Write every reply as a line of JSON, sorted by key."""
    from compiler.journal.exchange import write_out
    from compiler.progress import Progress

    with (
        _opened(Report()) as journal,
        Progress("reply", journal.count()) as progress,
    ):
        number = write_out(journal, file, progress.step)
    typer.echo(f"wrote {_plural(number)} to {file}")


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What export wrote."),
    ],
) -> None:
    """Take the replies of an export that are not here yet."""
    from compiler.journal.exchange import Taken, count_lines, take_in
    from compiler.progress import Progress

    report, taken = Report(), Taken()
    with _opened(report) as journal, Progress("line", count_lines(file)) as progress:
        try:
            take_in(journal, file, taken, progress.step)
        except KeyboardInterrupt:
            typer.echo(
                f"stopped; {_plural(taken.new)} of it are here now: run the same command again",
                err=True,
            )
            raise typer.Exit(130) from None
    typer.echo(f"took {_plural(taken.new)}; {taken.known:,} were known")
    for at, said in taken.broken[:_MOST_NAMED]:
        report.add(
            E706, said, Span(str(file), at, 1, at, 2), "export it again, or leave the line out"
        )
    if more := len(taken.broken[_MOST_NAMED:]):
        at = taken.broken[_MOST_NAMED][0]
        said = f"{counted(more, 'more line')} from here on {_are(more)} no reply"
        report.add(E706, said, Span(str(file), at, 1, at, 2), "export the journal again")
    if taken.broken:
        finish(report, "human", Path())


@app.command()
def gc(
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", metavar="BUILD_DIR", help="Spare what this build is made of."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Only replies from before then."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Only replies of this model.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete replies that no named build needs, old ones, or those of a model.

    Of several conditions a reply must meet all. `--keep` may be given several times.
    """
    from compiler.journal.store import parts
    from compiler.progress import Progress

    if not keep and older_than is None and model is None:
        raise typer.BadParameter("say which: `--keep BUILD_DIR`, `--older-than DAYS`, `--model M`")
    report = Report()
    spared = _spared(keep or [], report)
    before = None if older_than is None else time.time() - older_than * _DAY
    with _opened(report) as journal:
        shares = journal.shares()
        if model is not None:
            _test_known(model, [share.model for share in shares])
        held = sum(share.replies for share in shares)
        gone = [key for key in journal.keys(model, before) if key not in spared]
        typer.echo(f"{len(gone):,} of {_plural(held)} {_are(len(gone))} to go")
        if dry_run or not gone:
            return
        if on_terminal() and not yes:
            typer.confirm("delete them?", abort=True)
        size = journal.size()
        with Progress("reply", len(gone)) as progress:
            for part in parts(gone, 1000):
                journal.remove(part)
                for _ in part:
                    progress.step()
        if journal.shrink():
            freed = max(size - journal.size(), 0)
            typer.echo(f"deleted {_plural(len(gone))}; {freed / 1e6:,.1f} MB are free again")
        else:
            typer.echo(f"deleted {_plural(len(gone))}; new replies will take their room")


def _spared(builds: list[Path], report: Report) -> set[str]:
    """The replies of these builds; an error where one is not whole, and then nothing is deleted."""
    from compiler.journal.sweep import replies_of

    keys: set[str] = set()
    for build in builds:
        try:
            keys |= replies_of(build)
        except ValueError as wrong:
            message = f"`{build}` is no finished build: {wrong}"
            report.add(F605, message, hint="name a folder that `trivium compile` wrote")
    if report.errors:
        finish(report, "human", Path())
    return keys


def _test_known(model: str, models: list[str]) -> None:
    from rapidfuzz import process

    if model not in models:
        near = process.extractOne(model, models, score_cutoff=60)
        hint = f"did you mean `{near[0]}`?" if near else "`trivium journal stats` lists them"
        raise typer.BadParameter(f"no reply of `{model}`; {hint}", param_hint="--model")


@contextmanager
def _opened(report: Report) -> "Iterator[Journal]":
    """The journal; what is wrong with it is a finding."""
    from compiler.journal import Journal, JournalError

    try:
        with Journal(home() / "journal.sqlite") as journal:
            yield journal
    except JournalError as wrong:
        report.add(wrong.code, str(wrong), hint=wrong.hint)
        finish(report, "human", Path())


def _plural(number: int) -> str:
    return f"{number:,} {'reply' if number == 1 else 'replies'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
