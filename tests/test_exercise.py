"""Functions to complete from their docstrings (arXiv 2306.11644), with planted teachers; what they
write is run in the sandbox.
"""

import asyncio
import re
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import yaml

from compiler.diagnostics import Report
from compiler.draw import completed, parses
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.pipeline import Folder, folders, load
from compiler.sandbox.run import obstacle
from compiler.source import SourceFile
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from tests.taxonomies import SKILL, skill

FOLDER = folders()["exercise"]
STUB = '''def {name}(numbers: list[int]) -> int:
    """The greatest of some numbers, 0 where there are none: [3, 9, 4] gives 9."""'''
RIGHT = "{stub}\n    return max(numbers, default=0)"
WRONG = "{stub}\n    return numbers[-1] if numbers else 0"
TESTS = "assert {name}([3, 9, 4]) == 9\nassert {name}([]) == 0"
needs_sandbox = pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "there is one")


def fenced(text):
    return f"```python\n{text}\n```"


class Teacher(Unconnected):
    """Writes the function that is asked for, unless `name` is another, and what is planted."""

    model, by_rule, in_flight = "teacher", False, 8

    def __init__(self, solution=RIGHT, tests=TESTS, stub=STUB, name="", fitting="yes"):
        self.solution, self.tests, self.stub = solution, tests, stub
        self.name, self.fitting, self.asked = name, fitting, []

    async def ask(self, request):
        self.asked.append(request)
        text = request.messages[-1].content
        drawn = re.search(r"called `(\w+)`|^def (\w+)", text, re.M)
        name = self.name or drawn[1] or drawn[2]
        stub = self.stub.format(name=name)
        said = {
            "function": ("question", stub),
            "solution": ("answer", self.solution.format(stub=stub, name=name)),
            "tests": ("tests", self.tests.format(name=name)),
        }
        if request.stage == "fitting":
            return Reply(self.fitting)
        tag, code = said[request.stage]
        return Reply(f"<{tag}>\n{fenced(code)}\n</{tag}>")

    @property
    def stages(self):
        return {request.stage for request in self.asked}


def pipeline(without=()):
    """The pipeline, without stages of some verbs."""
    files = dict(FOLDER.files)
    value = yaml.safe_load(files["pipeline.yaml"])
    value["stages"] = [stage for stage in value["stages"] if stage["do"] not in without]
    files["pipeline.yaml"] = yaml.safe_dump(value, sort_keys=False).encode()
    made = load(Folder("exercise", FOLDER.shown, files), Report())
    assert made
    return made


def walk(teacher, wanted=1, without=()):
    """The samples and drops of all units of a leaf."""
    made = pipeline(without)
    value = yaml.safe_dump(skill(task_description="Write a small function."))
    leaf = make_leaf(parse(SourceFile(SKILL, value.encode()), Report()), None)
    ground = Ground(words=("small", "function", "loop"))
    units = lower(leaf, (), made.name, made.asks, wanted, Report(), ground)

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [outcome async for outcome in expander.run(units, {made.name: made})]

    outcomes = asyncio.run(run())
    samples = [sample for outcome in outcomes for sample in outcome.samples]
    drops = [drop for outcome in outcomes for drop in outcome.drops]
    assert sum(outcome.records for outcome in outcomes) == len(samples) + len(drops)
    return samples, drops


@needs_sandbox
def test_what_passes_its_tests_becomes_a_sample():
    teacher = Teacher()
    (sample,), drops = walk(teacher)
    assert drops == []
    user, assistant = (message.content for message in sample.messages)
    name = re.search(r"def (\w+)", user)[1]
    assert user == f"Complete this Python function.\n\n{fenced(STUB.format(name=name))}"
    assert assistant == fenced(RIGHT.format(stub=STUB.format(name=name)))
    assert parses(completed(user, assistant))
    assert sample.scores == {"verified": 1, "fitting": "yes"}
    assert name == "_".join(
        one.split("=")[1] for one in sample.origin.drawn if not one.startswith("topics")
    )


@needs_sandbox
@pytest.mark.parametrize(
    "planted, code, detail, asked",
    [
        ({"solution": WRONG}, "D515", "assert", 3),
        ({"solution": "{stub}\n    return max(numbers"}, "D515", "no Python", 2),
        ({"solution": "{stub}"}, "D527", "not completed", 2),
        ({"solution": "{stub}\n    while True: pass", "tests": "x = 1"}, "D515", "", 3),
        ({"tests": "assert {name}([3, 9, 4]) == 4"}, "D515", "assert", 3),
        ({"name": "greatest_number"}, "D526", "no function is called", 1),
        ({"fitting": "no"}, "D510", "fitting is no", 4),
    ],
)
def test_what_is_wrong_goes_and_no_judge_is_asked_to_save_it(planted, code, detail, asked):
    teacher = Teacher(**planted)
    samples, (drop,) = walk(teacher)
    assert samples == []
    assert drop.code.id == code
    assert detail in drop.detail
    assert len(teacher.stages) == len(teacher.asked) == asked
    assert ("fitting" in teacher.stages) is (code == "D510")


@needs_sandbox
def test_without_the_tests_an_always_yes_judge_keeps_what_is_wrong():
    """The control: it is the checker that finds it."""
    kept, _ = walk(Teacher(solution=WRONG), without=("verify",))
    assert len(kept) == 1
    assert walk(Teacher(solution=WRONG))[0] == []


@needs_sandbox
def test_the_tests_are_written_without_a_look_at_the_solution():
    teacher = Teacher()
    walk(teacher)
    (seen,) = [request for request in teacher.asked if request.stage == "tests"]
    assert "def " in seen.messages[-1].content
    assert "max(numbers" not in str(seen.messages)


def test_names_are_drawn_and_a_teacher_that_does_not_look_collapses():
    attentive, blind = Teacher(), Teacher(name="greatest_number")
    samples, _ = walk(attentive, 200, without=("verify",))
    names = [re.search(r"def (\w+)", sample.question)[1] for sample in samples]
    assert len(names) == 200
    assert len(set(names)) >= 190
    samples, drops = walk(blind, 200, without=("verify",))
    assert samples == []
    assert Counter(drop.code.id for drop in drops) == {"D526": 200}
    assert len({drop.text for drop in drops}) == 1
    kept, _ = walk(blind, 200, without=("verify", "keep"))  # nor does anything else stop it
    assert len({sample.question for sample in kept}) == 1


def test_every_name_is_one_of_python_and_none_is_taken_for_a_test():
    verbs, nouns = (
        FOLDER.files[f"{part}.txt"].decode().split("\n")[:-1] for part in ("verbs", "nouns")
    )
    names = [f"{verb}_{noun}" for verb, noun in product(verbs, nouns)]
    assert len(set(names)) == len(names) > 10_000
    assert all(name.isidentifier() and name.islower() for name in names)
    assert not any(name.startswith("test") for name in names)
