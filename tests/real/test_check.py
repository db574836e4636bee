"""`trivium check` on what people really wrote, beside the verdicts of InstructLab's validator."""

import time

from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.front import read_checked
from compiler.source import SourceFile, open_source
from compiler.source.revision import Revision
from tests.taxonomies import OneFile

WHOLE_FILE = ("S006", "T101", "T108", "T109", "T110", "T112")
HELPLESS = (
    "check indent and quotes",
    "put the text in quotes, or write what YAML expects",
    "indent it like the text it belongs to, or put a colon and a space after the key",
)


def judged(path, data):
    """Whether `trivium check` fails this file, and what it says."""
    report = Report()
    read_checked(OneFile(path, data), report, {path})
    return report.errors > 0, [f"{d.severity}[{d.code.id}] {d.message}" for d in report.diagnostics]


def test_the_public_leaves_are_clean_and_quickly_read(taxonomy):
    start = time.perf_counter()
    report = Report()
    leaves = read_checked(open_source(taxonomy), report)[1].leaves
    assert time.perf_counter() - start < 1
    assert (len(leaves), len(report.files), report.errors) == (16, 16, 0)


def test_a_revision_reads_as_the_work_tree_does(taxonomy):
    there = read_checked(open_source(taxonomy), Report())[1].leaves
    assert read_checked(Revision(taxonomy, "HEAD"), Report())[1].leaves == there


def test_verdicts_are_those_of_instructlab(contributions):
    differ, failed, files = [], 0, 0
    for verdict, data in contributions:
        theirs = not verdict["readable"] or verdict["errors"] > 0
        ours, said = judged(verdict["path"], data)
        failed += ours
        files += 1
        if ours != theirs:
            differ.append((verdict["branch"], verdict["path"], theirs, verdict["messages"], said))
    print(*(f"{b}:{p} theirs={t}\n   {m}\n   {s}" for b, p, t, m, s in differ), sep="\n")
    assert files == 575
    assert 100 < failed < 300
    assert not differ


def test_every_finding_says_where_and_what_to_do(contributions):
    seen, unread = set(), 0
    for verdict, data in contributions:
        report = Report()
        read_tree(SourceFile(verdict["path"], data), report)
        lines = data.decode("utf-8", "replace").splitlines()
        for found in report.diagnostics:
            assert found.hint, found
            assert 1 <= found.span.line <= max(1, len(lines)), found
            assert found.span.end_line or found.code.id in WHOLE_FILE, found
            seen.add(found.code.id)
        if not verdict["readable"]:
            (found,) = report.diagnostics
            assert found.code.id == "S001"
            assert found.hint not in HELPLESS, (verdict["branch"], found)
            unread += 1
    assert unread == 27
    assert seen >= {"S001", "S002", "S003", "S007", "T101", "T102", "T103", "T106", "T109"}
