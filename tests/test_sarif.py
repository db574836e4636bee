"""A SARIF log keeps the rules of its specification and of code scanning."""

import copy
import json
import os
import random
import re
from urllib.parse import unquote

import pytest

from compiler.codes import S001, T105, T121, T123, T130
from compiler.diagnostics import Report, Span
from compiler.render import RENDERERS
from tests.conftest import SEED
from tests.reports import faulty, hostile_report, one


@pytest.fixture
def chance():
    return random.Random(os.environ[SEED])


@pytest.fixture
def real(tmp_path):
    return faulty(tmp_path)


LEVELS = ("error", "warning", "note")


def faults(log):
    """Where a log breaks the rules of SARIF 2.1.0 and of code scanning, in words of our own."""
    found = []

    def hold(rule, holds):
        if not holds:
            found.append(rule)

    hold("version", log.get("version") == "2.1.0" and "sarif-schema-2.1.0" in log["$schema"])
    hold("one run", len(log["runs"]) == 1)
    run = log["runs"][0]
    driver = run["tool"]["driver"]
    hold("tool", driver.get("name") and driver.get("version"))
    hold("columns", run.get("columnKind") == "unicodeCodePoints")
    hold("invocation", all(i["executionSuccessful"] is True for i in run["invocations"]))
    rules = driver["rules"]
    ids = [rule["id"] for rule in rules]
    hold("rules once", len(ids) == len(set(ids)))
    for rule in rules:
        hold("rule name", re.fullmatch(r"([A-Z][a-z0-9]*)+", rule["name"]))
        for key in ("shortDescription", "fullDescription", "help"):
            hold(f"rule {key}", 0 < len(rule[key]["text"]) <= 1024)
        hold("rule help", rule["help"]["markdown"].startswith(f"# {rule['id']} "))
        hold("rule level", rule["defaultConfiguration"]["level"] in LEVELS)
        hold("rule tags", rule["properties"]["tags"] and len(rule["properties"]["tags"]) <= 20)
    seen = []
    for result in run["results"]:
        hold("rule id", 0 <= result["ruleIndex"] < len(rules))
        hold("rule index", ids[result["ruleIndex"] % len(ids)] == result["ruleId"])
        hold("level", result["level"] in LEVELS)
        hold("message", result["message"]["text"].strip() and "](" not in result["message"]["text"])
        hold("one location", len(result["locations"]) == 1)
        seen += result["partialFingerprints"].values()
        others = result.get("relatedLocations", [])
        hold("related ids", len({place["id"] for place in others}) == len(others))
        for place in [*result["locations"], *others]:
            physical = place["physicalLocation"]
            where = physical["artifactLocation"]
            uri = where["uri"]
            hold("uri", re.fullmatch(r"(?:[\w.~/-]|%[0-9A-F]{2})+", uri, re.ASCII))
            hold("uri inside", uri[0] != "/" and ".." not in unquote(uri).split("/"))
            hold("uri base", where["uriBaseId"] == "%SRCROOT%")
            region = physical.get("region")
            if region:
                start = region["startLine"], region["startColumn"]
                end = region["endLine"], region["endColumn"]
                hold("region", (1, 1) <= start <= end and min(*start, *end) >= 1)
                hold("snippet", region.get("snippet", {"text": "x"})["text"])
    hold("fingerprints", len(seen) == len(set(seen)) == len(run["results"]))
    for told in (n for i in run["invocations"] for n in i.get("toolExecutionNotifications", [])):
        hold("notification", told["message"]["text"] and told["level"] in LEVELS)
        rule = told["associatedRule"]
        hold("notification rule", ids[rule["index"]] == rule["id"])
    used = {r["ruleId"] for r in run["results"]}
    hold("no idle rule", "results" in run and used <= set(ids))
    return found


def sarif(report):
    return json.loads(RENDERERS["sarif"](report))


