"""A glob pattern and the files of a repository go in; the files that it names come out. What is
larger than `MAX_BYTES`, or ends in none of `READ`, is no document.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

MAX_BYTES = 20_000_000
READ = (".md", ".markdown", ".txt")


def matching(paths: Sequence[str], pattern: str) -> list[str]:
    """Those of the sorted `paths` that a pattern names; only where its fixed start stands is looked
    at.
    """
    fixed = re.split(r"[*?\[]", pattern.removeprefix("./"), maxsplit=1)[0]
    first = bisect_left(paths, fixed)
    last = bisect_left(paths, fixed + chr(0x10FFFF), first)
    return [path for path in paths[first:last] if matches(path, pattern)]


def named_documents(patterns: Iterable[str], paths: Sequence[str]) -> tuple[str, ...]:
    """Those of the sorted `paths` that one of the patterns names, sorted."""
    return tuple(sorted({path for pattern in patterns for path in matching(paths, pattern)}))


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


def near(pattern: str, paths: Sequence[str]) -> str:
    """A hint for a pattern that names none of `paths`."""
    from rapidfuzz import process

    readable = [path for path in paths if path.lower().endswith(READ)]
    found = process.extractOne(pattern, readable, score_cutoff=75)
    return f"did you mean `{found[0]}`?" if found else "name a file of the repository"
