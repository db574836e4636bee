"""A tree against a schema: the code, the place, the words."""

import datetime
import json
import os
import random
import time

import pytest
import yaml
from jsonschema import Draft202012Validator

from compiler import schema
from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.schema.violations import repeats, violations
from compiler.source import SourceFile
from compiler.tree import parse
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, said, skill
from tests.test_tree import standing_at


def drop(leaf, *path):
    *way, last = path
    for step in way:
        leaf = leaf[step]
    del leaf[last]


def put(value):
    def change(leaf, *path):
        *way, last = path
        for step in way:
            leaf = leaf[step]
        leaf[last] = value

    return change


Q = ("seed_examples", 1, "questions_and_answers", 2)
CASES = [
    (skill, drop, ("created_by",), "T101", "the file has no `created_by`"),
    (skill, drop, ("seed_examples", 1, "question"), "T101", "seed example 2 has no `question`"),
    (skill, drop, ("seed_examples", 1, "answer"), "T105", "seed example 2 has no `answer`"),
    (knowledge, drop, (*Q, "answer"), "T105", "question 3 of seed example 2 has no `answer`"),
    (knowledge, drop, Q, "T106", "`questions_and_answers` of seed example 2 has 2 of at least 3"),
    (skill, drop, ("seed_examples", 4), "T106", "`seed_examples` has 4 of at least 5 items"),
    (skill, put(1), ("sed_examples",), "T102", "the file has the unknown key `sed_examples`"),
    (knowledge, put("x"), ("task_description",), "T102", "unknown key `task_description`"),
    (knowledge, put("x"), ("document", "branch"), "T102", "`document` has the unknown key"),
    (skill, put(True), ("seed_examples", 0, "answer"), "T103", "is true or false, not a text"),
    (skill, put([]), ("task_description",), "T103", "`task_description` is a list, not a text"),
    (skill, put("3"), ("version",), "T103", "`version` is a text, not a whole number"),
    (skill, put(""), ("seed_examples", 2, "question"), "T104", "seed example 3 is empty"),
    (knowledge, put([]), ("document", "patterns"), "T106", "`patterns` of `document` has 0 of"),
    (knowledge, put(["a", "a"]), ("document", "patterns"), "T107", "pattern 2 of `document`"),
    (skill, put(4), ("version",), "T108", "there is no version `4`"),
    (skill, put(None), ("version",), "T108", "`version` is empty"),
    (knowledge, put(2), ("version",), "T109", "version 2 of the knowledge format is retired"),
]


@pytest.mark.parametrize("make, change, path, code, words", CASES)
def test_a_broken_rule_is_named(tmp_path, make, change, path, code, words):
    leaf = make()
    file = SKILL if make is skill else KNOWLEDGE
    assert read(tmp_path, {file: leaf})[1].diagnostics == ()
    change(leaf, *path)
    taxonomy, report = read(tmp_path, {file: leaf})
    assert [(d.code.id, words in d.message) for d in report.diagnostics][:1] == [(code, True)]
    assert taxonomy.leaves == ()


def test_the_place_is_that_of_the_mistake(tmp_path):
    leaf = skill()
    leaf["seed_examples"][3]["contxt"] = "x"
    _, report = read(tmp_path, {SKILL: leaf})
    (found,) = report.diagnostics
    line = (tmp_path / SKILL).read_text().split("\n")[found.span.line - 1]
    assert line[found.span.column - 1 : found.span.end_column - 1] == "contxt"
    assert found.hint == "did you mean `context`?"


def test_unknown_keys_pass_beside_a_knowledge_question(tmp_path):
    leaf = knowledge()
    leaf["seed_examples"][0]["questions_and_answers"][0]["source"] = "x"
    assert read(tmp_path, {KNOWLEDGE: leaf})[1].diagnostics == ()


def test_a_skill_of_version_1_asks_for_less(tmp_path):
    leaf = {
        "created_by": "ada",
        "task_description": "",
        "seed_examples": skill()["seed_examples"][:1],
    }
    assert read(tmp_path, {SKILL: leaf})[1].errors == 0
    assert read(tmp_path, {SKILL: {"version": 2, **leaf}})[1].errors == 2


