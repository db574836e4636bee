"""What no schema can say: one clean leaf, one change, one finding."""

import time

import pytest

from compiler.check import CHECKS, CHECKS_OVER_ALL
from compiler.codes import CATALOGUE
from compiler.diagnostics import Policy
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, said, skill

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
        {SKILL: skill(), KNOWLEDGE: asked(knowledge(), 0, 0, question=FIRST["question"])},
        ["T121"],
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
    "dots in a name": ({KNOWLEDGE: pinned(patterns=["documents/robin.md", "a..b.md"])}, []),
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
    "right to left": ({SKILL: seed(skill(), 0, answer="spoon\u202e")}, ["T132"]),
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


def test_there_is_a_check_for_every_code():
    told = {str(check.__doc__)[:4] for check in (*CHECKS, *CHECKS_OVER_ALL)}
    assert told == {code for code in CATALOGUE if "T120" <= code <= "T134"}


def test_an_escape_in_quotes_is_seen_too(tmp_path):
    pair = r'{question: a, answer: "b\u200b"}'
    text = f"created_by: ada\ntask_description: x\nseed_examples:\n- {pair}\n"
    assert said(read(tmp_path, {SKILL: text})[1]) == [("T132", 4)]


def test_a_policy_raises_and_allows(tmp_path):
    files = {SKILL: seed(skill(), 0, answer="Answer 1"), "knowledge/X/qna.yaml": knowledge()}
    policy = Policy(raised=(("placeholder-text", ()),), allowed=(("T130", ("knowledge/*",)),))
    taxonomy, report = read(tmp_path, files, policy=policy)
    assert [(d.code.id, str(d.severity)) for d in report.diagnostics] == [("T129", "error")]
    assert [leaf.path for leaf in taxonomy.leaves] == ["knowledge/X"]


def test_one_bad_leaf_does_not_stop_the_others(tmp_path):
    taxonomy, report = read(tmp_path, {SKILL: "a: 'b", KNOWLEDGE: knowledge()})
    assert [leaf.file for leaf in taxonomy.leaves] == [KNOWLEDGE]
    assert (report.files, report.errors) == (2, 1)


def test_many_leaves_are_read_in_seconds(tmp_path):
    files = {}
    for n in range(300):
        leaf = skill()
        for i, example in enumerate(leaf["seed_examples"]):
            example["question"] = f"What rhymes with {n} and {i}?"
        files[f"compositional_skills/n{n}/qna.yaml"] = leaf
    start = time.perf_counter()
    taxonomy, report = read(tmp_path, files)
    assert time.perf_counter() - start < 6
    assert (len(taxonomy.leaves), report.diagnostics) == (300, ())
