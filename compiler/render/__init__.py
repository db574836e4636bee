"""A report goes in; text comes out, in the form that a reader or a program asked for.

Every form is a file of this package. No form lets a control character of a leaf through, nor what a
CI takes for a command in its log. A form is imported when it is asked for.
"""

from collections.abc import Callable
from importlib import import_module

from compiler.diagnostics import Report


def _form(place: str) -> Callable[[Report], str]:
    """The renderer at `MODULE:FUNCTION` of this package."""

    def render(report: Report) -> str:
        module, _, function = place.partition(":")
        return str(getattr(import_module(f"compiler.render.{module}"), function)(report))

    return render


RENDERERS: dict[str, Callable[[Report], str]] = {
    "human": _form("human:human"),
    "concise": _form("concise:concise"),
    "json": _form("json:json_lines"),
    "github": _form("github:github"),
    "sarif": _form("sarif:sarif"),
    "junit": _form("junit:junit"),
}
