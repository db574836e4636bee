"""Twelve faults of trust: each is one finding with its place, and the twin without it none."""

import os
import random
import subprocess

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from tests.taxonomies import ATTRIBUTION, KNOWLEDGE, read, skill, write

WORDS = [
    f"{a}{b}{c}{d}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrst" for d in ("el", "o")
]
FIRST = "compositional_skills/first/qna.yaml"
SECOND = "compositional_skills/second/qna.yaml"
BESIDE = SECOND.replace("qna.yaml", "attribution.txt")


@pytest.fixture(params=range(3))
def chance(request):
    return random.Random(int(os.environ["TRIVIUM_TEST_SEED"]) + request.param)


def draw(chance, length=9):
    return " ".join(chance.sample(WORDS, length))


def a_skill(chance, by="ada"):
    seeds = [{"question": f"{draw(chance)}?", "answer": f"{draw(chance)}."} for _ in range(5)]
    return skill(created_by=by, seed_examples=seeds)


def a_knowledge(chance):
    """A knowledge leaf that answers from its contexts and pins a document elsewhere."""
    examples = []
    for _ in range(5):
        told = chance.sample(WORDS, 12)
        pairs = [
            {"question": f"What of {told[3 * i]}?", "answer": " ".join(told[3 * i + 1 : 3 * i + 3])}
            for i in range(3)
        ]
        examples.append({"context": " ".join(told), "questions_and_answers": pairs})
    return {
        "version": 3,
        "created_by": "bea",
        "domain": chance.choice(WORDS),
        "document_outline": draw(chance),
        "document": {
            "repo": f"https://example.org/{chance.choice(WORDS)}.git",
            "commit": f"{chance.randrange(16**40):040x}",
            "patterns": [f"{chance.choice(WORDS)}/*.md"],
        },
        "seed_examples": examples,
    }


def a_taxonomy(chance):
    return {
        FIRST: a_skill(chance),
        SECOND: a_skill(chance, "cyd"),
        BESIDE: ATTRIBUTION,
        KNOWLEDGE: a_knowledge(chance),
    }


def pinned_to(*names):
    def fault(files, chance):
        name = chance.choice(names)
        files[KNOWLEDGE]["document"]["commit"] = name
        return "T125", KNOWLEDGE, f"commit: {name}"

    return fault


def attributed(text, shown):
    def fault(files, chance):
        files[BESIDE] = text
        return "T128", BESIDE, shown

    return fault


def told(code, make):
    """A text of a random example gets what `make` draws, in the middle of its words."""

    def fault(files, chance):
        made = make(chance)
        seeds = files[SECOND]["seed_examples"]
        number, key = chance.randrange(5), chance.choice(["question", "answer"])
        words = seeds[number][key].split()
        words.insert(chance.randrange(1, len(words)), made)
        seeds[number][key] = " ".join(words)
        return code, SECOND, made

    return fault


def person(chance):
    host = f"{chance.choice(WORDS)}-{chance.choice(WORDS)}.com"
    card = [4, *(chance.randrange(10) for _ in range(14))]
    doubled = sum(sum(divmod(2 * d, 10)) for d in card[::2]) + sum(card[1::2])
    digits = "".join(map(str, [*card, -doubled % 10]))
    return chance.choice([f"{chance.choice(WORDS)}@{host}", digits, "+49 30 2093 70301"])


def within(characters):
    def make(chance):
        word = chance.choice(WORDS)
        at = chance.randrange(1, len(word))
        return word[:at] + chance.choice(characters) + word[at:]

    return make


def delimiter(chance):
    return chance.choice(["<|im_start|>", "[/INST]", "</answer>", "{{ 7 * 7 }}", "<｜User｜>"])


def copied(code, change):
    """The held-out example of one leaf stands in another."""

    def fault(files, chance):
        held_out = files[FIRST]["seed_examples"][-1]
        number = chance.randrange(5)
        files[SECOND]["seed_examples"][number] = {**held_out, **change}
        return code, SECOND, held_out["question"]

    return fault


FAULTS = {
    "licence missing": attributed("Title of work: x\nCreator names: Ada\n", "Title of work"),
    "licence not commercial": attributed(
        "Title of work: x\nLicense of the work: CC-BY-NC-4.0\n", "CC-BY-NC"
    ),
    "unpinned": pinned_to("main", "master", "HEAD", "b60d0d0"),
    "a tag that can move": pinned_to("v1.2", "release-3", "latest"),
    "personal data": told("T153", person),
    "zero width": told("T132", within("\u200b\u2060\u00ad\u180e")),
    "bidirectional": told("T154", within("\u202e\u202a\u2066\u200f")),
    "delimiter": told("T151", delimiter),
    "duplicate of an evaluation item": copied("T121", {}),
    "contradiction": copied("T133", {"answer": "Something else."}),
}


def line_of(folder, path, shown):
    lines = (folder / path).read_text().split("\n")
    return next(n for n, line in enumerate(lines, 1) if shown in line)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_finding_and_its_clean_twin_none(tmp_path, chance, name):
    files = a_taxonomy(chance)
    assert read(tmp_path, files)[1].diagnostics == ()
    code, path, shown = FAULTS[name](files, chance)
    _, report = read(tmp_path, files)
    found = [(d.code.id, d.span.path, d.span.line) for d in report.diagnostics]
    assert found == [(code, path, line_of(tmp_path, path, shown))]


@pytest.mark.parametrize("share, codes", [(7, ["T155"]), (4, [])])
def test_a_contributor_who_wrote_too_much_is_one_finding(tmp_path, chance, share, codes):
    authors = ["ada"] * share + [f"by{n}" for n in range(24 - share)]
    leaves = [a_skill(chance, by) for by in authors]
    files = {f"compositional_skills/n{n:02}/qna.yaml": leaf for n, leaf in enumerate(leaves)}
    _, report = read(tmp_path, files)
    assert [d.code.id for d in report.diagnostics] == codes
    if codes:
        path = "compositional_skills/n00/qna.yaml"
        (found,) = report.diagnostics
        line = line_of(tmp_path, path, "created_by: ada")
        assert (found.span.path, found.span.line) == (path, line)


@pytest.mark.parametrize("name, codes", [("Bob", ["T156"]), ("Ada", [])])
def test_a_leaf_of_another_author_is_one_finding(tmp_path, chance, monkeypatch, name, codes):
    def git(*words):
        me = ["-c", f"user.name={name}", "-c", f"user.email={name.lower()}@example.org"]
        subprocess.run(["git", *me, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-sm", "base")
    write(tmp_path, {FIRST: a_skill(chance)})
    git("add", "-A")
    git("commit", "-qsm", "a leaf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    words = ["check", "--format", "concise", "--diff", "main~1..main"]
    *found, _ = CliRunner().invoke(app, words).stdout.splitlines()
    line = line_of(tmp_path, FIRST, "created_by: ada")
    assert [(one.split(":")[:2], one.split("[")[1][:4]) for one in found] == [
        ([FIRST, str(line)], code) for code in codes
    ]
