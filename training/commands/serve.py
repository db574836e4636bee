"""`trivium serve`: a trained student goes in; a vLLM answers for it until Ctrl-C."""

import asyncio
import json
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated
from urllib.request import ProxyHandler, build_opener

import typer

from compiler.codes import R407
from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report
from compiler.teacher import Failure
from compiler.teacher.flags import (
    HOST,
    INSTALL,
    command,
    find_python,
    ready,
    served_name,
    surroundings,
)
from compiler.teacher.server import Server
from training import export, machine, run
from training.commands.base import INTERRUPTED, STUDENT, extra, fail, finish
from training.commands.export import Stage, source_of
from training.export.merged import Source, dtype_of

LOOK_EVERY = 0.25
SAY_EVERY = 15.0


def serve(
    args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- VLLM_FLAGS...]", help="More flags for vLLM.", show_default=False
        ),
    ] = None,
    student: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The folder of `trivium train` or of `trivium export`."),
    ] = STUDENT,
    stage: Stage = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Where it listens.")] = HOST,
) -> None:
    """Serve a trained student with vLLM, as an OpenAI-compatible endpoint.

    Adapters are merged before, once. Ctrl-C stops it.
    """
    report = Report()
    if not find_python():  # before anything is merged for it
        report.add(R407, "vLLM is not installed", hint=INSTALL)
        fail(report)
    model = _model(student, stage, report)
    if model is None:
        fail(report)
    with _bound(host, port) as kept:
        port = kept.getsockname()[1]
        try:
            failure = asyncio.run(_serve(model, tuple(args or ()), host, port))
        except KeyboardInterrupt:
            typer.echo("stopped before it was ready", err=True)
            raise typer.Exit(INTERRUPTED) from None
    if failure:
        report.add(failure.code, failure.detail, hint="read its log")
    finish(report)


def _model(student: Path, stage: str, report: Report) -> str | None:
    """What vLLM is to load: an export, a stage that is a whole model, or a stage merged."""
    if record := export.record_of(student):
        if record.get("to") == "gguf":
            raise typer.BadParameter("a GGUF file is served by llama.cpp", param_hint="--student")
        return str(student.resolve())
    found = run.find(student, report)
    if found is None:
        return None
    source = source_of(found, stage)
    if not source.adapted:
        return str(Path(source.where).resolve()) if Path(source.where).is_dir() else source.where
    merged = _kept(found, source, source_of(found, "").stage)
    if merged.is_dir():
        return str(merged.resolve())
    typer.echo(f"merging {source.stage} into {merged}", err=True)
    with extra(report):
        machine.prepare(source.base)
        machine.settle(found.threads)
        done = export.to_merged(source, dtype_of(source), merged, report)
    return str(merged.resolve()) if done else None


def _kept(found: run.Run, source: Source, last: str) -> Path:
    """Where a stage's merged model is, or is to be; one of other weights is deleted.

    The last stage's is the one that a recipe's `merge` makes.
    """
    own = source.stage == last
    folder = found.folder / (run.MERGED if own else f"{run.MERGED}-{source.stage}")
    record = export.record_of(folder)
    if folder.is_dir() and record.get("source") != source.digest() and not (own and not record):
        shutil.rmtree(folder)
    return folder


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """Keeps a port from everybody but a server that reuses addresses, as vLLM does.

    Raises typer.BadParameter where it is taken.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            kept.bind((host, port))
        except OSError as wrong:
            message = f"port {port} of {host} cannot be had: {wrong.strerror}"
            raise typer.BadParameter(message, param_hint="--port") from None
        yield kept


async def _serve(model: str, args: tuple[str, ...], host: str, port: int) -> Failure | None:
    """Runs a vLLM until it ends, which is a failure, or until Ctrl-C once it was ready."""
    found = await ready(model)
    if isinstance(found, Failure):
        return found
    python, seen = found
    spec = TeacherSpec(
        "vllm", model=model, context=seen.longest or TeacherSpec().context, args=args
    )
    server = Server(name := served_name(model, args))
    address = f"http://{_named(host)}:{port}"
    is_ready = False
    try:
        typer.echo(f"vllm: starting {model}; its log is {server.log}", err=True)
        server.start([*command(python, spec, name, seen, port), "--host", host], surroundings(seen))
        is_ready = await _started(server, address)
        if is_ready:
            _tell(name, address)
        while not server.ended:
            await asyncio.sleep(LOOK_EVERY)
        return Failure(R407, f"{server.last_words()}; its log is {server.log}")
    except asyncio.CancelledError:
        if not is_ready:
            raise
        typer.echo("stopped", err=True)
        return None
    finally:
        await server.stop()


def _named(host: str) -> str:
    """A host as it stands in a URL from this machine."""
    host = HOST if host == "0.0.0.0" else "::1" if host == "::" else host
    return f"[{host}]" if ":" in host else host


async def _started(server: Server, address: str) -> bool:
    """Says what a server does until it answers; False where it ends before that."""
    begun = said = time.monotonic()
    step = server.step()
    while not server.ended:
        if await asyncio.to_thread(_is_healthy, address):
            typer.echo(f"vllm: ready after {time.monotonic() - begun:.0f} s", err=True)
            return True
        now, new = time.monotonic(), server.step()
        if new.partition(",")[0] != step.partition(",")[0] or now - said > SAY_EVERY:
            step, said = new, now
            typer.echo(f"vllm: {step} ({now - begun:.0f} s)", err=True)
        await asyncio.sleep(LOOK_EVERY)
    return False


def _is_healthy(address: str) -> bool:
    with suppress(OSError), build_opener(ProxyHandler({})).open(f"{address}/health", timeout=10):
        return True
    return False


def _tell(name: str, address: str) -> None:
    """Prints where the student answers, and how it is asked."""
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hello?"}]})
    header = "content-type: application/json"
    teacher = f'{{kind: openai, url: "{address}/v1", model: "{name}"}}'
    typer.echo(f"{name} answers at {address}/v1; Ctrl-C stops it")
    typer.echo(f"  curl {address}/v1/chat/completions -H '{header}' -d {shlex.quote(body)}")
    typer.echo(f"in curriculum.yaml, to have it teach:\n  teacher: {teacher}")
    sys.stdout.flush()
