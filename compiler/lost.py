"""What of a taxonomy cannot be read is reported.

A file of its own because a file can turn out to be unreadable before it is opened, or after.
"""

from collections.abc import Collection

from compiler.codes import S009
from compiler.diagnostics import Report, Span
from compiler.source import LINK, SETTINGS_NAME, Source, is_lost, is_within


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
        is_asked = only is None or is_within(name, only)
        is_named = name in (SETTINGS_NAME, *(only or ()))
        if is_asked and (is_named or is_lost(path)):
            say_unread(path, why, report)
