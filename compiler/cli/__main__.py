"""`python -m compiler.cli`: the compiler's commands without training."""

from compiler.cli import app, guarded

guarded(app)
