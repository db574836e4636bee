"""YAML text to values with places; what a hostile file can do."""

import os
import random
import time

import pytest
import yaml

from compiler.diagnostics import Report
from compiler.render import RENDERERS
from compiler.source import SourceFile
from compiler.tree import lint, parse


def parsed(text):
    report = Report()
    data = text if isinstance(text, bytes) else text.encode()
    return parse(SourceFile("qna.yaml", data), report), report


def found(report):
    return [(d.code.id, d.span.line, d.span.column) for d in report.diagnostics]


def test_values_and_places():
    tree, report = parsed("a: 1\nb:\n  - x: |\n      two\n    ü: 'y'\n")
    assert (tree.value, report.diagnostics) == ({"a": 1, "b": [{"x": "two\n", "ü": "y"}]}, ())
    at = tree.span(("b", 0, "ü"))
    assert (at.line, at.column, at.end_column) == (5, 8, 11)
    assert tree.key_span(("b", 0, "x")).column == 5
    assert tree.span(("b", 7, "none")) == tree.span(("b",))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_does(end):
    tree, _ = parsed(end.join(["a: 1", 'b: "x\u2028 y"', "c: 3", ""]))
    assert tree.span(("c",)).line == 3


def some_value(draw, depth=0):
    kind = draw.choice(["text", "text", "list", "map", "number"]) if depth < 4 else "text"
    if kind == "list":
        return [some_value(draw, depth + 1) for _ in range(draw.randint(0, 4))]
    if kind == "map":
        return {some_text(draw): some_value(draw, depth + 1) for _ in range(draw.randint(0, 4))}
    return draw.randint(-9, 9) if kind == "number" else some_text(draw)


def some_text(draw):
    letters = "ab é鳥'\"#:-|>&*!%@`{}[],?\n~"
    return "".join(draw.choices(letters, k=draw.randint(0, 12)))


@pytest.mark.parametrize("seed", range(40))
def test_values_are_those_of_the_safe_loader(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    value = {"top": some_value(draw), "more": some_value(draw)}
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=draw.choice([True, False]))
    tree, report = parsed(text)
    assert tree.value == yaml.safe_load(text) == value
    assert not report.diagnostics


TAGS = "timestamp bool int float null str binary omap pairs set map seq merge value x".split()
ODD = [
    "x",
    "''",
    "1",
    "0x",
    "-",
    ".",
    "1:x",
    "~",
    "x: 1",
    "[[a]]",
    "{a: 1}",
    "2001-99-99",
    "=",
    "<<",
]


def some_tagged(draw):
    return draw.choice(["", *(f"!!{tag} " for tag in TAGS)]) + draw.choice(ODD)


@pytest.mark.parametrize("seed", range(20))
def test_no_tag_is_an_exception(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    for _ in range(100):
        key = draw.choice([f"? {some_tagged(draw)}\n", "a"])
        tree, report = parsed(f"{key}: {some_tagged(draw)}\n")
        assert tree or report.errors
        assert {d.code.id for d in report.diagnostics} <= {"S001", "S007", "S008"}


def test_merged_keys_do_not_repeat():
    text = "base: &b {a: 1, c: 2}\nmore: {<<: *b, a: 3}\n"
    tree, report = parsed(text)
    assert (tree.value, report.diagnostics) == (yaml.safe_load(text), ())


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a: 'x\nb: 2\n", ("S001", 1, 4)),
        ("a: b: c\n", ("S001", 1, 5)),
        ("a: |\n    x\n  y\nb: 1\n", ("S001", 3, 3)),
        ("a: x\n---\nb: y\n", ("S001", 2, 1)),
        ("a: one\ttwo\n", ("S001", 1, 7)),
        ("a: 2023-02-30\n", ("S001", 1, 4)),
        ("a: !!python/object:os.system x\n", ("S001", 1, 4)),
        ("? [a]\n: b\n", ("S001", 1, 3)),
        ("a: !!timestamp x\n", ("S001", 1, 4)),
        ("a: !!bool maybe\n", ("S001", 1, 4)),
        ("a: !!int ''\n", ("S001", 1, 4)),
        ("a: !!omap x\n", ("S001", 1, 4)),
        ("!!set x: 1\n", ("S001", 1, 1)),
        ("a: 0x" + "f" * 6000 + "\n", ("S001", 1, 4)),
        ("a: 1" + ":1" * 3000 + "\n", ("S001", 1, 4)),
        ("a: *b\n", ("S001", 1, 4)),
        ("a: 1\na: 2\n", ("S002", 2, 1)),
        (b"a: caf\xe9\n", ("S005", 1, 7)),
        ("# nothing\n", ("S006", 1, 1)),
        ("- a\n", ("S007", 1, 1)),
        ("a: " + "[" * 99 + "]" * 99 + "\n", ("S008", 1, 1)),
        ("a: &a [*a]\n", ("S008", 1, 1)),
        ("a: &a {<<: *a}\n", ("S008", 1, 1)),
    ],
)
def test_what_is_wrong_with_a_text(text, expected):
    _, report = parsed(text)
    assert found(report) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 12)),
        "a0: &a0 {}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 12}]}}\n" for i in range(1, 10)),
        "[" * 100_000,
        "a: " + "x" * 6_000_000,
    ],
)
def test_a_bomb_is_refused_at_once(text):
    start = time.perf_counter()
    tree, report = parsed(text)
    assert (tree, report.errors) == (None, 1)
    assert time.perf_counter() - start < 3


def test_lint_sees_line_ends():
    tree, report = parsed("a: 1  \nb: 2")
    assert found(report) == []
    lint(tree, report)
    assert found(report) == [("S003", 1, 5), ("S004", 2, 5)]
    tree, report = parsed("a: 1\r\nb: 2\r\n")
    lint(tree, report)
    assert found(report) == []


def test_no_text_can_steer_the_terminal():
    _, report = parsed('a: 1\n"\\e[31m": 2\n"\\e[31m": 3\n')
    assert report.errors == 1
    for render in RENDERERS.values():
        assert "\x1b" not in render(report)
