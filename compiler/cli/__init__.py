"""A command line goes in; findings on standard output and an exit status come out: the compiler's
commands.
"""

from compiler.cli import build, check
from compiler.cli.base import app, guarded

__all__ = ["app", "build", "check", "guarded"]
