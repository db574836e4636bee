"""YAML text to values with places; what a hostile file can do."""

import os
import random
import re

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


def test_what_is_merged_stands_where_it_was_written():
    text = "base: &b {a: 1, c: 2}\nmore:\n  <<: *b\n  a: 3\n"
    tree, _ = parsed(text)
    assert tree.value == yaml.safe_load(text)
    assert tree.key_span(("more", "a")).line == 4
    assert (tree.span(("more", "c")).line, tree.span(("more", "c")).column) == (1, 20)


def every_path(value, at=()):
    yield at, value
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from every_path(part, (*at, key))


def standing_at(text, span):
    """What stands in `text` at a place."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    start, end = starts[span.line - 1] + span.column, starts[span.end_line - 1] + span.end_column
    return text[start - 1 : end - 1]


@pytest.mark.parametrize("seed", range(10))
def test_every_place_holds_its_value(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    value = {"top": [some_value(draw) for _ in range(4)], "more": some_value(draw)}
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10_000)
    tree, _ = parsed(text)
    for path, part in every_path(value):
        assert yaml.safe_load(standing_at(text, tree.span(path))) == part
        if path and isinstance(path[-1], str):
            assert yaml.safe_load(standing_at(text, tree.key_span(path))) == path[-1]


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
        ("a:\n\tb: 1\n", ("S001", 2, 1)),
        ("a: {b: what?, c: d}\n", ("S001", 1, 12)),
        ("a: |# b\n  c\n", ("S001", 1, 5)),
        ("\ufeff\ufeffa: 1\n", ("S001", 1, 1)),
        ('a: "\\ud83d"\n', ("S001", 1, 5)),
        ("a: x\x07\n", ("S001", 1, 5)),
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
        ("[]\n", ("S006", 1, 1)),
        ("0\n", ("S006", 1, 1)),
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
    "text, value",
    [
        ("a: [k:]\n", {"a": [{"k": None}]}),
        ('a: "\\ud83d\\ude00"\n', {"a": "\U0001f600"}),
        ("a: |\n  \tx\n", {"a": "\tx\n"}),
        ("a: 'x\ty' # \t\nb: |  # \t\n  \tc\td\n", {"a": "x\ty", "b": "\tc\td\n"}),
        ("a: {b: 'what?'}\nc: d? [e\n", {"a": {"b": "what?"}, "c": "d? [e"}),
        ("\ufeffa: x\ufeffy\n", {"a": "x\ufeffy"}),
        ("%YAML 1.0\n---\na: b\n", {"a": "b"}),
    ],
)
def test_what_the_formats_own_parser_reads_is_read(text, value):
    tree, report = parsed(text)
    assert (tree.value, report.diagnostics) == (value, ())


PIECES = """a|b:~|-~|'x'|"y"|#|k:|[|]|{|}|,|?|é|-|:|1|"|'|k?|?~|&|%|~|~~|:~|,~|~#|x~y|!!str~|<<:~"""
PIECES = [
    *PIECES.replace("~", " ").split("|"),
    *("|\n", ">-\n", "\n", "\n", "\n  t\n", "---\n", "\r", "\r\n", "\t", "\u2028", "\x85", "~"),
]


def own_verdict(text):
    """What PyYAML's own parser makes of a text; None where it refuses."""
    try:
        return [yaml.safe_load(text)]
    except (yaml.YAMLError, ValueError):
        return None


@pytest.mark.parametrize("seed", range(10))
def test_a_text_is_yaml_where_the_formats_own_parser_says_so(seed):
    draw = random.Random(f"{os.environ['TRIVIUM_TEST_SEED']}-{seed}")
    accepted = 0
    for _ in range(200):
        text = draw.choice(["a: ", "a:\n  ", "a: {", "a: [", "a: 'b "])
        text += "".join(draw.choices(PIECES, k=draw.randint(1, 9)))
        if re.search(r"\?\s*\]", text):
            continue  # an empty key in a list, which libyaml refuses
        tree, report = parsed(text)
        ours = {d.code.id for d in report.diagnostics} - {"S002", "S006", "S007"}
        theirs = own_verdict(text)
        assert (theirs is None) == bool(ours), text
        if tree and theirs:
            accepted += 1
            assert tree.value == theirs[0], text
    assert accepted


