"""A path or a git revision goes in; the taxonomy's files come out.

A pass of its own so that nothing further right knows whether text came from the work tree or from a
commit. Paths are relative to the taxonomy's folder and use `/`.
"""

from pathlib import Path

from compiler.source.file import (
    ATTRIBUTION_NAME,
    BRANCHES,
    LEAF_NAME,
    LINK,
    MAX_BYTES,
    SETTINGS_NAME,
    Source,
    SourceFile,
    beside,
    blob_id,
    in_branch,
    is_leaf,
    is_lost,
    is_within,
    leaf_files,
)
from compiler.source.worktree import Overlay, Settled, WorkTree

__all__ = [
    "ATTRIBUTION_NAME",
    "BRANCHES",
    "LEAF_NAME",
    "LINK",
    "MAX_BYTES",
    "SETTINGS_NAME",
    "Overlay",
    "Settled",
    "Source",
    "SourceFile",
    "WorkTree",
    "beside",
    "blob_id",
    "in_branch",
    "is_leaf",
    "is_lost",
    "is_within",
    "leaf_files",
    "open_source",
]


def open_source(root: Path, at: str | None = None) -> Source:
    """The taxonomy under `root`, at git revision `at` if one is named. Raises ValueError."""
    if at:
        from compiler.source.revision import Revision  # git is slow to start

        return Revision(root, at)
    if not root.is_dir():
        raise ValueError(f"`{root}` is not a folder")
    return WorkTree(root)
