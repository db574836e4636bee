"""Finished builds go in; the keys of the replies that they were made of come out.

A file of its own because it reads what `emit` wrote, and must be certain: what it does not name may
be deleted, and costs money to ask again.
"""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def replies_of(build: Path) -> set[str]:
    """The keys that the samples and drops of a build refer to. Raises ValueError where it is no
    finished build, or where a file of it is not whole.
    """
    try:
        manifest = json.loads((build / "manifest.json").read_bytes())
        counts = {name: about["count"] for name, about in manifest["files"].items()}
        keys: set[str] = set()
        for name in ("samples.jsonl", "drops.jsonl"):
            number = 0
            with (build / name).open("rb") as lines:
                for line in lines:
                    keys |= set(_replies(json.loads(line), name))
                    number += 1
            if number != counts[name]:
                raise ValueError(f"`{name}` holds {number:,} of {counts[name]:,} lines")
    except FileNotFoundError as wrong:
        raise ValueError(f"it has no `{Path(wrong.filename).name}`") from wrong
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise ValueError("it cannot be read") from wrong
    return keys


def _replies(line: Json, name: str) -> list[str]:
    found: list[str] = line["origin"]["replies"] if name == "samples.jsonl" else line["replies"]
    return found