EXPLAINED = [
    ("a: b: c\n", 1, 5, "second `: `", "in quotes, or under `|`"),
    ("a: “b: c”\n", 1, 6, "second `: `", "straight quotes"),
    (
        "question: x\n  answer: y\n",
        2,
        3,
        "`answer` is indented deeper",
        "indent of the keys beside",
    ),
    ("- question: x\n   answer: y\n", 2, 4, "deeper", "put 2 spaces before it, like `question`"),
    ("a:\n- question: x\n answer: y\n", 3, 2, "its indent fits none", "put 2 spaces before it"),
    (
        "a:\n  - b: x\n - c: y\n",
        3,
        2,
        "this item stands under no list",
        "put 2 spaces before its `-`",
    ),
    ("answer:yes\nquestion: x\n", 1, 7, "no space after the colon of `answer`", "`answer: `"),
    ("a:\n  - b: c\n  -question: d\n    answer: e\n", 3, 3, "no space after the dash", "`- `"),
    ("created_by: ada\nseed_examples\n  - a: b\n", 2, 1, "no colon after `seed_examples`", ""),
    ("a: |\nb c\n", 2, 1, "text under `a` is not indented", "put 2 spaces before it"),
    ("a:\n  b: |\n    c\n  d\n", 4, 3, "text under `b` has lost its indent", "put 4 spaces"),
    ("a: | b\n", 1, 6, "text on the line of a `|`", "on the next line, indented, or delete"),
    ("a: >b\n", 1, 5, "text on the line of a `>`", "delete the `>`"),
    ("a:\n\tb: c\n", 2, 1, "a tab in the indent", "with spaces only"),
    ("a: b\tc\n", 1, 5, "a tab in plain text", "type a space"),
    ("a: @b\n", 1, 4, "cannot start with `@`", "in quotes"),
    ("a: `b`\n", 1, 4, "cannot start with a backtick", "in quotes"),
    ("a: %b\n", 1, 4, "cannot start with `%`", "in quotes"),
    ("a: *b* c\n", 1, 4, "cannot start with `*`", "in quotes"),
    ("a: **b**\n", 1, 4, "cannot start with `*`", "in quotes"),
    ("a:\n  * b\n", 2, 3, "cannot start with `*`", "start an item of a list with `- `"),
    ("a: & b\n", 1, 4, "cannot start with `&`", "in quotes"),
    ("a: !b c\n", 1, 4, "cannot start with `!`", "in quotes"),
    ("a: 'b\nc: d\n", 1, 4, "this quote is never closed", "`''`"),
    ("a: 'b''\nc: d\n", 1, 6, "not closed by `''`", "delete one of the two"),
    ("a: 'it's'\n", 1, 7, "closed here, but the text goes on", "`''` for an apostrophe"),
    ('a: "b" c\n', 1, 6, "closed here, but the text goes on", '`\\"`'),
    ('a: "C:\\path"\n', 1, 7, "`\\p` is no escape", "single quotes"),
    ("a: [b] c\n", 1, 4, "starts with a bracket", "in quotes"),
    ("a: {b}, c\n", 1, 4, "starts with a bracket", "in quotes"),
    ("a: [b\nc: d\n", 1, 4, "bracket is never closed", "in quotes"),
    ("a: {b: c?, d: e}\n", 1, 9, "a `?` in a plain text inside brackets", "in quotes"),
    ("a: b\n---\nc: d\n", 2, 1, "a second YAML document", "keep one leaf"),
    ("a: - b\n", 1, 4, "a list cannot start", "on the next line"),
    ("a: 2023-02-30\n", 1, 4, "is not a possible value", "in quotes"),
    ("a: b\nc d\n", 2, 1, "neither a key nor part of a text", "colon and a space"),
    ("a: b\x07\n", 1, 5, "a control character, U+0007", "delete it"),
]


@pytest.mark.parametrize("text, line, column, message, hint", EXPLAINED)
def test_a_syntax_error_is_explained(text, line, column, message, hint):
    (found,) = parsed(text)[1].diagnostics
    assert (found.code.id, found.span.line, found.span.column) == ("S001", line, column)
    assert message in found.message
    assert hint in found.hint


def test_lint_sees_line_ends():
    tree, report = parsed("a: 1  \nb: 2")
    assert found(report) == []
    lint(tree, report)
    assert found(report) == [("S003", 1, 5), ("S004", 2, 5)]
    tree, report = parsed("a: 1\r\nb: 2\r\n")
    lint(tree, report)
    assert found(report) == []


def test_the_format_of_a_text_under_lint_may_be_switched_off_by_a_comment():
    off = "# yamllint disable-line rule:trailing-spaces\n"
    text = "a: 1\na: 2 \nb: 3 \n# yamllint enable rule:trailing-spaces\nc: 4 "
    for head, expected in (
        ("", ["S002", "S003", "S003", "S003", "S004"]),
        ("# yamllint disable rule:trailing-spaces\n", ["S002", "S003", "S004"]),
        ("# yamllint disable\n", ["S003", "s002"]),
        ("# yamllint disable rule:key-duplicates\n", ["S003", "S003", "S003", "S004", "s002"]),
        ("# yamllint disable-file\n", ["s002"]),
        ("# yamllint disables\n", ["S002", "S003", "S003", "S003", "S004"]),
        ("x: '# yamllint disable'\n", ["S002", "S003", "S003", "S003", "S004"]),
    ):
        tree, report = parsed(head + text)
        lint(tree, report)
        said = [d.code.id if d.severity == "error" else "s002" for d in report.diagnostics]
        assert sorted(said) == expected, head
    for comment, lines in (
        (off + "b: 2 \n", [1, 4]),
        (f"b: 2  {off}", [1, 3]),
        ("b: 2 \n", [1, 2, 3]),
    ):
        tree, report = parsed(f"a: 1 \n{comment}c: 3 \n")
        lint(tree, report)
        assert [line for _, line, _ in found(report)] == lines


def test_lines_without_end_are_counted():
    tree, report = parsed("a: 1\n" + "# b \n" * 5000)
    lint(tree, report)
    assert len(report.diagnostics) == 101
    assert report.diagnostics[-1].message == "4,900 more lines end in white space"


def test_no_text_can_steer_the_terminal():
    _, report = parsed('a: 1\n"\\e[31m": 2\n"\\e[31m": 3\n')
    assert report.errors == 1
    for render in RENDERERS.values():
        assert "\x1b" not in render(report)
