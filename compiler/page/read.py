"""A line of a build goes in; what all parts of the page must see alike comes out: who wrote it, and
which pass dropped it.

A file of its own because the numbers of the page add up only where every part counts the same way.
"""

from collections.abc import Mapping

from compiler.builds import Build, Json
from compiler.teacher import Failure, Reply

Replies = Mapping[str, Reply | Failure]

EXPAND, MIX = "expand", "mix"
PHASES = ("phase1", "phase2")


def pass_of(build: Build, drop: Json) -> str:
    """The pass that dropped a sample: the one that its stage is named after, else `expand`."""
    names = {account["name"] for account in build.passes}
    return str(drop["stage"]) if drop["stage"] in names else EXPAND


def is_human(sample: Json) -> bool:
    """Whether people wrote it: a seed example, or a data set's of generation 0."""
    origin = sample["origin"]
    return bool(origin["kind"] != "synthetic" and not origin.get("generation"))


def is_given(sample: Json) -> bool:
    """Whether it is of a data set, which is no work of this build."""
    return bool(sample["origin"]["kind"] == "source")
