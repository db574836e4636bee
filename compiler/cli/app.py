"""A table of commands goes in; an application that imports each when it is asked for comes out.

A file of its own because the start of `trivium check` must not pay for the other commands. Exit
status: 0 clean, 1 errors, 2 usage, 3 our bug.
"""

import io
import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from compiler import __version__
from compiler.codes import B902, B903, Code
from compiler.diagnostics import clean

_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
}


def make_app(commands: Mapping[str, str]) -> typer.Typer:
    """The application of these commands: a name to `MODULE:FUNCTION`, or to `MODULE:APP` for a
    group of commands.
    """

    class Commands(TyperGroup):
        """Knows its commands by name, and makes the one that is called."""

        def list_commands(self, ctx: object) -> list[str]:
            return list(commands)

        def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
            return _made(cmd_name, commands[cmd_name]) if cmd_name in commands else None

        def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            self.commands = dict.fromkeys(commands)  # type: ignore[assignment]  # to guess from
            return super().resolve_command(ctx, args)

    app = typer.Typer(
        name="trivium",
        cls=Commands,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        **_PLAIN,
    )
    app.callback()(_about)
    return app


def _made(name: str, place: str) -> TyperCommand | TyperGroup:
    module, _, named = place.partition(":")
    found = getattr(import_module(module), named)
    alone = typer.Typer(**_PLAIN)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, no_args_is_help=True)
        group = typer.main.get_group(alone).commands[name]
        assert isinstance(group, TyperGroup)
        return group
    alone.command(name)(found)
    made = typer.main.get_command(alone)
    assert isinstance(made, TyperCommand)
    return made


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"trivium {__version__}")
        raise typer.Exit


def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A curriculum compiler for language models. `trivium run` shows the whole road.

    Exit status: 0 clean, 1 errors, 2 usage, 3 a bug of ours.
    """


def guarded(app: typer.Typer) -> NoReturn:
    """Runs a command line; what nobody expected becomes one line and exit status 3."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, sqlite3.Error) as wrong:
        if os.environ.get("TRIVIUM_DEBUG"):
            raise
        hint = "look at the path, its permissions and the space left"
        _last_words(_code_of(wrong, B903), wrong, getattr(wrong, "hint", hint))
        sys.exit(1)
    except Exception as wrong:
        if os.environ.get("TRIVIUM_DEBUG"):
            raise
        hint = "this is our bug; please report it to the project with the command and the"
        _last_words(_code_of(wrong, B902), wrong, f"{hint} traceback that TRIVIUM_DEBUG=1 shows")
        sys.exit(3)
    sys.exit(0)


def _code_of(wrong: Exception, otherwise: Code) -> Code:
    """The code that an exception of ours names; others may have a `code` of another kind."""
    named = getattr(wrong, "code", None)
    return named if isinstance(named, Code) else otherwise


def _last_words(code: Code, wrong: Exception, hint: str) -> None:
    said = clean(" ".join(str(wrong).split()))[:300]
    kind = "" if hasattr(wrong, "hint") else f"{type(wrong).__name__}: "
    with suppress(OSError):
        sys.stderr.write(f"error[{code.id}] {code.name}: {kind}{said}\n   = help: {hint}\n")
