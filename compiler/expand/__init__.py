"""Units and a teacher go in; samples, and what was dropped on the way with its reason, come out."""

from compiler.expand.asker import Tally
from compiler.expand.engine import Engine, Local
from compiler.expand.sample import (
    Drop,
    Origin,
    Outcome,
    Sample,
    Score,
    dropped,
    from_seed,
    sample_id,
)
from compiler.expand.walk import Expander

__all__ = [
    "Drop",
    "Engine",
    "Expander",
    "Local",
    "Origin",
    "Outcome",
    "Sample",
    "Score",
    "Tally",
    "dropped",
    "from_seed",
    "sample_id",
]
