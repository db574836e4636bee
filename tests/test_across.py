"""Checks over several leaves: copies, near duplicates, contradictions, a contributor's share."""

import os
import random

import pytest

from tests.taxonomies import read, said, skill

SEED = int(os.environ["TRIVIUM_TEST_SEED"])
WORDS = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrst"]


def leaf(questions, by="ada"):
    """A skill that asks these questions."""
    pairs = [{"question": q, "answer": f"It is {q[::-1]}."} for q in questions]
    return skill(created_by=by, seed_examples=pairs)


def draw(chance, length=14):
    return " ".join(chance.sample(WORDS, length))


def one(n):
    return f"compositional_skills/n{n}/qna.yaml"


@pytest.fixture
def chance():
    return random.Random(SEED)


def test_a_copied_leaf_is_one_finding_with_its_share(tmp_path, chance):
    questions = [draw(chance) for _ in range(5)]
    copies = leaf([q.upper() + " ?" for q in questions[:4]] + [draw(chance)])
    for copy, first in zip(copies["seed_examples"], questions, strict=False):
        copy["answer"] = f"It is {first[::-1]}."
    _, report = read(tmp_path, {one(1): leaf(questions), one(2): copies})
    (found,) = report.diagnostics
    assert (found.code.id, found.span.path) == ("T121", one(2))
    assert found.message == "4 of 5 questions are those of `compositional_skills/n1`"
    assert found.notes[0].span.path == one(1)


@pytest.mark.parametrize("changed, codes", [(1, ["T135"]), (6, [])])
def test_almost_the_same_question_is_found_and_another_is_not(tmp_path, chance, changed, codes):
    question = draw(chance, 24)
    words = question.split()
    for at in chance.sample(range(0, 24, 4), changed):
        words[at] = "zebra"
    others = [draw(chance) for _ in range(8)]
    files = {
        one(1): leaf([question, *others[:4]]),
        one(2): leaf([*others[4:], " ".join(words)]),
    }
    assert [code for code, _ in said(read(tmp_path, files)[1])] == codes


def test_within_a_leaf_too(tmp_path, chance):
    question = draw(chance, 24)
    near = " ".join([*question.split()[:-1], "zebra"])
    questions = [question, *(draw(chance) for _ in range(3)), near]
    (found,) = read(tmp_path, {one(1): leaf(questions)})[1].diagnostics
    assert (found.code.id, found.message) == ("T135", "this is almost a question of this leaf")


def test_another_number_is_another_question(tmp_path, chance):
    text = draw(chance, 20)
    questions = [f"{text} {n}" for n in range(5)]
    assert read(tmp_path, {one(1): leaf(questions)})[1].diagnostics == ()


def test_every_near_duplicate_of_many_is_found(tmp_path, chance):
    """As brute force finds them: the index looks at a few pairs of words only."""
    questions = [draw(chance, chance.randrange(12, 30)) for _ in range(60)]
    copies = set(chance.sample(range(60), 20))
    files = {}
    for n, question in enumerate(questions):
        files[one(f"a{n:02}")] = leaf([question, *(draw(chance) for _ in range(4))])
        if n in copies:
            near = [*question.split()[:-1], "zebra"]
            files[one(f"b{n:02}")] = leaf([" ".join(near), *(draw(chance) for _ in range(4))])
    found = read(tmp_path, files)[1].diagnostics
    assert {d.code.id for d in found} == {"T135"}
    assert {d.span.path for d in found} == {one(f"b{n:02}") for n in copies}


def branch(chance, people):
    """A leaf of each of `people`."""
    return {
        one(f"{n:02}"): leaf([draw(chance) for _ in range(5)], by) for n, by in enumerate(people)
    }


@pytest.mark.parametrize(
    "ours, codes",
    [(6, ["T155"]), (5, [])],
)
def test_a_contributor_with_too_much_of_a_branch(tmp_path, chance, ours, codes):
    people = ["Ada", "ada"] * (ours // 2) + ["ada"] * (ours % 2)
    people += [f"p{n % 7}" for n in range(20 - ours)]
    found = read(tmp_path, branch(chance, people))[1].diagnostics
    assert [d.code.id for d in found] == codes
    if codes:
        assert found[0].message == (
            "`Ada` wrote 6 of the 20 leaves of `compositional_skills`, more than 25%"
        )
        assert (found[0].span.path, found[0].span.line) == (one("00"), 2)


def test_a_small_branch_or_few_people_are_let_be(tmp_path, chance):
    assert read(tmp_path / "a", branch(chance, ["ada"] * 19))[1].diagnostics == ()
    three = ["ada"] * 14 + ["bob", "eve"] * 3
    assert read(tmp_path / "b", branch(chance, three))[1].diagnostics == ()
