"""What no schema can say: one clean leaf, one change, one finding."""

import os
import subprocess

import pytest

from compiler.diagnostics import Policy, Report
from compiler.front import read_checked
from compiler.render import RENDERERS
from compiler.source import WorkTree
from compiler.source.revision import Revision
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, said, skill, write

BESIDE = SKILL.replace("qna.yaml", "attribution.txt")


def seed(leaf, number, **changes):
    leaf["seed_examples"][number].update(changes)
    return leaf


def asked(leaf, context, number, **changes):
    leaf["seed_examples"][context]["questions_and_answers"][number].update(changes)
    return leaf


def more(leaf, count):
    pairs = leaf["seed_examples"][0]["questions_and_answers"]
    pairs += [{"question": f"More {n}?", "answer": f"{n}."} for n in range(count)]
    return leaf


def pinned(**changes):
    leaf = knowledge()
    leaf["document"].update(changes)
    return leaf


FULL = "0123456789abcdef0123456789abcdef01234567"
ELSEWHERE = {"repo": "https://example.org/x", "patterns": ["a.md"]}
FIRST = skill()["seed_examples"][0]
CASES = {
    "clean skill": ({SKILL: skill()}, []),
    "clean knowledge": ({KNOWLEDGE: knowledge()}, []),
    "same again": (
        {SKILL: seed(skill(), 3, question=FIRST["question"].upper(), answer=FIRST["answer"] + " ")},
        ["T120"],
    ),
    "another answer": ({SKILL: seed(skill(), 3, question=FIRST["question"])}, ["T133"]),
    "copied": (
        {SKILL: skill(), KNOWLEDGE: asked(knowledge(), 0, 0, **FIRST)},
        ["T121"],
    ),
    "answered otherwise elsewhere": (
        {SKILL: skill(), KNOWLEDGE: asked(knowledge(), 0, 0, question=FIRST["question"])},
        ["T133"],
    ),
    "not in the document": (
        {KNOWLEDGE: seed(knowledge(), 2, context="Sparrows live in towns and eat bread.")},
        ["T122"],
    ),
    "in the document but for markup": (
        {
            KNOWLEDGE: seed(
                knowledge(), 2, context="robins of kind 3 eat\n[worms](x),  SING at dawn"
            )
        },
        [],
    ),
    "elsewhere it is not looked up": (
        {KNOWLEDGE: seed(pinned(**ELSEWHERE, commit=FULL), 2, context="Sparrows live in towns.")},
        [],
    ),
    "long answer": ({SKILL: seed(skill(), 0, answer="a " * 251)}, ["T123"]),
    "answer of the limit": ({SKILL: seed(skill(), 0, answer="a " * 250)}, []),
    "one context": ({SKILL: seed(skill(), 2, context="A poem.")}, ["T124"]),
    "a branch": ({KNOWLEDGE: pinned(**ELSEWHERE, commit="main")}, ["T125"]),
    "a short hash": ({KNOWLEDGE: pinned(**ELSEWHERE, commit=FULL[:10])}, ["T125"]),
    "a full hash": ({KNOWLEDGE: pinned(**ELSEWHERE, commit=FULL)}, []),
    "climbing": ({KNOWLEDGE: pinned(patterns=["documents/robin.md", "a/../../x.md"])}, ["T126"]),
    "absolute": ({KNOWLEDGE: pinned(patterns=["documents/robin.md", "/etc/x.md"])}, ["T126"]),
    "dots in a name": (
        {KNOWLEDGE: pinned(patterns=["documents/robin.md", "a..b.md"]), "a..b.md": "A robin."},
        [],
    ),
    "empty attribution": ({SKILL: skill(), BESIDE: " \n"}, ["T127"]),
    "attribution of version 1": ({SKILL: skill(version=1), BESIDE: ""}, []),
    "licence": ({SKILL: skill(), BESIDE: "License of the work: CC BY-NC-SA 4.0\n"}, ["T128"]),
    "licence in words": ({SKILL: skill(), BESIDE: "License of the work: cc by 4.0\n"}, []),
    "no licence": ({SKILL: skill(), BESIDE: "Title of work: x\n"}, ["T128"]),
    "template": ({SKILL: seed(skill(), 0, question="<your question>")}, ["T129"]),
    "numbered": ({SKILL: seed(skill(), 0, answer="Answer 1")}, ["T129"]),
    "markup": ({SKILL: seed(skill(), 0, answer="Write <title>Your page</title>.")}, []),
    "to do": ({SKILL: skill(task_description="TODO")}, ["T129"]),
    "a list of things to do": ({SKILL: skill(task_description="Write a todo list.")}, []),
    "capitals": ({"compositional_skills/My rhymes/qna.yaml": skill()}, ["T130"]),
    "blank": ({SKILL: seed(skill(), 0, answer=" \n ")}, ["T131"]),
    "zero width": ({SKILL: seed(skill(), 0, answer="spo\u200bon")}, ["T132"]),
    "right to left": ({SKILL: seed(skill(), 0, answer="spoon\u202e")}, ["T154"]),
    "a row of selectors": ({SKILL: seed(skill(), 0, answer="spoon\ufe0e\ufe0e\ufe0f")}, ["T132"]),
    "one selector": ({SKILL: seed(skill(), 0, answer="sun \u2600\ufe0f")}, []),
    "emoji of a family": ({SKILL: seed(skill(), 0, answer="\U0001f469\u200d\U0001f467")}, []),
    "persian": (
        {SKILL: seed(skill(), 0, answer="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")},
        [],
    ),
    "five questions": ({KNOWLEDGE: more(knowledge(), 2)}, ["T134"]),
    "four questions": ({KNOWLEDGE: more(knowledge(), 1)}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_found_and_nothing_else(tmp_path, name):
    files, expected = CASES[name]
    taxonomy, report = read(tmp_path, files)
    assert [d.code.id for d in report.diagnostics] == expected
    if not report.errors:
        assert len(taxonomy.leaves) == sum(path.endswith("qna.yaml") for path in files)


def test_an_escape_in_quotes_is_seen_too(tmp_path):
    pair = r'{question: a, answer: "b\u200b"}'
    text = f"created_by: ada\ntask_description: x\nseed_examples:\n- {pair}\n"
    assert said(read(tmp_path, {SKILL: text})[1]) == [("T132", 4)]


CONTROLS = [*"\x01\x0b\x0c\x1b\x7f\x80\x85\x9f", *"\u2028\u2029\u115f\u3164\ufeff", "\r"]


@pytest.mark.parametrize("character", CONTROLS, ids=ascii)
def test_no_control_character_is_overlooked(tmp_path, character):
    escape = f'"b\\u{ord(character):04x}c"'
    head = "created_by: ada\ntask_description: x\nseed_examples:\n"
    text = f"{head}- {{question: a, answer: {escape}}}\n"
    assert said(read(tmp_path, {SKILL: text})[1]) == [("T132", 4)]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"], ids=ascii)
def test_a_line_end_of_another_kind_is_seen_in_the_text(tmp_path, character):
    head = "created_by: ada\ntask_description: x\nseed_examples:\n"
    text = f"{head}- question: a\n  answer: b{character}    c\n"
    assert ("T132", 5) in said(read(tmp_path, {SKILL: text})[1])


def test_a_policy_raises_and_allows(tmp_path):
    files = {SKILL: seed(skill(), 0, answer="Answer 1"), "knowledge/X/qna.yaml": knowledge()}
    policy = Policy(raised=(("placeholder-text", ()),), allowed=(("T130", ("knowledge/*",)),))
    taxonomy, report = read(tmp_path, files, policy=policy)
    assert [(d.code.id, str(d.severity)) for d in report.diagnostics] == [("T129", "error")]
    assert [leaf.path for leaf in taxonomy.leaves] == ["knowledge/X"]


def test_one_bad_leaf_does_not_stop_the_others(tmp_path):
    taxonomy, report = read(tmp_path, {SKILL: "a: 'b", KNOWLEDGE: knowledge()})
    assert [leaf.file for leaf in taxonomy.leaves] == [KNOWLEDGE]
    assert (len(report.files), report.errors) == (2, 1)


def rhymes(n):
    leaf = skill()
    for i, example in enumerate(leaf["seed_examples"]):
        example["question"] = f"What rhymes with {n} and {i}?"
    return leaf


@pytest.mark.parametrize("named", ["compositional_skills/a", "compositional_skills/c/qna.yaml"])
def test_a_named_leaf_is_compared_with_all_others(tmp_path, named):
    files = {f"compositional_skills/{name}/qna.yaml": rhymes(name) for name in "abcd"}
    copy, answer = rhymes("copy")["seed_examples"][0].values()
    seed(files["compositional_skills/a/qna.yaml"], 1, question=copy, answer=answer)
    seed(files["compositional_skills/b/qna.yaml"], 0, answer="<your answer>")
    seed(files["compositional_skills/c/qna.yaml"], 2, question=copy.upper() + "\n ", answer=answer)
    files["compositional_skills/e/qna.yaml"] = "a: 'b"
    taxonomy, report = read(tmp_path, files, only=[named])
    (found,) = report.diagnostics
    assert (found.code.id, len(report.files), len(taxonomy.leaves)) == ("T121", 1, 1)
    assert found.span.path.startswith(named)
    assert read(tmp_path, only=["compositional_skills/d"])[1].diagnostics == ()


LEFT = "compositional_skills/left/qna.yaml"


def link(path):
    path.parent.mkdir()
    path.symlink_to("../rhyme/qna.yaml")


def link_folder(path):
    path.parent.symlink_to("rhyme")


def folder(path):
    path.mkdir(parents=True)


def pipe(path):
    path.parent.mkdir()
    os.mkfifo(path)


def latin(path):
    other = path.parent.parent / os.fsdecode(b"caf\xe9")
    other.mkdir()
    (other / "qna.yaml").write_text("created_by: ada\n")


@pytest.mark.parametrize(
    "make, path, severity",
    [
        (link, LEFT, "warning"),
        (link_folder, "compositional_skills/left/", "warning"),
        (folder, LEFT, "error"),
        (pipe, LEFT, "error"),
        (latin, "compositional_skills/caf\ufffd/qna.yaml", "error"),
    ],
)
def test_a_leaf_that_cannot_be_read_is_said_and_the_others_go_on(tmp_path, make, path, severity):
    write(tmp_path, {SKILL: skill()})
    make(tmp_path / LEFT)
    taxonomy, report = read(tmp_path)
    assert [leaf.file for leaf in taxonomy.leaves] == [SKILL]
    assert [(d.code.id, d.severity, d.span.path) for d in report.diagnostics] == [
        ("S009", severity, path)
    ]
    for render in RENDERERS.values():
        assert render(report).encode()
    assert read(tmp_path, only=["compositional_skills/rhyme"])[1].diagnostics == ()
    assert said(read(tmp_path, only=[path.removesuffix("/")])[1]) == [("S009", 1)]


def test_what_one_may_not_read_is_said(tmp_path, monkeypatch):
    write(tmp_path, {SKILL: skill(), KNOWLEDGE: knowledge(), LEFT: skill()})
    (tmp_path / "locked").mkdir()
    scan, may = os.scandir, os.access

    def refuse(path):
        if str(path).rstrip("/").endswith(("knowledge/birds", "/locked")):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda path, how: "left" not in str(path) and may(path, how))
    taxonomy, report = read(tmp_path)
    assert [leaf.file for leaf in taxonomy.leaves] == [SKILL]
    assert [(d.code.id, d.message) for d in report.diagnostics] == [
        ("S009", f"`{LEFT}` cannot be read: permission denied"),
        ("S009", "`knowledge/birds/` cannot be read: permission denied"),
    ]


def test_a_file_that_breaks_while_it_is_read_is_said(tmp_path, monkeypatch):
    write(tmp_path, {SKILL: skill(), KNOWLEDGE: knowledge(), LEFT: rhymes(1)})
    whole = WorkTree.read

    def broken(self, path):
        if path in (LEFT, BESIDE):
            raise OSError(5, "Input/output error")
        return whole(self, path)

    monkeypatch.setattr(WorkTree, "read", broken)
    taxonomy, report = read(tmp_path)
    assert [leaf.file for leaf in taxonomy.leaves] == [SKILL, KNOWLEDGE]
    assert {d.span.path for d in report.diagnostics if d.code.id == "S009"} == {LEFT, BESIDE}


def test_a_revision_says_what_the_work_tree_says(tmp_path):
    write(tmp_path, {SKILL: skill(), KNOWLEDGE: knowledge()})
    link(tmp_path / LEFT)
    (tmp_path / "knowledge" / "more").symlink_to("birds")
    latin(tmp_path / LEFT)
    for words in (["init", "-q"], ["add", "-A"], [*ME, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    reports = Report(), Report()
    for source, report in zip(
        (WorkTree(tmp_path), Revision(tmp_path, "HEAD")), reports, strict=True
    ):
        read_checked(source, report)
    assert reports[0].diagnostics == reports[1].diagnostics
    assert len(reports[0].diagnostics) == 3


ME = ["-c", "user.name=t", "-c", "user.email=t@t"]