def test_foundational_skills_are_judged_by_what_they_hold(tmp_path):
    files = {
        "foundational_skills/a/qna.yaml": skill(),
        "foundational_skills/b/qna.yaml": knowledge(),
    }
    taxonomy, report = read(tmp_path, files)
    assert [(leaf.kind, leaf.branch) for leaf in taxonomy.leaves] == [
        ("freeform", "foundational_skills"),
        ("knowledge", "foundational_skills"),
    ]
    assert report.errors == 0
    assert said(report) == []


def test_two_thousand_seeds_take_no_time(tmp_path):
    leaf = skill()
    leaf["seed_examples"] = [{"question": f"What is {n}?", "answer": "x"} for n in range(2000)]
    start = time.perf_counter()
    taxonomy, report = read(tmp_path, {SKILL: leaf})
    assert time.perf_counter() - start < 2
    assert (len(taxonomy.leaves), report.diagnostics) == (1, ())
    leaf["seed_examples"].append(leaf["seed_examples"][7])
    assert "T107" in [code for code, _ in said(read(tmp_path, {SKILL: leaf})[1])]


def some_item(draw, depth=0):
    if depth < 2 and draw.random() < 0.4:
        inner = [some_item(draw, depth + 1) for _ in range(draw.randint(0, 2))]
        return draw.choice([inner, dict(zip("ab", inner, strict=False))])
    return draw.choice([0, 1, 1.0, True, False, None, "", "1", "True", 1e300, 10**300])


