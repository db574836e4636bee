"""`trivium check` on what people really wrote, beside the verdicts of InstructLab's validator."""

import json
import subprocess
import time

from compiler.diagnostics import Report
from compiler.front import read_taxonomy
from compiler.source import Revision, open_source
from tests.taxonomies import OneFile


def judged(path, data):
    """Whether `trivium check` fails this file, and what it says."""
    report = Report()
    read_taxonomy(OneFile(path, data), report, {path})
    return report.errors > 0, [f"{d.severity}[{d.code.id}] {d.message}" for d in report.diagnostics]


def test_the_public_leaves_are_clean_and_quickly_read(taxonomy):
    start = time.perf_counter()
    report = Report()
    leaves = read_taxonomy(open_source(taxonomy), report).leaves
    assert time.perf_counter() - start < 1
    assert (len(leaves), report.files, report.errors) == (16, 16, 0)


def test_a_revision_reads_as_the_work_tree_does(taxonomy):
    there = read_taxonomy(open_source(taxonomy), Report()).leaves
    assert read_taxonomy(Revision(taxonomy, "HEAD"), Report()).leaves == there


def test_verdicts_are_those_of_instructlab(taxonomy, real):
    lines = [json.loads(line) for line in (real / "verdicts.jsonl").open()]
    named = "".join(f"origin/{v['branch']}:{v['path']}\n" for v in lines)
    out = subprocess.run(
        ["git", "-C", taxonomy, "cat-file", "--batch"],
        input=named.encode(),
        capture_output=True,
        check=True,
    ).stdout
    differ, failed = [], 0
    for verdict in lines:
        head, _, out = out.partition(b"\n")
        size = int(head.split()[-1])
        data, out = out[:size], out[size + 1 :]
        theirs = not verdict["readable"] or verdict["errors"] > 0
        ours, said = judged(verdict["path"], data)
        failed += ours
        if ours != theirs:
            differ.append((verdict["branch"], verdict["path"], theirs, verdict["messages"], said))
    print(*(f"{b}:{p} theirs={t}\n   {m}\n   {s}" for b, p, t, m, s in differ), sep="\n")
    assert len(lines) == 575
    assert 100 < failed < 300
    assert not differ
