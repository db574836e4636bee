"""The embedded teacher: facts are read off sentences, and its judges tell good from planted bad."""

import asyncio
import random

import pytest

from compiler.pipeline import Field, Sampling
from compiler.prompt import Message
from compiler.resources import TAXONOMY
from compiler.teacher import Failure, Request
from compiler.teacher.extractive import Extractive
from compiler.teacher.facts import content_words, facts, sentences
from compiler.teacher.variations import answer, questions

DOCUMENTS = sorted((TAXONOMY / "documents").glob("*.md"))


def ask(writes, columns, index=0, form="tags"):
    many = form == "tags"
    request = Request((Message("user", ""),), Sampling(), index, "", writes, many, columns, form)
    return asyncio.run(Extractive().ask(request))


@pytest.mark.parametrize(
    "sentence, question, reply",
    [
        ("A dipper is a bird that walks under water.", "What is a dipper?", None),
        (
            "The term replay means training again on old samples.",
            "What does the term replay mean?",
            None,
        ),
        (
            "The three roads are grammar, logic and rhetoric.",
            "Name the three roads.",
            "Grammar, logic and rhetoric.",
        ),
        (
            "Rivers freeze late because moving water loses heat slowly.",
            "Why is it that rivers freeze late?",
            "Because moving water loses heat slowly.",
        ),
        (
            "The tower was built in the year 1889 by a bridge company.",
            "Fill in the number: The tower was built in the year ____ by a bridge company.",
            "1889",
        ),
        (
            "A hygrometer is used to measure how damp the air is.",
            "What is a hygrometer used for?",
            None,
        ),
    ],
)
def test_a_sentence_answers_the_question_of_its_form(sentence, question, reply):
    asked = {form: fact.answer for fact in facts(sentence) for form in fact.forms}
    assert asked[question] == (reply or sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a bird that walks under water.",
        "However, this is a reason to wait.",
        "What is a bird?",
    ],
)
def test_a_sentence_that_leans_on_another_is_left_alone(sentence):
    assert facts(sentence) == ()


def test_a_table_answers_for_its_cells():
    table = "| Licence | Owed |\n|---|---|\n| MIT | the notice |\n| CC0-1.0 | nothing |"
    asked = {form: fact.answer for fact in facts(table) for form in fact.forms}
    assert asked["What is the Owed of MIT?"] == "The notice."
    assert len(asked) == 4


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_answer_of_a_real_document_is_in_it(path):
    text = path.read_text("utf-8")
    found = facts(text)
    assert len(found) > 80
    words = content_words(text)
    assert all(content_words(fact.answer) <= words for fact in found)
    forms = [form.casefold() for fact in found for form in fact.forms]
    assert len(forms) == len(set(forms))
    assert len(list(sentences(text))) > 40


def grounded(seed):
    """Forty answers: half are sentences of the passage, half hold what it lacks."""
    draw = random.Random(seed)
    text = DOCUMENTS[0].read_text("utf-8")
    supported = draw.sample(list(sentences(text)), 20)
    planted = [f"{s.rsplit(' ', 2)[0]} zebra {draw.randrange(3000, 9000)}." for s in supported]
    return text, supported, planted


def test_the_faithfulness_rule_keeps_the_supported_and_rejects_the_planted():
    text, supported, planted = grounded(11)
    field = (Field("faithful", ("no", "yes")),)

    def verdict(reply, document):
        said = ask(field, {"answer": reply, "document": document}, form="choice").text
        return {"no": False, "yes": True}[said]

    assert sum(verdict(s, text) for s in supported) >= 18
    assert sum(not verdict(s, text) for s in planted) >= 18
    other = DOCUMENTS[1].read_text("utf-8")
    assert sum(verdict(s, other) for s in supported) <= 10


EXAMPLES = [
    {"context": "", "question": 'Say this simply: "In the event of rain"', "answer": "If it rains"},
    {"context": "", "question": 'Shorten "prior to lunch".', "answer": "Before lunch"},
    {"context": "", "question": 'Rewrite: "at this point in time"', "answer": "Now"},
]


def test_an_instruction_takes_another_seed_s_material_and_the_answer_follows_it():
    asked = questions(EXAMPLES[0], EXAMPLES)
    assert 'Shorten "In the event of rain".' in asked
    assert all(answer(question, "", EXAMPLES) == "If it rains" for question in asked)


def test_no_near_seed_no_answer():
    assert answer("What is the capital of France?", "", EXAMPLES) == ""


def test_what_it_cannot_do_it_says():
    failure = ask((Field("poem"),), {"document": "x"})
    assert isinstance(failure, Failure)
    assert failure.code.id == "R404"


def test_it_is_deterministic_and_later_indexes_ask_other_questions():
    columns = {
        "document": DOCUMENTS[0].read_text("utf-8")[:3000],
        "examples": EXAMPLES,
        "context": "",
        "count": 5,
    }
    fields = (Field("question"), Field("answer"))
    first, again, later = (ask(fields, columns, index).text for index in (0, 0, 1))
    assert first == again
    assert not set(first.splitlines()) & {q for q in later.splitlines() if "<question>" in q}
