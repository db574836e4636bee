"""The shipped taxonomy, compiled through every pipeline with a scripted teacher."""

import asyncio
import json
import os
import random
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.codes import CATALOGUE
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.imagine import imagined
from compiler.journal import Journal
from compiler.pipeline import folders
from compiler.plan import plan
from compiler.program import prepare
from compiler.source import WorkTree
from compiler.teacher import Reply, Unconnected
from compiler.teacher.scripted import Scripted
from tests.conftest import SEED

SHIPPED = Path(__file__).parent.parent / "taxonomy"
ROUTES = {
    "lab_training": {"pipelines": ["knowledge-qa", "knowledge-long", "knowledge-dialogue"]},
    "data_flywheel": {"pipelines": ["textbook"], "with": {"labelled": 10}},
    "dataset_licensing": {"pipelines": ["evol-knowledge"]},
    "licence_check": {"pipelines": ["skill-freeform", "textbook-skill"]},
    "plain_language": {"pipelines": ["self-instruct"]},
    "release_notes": {"pipelines": ["alpaca"]},
    "event_order": {"pipelines": ["best-of-n", "evol-instruct"]},
    "unit_conversion": {
        "pipelines": ["exercise", "oss-instruct"],
        "snippets": {"patterns": ["snippets/*.py"]},
    },
    "commit_message": {"pipelines": ["skill-grounded"]},
    "log_triage": {"pipelines": ["skill-grounded"], "with": {"persona": "creative"}},
}
CODE = "\n".join(f"STEP_{n} = {n * n}  # of the lathe" for n in range(40))
# The first line that fits answers; what is drawn has lines of its own, from `drawn`.
SCRIPT = """
- stage: questions
  contains: begin a conversation
  text: >
    <question>What is the role of the teacher in LAB?</question>
    <answer>The teacher writes and grades training samples.</answer>
- stage: follow-up
  text: >
    <follow_up>And who learns from those?</follow_up>
    <reply>The student is the model that learns from those samples.</reply>
- stage: questions
  contains: three to six sentences
  text: >
    <question>Explain how LAB, InstructLab and the companies behind them belong together.</question>
    <answer>LAB is a method for teaching a language model with synthetic data. IBM researchers
    published the method in 2024. InstructLab is an open-source project that puts LAB into practice,
    and it was begun by IBM and Red Hat.</answer>
- stage: questions
  contains: <document>
  text: >
    <question>In which year did IBM researchers publish LAB?</question>
    <answer>They published the method in 2024.</answer>
    <question>Which colour has the cover of the LAB paper?</question>
    <answer>The document does not say so.</answer>
    <question>What does the name LAB stand for?</question>
    <answer>It stands for Large-scale Alignment for chatBots.</answer>
    <question>What is InstructLab?
- {stage: faithful, contains: colour, text: "no"}

- stage: question
  text: >
    <question>What does a dataset licence tell others?</question>
    <answer>It says what others may do with a collection of data.</answer>
- stage: evolve
  contains: <question>What does a dataset licence tell others?</question>
  text: >
    <question>What does a dataset licence tell others, and is a text without one free?</question>
    <answer>It says what others may do with a collection of data. Text without a licence is not free
    to use.</answer>
- stage: evolve
  contains: is a text without one free?</question>
  text: >
    <question>What does a dataset licence tell others, and is a text without one free, or does
    copyright arise automatically?</question>
    <answer>It says what others may do with a collection of data. Text without a licence is not free
    to use, because copyright arises automatically in most countries.</answer>
- stage: evolve
  contains: does copyright arise automatically?</question>
  text: >
    <question>What does a dataset licence tell others, and is a text without one free, or does
    copyright arise automatically, and whose advice does no general guide replace?</question>
    <answer>It says what others may do with a collection of data. Text without a licence is not free
    to use. A guide cannot replace the advice of a lawyer who knows the case.</answer>

- stage: questions
  contains: planned use of some data
  text: >
    <question>May a newspaper train its model on CC0-1.0 poems and thank nobody?</question>
    <question>Who painted the Mona Lisa?</question>
- {stage: fitting, contains: Mona Lisa, text: "no"}
- stage: answer
  contains: newspaper
  text: <answer>Yes. CC0-1.0 asks for nothing in return.</answer>

- stage: instructions
  text: >
    <question>Say whether a sentence is wordy or plain.</question>
    <question>Replace the noun of an official phrase with a verb.</question>
    <question>Name the duty that a rule of the house puts on its guests.</question>
    <question>Draw a picture of the meeting.</question>
- {stage: kind, contains: wordy or plain, text: classification}
- {stage: kind, text: generation}
- stage: labelled
  text: >
    <answer>wordy</answer>
    <context>It is the case that the lift is at this time not in operation.</context>
    <answer>plain</answer>
    <context>The lift is broken.</context>
- stage: instances
  contains: official phrase
  text: >
    <context>Carry out an inspection of the boiler.</context>
    <answer>Inspect the boiler.</answer>
- stage: instances
  text: >
    <context>Visitors are reminded that the gate is to be closed after ten.</context>
    <answer>Close the gate after ten.</answer>

- stage: whole-tasks
  text: >
    <question>Tell users about the commit "fix: crash on empty search box".</question>
    <context>none</context>
    <answer>Searching for nothing no longer makes the app crash.</answer>
    <question>Announce what this does for people who print.</question>
    <context>perf: async discovery of printers</context>
    <answer>Your printers now show up in half the time.</answer>
    <question>Which line fits a new shortcut in the editor?</question>
    <context>none</context>
    <answer>Press Ctrl+D to select the next word that is the same.</answer>
    <question>Word the end of support for paper invoices kindly.</question>
    <context>none</context>
    <answer>From now on your invoices come by mail, so nothing gets lost.</answer>

- stage: questions
  contains: Put a few events in the order
  text: <question>Which came first, the telephone or the telegraph?</question>
- stage: answer-variously
  text:
    - <answer>The telephone.</answer>
    - <answer>The telegraph, in the 1830s; the telephone followed in 1876.</answer>
    - <answer>Ask somebody else.</answer>
    - <answer>The telegraph.</answer>
- {stage: rating, contains: <answer>The telephone, text: "2"}
- {stage: rating, contains: Ask somebody else, text: "1"}

- stage: problem
  text:
    - >
      <question>A lathe turns 9 mm a second. How many centimetres in a minute?</question>
      <answer>54 cm, because 9 x 60 = 540 mm.</answer>
    - >
      <question>A square plate has 16 square inches. How long is a side in feet?</question>
      <answer>A third of a foot, because a side has 4 inches and a foot 12.</answer>
    - >
      <question>How many dozen bolts are 144 bolts?</question>
      <answer>12 dozen, because 144 / 12 = 12.</answer>

- {stage: contexts, contains: commit message, text: "<context>--fast is now --quick.</context>"}
- {stage: contexts, contains: log lines, text: "<context>08:00 ERROR clock: no sync</context>"}
- stage: questions
  contains: --quick
  text: <question>Put this into one subject line.</question>
- {stage: answer, contains: --quick, text: "<answer>Rename --fast to --quick</answer>"}
- stage: questions
  contains: clock
  text: <question>Why is the time on this machine wrong?</question>
- stage: answer-freely
  contains: clock
  text: <answer>Its clock does not sync. Look at the time server first.</answer>

- {stage: gain, text: different}
- {stage: fitting, text: "yes"}
- {stage: faithful, text: "yes"}
- {stage: coherent, text: "yes"}
- {stage: standalone, text: "yes"}
- {stage: sound, text: "yes"}
- {stage: relevant, text: "2"}
- {stage: rating, text: "3"}
- {stage: worth, text: "4"}
"""


