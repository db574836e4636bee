"""A report goes in; a line for each finding comes out, and the count last."""

from compiler.diagnostics import Report, clean, summary


def concise(report: Report) -> str:
    """Lines of the form `path:line:column: severity[code] name: message`."""
    lines = []
    for found in report.diagnostics:
        place = ""
        if found.span:
            path = clean(found.span.path)
            if path.lstrip().startswith(":"):
                path = f"./{path}"  # `::` would begin a command to a CI
            place = f"{path}:{found.span.line}:{found.span.column}: "
        name = f"{found.severity}[{found.code.id}] {found.code.name}"
        lines.append(f"{place}{name}: {clean(found.message)}")
    return "\n".join([*lines, summary(report)])
