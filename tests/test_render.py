"""Every form of a report: what people read, and what nobody can smuggle in."""

import os
import random
import re
import unicodedata

import pytest

from compiler.codes import S003, T121
from compiler.diagnostics import Note, Report, Span, clean
from compiler.render import RENDERERS
from compiler.render.human import COLOURS, pieces
from tests.conftest import SEED
from tests.reports import faulty, hostile_report, one
from tests.taxonomies import SKILL

FORMS = sorted(RENDERERS)


@pytest.fixture
def chance():
    return random.Random(os.environ[SEED])


@pytest.fixture
def real(tmp_path):
    return faulty(tmp_path)


def control_characters(text):
    return [c for c in text if not (c.isprintable() or c == "\n")]


def commands(text):
    """The lines that a CI's log reader takes for commands, wherever they come from."""
    return [
        line
        for line in text.split("\n")
        if line.lstrip().startswith("::") or re.search(r"##\w*\[", line)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_lets_a_control_character_or_a_command_through(form, chance):
    for _ in range(60):
        report = hostile_report(chance)
        text = RENDERERS[form](report)
        assert control_characters(text) == []
        text.encode()
        found = commands(text)
        if form != "github":
            assert found == []
        else:
            assert found == text.split("\n")
            assert len(found) == len(report.diagnostics)


def test_the_watch_sees_what_it_watches_for(chance):
    def naive(report):
        return "\n".join(f"{d.span and d.span.path}: {d.message}" for d in report.diagnostics)

    texts = [naive(hostile_report(chance)) for _ in range(60)]
    assert any(map(control_characters, texts))
    assert any(map(commands, texts))


def cells(text):
    """How many columns of a terminal `text` takes; counted apart from what the renderer uses."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def marked(text):
    """What stands above the marks of the first excerpt of `text`."""
    line, marks = re.search(r"^ *\d+ \| (.*)\n +\| ( *\^+)", text, re.M).groups()
    start, end = marks.index("^"), len(marks)
    above, at = "", 0
    for c in line:
        above += c if (start <= at < end if cells(c) else start < at <= end) else ""
        at += cells(c)
    return above


def test_the_marks_stand_under_wide_combining_and_tab_characters(chance):
    for _ in range(200):
        units = [
            chance.choice(["a", "b ", "漢", "字", "e\u0301", "\t", "ｶ", "\x1b"]) for _ in range(20)
        ]
        at = chance.randrange(19)
        before, place, after = "".join(units[:at]), "x漢" + units[at] + "y", "".join(units[at:])
        report = one(before + place + after, len(before), len(before + place))
        shown = place.replace("\t", "→   ").replace("\x1b", "\\x1b")
        assert marked(RENDERERS["human"](report)) == shown


def test_a_line_is_cut_around_its_place(chance):
    for _ in range(100):
        before = "".join(chance.choice("abc漢 ") for _ in range(chance.randrange(5000)))
        after = "".join(chance.choice("abc漢 ") for _ in range(chance.randrange(5000)))
        report = one(f"{before}HERE{after}", len(before), len(before) + 4)
        text = RENDERERS["human"](report)
        shown = re.search(r"^ *4 \| (.*)$", text, re.M)[1]
        assert marked(text) == "HERE"
        assert cells(shown) <= 102
        left, right = shown.split("HERE")
        for whole, seen in ((before, left.removeprefix("…")), (after, right.removesuffix("…"))):
            assert (whole == seen) == (seen in (left, right))
            assert seen in whole
            assert cells(seen) >= min(cells(whole), 44)


def test_a_short_line_is_whole_and_a_place_at_its_end_has_a_mark():
    assert "…" not in RENDERERS["human"](one("short", 0, 5))
    end = RENDERERS["human"](one("short", 5, 6))
    assert re.search(r"^ {3}\| {6}\^$", end, re.M)


def test_a_place_of_several_lines_says_to_which():
    blank = "  y\n  z\n\n\n"
    text = RENDERERS["human"](one("- x: |", 2, 0, after=blank, end_line=8))
    assert marked(text) == "x: |"
    assert "^^^^ to line 6\n" in text
    within = RENDERERS["human"](one("- x: |", 2, 0, after=blank, end_line=5))
    assert "to line" not in within
    assert marked(within) == "x: |"


def test_a_second_place_has_its_own_excerpt_in_line_with_the_first():
    report = Report(texts={"q.yaml": "a: 1\n" * 2000})
    notes = [Note("first here", Span("q.yaml", 2, 1, 2, 2))]
    report.add(T121, "twice", Span("q.yaml", 1234, 1, 1234, 2), "keep one", notes)
    text = RENDERERS["human"](report)
    assert re.findall(r"^ *(\d+) \| a: 1$", text, re.M) == ["1234", "2"]
    assert len(set(re.findall(r"^( *\d* )\|", text, re.M))) == 3
    assert {len(gap) for gap in re.findall(r"^( *\d* )[|=]", text, re.M)} == {5}
    assert text.index("first here") < text.index("   2 | a: 1") < text.index("help: keep one")


def test_colour_is_beside_the_text_and_not_in_it(real):
    parts = list(pieces(real))
    assert "".join(text for text, _ in parts) == RENDERERS["human"](real)
    heads = [(text, style) for text, style in parts if re.match(r"(error|warning)\[", text)]
    assert len(heads) == len(real.diagnostics)
    for (text, style), found in zip(heads, real.diagnostics, strict=True):
        assert (text, style) == (f"{found.severity}[{found.code.id}]", COLOURS[found.severity])
    assert all(
        "^" in text for text, style in parts if style in COLOURS.values() and "[" not in text
    )


@pytest.mark.parametrize("path", ["::add-mask::x/qna.yaml", " ::x/qna.yaml", ":"])
def test_a_path_that_looks_like_a_command_is_none(path):
    report = Report()
    report.add(T121, "copied", Span(path, 3, 1, 3, 2))
    text = RENDERERS["concise"](report)
    assert commands(f"{path}:3:1: copied")
    assert commands(text) == []
    assert f"{path}:3:1: " in text


def test_concise_is_a_line_each_and_the_count(real):
    *lines, last = RENDERERS["concise"](real).split("\n")
    form = re.compile(r"(.+?):(\d+):(\d+): (error|warning)\[(\w+)\] ([\w-]+): (.+)")
    told = [form.fullmatch(line).groups() for line in lines]
    assert told == [
        (
            d.span.path,
            str(d.span.line),
            str(d.span.column),
            str(d.severity),
            d.code.id,
            d.code.name,
            clean(d.message),
        )
        for d in real.diagnostics
    ]
    assert last == f"checked {len(real.files)} leaf files: " + ", ".join(
        f"{n} {word}" + "s" * (n != 1)
        for n, word in ((real.errors, "error"), (real.warnings, "warning"))
    )


def test_paths_and_texts_are_those_of_the_report_it_was_moved_to(real):
    moved = real.under("taxonomy")
    for form in FORMS:
        assert f"taxonomy/{SKILL}" in RENDERERS[form](moved)
    assert RENDERERS["human"](moved).count("^") == RENDERERS["human"](real).count("^") > 0


def test_white_space_at_the_end_of_a_line_is_marked_where_it_is():
    report = one("a: b \t", 4, 6, code=S003)
    assert marked(RENDERERS["human"](report)) == " →   "
