"""A folder or a name goes in; where the weights of that student lie comes out.

A file of its own because a student may be named by the folder of a whole run, adapters need the
model that they were made for, and folders are moved. Nothing heavy is imported.
"""

import json
import os
from pathlib import Path

from training.data import read_json
from training.machine import write_text
from training.recipe import BASE, CONTROL

ADAPTER = "adapter_config.json"
RUN = "run.json"


def stage_of(where: str) -> str:
    """`where`; of the folder of a run that of its last stage, the control left out."""
    folder = Path(where).expanduser()
    if not folder.is_dir() or (folder / "config.json").is_file() or is_adapted(str(folder)):
        return str(folder) if folder.is_dir() else where
    stages = (read_json(folder / RUN, "run") or {}).get("stages", ())
    names = [stage["stage"] for stage in stages if stage["stage"] != CONTROL]
    done = [name for name in names if (folder / name).is_dir()]
    return str(folder / done[-1]) if done else str(folder)


def is_adapted(where: str) -> bool:
    """Whether a folder holds adapters and no model."""
    return (Path(where) / ADAPTER).is_file()


def base_of(where: str, base: str = "") -> str:
    """The model under the adapters in the folder `where`; `base` where that is not to be found.

    A folder is named as it lies from `where`, so that both can be moved together. A merged base is
    no other model: where it is gone its place is given all the same (`lost_base`).
    """
    folder = Path(where)
    named = _named(folder)
    beside = folder / named
    if named.startswith(".") and beside.is_dir():
        return os.path.normpath(beside)
    if lost_base(where):
        return str(beside.resolve())
    if not base or is_adapted(stage_of(base)) or (named and Path(named).is_dir()):
        return named
    return base


def lost_base(where: str) -> str:
    """How a merged base lies from the adapters in the folder `where` that were trained on it, where
    it is not there any more; else "".
    """
    named = _named(Path(where))
    ours = named.startswith("..") and Path(named).name.startswith(merged_base(Path(), "").name)
    return named if ours and not (Path(where) / named).is_dir() else ""


def tie(folder: Path, lies: Path) -> None:
    """Says in the adapters of `folder` how their base lies from `lies`, where the folder will be.

    A name of the hub stays a name.
    """
    settings = _settings(folder)
    base = Path(str(settings.get("base_model_name_or_path") or ""))
    if settings and base.is_dir():
        settings["base_model_name_or_path"] = os.path.relpath(base.resolve(), lies.resolve())
        text = json.dumps(settings, indent=2, sort_keys=True)
        write_text(folder / ADAPTER, text + "\n")


def merged_base(out: Path, after: str) -> Path:
    """The folder, in that of a run, of the base with the adapters of the stage `after` merged in.

    No phase can have its name.
    """
    return out / f"{BASE}.{after}"


def _named(folder: Path) -> str:
    return str(_settings(folder).get("base_model_name_or_path") or "")


def _settings(folder: Path) -> dict[str, object]:
    try:
        found = json.loads((folder / ADAPTER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
