"""The command `mock-teacher`: a server that answers like a model, and fails like one on request."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.base import print_table

if TYPE_CHECKING:
    from compiler.mock.stats import Stats


def mock_teacher(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    model: Annotated[str, typer.Option(metavar="NAME", help="The model it serves.")] = "mock",
    latency: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long an answer takes.")
    ] = 0.0,
    straggle: Annotated[
        str,
        typer.Option(
            metavar="SHARE:SECONDS", help="A share of answers that takes so long instead."
        ),
    ] = "0:0",
    slots: Annotated[
        int, typer.Option(min=0, metavar="N", help="Answer N at once, others wait; 0 is no limit.")
    ] = 0,
    tokens_per_second: Annotated[
        float, typer.Option(min=0, metavar="N", help="Take longer for a longer reply; 0 does not.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Other answers for the same request.")] = 0,
    best: Annotated[
        float,
        typer.Option(
            "--yield",
            min=0,
            max=1,
            metavar="SHARE",
            help="How many judgements are the best choice.",
        ),
    ] = 1.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:SHARE",
            help="What goes wrong, in a share of tries, or NAME:always:TEXT; may be repeated.",
        ),
    ] = None,
    die_after: Annotated[
        int, typer.Option(min=0, metavar="N", help="Exit hard after N answers; 0 does not.")
    ] = 0,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the body of every request.")
    ] = None,
) -> None:
    """Run a server that answers like a model, to try a pipeline or a client.

    It speaks the chat-completions format, means nothing by what it says, and fails as `--fault`
    tells it to: 429, 429-retry-after, 500, reset, hang, drip, truncated, html, html-502, empty,
    length, refuse, wrong-model, huge, duplicate, refusal. Ctrl-C stops it and shows what it saw.
    """
    from compiler.mock.options import Fault, Options, Straggle
    from compiler.mock.server import serve

    try:
        options = Options(
            model,
            latency,
            Straggle.named(straggle),
            slots,
            tokens_per_second,
            seed,
            best,
            tuple(Fault.named(words) for words in fault or ()),
            die_after,
            record,
        )
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    _show(asyncio.run(serve(options, host, port, lambda text: print(text, flush=True))))


def _show(stats: "Stats") -> None:
    told = stats.as_json()
    rows = [[name.replace("_", " "), _shown(value)] for name, value in told.items()]
    typer.echo()
    print_table(["what it saw", ""], rows)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} of {name}" for name, count in value.items()) or "none"
    return f"{value:,}"
