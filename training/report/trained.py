"""The folder of a run goes in; what the page says of how it was trained comes out: losses, the
order of the samples, the checkpoints, the exports.

A file of its own because it is the proof that the recipe was followed: what was done is counted
from what the trainer wrote at every step.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from compiler.codes import E701
from training.report import plots
from training.report.files import lines

Json = dict[str, Any]
_HINT = "train again, with `--fresh`"


def log(student: Path, stage: str) -> plots.Log:
    """Tokens and loss of every step of a stage that has both."""
    if not _is_name(stage):
        return []
    rows = [
        (row.get("tokens"), row.get("loss"))
        for row in lines(student / stage / "log.jsonl", E701, _HINT)
    ]
    return [
        (tokens, loss)
        for tokens, loss in rows
        if isinstance(tokens, int) and isinstance(loss, int | float) and 0 < loss < math.inf
    ]


def order(student: Path, stage: str) -> Json:
    """What the steps of a stage trained on, on all processes: how many samples, how often each at
    least and at most, and the share that was replayed; {} where that was not written down.
    """
    times: Counter[str] = Counter()
    replayed = 0
    if not _is_name(stage):
        return {}
    for row in lines(student / stage / "order.jsonl", E701, _HINT):
        times.update(map(str, row.get("samples", ())))
        replayed += int(row.get("replayed", 0))
    if not times:
        return {}
    share = replayed / times.total()
    least, most = min(times.values()), max(times.values())
    return {"samples": len(times), "least": least, "most": most, "replayed": share}


def exports(student: Path) -> list[Json]:
    """The exports that lie beside the run, with what each branch lost; none where there are none.

    Another command wrote them, perhaps of another run: one that cannot be read is left out.
    """
    found = []
    for path in sorted(student.parent.glob(f"{student.name}-*/export.json")):
        try:
            said = json.loads(path.read_text("utf-8"))
            one = {
                "name": path.parent.name,
                "to": str(said["to"]),
                "stage": str(said["stage"]),
                "failed": path.parent.name.endswith(".failed"),
                "allowed": float(said.get("max_drop", 0)),
                "size": _size(path.parent),
                "branches": [
                    {
                        "branch": str(drop["branch"]),
                        "n": int(drop["n"]),
                        "exact_match": [float(value) for value in drop["exact_match"]],
                        "loss": [float(value) for value in drop["loss"]],
                        "lost": float(drop["lost"]),
                    }
                    for drop in said.get("lost", ())
                ],
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
        found.append(one)
    return found


def _size(folder: Path) -> int:
    """Bytes of the weights in a folder."""
    kinds = (".safetensors", ".gguf", ".bin")
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in kinds)


def _is_name(stage: str) -> bool:
    """Whether a stage's name is one: it names a folder."""
    return re.fullmatch(r"[a-z][a-z0-9-]*", stage) is not None
