"""A leaf's answers and their source, its languages, and its size against the teacher's context."""

import os
import random
import string

import pytest

from compiler.check.language import language
from compiler.diagnostics import Report
from compiler.documents.chunk import _TOKEN, Document, chunk, estimate_tokens
from compiler.lower import lower
from compiler.pipeline import folders, load
from compiler.prompt import render
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, said, skill

SEED = int(os.environ["TRIVIUM_TEST_SEED"])
ELSEWHERE = {"repo": "https://example.org/x", "commit": "0" * 40, "patterns": ["a.md"]}
SENTENCES = {
    "English": "It is one of the birds that stay, and this is what they do in the winter.",
    "German": "Es ist einer der Vögel, die nicht fortziehen, und das ist auch im Winter so.",
    "French": "C'est un des oiseaux qui ne partent pas, et on le voit dans les jardins.",
    "Spanish": "Es uno de los pájaros que no se van; las personas los ven cuando hay nieve.",
    "Italian": "È uno degli uccelli che non partono, e nella neve sono più vicini.",
    "Portuguese": "É uma das aves que não partem, e as pessoas também o veem, mas já não foge.",
    "Dutch": "Het is een van de vogels die niet wegtrekken, en dat is ook in de winter zo.",
    "Polish": "Jest to jeden z ptaków, które nie odlatują, oraz ptak, który może być przy domu.",
    "Swedish": "Det är en av de fåglar som inte flyttar, och den är på gården när det har snöat.",
    "Cyrillic letters": "Это одна из птиц, которые не улетают.",
    "Chinese or Japanese": "它是不迁徙的鸟之一，在花园里能看到它。",
    "Korean": "떠나지 않는 새 중 하나이며 정원에서 볼 수 있다.",
    "Arabic letters": "إنه واحد من الطيور التي لا ترحل في الشتاء.",
}
UNSURE = [
    "Den er en af de fugle, som ikke trækker væk.",
    "Robin, worm, hedge, egg, winter, garden.",
    "rados -p rbd ls; ceph osd pool set rbd size 3",
    "42, 17, 3.14",
    "Un, deux, trois.",
]


def answered(question, answer, context=None, **changes):
    leaf = knowledge(**changes)
    example = leaf["seed_examples"][2]
    example["questions_and_answers"][1].update(question=question, answer=answer)
    if context:
        example["context"] = context
    return leaf


