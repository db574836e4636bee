"""Where the project's own data lies: schemas, recipes, pipelines, pages, the shipped taxonomy; and
the folder of what outlives a build.

A wheel carries `schemas/` and `taxonomy/` inside the package; a checkout has them beside it.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def _data(name: str) -> Path:
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


SCHEMAS = _data("schemas")
TAXONOMY = _data("taxonomy")
PIPELINES = PACKAGE / "pipelines"
PAGES = PACKAGE / "explain"


def home() -> Path:
    """The folder that outlives a build: the journal, fetched documents, what a check found.

    `TRIVIUM_HOME` moves it.
    """
    return Path(os.environ.get("TRIVIUM_HOME") or Path.home() / ".trivium")
