"""A report goes in; GitHub's workflow commands come out, which become notes beside the changed
lines.

A step shows ten errors and ten warnings and no more, so the errors come first.
"""

from compiler.codes import Severity
from compiler.diagnostics import Diagnostic, Report, clean
from compiler.render.quote import Quotes

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.DROP: "notice"}
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def github(report: Report) -> str:
    """A command for each finding, the errors first; nothing where there is none."""
    quotes = Quotes(report.texts)
    order = list(_COMMANDS)
    found = sorted(report.diagnostics, key=lambda d: order.index(d.severity))
    return "\n".join(_command(d, quotes) for d in found)


def _command(found: Diagnostic, quotes: Quotes) -> str:
    properties: dict[str, object] = {}
    if found.span:
        span = quotes.tight(found.span)
        properties["file"] = clean(span.path)
        if span.end_line:
            properties |= {"line": span.line, "endLine": span.end_line}
        if span.end_line == span.line:  # columns mean nothing to GitHub over several lines
            properties |= {"col": span.column, "endColumn": span.end_column}
    properties["title"] = str(found.code)
    told = ",".join(f"{key}={str(v).translate(_PROPERTY)}" for key, v in properties.items())
    lines = [clean(found.message)]
    lines += [f"help: {clean(found.hint)}"] if found.hint else []
    lines.append(f"more: trivium explain {found.code.id}")
    return f"::{_COMMANDS[found.severity]} {told}::" + "\n".join(lines).translate(_DATA)