def drawn(program):
    """Lines for what the prompts draw: seeds that grow, names of functions, words of lessons."""
    for number, unit in enumerate(program.units):
        if unit.pipeline == "evol-instruct":
            yield from grown(unit.columns["seed"]["question"])
        for question in imagined(unit, program.pipelines[unit.pipeline])[0]:
            if question.stage.id == "function":
                name = "{verb}_{noun}".format_map(question.columns)
                yield from exercise(name, number)
            if question.stage.id == "lesson":
                yield lesson(question.columns["required"])


def grown(parent):
    """A question that asks for more in every round."""
    for more in (
        "Give the reason for each place.",
        "Say which of them nobody could have put first.",
        "Then tell how sure you are, and why.",
        "End with the one that took longest.",
    ):
        before, parent = f"<question>{parent}</question>", f"{parent} {more}"
        about = f"<question>{parent}</question>"
        answer = f"<answer>In the order of the steps. As you asked: {more.lower()}</answer>"
        yield {"stage": "evolve", "contains": before, "text": about}
        yield {"stage": "answer", "contains": about, "text": answer}


def exercise(name, number):
    """A function, its solution and its tests."""
    head = f'def {name}(amount: int) -> int:\n    """`amount` units of {number} each."""'
    body = f"{head}\n    return amount * {number}"
    tests = f"assert {name}(2) == {2 * number}\nassert {name}(0) == 0"
    texts = {
        "function": ("question", head),
        "solution": ("answer", body),
        "tests": ("tests", tests),
    }
    for stage, (tag, code) in texts.items():
        text = f"<{tag}>\n```python\n{code}\n```\n</{tag}>"
        yield {"stage": stage, "contains": name, "text": text}


