"""The folder of a phase goes in; the newest checkpoint from which it can go on comes out.

A file of its own because a checkpoint is only worth what can be read of it. It is sealed when all
of it is written, with a digest of every file; one without a seal was cut short and is nothing, one
whose files are not those that were sealed is damaged, and the one before is taken. That one is
deleted only when a newer one is sealed.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compiler.codes import F615
from compiler.diagnostics import Report
from training.machine import write_text

MARK = "trivium.json"
KEPT = 2


@dataclass(frozen=True, slots=True)
class Mark:
    """What a checkpoint says of itself: the seconds of training before it, why its phase ended with
    it (or ""), whether its weights are shared out, and the XXH3 digest of each file.
    """

    seconds: float = 0.0
    why: str = ""
    sharded: bool = False
    files: dict[str, str] = field(default_factory=dict)


def step_of(checkpoint: Path | None) -> int:
    """The step after which a checkpoint was written; 0 where there is none."""
    return int(checkpoint.name.partition("-")[2]) if checkpoint else 0


def folder_of(work: Path, step: int) -> Path:
    """Where the checkpoint after a step is written: as TRL names it."""
    return work / f"checkpoint-{step}"


def seal(checkpoint: Path, seconds: float, why: str, sharded: bool) -> None:
    """Says that all of a checkpoint is written, and deletes all but the newest KEPT."""
    mark = Mark(seconds, why, sharded, _digests(checkpoint))
    write_text(checkpoint / MARK, json.dumps(asdict(mark)))
    for older in _all(checkpoint.parent)[KEPT:]:
        shutil.rmtree(older, ignore_errors=True)


def newest(work: Path, name: str, report: Report) -> Path | None:
    """The newest checkpoint that is as it was sealed; None where the phase `name` begins anew.

    F615 for each damaged one. Those, and what was cut short, are deleted.
    """
    damaged: list[tuple[Path, str]] = []
    found = None
    for checkpoint in _all(work):
        if not (checkpoint / MARK).is_file():
            shutil.rmtree(checkpoint, ignore_errors=True)
        elif found is None and (wrong := _damage(checkpoint)):
            damaged.append((checkpoint, wrong))
        else:
            found = found or checkpoint
    then = f"the run goes on from step {step_of(found)}" if found else "the phase begins anew"
    for checkpoint, wrong in damaged:
        message = f"{name}: `{wrong}` of {checkpoint.name} is not what was written; {then}"
        report.add(F615, message, hint=f"look at the disk that holds `{work}`")
        shutil.rmtree(checkpoint, ignore_errors=True)
    return found


def tidy(work: Path) -> None:
    """Deletes what was cut short in the folders of all phases, so that it takes no room."""
    for path in work.glob("*/.*.part"):
        shutil.rmtree(path, ignore_errors=True)
    for checkpoint in work.glob("*/checkpoint-*"):
        if not (checkpoint / MARK).is_file():
            shutil.rmtree(checkpoint, ignore_errors=True)


def read(checkpoint: Path | None) -> Mark:
    """What a checkpoint says of itself; an empty mark where there is none."""
    return Mark(**json.loads((checkpoint / MARK).read_text("utf-8"))) if checkpoint else Mark()


def _all(work: Path) -> list[Path]:
    """The checkpoints, whole or not, the newest first."""
    return sorted(work.glob("checkpoint-*"), key=step_of, reverse=True)


def _damage(checkpoint: Path) -> str:
    """The first file that is not as it was sealed; "" where all are."""
    try:
        sealed = read(checkpoint).files
        there = _digests(checkpoint)
    except (OSError, ValueError, TypeError):
        return MARK
    wrong = sorted(name for name, digest in sealed.items() if there.get(name) != digest)
    return wrong[0] if wrong else "" if sealed else MARK


def _digests(checkpoint: Path) -> dict[str, str]:
    import xxhash

    found = {}
    for path in sorted(checkpoint.rglob("*")):
        if path.is_file() and path.name != MARK:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, xxhash.xxh3_128)  # type: ignore[arg-type]
            found[path.relative_to(checkpoint).as_posix()] = digest.hexdigest()
    return found
