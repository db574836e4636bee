"""What of a taxonomy cannot be read is reported.

A file of its own because a file can turn out to be unreadable before it is opened, or after.
"""

from collections.abc import Collection

from compiler.codes import S009
from compiler.diagnostics import Report, Span
from compiler.source import LINK, Source, is_lost

SETTINGS = "curriculum.yaml"


def say_unread(path: str, why: str, report: Report) -> None:
    """Reports S009; of a link only as a warning, for the format's own validator follows none."""
    report.add(
        S009,
        f"`{path}` cannot be read: {why}",
        Span(path),
        "put a plain file with a UTF-8 name there that you may read",
        soft=why == LINK,
    )


def say_lost(source: Source, only: Collection[str] | None, report: Report) -> None:
    """Reports what cannot be read: leaves and the build file, or what `only` names."""
    for path, why in source.unread.items():
        name = path.removesuffix("/")
        asked = any(o == "." or f"{name}/".startswith(f"{o}/") for o in only or ())
        is_named = name in (SETTINGS, *(only or ()))
        if (only is None or asked) and (is_named or is_lost(path)):
            say_unread(path, why, report)