def test_sarif_keeps_the_rules_and_holds_every_finding(real):
    log = sarif(real)
    assert faults(log) == []
    run = log["runs"][0]
    told = [(r["ruleId"], r["level"], unquote(place(r)["uri"])) for r in run["results"]]
    assert told == [(d.code.id, str(d.severity), d.span.path) for d in real.diagnostics]
    assert [r["id"] for r in run["tool"]["driver"]["rules"]] == sorted({c for c, _, _ in told})
    assert any("%20" in place(r)["uri"] for r in run["results"])
    snippets = [region(r)["snippet"]["text"] for r in run["results"] if "snippet" in region(r)]
    assert "created_by: '  '" not in snippets
    assert any("\n" in text for text in snippets)
    assert faults(sarif(Report())) == []
    assert RENDERERS["sarif"](real) == RENDERERS["sarif"](real)


def place(result):
    return result["locations"][0]["physicalLocation"]["artifactLocation"]


def region(result):
    return result["locations"][0]["physicalLocation"].get("region", {})


SPOILED = {
    "rule index": lambda run: run["results"][0].update(ruleIndex=1),
    "level": lambda run: run["results"][0].update(level="fatal"),
    "region": lambda run: region(run["results"][0]).update(startColumn=0),
    "uri inside": lambda run: place(run["results"][0]).update(uri="../x.yaml"),
    "uri": lambda run: place(run["results"][0]).update(uri="a b.yaml"),
    "fingerprints": lambda run: run["results"].append(copy.deepcopy(run["results"][0])),
    "one location": lambda run: run["results"][0].update(locations=[]),
    "rule name": lambda run: run["tool"]["driver"]["rules"][0].update(name="missing-answer"),
    "columns": lambda run: run.pop("columnKind"),
    "message": lambda run: run["results"][0]["message"].update(text="[x](https://x)"),
}


@pytest.mark.parametrize("rule", SPOILED)
def test_the_rules_of_sarif_are_looked_at(rule):
    report = one("abc", 0, 2)
    report.add(T123, "too long", Span("r.yaml", 1, 1, 1, 3))
    log = sarif(report)
    assert faults(log) == []
    SPOILED[rule](log["runs"][0])
    assert rule in faults(log)


def test_no_text_breaks_a_rule(chance):
    for _ in range(40):
        assert faults(sarif(hostile_report(chance))) == []


def fingerprints(report):
    return {
        mark
        for result in sarif(report)["runs"][0]["results"]
        for mark in result["partialFingerprints"].values()
    }


def test_a_fingerprint_stays_while_its_line_moves():
    here, moved = one("abc", 0, 2, before=3), one("abc", 0, 2, before=40)
    assert fingerprints(here) == fingerprints(moved)
    assert fingerprints(here) != fingerprints(one("abd", 0, 2))
    assert fingerprints(here) != fingerprints(one("abc", 0, 2, code=T123))
    for number in (1, 2):
        here.add(T105, "it is wrong", Span("q.yaml", number, 1, number, 2))
    assert len(fingerprints(here)) == 3


def test_what_lies_in_no_file_of_the_taxonomy_is_a_notification():
    report = one("abc", 0, 2)
    report.add(T121, "nowhere")
    report.add(T130, "outside", Span("../x/qna.yaml", 1, 1, 1, 2))
    report.add(S001, "elsewhere", Span("/etc/qna.yaml", 1, 1, 1, 2))
    run = sarif(report)["runs"][0]
    told = [n["associatedRule"]["id"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert sorted(told) == ["S001", "T121", "T130"]
    assert [r["ruleId"] for r in run["results"]] == ["T105"]


def test_the_text_of_a_place_is_what_stands_there():
    report = one("a: 漢\t\x1b] \t", 3, 6)
    report.add(T123, "long", Span("q.yaml", 4, 8, 4, 10))
    told = [region(r)["snippet"]["text"] for r in sarif(report)["runs"][0]["results"]]
    assert told == ["漢\t\x1b", " \t"]
    assert control_free(RENDERERS["sarif"](report))


def control_free(text):
    return all(c.isprintable() or c == "\n" for c in text)
