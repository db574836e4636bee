"""A command line goes in; findings and an exit status come out: the compiler's commands."""

from compiler.cli.base import app, guarded
from compiler.cli.build import compile, plan, show
from compiler.cli.check import check, explain

COMMANDS = (check, explain, plan, compile, show)
for command in COMMANDS:
    app.command()(command)

__all__ = ["COMMANDS", "app", "guarded"]
