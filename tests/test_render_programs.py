"""The forms of a report that programs read: JSON, GitHub's commands, JUnit XML."""

import json
import os
import random
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from compiler.codes import E701, T105
from compiler.diagnostics import Report, Severity, Span, clean
from compiler.render import RENDERERS
from compiler.resources import SCHEMAS
from tests.conftest import SEED
from tests.reports import faulty, hostile_report, one
from tests.taxonomies import KNOWLEDGE


@pytest.fixture
def chance():
    return random.Random(os.environ[SEED])


@pytest.fixture
def real(tmp_path):
    return faulty(tmp_path)


VALID = Draft202012Validator(json.loads((SCHEMAS / "finding.json").read_text()))


def test_every_line_of_json_fits_its_schema(real):
    lines = [json.loads(line) for line in RENDERERS["json"](real).split("\n")]
    assert len(lines) == len(real.diagnostics)
    for line, found in zip(lines, real.diagnostics, strict=True):
        VALID.validate(line)
        assert (line["path"], line["line"] or 1) == (found.span.path, found.span.line)
        assert [note["message"] for note in line["notes"]] == [n.message for n in found.notes]
    assert any(line["line"] is None for line in lines)
    assert any(line["end_line"] and line["end_line"] > line["line"] for line in lines)


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "fatal"},
        {"line": 0},
        {"line": None},
        {"path": None},
        {"code": "T1"},
        {"more": "trivium explain"},
        {"notes": [{"message": "there"}]},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_line_that_the_schema_does_not_describe_is_refused(change):
    line = json.loads(RENDERERS["json"](one("abc", 0, 2)))
    assert VALID.is_valid(line)
    assert not VALID.is_valid({**line, **change})
    for key in line:
        assert not VALID.is_valid({k: v for k, v in line.items() if k != key})


def test_a_report_without_findings_is_nothing_to_json_and_github():
    assert RENDERERS["json"](Report()) == RENDERERS["github"](Report()) == ""


def runner(line):
    """A workflow command as the runner reads it: (command, properties, message)."""
    command, data = line.removeprefix("::").split("::", 1)
    name, _, told = command.partition(" ")
    properties = dict(pair.split("=", 1) for pair in told.split(",") if pair)

    def decoded(text, tokens):
        for token in tokens:
            text = text.replace(f"%{ord(token):02X}", token)
        return text

    return (
        name,
        {key: decoded(value, "\r\n:,%") for key, value in properties.items()},
        decoded(data, "\r\n%"),
    )


def test_the_runner_reads_back_what_was_meant(chance):
    for _ in range(100):
        words = ["".join(chance.choice("a%,:=\n0AD25C") for _ in range(9)).strip() for _ in "abc"]
        path, message, hint = (f"x{word}" for word in words)
        report = Report()
        report.add(T105, message, Span(path, 3, 4, 3, 7), hint)
        name, properties, data = runner(RENDERERS["github"](report))
        assert name == "error"
        assert properties == {
            "file": clean(path),
            "line": "3",
            "endLine": "3",
            "col": "4",
            "endColumn": "7",
            "title": "T105 missing-answer",
        }
        assert data.split("\n") == [
            clean(message),
            f"help: {clean(hint)}",
            "more: trivium explain T105",
        ]


def test_the_runner_of_this_test_is_not_deaf():
    report = Report()
    report.add(T105, "50%25, or: half", Span("a,b:c%2C.yaml", 1, 1, 1, 2))
    line = RENDERERS["github"](report)
    assert runner(line)[1]["file"] == "a,b:c%2C.yaml"
    assert runner(line.replace("%25", "%"))[2] != runner(line)[2]
    assert runner(line.replace("%3A", ":").replace("%2C", "_"))[1]["file"] != "a,b:c%2C.yaml"


def test_errors_come_first_and_columns_stay_on_one_line(real):
    told = [runner(line) for line in RENDERERS["github"](real).split("\n")]
    severities = [str(d.severity) for d in real.diagnostics]
    assert [name for name, _, _ in told] == sorted(severities)
    assert severities != sorted(severities)
    for _, properties, _ in told:
        one_line = "line" in properties and properties["line"] == properties["endLine"]
        assert ("col" in properties) == ("endColumn" in properties) == one_line
    assert len({("line" in p, "col" in p) for _, p, _ in told}) == 3


def test_junit_has_a_case_for_each_file(real):
    top = ElementTree.fromstring(RENDERERS["junit"](real))
    (suite,) = top
    cases = {case.get("name"): case for case in suite}
    assert set(cases) >= set(real.files)
    assert len(cases) == len(suite) == len({d.span.path for d in real.diagnostics} | {*real.files})
    for each in (top, suite):
        assert int(each.get("tests")) == len(cases)
        assert int(each.get("failures")) == sum(c.find("failure") is not None for c in suite)
        assert each.get("errors") == each.get("skipped") == "0"
    for path, case in cases.items():
        for severity, name in ((Severity.ERROR, "failure"), (Severity.WARNING, "system-out")):
            mine = [d for d in real.diagnostics if d.span.path == path and d.severity is severity]
            told = case.findall(name)
            assert len(told) == bool(mine)
            assert sum(t.text.count("= more: ") for t in told) == len(mine)
            assert all(f"[{d.code.id}] {d.code.name}: " in told[0].text for d in mine)
    assert len(cases[KNOWLEDGE]) == 0


def test_a_finding_without_a_file_has_a_case_too():
    report = Report(files=[])
    report.add(E701, "nothing there")
    (case,) = ElementTree.fromstring(RENDERERS["junit"](report)).findall(".//testcase")
    assert case.find("failure").get("type") == "E701 no-student"
    assert "file" not in case.attrib


def test_json_and_junit_stay_readable_whatever_they_hold(chance):
    for _ in range(40):
        report = hostile_report(chance)
        lines = RENDERERS["json"](report).split("\n")
        for line, found in zip(lines, report.diagnostics, strict=True):
            VALID.validate(told := json.loads(line))
            assert told["message"] == clean(found.message)
        cases = ElementTree.fromstring(RENDERERS["junit"](report)).findall(".//testcase")
        assert {case.get("name") for case in cases} >= {clean(path) for path in report.files}
