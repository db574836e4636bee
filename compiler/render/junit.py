"""A report goes in; JUnit XML comes out, as Jenkins and GitLab read it: a test case for each file.

Errors are its failure, in one element because readers take only the first; warnings are its output.
"""

from collections.abc import Iterable
from xml.etree import ElementTree

from compiler.codes import Severity
from compiler.diagnostics import Diagnostic, Report, clean, counted
from compiler.render.human import finding
from compiler.render.quote import Quotes
from compiler.source import in_branch

_NOWHERE = "the whole taxonomy"


def junit(report: Report) -> str:
    """The files that were looked at, those without a finding as passed."""
    quotes = Quotes(report.texts)
    cases: dict[str, list[Diagnostic]] = {path: [] for path in report.files or ()}
    for found in report.diagnostics:
        cases.setdefault(found.span.path if found.span else "", []).append(found)
    failed = sum(any(d.severity is Severity.ERROR for d in found) for found in cases.values())
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
    top = ElementTree.Element("testsuites", {"name": "trivium check", **counts})
    suite = ElementTree.SubElement(top, "testsuite", {"name": "trivium check", **counts})
    for path, all_found in sorted(cases.items()):
        _case(suite, path, all_found, quotes)
    ElementTree.indent(top)
    xml = ElementTree.tostring(top, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'


def _case(
    suite: ElementTree.Element, path: str, found: Iterable[Diagnostic], quotes: Quotes
) -> None:
    name = clean(path) or _NOWHERE
    about = {"name": name, "classname": in_branch(path) or "taxonomy"}
    case = ElementTree.SubElement(suite, "testcase", about | ({"file": name} if path else {}))
    errors = [d for d in found if d.severity is Severity.ERROR]
    others = [d for d in found if d.severity is not Severity.ERROR]
    if errors:
        first = clean(errors[0].message)
        more = f", and {counted(len(errors) - 1, 'more error')}" if errors[1:] else ""
        about = {"message": f"{first}{more}", "type": str(errors[0].code)}
        ElementTree.SubElement(case, "failure", about).text = _told(errors, quotes)
    if others:
        ElementTree.SubElement(case, "system-out").text = _told(others, quotes)


def _told(found: Iterable[Diagnostic], quotes: Quotes) -> str:
    return "\n".join("".join(text for text, _ in finding(each, quotes)) for each in found)
