"""A folder goes in; its files as they are now come out, or one of them as an editor holds it."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from compiler.source.file import LEAF_NAME, LINK, SETTINGS_NAME, Source, blob_id, sort_out


class WorkTree:
    """The files of a folder as they are now; hidden folders and links are left out."""

    revision = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def paths(self) -> tuple[str, ...]:
        return self._seen[0]

    @property
    def unread(self) -> Mapping[str, str]:
        return self._seen[1]

    @cached_property
    def _seen(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        why: dict[str, str] = {}
        root = str(self.root)
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(f"{root}/{folder}") as entries:
                    for entry in entries:
                        self._see(entry, folder, folders, why)
            except OSError as wrong:
                why[folder or "./"] = _said(wrong)
        return sort_out(why)

    def _see(
        self, entry: "os.DirEntry[str]", folder: str, folders: list[str], why: dict[str, str]
    ) -> None:
        """Notes one file, or a folder to go into; a folder's path ends in `/`."""
        path = folder + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                folders.append(f"{path}/")
            if entry.name == LEAF_NAME:
                why[path] = "it is a folder"
        elif entry.is_symlink():
            is_folder = entry.is_dir()
            if not (is_folder and entry.name.startswith(".")):
                why[f"{path}/" if is_folder else path] = LINK
        elif not entry.is_file(follow_symlinks=False):
            why[path] = "it is no plain file"
        else:
            why[path] = "" if os.access(entry.path, os.R_OK) else "permission denied"

    def size(self, path: str) -> int:
        return os.stat(f"{self.root}/{path}").st_size  # noqa: PTH116 - half the time

    def blob(self, path: str) -> str:
        return blob_id(self.read(path))

    def read(self, path: str) -> bytes:
        with open(f"{self.root}/{path}", "rb", buffering=0) as file:  # noqa: PTH123 - half the time
            return file.read()


def _said(wrong: OSError) -> str:
    return (wrong.strerror or str(wrong)).lower()


class Overlay:
    """A source in which one file holds other bytes: what an editor has not saved yet."""

    def __init__(self, under: Source, path: str, data: bytes) -> None:
        self.under = under
        self.path = path
        self.data = data
        self.revision = under.revision
        self.paths = tuple(sorted({*under.paths, path}))
        self.unread = {p: why for p, why in under.unread.items() if p != path}

    def size(self, path: str) -> int:
        return len(self.data) if path == self.path else self.under.size(path)

    def blob(self, path: str) -> str:
        return blob_id(self.data) if path == self.path else self.under.blob(path)

    def read(self, path: str) -> bytes:
        return self.data if path == self.path else self.under.read(path)


class Settled:
    """A source with the settings of another: whoever changes leaves must not change what is run on
    them. Its build file and `pipelines/` are those of `base`.
    """

    def __init__(self, under: Source, base: Source) -> None:
        self.revision = under.revision
        self.unread = under.unread
        self._of = {path: under for path in under.paths if not _is_setting(path)}
        self._of |= {path: base for path in base.paths if _is_setting(path)}
        self.paths = tuple(sorted(self._of))

    def size(self, path: str) -> int:
        return self._of[path].size(path)

    def blob(self, path: str) -> str:
        return self._of[path].blob(path)

    def read(self, path: str) -> bytes:
        return self._of[path].read(path)


def _is_setting(path: str) -> bool:
    return path == SETTINGS_NAME or path.startswith("pipelines/")
