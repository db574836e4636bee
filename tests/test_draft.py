"""The text of a new leaf: whatever an author says is read as it was said, and easy to edit."""

import os
import random
import re

from compiler.diagnostics import Report
from compiler.draft.text import Draft, Example, Work, attribution_text, leaf_text
from compiler.leaf import licences
from compiler.source import SourceFile
from compiler.tree import lint, parse
from tests.conftest import SEED

WREN = "knowledge/birds/wren"
GAP = re.compile(r"<[^<>\n]+>")

NASTY = [
    "yes", "null", "~", "3", "1e3", "0x1f", "2024-03-05", "12:30", "=", "<<", "", " ", "\t", "\n",
    "- a", "? a", "a: b", "a #b", "#a", "@a", "`a`", "%a", "&a", "*a", "!a", "|", ">", "{a}", "[a]",
    "'", '"', '"a"', "it's", "a\\b", "\\", "a\tb", "\ta", "a\t", " a", "a ", "a\nb", "a\n", "\na",
    "a\n\nb", "a \nb", "a\n b", "  a\nb", "a\r\nb", "a\rb", "---", "...", "---\na", "a\n---\nb",
    "\x00", "\x07", "\x7f", "\x85", "\xa0", "a\x85b", "\u2028", "a\u2029b", "\ufeff", "\ufeffa",
    "\u202eabc", "é", "日本語", "😀", "\U0010ffff", "\ufffe", "\uffff", "{{ x }}", "x" * 5000,
    "word " * 60 + "end", "a" * 80 + '"', "# yaml-language-server: $schema=x", "a:", ":a", "a\n\tb",
]  # fmt: skip


def random_text(draw):
    letters = "ab \n\t:-#'\"\\{}[]|>&*!%@`,?.0123é日😀\u2028\x85\xa0\x00"
    if draw.random() < 0.3:
        points = [draw.randrange(0x110000) for _ in range(draw.randrange(8))]
        return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)
    return "".join(draw.choice(letters) for _ in range(draw.choice([1, 5, 30, 200])))


def test_every_text_is_read_as_it_was_given():
    draw = random.Random(os.environ[SEED])
    many = [*NASTY, *(random_text(draw) for _ in range(400))]
    for text in many:
        others = [draw.choice(many) for _ in range(4)]
        example = Example(text, others[0], others[1])
        for draft in (
            Draft(WREN, text, "", others[2], text, others[3], text, (text,), (example,)),
            Draft("compositional_skills/x", text, others[2], examples=(example,)),
        ):
            report = Report()
            tree = parse(SourceFile("x/qna.yaml", leaf_text(draft, "x").encode()), report)
            assert tree is not None, (text, report.diagnostics)
            lint(tree, report)
            assert not report.diagnostics, text
            assert holds(tree.value, draft, example), repr(text)


def holds(value, draft, example):
    """Whether a leaf says what its draft says; what is "" there is a gap here."""

    def same(said, meant):
        return said == meant or (not meant and GAP.search(said))

    seed = value["seed_examples"][0]
    pair = seed["questions_and_answers"][0] if draft.is_knowledge else seed
    checks = [
        same(value["created_by"], draft.created_by),
        pair["question"] == example.question,
        pair["answer"] == example.answer,
        seed.get("context", "") == example.context,
    ]
    if draft.is_knowledge:
        checks += [
            same(value["document_outline"], draft.outline),
            same(value["domain"], draft.domain),
            value["document"]["patterns"] == list(draft.patterns),
            value["document"]["repo"] == (draft.repo or "."),
        ]
    else:
        checks.append(same(value["task_description"], draft.task))
    return all(checks)


def test_a_long_text_is_easy_to_edit():
    text = 'A "long" text: with lines\n\n  - and more \\ of it #1\nthe end'
    draft = Draft("compositional_skills/x", "ada", "x", examples=(Example("Short: q?", text),))
    assert leaf_text(draft) == (
        "version: 3\n"
        'created_by: "ada"\n'
        'task_description: "x"\n'
        "seed_examples:\n"
        '  - question: "Short: q?"\n'
        "    answer: |-\n"
        '      A "long" text: with lines\n'
        "\n"
        "        - and more \\ of it #1\n"
        "      the end\n"
    )


def test_an_attribution_is_read_back():
    assert licences(attribution_text(Work("a", "b", "CC-BY-4.0", "c"))) == ("CC-BY-4.0",)
