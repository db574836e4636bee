"""A build folder goes in; what its last compile asked comes out, if it wrote that down.

A file of its own because `run.json` is no part of a build: it differs from run to run, so nothing
vouches for it, and a page must do without it.
"""

import json
from pathlib import Path
from typing import Any


def asked(build: Path) -> dict[str, Any]:
    """Numbers by name, and `rows` of name, planned and actual; nothing where there is no such file,
    or a damaged one.
    """
    try:
        found = json.loads((build / "run.json").read_text("utf-8"))
        rows = [(str(r["name"]), int(r["planned"]), int(r["actual"])) for r in found["plan"]]
        keys = ("asked", "journaled", "prompt_tokens", "cached_tokens", "unparsed", "repaired")
        numbers = {key: int(found[key]) for key in keys}
        return {**numbers, "rows": rows, "seconds": float(found["seconds"])}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
