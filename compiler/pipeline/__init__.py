"""A pipeline folder goes in; a Pipeline comes out, its templates compiled and its columns checked.

A pass of its own because a pipeline is data that a contributor writes: every mistake in its YAML or
Jinja is found here, with its place, before a token is spent.
"""

from compiler.pipeline.folder import FILE, Folder, folders
from compiler.pipeline.load import Pipeline, load
from compiler.pipeline.stages import (
    Best,
    Bound,
    Draw,
    Field,
    Generate,
    Keep,
    Number,
    Rounds,
    Sampling,
    Say,
    Settings,
    Spread,
    Stage,
    Turn,
    Unique,
    Verify,
    numbers,
)

__all__ = [
    "FILE",
    "Best",
    "Bound",
    "Draw",
    "Field",
    "Folder",
    "Generate",
    "Keep",
    "Number",
    "Pipeline",
    "Rounds",
    "Sampling",
    "Say",
    "Settings",
    "Spread",
    "Stage",
    "Turn",
    "Unique",
    "Verify",
    "folders",
    "load",
    "numbers",
]
