"""Folders with pipelines go in; their files come out, those of a parent beside a child's own.

A file of its own because a pipeline is no more than the texts of its folder, wherever they lie: in
the package, in a taxonomy, in another process.
"""

import hashlib
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compiler.codes import P201
from compiler.diagnostics import Report, Span
from compiler.resources import PIPELINES
from compiler.schema import nearest
from compiler.source import Source

FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Folder:
    """A pipeline's files by name; `shown` is the path that diagnostics show. `others` are the
    folders that it may extend, `inherited` says of the files of a parent where they are shown.
    """

    name: str
    shown: str
    files: Mapping[str, bytes]
    others: Mapping[str, "Folder"] = field(default_factory=dict, repr=False, compare=False)
    inherited: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def place(self, name: str) -> str:
        """The path that diagnostics show of a file."""
        return f"{self.inherited.get(name, self.shown)}/{name}"

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


def folders(source: Source | None = None, report: Report | None = None) -> dict[str, Folder]:
    """The pipelines that there are: the built-in ones, and a taxonomy's own under `pipelines/`.

    A taxonomy's pipeline hides a built-in one of the same name, and may extend it. P201 for a
    folder under `pipelines/` that is none.
    """
    built: dict[str, dict[str, bytes]] = {}
    for path in sorted(PIPELINES.glob("*/*")):
        built.setdefault(path.parent.name, {})[path.name] = path.read_bytes()
    own: dict[str, dict[str, bytes]] = {}
    for place in source.paths if source else ():
        parts = place.split("/")
        if len(parts) == 3 and parts[0] == "pipelines":
            own.setdefault(parts[1], {})[parts[2]] = source.read(place) if source else b""
    made: dict[str, Folder] = {}
    for name in sorted({*built, *own}):
        hidden = Folder(name, name, built[name], made) if FILE in built.get(name, ()) else None
        if FILE in own.get(name, ()):
            others = ChainMap({name: hidden}, made) if hidden else made
            made[name] = Folder(name, f"pipelines/{name}", own[name], others)
        elif hidden:
            made[name] = hidden
        if name in own and FILE not in own[name] and report:
            _say_missing(f"pipelines/{name}", own[name], report)
    return made


def _say_missing(shown: str, files: Iterable[str], report: Report) -> None:
    """A folder without `pipeline.yaml`: at the file that seems to be meant."""
    near = nearest(FILE, list(files))
    hint = f"rename `{near}` to `{FILE}`" if near else f"add `{FILE}`, or move the folder away"
    place = Span(f"{shown}/{near}" if near else shown)
    report.add(P201, f"the folder `{shown}` has no `{FILE}`", place, hint)