@pytest.mark.parametrize("seed", range(20))
def test_what_is_unique_is_what_jsonschema_holds_unique(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    rules = {"uniqueItems": True}
    verdicts = []
    for _ in range(200):
        items = [{}, *(some_item(draw) for _ in range(draw.randint(1, 4)))]
        verdicts.append(not violations(items, rules))
        assert verdicts[-1] == Draft202012Validator(rules).is_valid(items), items
        assert verdicts[-1] == (not list(repeats(items)))
    assert {True, False} == set(verdicts)


def changed(draw, value):
    """`value` with one thing in it that is not as it was."""
    if isinstance(value, dict | list) and value and draw.random() < 0.8:
        copy = dict(value) if isinstance(value, dict) else list(value)
        key = draw.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
        match draw.randrange(8):
            case 0:
                del copy[key]
            case 1 if isinstance(copy, dict):
                copy[draw.choice(["x", f"{key}s", 1, None])] = copy.pop(key)
            case 1:
                copy.append(copy[key])
            case _:
                copy[key] = changed(draw, copy[key])
        return copy
    odd = [datetime.date(2020, 1, 1), b"x", float("nan"), 1, 1.0, True, None, "", [], {}, 10**30, 3]
    return draw.choice(odd)


@pytest.mark.parametrize("seed", range(20))
def test_what_the_fast_validator_accepts_breaks_no_rule(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    accepted = 0
    for _ in range(60):
        leaf, name = draw.choice([(skill(), "compositional_skills"), (knowledge(), "knowledge")])
        for _ in range(draw.randint(0, 2)):
            leaf = changed(draw, leaf)
        fits = schema.fits(leaf, f"v3/{name}")
        accepted += fits
        theirs = Draft202012Validator(schema.load(f"v3/{name}")).is_valid(leaf)
        assert theirs or not fits, leaf
        assert theirs == (not violations(leaf, schema.load(f"v3/{name}"))), leaf
    assert 0 < accepted < 60


@pytest.mark.parametrize("seed", range(10))
def test_every_finding_has_a_place_and_a_hint(tmp_path, seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    for n in range(10):
        leaf = draw.choice([skill, knowledge])()
        for _ in range(draw.randint(1, 4)):
            leaf = changed(draw, leaf)
        text = yaml.safe_dump(leaf, sort_keys=False, allow_unicode=True)
        report = Report()
        read_tree(SourceFile(SKILL if n % 2 else KNOWLEDGE, text.encode()), report)
        places = [(d.span.line, d.span.column) for d in report.diagnostics]
        assert places == sorted(places)
        assert all(d.hint for d in report.diagnostics)
        for d in report.diagnostics:
            about_all = d.code.id in ("T101", "T108", "T109") and not d.span.end_line
            assert about_all or standing_at(text, d.span).strip(), (d, text)


@pytest.mark.parametrize(
    "change, key, hint",
    [
        (("question", "qestion"), "qestion", "rename `qestion` to `question`"),
        (("question", "qestion"), "qestion", "did you mean `question`?"),
        (("answer", "attribution"), "attribution", "put source and licence into the file"),
        (("answer", "xyz"), "xyz", "remove it, or use one of `question`, `answer`, `context`"),
        (("answer", "created_by"), "created_by", "move it to the left margin"),
    ],
)
def test_an_unknown_key_is_told_what_it_may_have_been(change, key, hint):
    text = yaml.safe_dump(skill(), sort_keys=False).replace(*change, 1)
    report = Report()
    read_tree(SourceFile(SKILL, text.encode()), report)
    (found,) = [d for d in report.diagnostics if d.hint.startswith(hint)]
    assert standing_at(text, found.span) == key


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1.0e+999"])
def test_a_number_that_is_not_finite_is_named_once_at_its_place(tmp_path, number):
    settings = (
        "mix: {{replay: {0}}}",
        "sift: {{worth: {0}}}",
        "select: {{value: {{quarantine: {0}}}}}",
        "seed: {0}",
        "routes: [{{pipelines: {{alpaca: {0}}}}}]",
        "routes: [{{pipeline: alpaca, with: {{x: {0}}}}}]",
        "teacher: {{kind: extractive, extra: {{x: [{0}]}}}}",
    )
    for one in settings:
        text, report = one.format(number), Report()
        tree = parse(SourceFile("curriculum.yaml", text.encode()), report)
        assert not schema.validate(tree, "curriculum", schema.CURRICULUM, report), text
        (found,) = report.diagnostics
        assert (found.code.id, standing_at(text, found.span)) == ("M303", number)
        assert schema.validate(
            parse(SourceFile("curriculum.yaml", b"mix: {replay: 0.5}"), report),
            "curriculum",
            schema.CURRICULUM,
            report,
        )


def test_a_value_is_shown_as_it_was_typed():
    report = Report()
    tree = parse(SourceFile("curriculum.yaml", b"sift: {factoids: yes}"), report)
    assert not schema.validate(tree, "curriculum", schema.CURRICULUM, report)
    (found,) = report.diagnostics
    assert found.message == "`factoids` of `sift` is `yes`, not one of `keep`, `drop`, `route`"


def test_an_empty_value_is_shown_at_its_key():
    leaf = skill()
    leaf["seed_examples"][1]["answer"] = None
    text = yaml.safe_dump(leaf, sort_keys=False).replace(" null", "")
    report = Report()
    read_tree(SourceFile(SKILL, text.encode()), report)
    (found,) = report.diagnostics
    assert (found.code.id, standing_at(text, found.span)) == ("T103", "answer")


@pytest.mark.parametrize(
    "rule, bound, value, message, hint",
    [
        ("minimum", 1, 0, "`a` is 0, below 1", "use 1 or more"),
        ("exclusiveMinimum", 0, 0, "`a` is 0, not above 0", "use more than 0"),
        ("maximum", 1, 2, "`a` is 2, above 1", "use 1 or less"),
        ("exclusiveMaximum", 1, 1, "`a` is 1, not below 1", "use less than 1"),
        ("pattern", "b", "a", "`a` is `a`, which does not match `b`", "write what the schema asks"),
        ("const", "b", "a", "`a` is `a`, not `b`", "write `b`"),
        ("maxItems", 1, [1, 2], "`a` has 2 items, more than 1", "leave 1 of them"),
        ("type", "boolean", "x", "`a` is a text, not true or false", "write `true` or `false`"),
    ],
)
def test_a_rule_is_said_as_it_counts(monkeypatch, tmp_path, rule, bound, value, message, hint):
    name = f"{rule}-{bound}-{value}"
    (tmp_path / f"{name}.json").write_text(json.dumps({"properties": {"a": {rule: bound}}}))
    monkeypatch.setattr(schema, "SCHEMAS", tmp_path)
    report = Report()
    tree = parse(SourceFile("recipe.yaml", f"a: {value}\n".encode()), report)
    assert not schema.validate(tree, name, schema.RECIPE, report)
    (found,) = report.diagnostics
    assert (found.message, found.hint[: len(hint)]) == (message, hint)