def lesson(words):
    said = ", ".join(words)
    question = f"<question>How do {' and '.join(words)} belong together?</question>"
    answer = f"Picture a shelf with a label for each: {said}. What lies on it is what they share."
    return {"stage": "lesson", "contains": said, "text": f"{question}<answer>{answer}</answer>"}


def routed(tmp_path):
    """A copy of the shipped taxonomy with our routes, and its program."""
    place = tmp_path / "taxonomy"
    shutil.copytree(SHIPPED, place)
    (place / "snippets").mkdir()
    (place / "snippets/lathe.py").write_text(CODE)
    routes = [{"leaves": f"*/{leaf}", **route} for leaf, route in ROUTES.items()]
    settings = {"samples_per_leaf": 4, "routes": routes, "select": {"per_leaf": 20}}
    (place / "curriculum.yaml").write_text(yaml.safe_dump(settings))
    report = Report()
    program = prepare(WorkTree(place), tmp_path / "cache", report)
    assert program, report.diagnostics
    return program


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The taxonomy, the script beside it, and the stages that it should reach."""
    program = routed(tmp_path)
    script = [*drawn(program), *yaml.safe_load(SCRIPT)]
    (tmp_path / "teacher.yaml").write_text(yaml.safe_dump(script))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    stages = {stage.id for made in program.pipelines.values() for stage in made.generates}
    return tmp_path, stages


def unrouted(source=None):
    """The pipelines that no leaf is sent to."""
    return set(folders(source)) - {name for route in ROUTES.values() for name in route["pipelines"]}


def trivium(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def lines(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def test_a_compile_of_the_shipped_taxonomy_goes_through_every_pipeline(home, monkeypatch):
    folder, stages = home
    asked, ask = set(), Scripted.ask
    monkeypatch.setattr(Scripted, "ask", lambda self, r: asked.add(r.stage) or ask(self, r))
    words = ("compile", "--taxonomy", "taxonomy", "--teacher", "scripted:teacher.yaml", "--out")
    trivium(*words, "a")
    build = folder / "a"
    made = defaultdict(list)
    samples = lines(build / "samples.jsonl")
    for sample in samples:
        made[sample["origin"].get("pipeline")].append(sample)
    assert set(folders()) <= set(made), "every pipeline has a sample"
    assert asked == stages, "and every stage of them was asked"

    drops = lines(build / "drops.jsonl")
    assert {drop["code"] for drop in drops} >= {"D501", "D507", "D510", "D518", "D528"}
    assert all(drop["code"] in CATALOGUE for drop in drops)
    for books in json.loads((build / "manifest.json").read_text())["passes"]:
        assert books["in"] == books["kept"] + sum(books["dropped"].values())

    (pair,) = lines(build / "preferences.jsonl")
    assert pair["rejected"][0]["content"] == "Ask somebody else."
    known = {sample["id"] for sample in samples}
    for name in ("evol-instruct", "evol-knowledge"):
        assert len({sample["origin"]["generation"] for sample in made[name]}) > 1
        assert all(sample["origin"]["parent"] in known for sample in made[name])
    for sample in made["oss-instruct"]:
        first, last = sample["origin"]["lines"]
        assert sample["origin"]["document"] == "snippets/lathe.py"
        assert 1 <= first <= last <= CODE.count("\n") + 1
    assert max(len(sample["messages"]) for sample in made["knowledge-dialogue"]) == 4

    for name in folders():
        sample = made[name][0]
        story = trivium("show", sample["id"], "--data", "a")
        assert f"pipeline     {name} (" in story
        assert sample["messages"][-1]["content"].splitlines()[-1] in story
        assert "not in this journal" not in story

    asked.clear()
    assert "asked 0 questions" in trivium(*words, "b")
    assert not asked
    for path in build.iterdir():
        if path.name != "run.json":
            assert (folder / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_pipeline_has_a_route(tmp_path):
    assert not unrouted()
    new = tmp_path / "pipelines" / "new"
    shutil.copytree(SHIPPED.parent / "compiler/pipelines/alpaca", new)
    assert unrouted(WorkTree(tmp_path)) == {"new"}, "the control"


class Obeying(Unconnected):
    """Says something new whenever it is asked, in the form that is wanted; as a judge it is
    pleased.
    """

    model, by_rule, in_flight = "obeying", False, 8

    def __init__(self):
        self.asked = 0
        self.chance = random.Random(os.environ[SEED])

    async def ask(self, request):
        self.asked += 1
        return Reply(self.said(request))

    def said(self, request):
        columns, stage = request.columns, request.stage
        if request.form == "choice":
            return str(request.writes[0].choices[-1])
        if stage == "lesson":
            return lesson(columns["required"])["text"]
        if stage in ("function", "solution", "tests"):
            lines = exercise("{verb}_{noun}".format_map(columns), 7)
            return next(line["text"] for line in lines if line["stage"] == stage)
        before = f"{columns['parent']['question']} " if stage == "evolve" else ""
        number = columns["instances" if stage == "instances" else "count"] if request.many else 1
        return "".join(
            f"<{field.name}>{before * (field.name == 'question')}{self.words()}.</{field.name}>"
            for _ in range(number)
            for field in request.writes
        )

    def words(self):
        letters = "abcdefghijklmnopqrstuvwxyz"
        return " ".join("".join(self.chance.choices(letters, k=6)) for _ in range(9))


def test_what_is_planned_is_asked_and_made(tmp_path):
    """In every pipeline, where the teacher does what it is asked; what is dropped costs less."""
    program = routed(tmp_path)
    planned, done = {}, {}
    for name in folders():
        units = [unit for unit in program.units if unit.pipeline == name]
        teacher = Obeying()
        told = plan(units, program.pipelines, teacher, None)
        planned[name] = told.total("calls"), told.total("samples")

        async def walk(units=units, teacher=teacher):
            expander = Expander(teacher, teacher, Journal(Path(":memory:")))
            return [outcome async for outcome in expander.run(units, program.pipelines)]

        made = sum(len(outcome.samples) for outcome in asyncio.run(walk()))
        done[name] = teacher.asked, made
    assert planned == done
