"""Lessons whose words, readers and form are drawn (arXiv 2306.11644), with planted teachers."""

import asyncio
import os
import random
import re
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest
import yaml

from compiler.curriculum import Route
from compiler.diagnostics import Report
from compiler.documents.chunk import chunk
from compiler.documents.fetch import Document
from compiler.draw import TESTS
from compiler.expand import Expander
from compiler.ground import Grounds
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import lower
from compiler.pipeline import folders, load
from compiler.source import SourceFile
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from compiler.worth import LABEL, worth
from tests.conftest import SEED
from tests.taxonomies import knowledge, skill

CHANCE = random.Random(os.environ[SEED])
PIPELINES = {name: load(folders()[name], Report()) for name in ("textbook", "textbook-skill")}
FORMS = yaml.safe_load(folders()["textbook"].files["forms.yaml"])
WORDS = re.compile(r"uses each of these words as it stands here: ([^.\n]*)\.")


def made_up(number):
    """Words that nobody knows."""
    return ["".join(CHANCE.choices("abdefgiklmnoprstuv", k=7)) for _ in range(number)]


TEXT = "\n\n".join(f"The {' '.join(made_up(12))}." for _ in range(8))


class Teacher(Unconnected):
    """Writes what `says` makes of the prompt of a lesson; a judge says what `verdicts` has for its
    stage, by default its best.
    """

    model, by_rule, in_flight = "teacher", False, 8

    def __init__(self, says, **verdicts):
        self.says, self.verdicts, self.asked = says, verdicts, []

    async def ask(self, request):
        self.asked.append(request)
        if request.form == "choice":
            verdict = self.verdicts.get(request.stage, request.writes[0].choices[-1])
            return Reply(str(verdict(request) if callable(verdict) else verdict))
        return Reply(self.says(request.messages[-1].content))


def lesson(question, answer):
    return f"<question>{question}</question>\n<answer>{answer}</answer>"


def attentive(prompt):
    """Does what the prompt says."""
    reader = re.search(r"It is for (.*), and says so nowhere", prompt)[1]
    form = re.search(r"Its form: (.*)\.", prompt)[1]
    words = WORDS.search(prompt)[1]
    return lesson(f"Explain this to {reader}.", f"As {form}: {words.replace(', ', ' and ')}.")


def blind(_):
    """Its one lesson, whatever the prompt says."""
    return lesson("What is a rhyme?", "A rhyme is the same sound at the end of two words.")


def walk(teacher, name="textbook", wanted=40, **settings):
    """The outcomes of all units of a leaf, which has the words of TEXT."""
    made = PIPELINES[name]
    value = knowledge() if name == "textbook" else skill(task_description=TEXT)
    kind = "knowledge" if name == "textbook" else "compositional_skills"
    file = SourceFile(f"{kind}/small/qna.yaml", yaml.safe_dump(value).encode())
    leaf = make_leaf(parse(file, Report()), None)
    document = Document("small.md", ".", "", "0" * 40, TEXT)
    chunks = chunk(document, 200) if name == "textbook" else ()
    ground = Grounds([leaf]).of(
        leaf, Route(settings=settings, language="en"), made, [document], [document]
    )
    units = lower(leaf, chunks, name, made.asks, wanted, Report(), ground)

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [outcome async for outcome in expander.run(units, {name: made})]

    outcomes = sorted(asyncio.run(run()), key=lambda one: one.number)
    samples = [sample for outcome in outcomes for sample in outcome.samples]
    drops = [drop for outcome in outcomes for drop in outcome.drops]
    assert sum(outcome.records for outcome in outcomes) == len(samples) + len(drops)
    return samples, drops


def prompts(teacher):
    return [r.messages[-1].content for r in teacher.asked if r.stage == "lesson"]


def drawn(sample):
    return dict(one.split("=", 1) for one in sample.origin.drawn)