CONTEXT = "Robins of kind 3 eat worms, sing at dawn and lay 3 eggs."
FAR = "They mostly inhabit coastal marshes, nesting between reeds during summer."
WHERE = "Where do robins of kind 3 live?"
ANSWERS = {
    "from the context": ("What do they do at dawn?", "Robins of kind 3 sing at dawn.", []),
    "yes": ("Do they sing?", "Yes, certainly, as everybody knows.", []),
    "a few words": (WHERE, "In coastal marshes.", []),
    "its own": (WHERE, FAR, ["T136"]),
    "a number": ("How many eggs do they lay?", "About 4420 altogether.", ["T136"]),
    "a number of the question": ("Do they lay 17 eggs?", "No, never 17 altogether.", []),
    "a number among words that are there": (WHERE, "Robins eat worms and sing, 25 of them.", []),
    "no words": (
        "巣はどこ?",
        "知更鸟主要栖息在沿海沼泽地，夏天在芦苇丛中筑巢，冬天在花园里生活。",
        [],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_from_its_context(tmp_path, name):
    question, answer, codes = ANSWERS[name]
    leaf = answered(question, answer, document=ELSEWHERE)
    assert [code for code, _ in said(read(tmp_path, {KNOWLEDGE: leaf})[1])] == codes


def test_an_answer_may_come_from_a_document_of_the_taxonomy(tmp_path):
    told = "Robins of kind 3 mostly inhabit coastal marshes, nesting between reeds during summer."
    leaf = answered(WHERE, FAR)
    (found,) = read(tmp_path, {KNOWLEDGE: leaf})[1].diagnostics
    assert found.message == "none of the answer's 9 main words is in the context or the document"
    document = (tmp_path / "documents" / "robin.md").read_text()
    files = {KNOWLEDGE: leaf, "documents/more.md": told + document}
    leaf["document"]["patterns"].append("documents/more.md")
    assert read(tmp_path, files)[1].diagnostics == ()


def test_a_translated_answer_is_a_matter_of_language(tmp_path):
    answer = SENTENCES["German"] + " Auch dort wird man sehen, was aus ihnen geworden ist."
    leaf = answered(WHERE, answer, SENTENCES["English"], document=ELSEWHERE)
    assert read(tmp_path, {KNOWLEDGE: leaf})[1].diagnostics == ()


@pytest.mark.parametrize("name", SENTENCES)
def test_a_language_is_told(name):
    assert language(SENTENCES[name]) == name


@pytest.mark.parametrize("text", UNSURE)
def test_no_language_is_guessed(text):
    assert language(text) == ""


def polyglot(*kinds):
    """A leaf of 15 parts: one kind's sentence in another language where `kinds` says so."""
    leaf = knowledge(document=ELSEWHERE)
    for n, example in enumerate(leaf["seed_examples"]):
        example["context"] = f"{n}. {SENTENCES[kinds[0] if n != 2 else 'English']}"
        for m, pair in enumerate(example["questions_and_answers"]):
            pair["question"] = f"{n}{m}? {SENTENCES[kinds[1]]}"
            pair["answer"] = f"{SENTENCES[kinds[2]]}"
    return leaf


@pytest.mark.parametrize("other", [name for name in SENTENCES if name != "English"])
def test_a_leaf_keeps_to_one_language(tmp_path, other):
    (found,) = read(tmp_path, {KNOWLEDGE: polyglot("English", "English", other)})[1].diagnostics
    assert found.code.id == "T137"
    assert found.message == f"the answers are in {other}, most of the leaf is in English"
    assert found.span.line == line_of(tmp_path, SENTENCES[other][:20])
    one = polyglot(other, other, other)
    assert read(tmp_path, {KNOWLEDGE: one})[1].diagnostics == (), "a single part may quote"


def line_of(folder, text):
    lines = (folder / KNOWLEDGE).read_text().split("\n")
    return next(n for n, line in enumerate(lines, 1) if text in line)


def test_a_skill_may_translate(tmp_path):
    seeds = [
        {"question": f"Translate {n}: {SENTENCES['English']}", "answer": SENTENCES["German"]}
        for n in range(5)
    ]
    assert read(tmp_path, {SKILL: skill(seed_examples=seeds)})[1].diagnostics == ()


def sized(kind, chance, size):
    """A leaf whose texts have about `size` words each, drawn anew."""

    def words(n):
        return " ".join("".join(chance.choices("abcdefgh", k=6)) for _ in range(n))

    if kind == "knowledge":
        leaf = knowledge(document=ELSEWHERE)
        for example in leaf["seed_examples"]:
            example["context"] = words(size)
        return KNOWLEDGE, leaf
    grounded = {"context": words(size)} if kind == "grounded" else {}
    seeds = [
        {"question": words(size // 4), "answer": words(size // 4), **grounded} for _ in range(5)
    ]
    return SKILL, skill(seed_examples=seeds)


def largest_prompt(leaf):
    """In estimated tokens, and what its reply may have: from the templates that are shipped."""
    name = {"freeform": "skill-freeform", "grounded": "skill-grounded"}.get(
        leaf.kind, "knowledge-qa"
    )
    pipeline = load(folders()[name], Report())
    document = Document("a.md", ".", "", "0" * 40, "word " * 3000)
    units = lower(leaf, chunk(document, 250), name, 5, 40, Report())
    first = max(leaf.shown, key=lambda seed: len(seed.context) + len(seed.question))
    made = {"context": first.context, "question": first.question, "answer": first.answer}
    settings = pipeline.settings.defaults
    return max(
        sum(
            estimate_tokens(m.content)
            for m in render(stage.prompt, {**settings, **made, **unit.columns})
        )
        + stage.sampling.max_tokens
        for unit in units
        for stage in pipeline.generates
        if not stage.judge
    )


@pytest.mark.parametrize("kind", ["knowledge", "freeform", "grounded"])
def test_what_leaves_no_room_is_what_the_real_prompts_would_not_fit(tmp_path, kind):
    chance = random.Random(SEED)
    seen = set()
    for size in (60, 150, 300, 600, 900, 1400, 2400, 4000):
        path, value = sized(kind, chance, size)
        taxonomy, report = read(tmp_path, {path: value})
        needed = largest_prompt(taxonomy.leaves[0])
        found = [d for d in report.diagnostics if d.code.id == "T138"]
        assert bool(found) == (needed > 4096) or abs(needed - 4096) < 300, (size, needed)
        seen.add(bool(found))
        if found:
            told = int(found[0].message.split(" about ")[1].split(" tokens")[0].replace(",", ""))
            assert abs(told + 1024 - needed) < 300
    assert seen == {True, False}


def test_the_settings_say_how_much_the_teacher_reads(tmp_path):
    path, value = sized("freeform", random.Random(SEED), 2400)
    assert "T138" in dict(said(read(tmp_path, {path: value})[1]))
    settings = "version: 1\nteacher: {kind: extractive, context: 32000}\n"
    _, report = read(tmp_path, {path: value, "curriculum.yaml": settings})
    assert "T138" not in dict(said(report))


def test_the_quick_count_of_tokens_is_the_slow_one():
    chance = random.Random(SEED)
    letters = string.printable + "".join(map(chr, range(128))) + "aaaaeeee    "
    for _ in range(3000):
        text = "".join(chance.choices(letters, k=chance.randrange(60)))
        assert estimate_tokens(text) == sum(1 for _ in _TOKEN.finditer(text)), ascii(text)
