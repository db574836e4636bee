"""A glob pattern and the files of a repository go in; the files that it names come out."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from fnmatch import fnmatchcase


def matching(paths: Sequence[str], pattern: str) -> list[str]:
    """Those of the sorted `paths` that a pattern names; only where its fixed start stands is looked
    at.
    """
    fixed = re.split(r"[*?\[]", pattern.removeprefix("./"), maxsplit=1)[0]
    first = bisect_left(paths, fixed)
    last = bisect_left(paths, fixed + chr(0x10FFFF), first)
    return [path for path in paths[first:last] if matches(path, pattern)]


def matches(path: str, pattern: str) -> bool:
    """Whether a glob pattern names `path`; `**` stands for folders, no `*` for a dot file."""
    parts = path.split("/")
    reached = {0}
    for wanted in pattern.removeprefix("./").split("/"):
        if wanted == "**":
            last = min(reached, default=len(parts))
            while last < len(parts) and not parts[last].startswith("."):
                last += 1
            reached = set(range(min(reached, default=last + 1), last + 1))
            continue
        reached = {
            i + 1
            for i in reached
            if i < len(parts)
            and (wanted.startswith(".") or not parts[i].startswith("."))
            and fnmatchcase(parts[i], wanted)
        }
    return len(parts) in reached
