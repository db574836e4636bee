"""Folders with pipelines go in; their files come out, those of a parent beside a child's own.

A file of its own because a pipeline is no more than the texts of its folder, wherever they lie: in
the package, in a taxonomy, in another process.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.resources import PIPELINES
from compiler.source import Source

FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Folder:
    """A pipeline's files by name; `shown` is the path that diagnostics show. `others` are the
    folders that it may extend.
    """

    name: str
    shown: str
    files: Mapping[str, bytes]
    others: Mapping[str, "Folder"] = field(default_factory=dict, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """16 hex digits of a hash of all that decides what the pipeline makes."""
        digest = hashlib.sha256()
        for name, data in sorted(self.files.items()):
            if name != "example.yaml":
                digest.update(f"{name}\0".encode() + data + b"\0")
        for name in sorted(self.others):
            digest.update(self.others[name].digest.encode())
        return digest.hexdigest()[:16]


def folders(source: Source | None = None) -> dict[str, Folder]:
    """The pipelines that there are: the built-in ones, and a taxonomy's own under `pipelines/`.

    A taxonomy's pipeline hides a built-in one of the same name.
    """
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(PIPELINES.glob("*/*")):
        found.setdefault(path.parent.name, {})[path.name] = path.read_bytes()
    shown = {name: name for name in found}
    for place in source.paths if source else ():
        parts = place.split("/")
        if len(parts) == 3 and parts[0] == "pipelines":
            name = f"pipelines/{parts[1]}"
            if shown.get(parts[1]) != name:
                shown[parts[1]], found[parts[1]] = name, {}
            found[parts[1]][parts[2]] = source.read(place) if source else b""
    made: dict[str, Folder] = {}
    for name, files in sorted(found.items()):
        if FILE in files:
            made[name] = Folder(name, shown[name], files, made)
    return made