@pytest.mark.parametrize("name", PIPELINES)
def test_what_is_drawn_is_hardly_ever_the_same_and_comes_again(name):
    teacher = Teacher(attentive)
    samples, drops = walk(teacher, name, wanted=200)
    assert (len(samples), drops) == (200, [])
    tuples = [(d["required"], d["audience"], d["form"]) for d in map(drawn, samples)]
    assert len(set(tuples)) >= 0.95 * len(tuples)
    assert len({sample.answer for sample in samples}) >= 0.95 * len(samples)
    for sample in samples:
        required = drawn(sample)["required"].split(", ")
        assert len(required) == 3
        assert TESTS["holds_all"](sample.answer, required)
    assert {each[2] for each in tuples} == {form["name"] for form in FORMS}
    again, _ = walk(Teacher(attentive), name, wanted=200)
    assert [sample.id for sample in again] == [sample.id for sample in samples]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_teacher_that_does_not_look_collapses_to_one_lesson_and_loses_it(name):
    """The control: the draws make nothing differ by themselves, and the check is no formality."""
    teacher = Teacher(blind)
    samples, drops = walk(teacher, name)
    assert samples == []
    assert {drop.code.id for drop in drops} == {"D526"}
    assert len({drop.answer for drop in drops}) == 1
    assert len(set(prompts(teacher))) >= 0.95 * len(prompts(teacher))
    kept, _ = walk(Teacher(blind), name, vocabulary=0)  # nor does anything else stop it
    assert len({sample.answer for sample in kept}) == 1


def test_one_word_that_is_missing_is_named():
    def forgetful(prompt):
        *said, _ = WORDS.search(prompt)[1].split(", ")
        return lesson("Explain it.", f"It is {' and '.join(said)}.")

    teacher = Teacher(forgetful)
    samples, drops = walk(teacher, wanted=10)
    assert samples == []
    missing = [WORDS.search(prompt)[1].split(", ")[-1] for prompt in prompts(teacher)]
    assert sorted(drop.detail for drop in drops) == sorted(f"without {word}" for word in missing)
    assert {request.stage for request in teacher.asked} == {"lesson"}  # no judge was asked


@pytest.mark.parametrize(
    "name, verdicts, code",
    [
        ("textbook", {"faithful": "no"}, "D507"),
        ("textbook-skill", {"sound": "no"}, "D511"),
    ],
)
def test_a_judge_reads_what_the_lesson_rests_on(name, verdicts, code):
    teacher = Teacher(attentive, **verdicts)
    samples, drops = walk(teacher, name, wanted=8)
    assert samples == []
    assert Counter(drop.code.id for drop in drops) == {code: 8}
    (stage,) = verdicts
    judged = [r.messages[-1].content for r in teacher.asked if r.stage == stage]
    tag = "document" if name == "textbook" else "task"
    grounds = {re.search(rf"<{tag}>\n(.*?)\n</{tag}>", text, re.S)[1] for text in judged}
    assert all(text in TEXT for text in grounds)
    assert {request.stage for request in teacher.asked} == {"lesson", stage}


@pytest.mark.parametrize("labelled, share", [(0, 0), (None, 0.2), (10, 1)])
def test_a_drawn_share_is_marked_for_its_worth(labelled, share):
    settings = {} if labelled is None else {"labelled": labelled}
    samples, _ = walk(Teacher(attentive, worth=4), wanted=150, **settings)
    marks = [sample.scores[LABEL] for sample in samples if LABEL in sample.scores]
    assert set(marks) <= {4}
    assert abs(len(marks) / len(samples) - share) < 0.1


def test_the_forest_learns_from_the_marks_and_drops_what_teaches_little():
    """The control: without marks nothing is dropped. (Marks by chance: tests/test_worth.py.)"""

    def uneven(prompt):
        more = "It is so because each part needs the next." * (crc32(prompt.encode()) % 2)
        return attentive(prompt).replace("</answer>", f" {more}</answer>")

    def rubric(request):
        return 5 if "because" in request.messages[-1].content else 1

    teacher = Teacher(uneven, worth=rubric)
    samples, _ = walk(teacher, wanted=150, labelled=5)
    share = sum("because" in sample.answer for sample in samples) / len(samples)
    assert 0.3 < share < 0.7
    found = worth(samples, 0.3, 1)
    kept = [sample for sample in samples if not found.detail(sample)]
    assert 0.2 < len(kept) / len(samples) < 0.4
    assert sum("because" in sample.answer for sample in kept) / len(kept) >= 0.9
    unmarked, _ = walk(teacher, wanted=150, labelled=0)
    assert not any(worth(unmarked, 0.3, 1).detail(sample) for sample in unmarked)
