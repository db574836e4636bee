"""What a checked tree means."""

import pytest

from compiler.leaf import KnowledgeLeaf, SkillLeaf, licences, said, words
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, skill


def only_leaf(folder, file, value):
    taxonomy, report = read(folder, {file: value})
    assert report.errors == 0
    (leaf,) = taxonomy.leaves
    return leaf


def test_a_skill(tmp_path):
    leaf = only_leaf(tmp_path, SKILL, skill(task_description=" Rhyme.\n"))
    assert isinstance(leaf, SkillLeaf)
    assert (leaf.path, leaf.file, leaf.version) == ("compositional_skills/rhyme", SKILL, 3)
    assert (leaf.task, leaf.kind, leaf.branch) == ("Rhyme.", "freeform", "compositional_skills")
    assert (leaf.created_by, leaf.licences) == ("ada", ("CC-BY-4.0",))
    assert [seed.id for seed in leaf.seeds] == [
        f"compositional_skills/rhyme#{n}" for n in range(1, 6)
    ]
    assert [seed.held_out for seed in leaf.seeds] == [False] * 4 + [True]
    assert leaf.shown == leaf.seeds[:4]
    line = (tmp_path / SKILL).read_text().split("\n")[leaf.seeds[1].span.line - 1]
    assert leaf.seeds[1].question in line


def test_knowledge(tmp_path):
    leaf = only_leaf(tmp_path, KNOWLEDGE, knowledge())
    assert isinstance(leaf, KnowledgeLeaf)
    assert (leaf.kind, leaf.branch, leaf.domain) == ("knowledge", "knowledge", "birds")
    assert (leaf.document.repo, leaf.document.patterns) == (".", ("documents/robin.md",))
    assert [seed.id for seed in leaf.seeds][:4] == [
        f"knowledge/birds/robin#{at}" for at in ("1.1", "1.2", "1.3", "2.1")
    ]
    assert [seed.id[-1] for seed in leaf.seeds if seed.held_out] == ["3"] * 5
    assert len({seed.context for seed in leaf.seeds}) == 5


def test_a_single_example_is_shown(tmp_path):
    leaf = only_leaf(tmp_path, SKILL, skill(version=1, seed_examples=skill()["seed_examples"][:1]))
    assert len(leaf.shown) == 1


@pytest.mark.parametrize(
    "without, kind", [((), "grounded"), ((4,), "grounded"), ((0,), "freeform")]
)
def test_a_skill_is_grounded_where_every_shown_seed_has_a_context(tmp_path, without, kind):
    value = skill()
    for i, seed in enumerate(value["seed_examples"]):
        if i not in without:
            seed["context"] = "A poem."
    assert only_leaf(tmp_path, SKILL, value).kind == kind


def test_outside_the_branches_the_content_tells_the_branch(tmp_path):
    taxonomy, report = read(tmp_path, {"x/a/qna.yaml": knowledge(), "x/b/qna.yaml": skill()})
    branches = [leaf.branch for leaf in taxonomy.leaves]
    assert branches == ["knowledge", "compositional_skills"]
    assert [d.code.id for d in report.diagnostics] == ["T112", "T112"]


def test_licences():
    text = (
        "Title: x\r\nLicense of the work: MIT\r\nlicence of the work :  CC-BY-4.0 \nLicense: no\n"
    )
    assert licences(text + "License of the work: MIT\nLicense of the work:\n") == (
        "MIT",
        "CC-BY-4.0",
    )
    assert licences("") == ()


@pytest.mark.parametrize(
    "text, found",
    [
        ("It's 3.5 or 3,000, A_b!", "it s 3.5 or 3,000 a_b"),
        ("Größe „3,5“ naïve 1.5.", "grösse 3,5 naïve 1.5"),
        ("什么是水？GPT模型3.5米", "什 么 是 水 gpt 模 型 3.5 米"),
        ("カメラは何？", "カ メ ラ は 何"),
        ("น้ำ 2.5", "น ้ ำ 2.5"),
        ("की, के। हिन्दी", "की के हिन्दी"),
        ("cafe\u0301s", "cafe\u0301s"),
        ("!=", ""),
    ],
)
def test_the_words_of_every_script(text, found):
    assert words(text) == found.split()


def test_what_has_no_word_says_its_signs():
    assert said("a != b") == ["a", "b"]
    assert said(" != \N{WAVING HAND SIGN}") == ["!=", "\N{WAVING HAND SIGN}"]
