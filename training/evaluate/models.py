"""A run, names and paths go in; the models to ask come out.

A file of its own because a model is anything that can be loaded: a stage of a run, adapters, an
export, a name on the hub. What was asked of it before is found again by its weights.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from training import seen
from training.run import Run
from training.where import base_of, is_adapted, stage_of

_DECIDES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.txt")
_SILENT = ("stage.json", "trainer_state.json", seen.FILE)


@dataclass(frozen=True, slots=True)
class Model:
    """Somebody to ask: the name it is shown by, where it is loaded from, what its adapters are on
    where they do not say so themselves, and whether it is a stage of the run.
    """

    name: str
    where: str
    base: str = ""
    stage: bool = False


def stages(run: Run) -> list[Model]:
    """The stages of a run, in order, the base first."""
    return [Model(stage, run.where(stage), run.base, stage=True) for stage in run.stages]


def taught(models: Iterable[Model]) -> frozenset[str]:
    """The marks of what models, and what is under their adapters, were taught, where they are
    known.
    """
    wheres = {where for model in models for where in _layers(model)}
    return frozenset().union(*(seen.find(where) or () for where in sorted(wheres)))


def unmarked(models: Iterable[Model]) -> list[str]:
    """The names of those in folders that do not say what they were taught."""
    return [
        model.name
        for model in models
        if Path(stage_of(model.where)).is_dir() and seen.find(model.where) is None
    ]


def fingerprint(model: Model, *more: str) -> str:
    """A digest of a model's files, of its base's where it has adapters, and of `more`."""
    known = hashlib.sha256()
    for one in _layers(model):
        for part in _parts(one):
            known.update(part)
    for text in more:
        known.update(hashlib.sha256(text.encode()).digest())
    return known.hexdigest()[:24]


def _layers(model: Model) -> tuple[str, ...]:
    """Where a model's own weights lie, and those under its adapters."""
    where = stage_of(model.where)
    return (where, base_of(where, model.base)) if is_adapted(where) else (where,)


def _parts(where: str) -> Iterator[bytes]:
    folder = Path(where).expanduser()
    if not folder.is_dir():
        try:
            cached = try_to_load_from_cache(where, "config.json")
        except ValueError:  # no name of the hub either: loading it will say so
            cached = None
        yield f"{where} {Path(cached).parent.name if isinstance(cached, str) else ''}".encode()
        return
    files = {path for pattern in _DECIDES for path in folder.glob(pattern)}
    for path in sorted(files):
        if path.name not in _SILENT:
            with path.open("rb") as data:
                yield path.name.encode() + hashlib.file_digest(data, "sha256").digest()
