"""Where the project's own data lies: schemas, recipes, pipelines, pages, and the shipped taxonomy.

A wheel carries `schemas/` and `taxonomy/` inside the package; a checkout has them beside it.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def _data(name: str) -> Path:
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


SCHEMAS = _data("schemas")
TAXONOMY = _data("taxonomy")
PIPELINES = PACKAGE / "pipelines"
PAGES = PACKAGE / "explain"
