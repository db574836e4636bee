"""The verifier pass rate: what a build keeps of its checkers, and what they say of new answers."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest
import yaml

from compiler.diagnostics import Report
from compiler.driver import expand
from compiler.emit import emit
from compiler.expand import Local
from compiler.journal import Journal
from compiler.program import prepare
from compiler.sandbox import walls
from compiler.source import WorkTree
from compiler.teacher import Reply, Unconnected
from compiler.verify import BrokenChecker, Passed, checker, lasting, of_people, written
from tests.taxonomies import SKILL, skill, write
from training import data
from training.data import Sample
from training.evaluate.checked import checked

BIRD = {"type": "object", "required": ["legs"], "properties": {"legs": {"const": 2}}}
CITED = "The oven is heated with beech wood. It is opened once."
TESTS = "def test_it():\n    assert double(3) == 6\n    assert double(-1) == -2\n"
DOUBLE = "```python\ndef double(n):\n    return 2 * n\n```"
TRIPLE = "def double(n):\n    return 3 * n"
REPLAYED = "import solution\nassert solution.double(3) == 6"
KINDS = [
    ({"numeric": {"equals": "sum"}}, {"sum": "42"}, ["So it is 42.", "= 42"], ["43", "24", "?"]),
    (
        {"numeric": {"equals": 5, "units": ["km", "m"]}},
        {},
        ["It is 5 km.", "5000 m"],
        ["5 kg", "5", "6 km"],
    ),
    ({"exact": {"equals": "word"}}, {"word": "Tern"}, ["tern", "**Tern**."], ["a tern", ""]),
    ({"exact": {"equals": ["Paris", "City of Paris"]}}, {}, ["paris!"], ["Rome"]),
    ({"regex": {"pattern": "[A-Z]{2}-\\d{4}", "full": True}}, {}, ["AB-1234"], ["ab-1234"]),
    ({"json_schema": {"file": "bird.json"}}, {}, ['{"legs": 2}'], ['{"legs": 4}', "legs: 2"]),
    (
        {"citation": {"in": "document"}},
        {"document": CITED},
        ["It says “heated with beech wood”.", '"It is opened once"'],
        ["It says “heated with gas”.", "With beech wood."],
    ),
    ({"python_tests": {"tests": "tests.py"}}, {}, [DOUBLE], [TRIPLE]),
    ({"python_tests": {"tests": "tests"}}, {"tests": REPLAYED}, [DOUBLE], [TRIPLE]),
]
FILES = {"bird.json": json.dumps(BIRD).encode(), "tests.py": TESTS.encode()}
# What a checker says holds on machines that can run code; elsewhere the others still do.
HERE = [kind for kind in KINDS if "python_tests" not in kind[0] or not walls.missing()]


@pytest.fixture
def rng():
    return random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))


def sample(answer, verify, question="?"):
    said = {"role": "user", "content": question}, {"role": "assistant", "content": answer}
    return Sample("i", said, "compositional_skills", "compositional_skills/x", verify=verify)


def said(check, columns, answer):
    """What a build's line says of a checker that passed an answer, through JSON."""
    made = checker(check, FILES)
    found = asyncio.run(written([Passed.of(made, {**columns, "answer": answer})], answer))
    return json.loads(json.dumps(found))


@pytest.mark.parametrize(("check", "columns", "right", "wrong"), HERE)
def test_right_answers_pass_and_wrong_ones_fail(check, columns, right, wrong):
    verify = said(check, columns, right[0])
    texts = [*right, *wrong, "I do not know."]
    scores = checked([sample(right[0], verify)] * len(texts), texts)
    assert scores == [1.0] * len(right) + [0.0] * (len(wrong) + 1)


def test_answers_to_other_questions_fail(rng):
    """The control: the same answers in another order are no pass."""
    sums = rng.sample(range(10, 10_000), 40)
    asked = [sample(str(n), said({"numeric": {"equals": "sum"}}, {"sum": n}, f"{n}")) for n in sums]
    texts = [f"The answer is {n}." for n in sums]
    moved = rng.randrange(1, 40)
    assert checked(asked, texts) == [1.0] * 40
    assert checked(asked, texts[moved:] + texts[:moved]) == [0.0] * 40


def test_an_answer_must_pass_all_of_several():
    made = [
        (checker({"regex": {"pattern": "^Sum:"}}, {}), {}),
        (checker({"numeric": {"equals": "sum"}}, {}), {"sum": "7"}),
    ]
    passed = [Passed.of(one, {**known, "answer": "Sum: 7"}) for one, known in made]
    verify = asyncio.run(written(passed, "Sum: 7"))
    texts = ["Sum: 7", "7", "Sum: 8", "Sum: 3 + 4 = 7"]
    assert checked([sample("Sum: 7", verify)] * 4, texts) == [1.0, 0.0, 0.0, 1.0]


def test_what_the_whole_answer_fails_is_not_kept():
    part = checker({"exact": {"equals": "sum", "value": "last"}}, {})
    number = checker({"numeric": {"equals": "sum", "value": "last"}}, {})
    passed = [Passed.of(one, {"sum": "7", "last": "7"}) for one in (part, number)]
    whole = asyncio.run(written(passed, "Three and four: 7"))
    assert [list(one["checker"]) for one in whole["all"]] == [["numeric"]]
    assert asyncio.run(written(passed, "Three and four: 8")) == {}
    assert len(asyncio.run(written(passed, "7"))["all"]) == 2


def test_questions_without_a_checker_have_no_score():
    verify = said({"numeric": {"equals": "sum"}}, {"sum": "7"}, "7")
    report = Report()
    assert checked([sample("7", {}), sample("7", verify)], ["7", "7"], report) == [None, 1.0]
    assert not report.diagnostics


def test_a_checker_that_cannot_work_here_is_told_once(monkeypatch):
    code = {"all": [{"checker": {"python_tests": {"tests": "t"}}, "columns": {"t": REPLAYED}}]}
    later = {"all": [{"checker": {"oracle": {}}}]}
    verify = said({"numeric": {"equals": "sum"}}, {"sum": "7"}, "7")
    asked = [sample("x", code), sample("7", verify), sample("x", code), sample("x", later)]
    monkeypatch.delenv("TRIVIUM_SANDBOX", raising=False)
    monkeypatch.setattr(walls, "missing", lambda: "the kernel has no Landlock")
    report = Report()
    for _ in range(2):
        assert checked(asked, [DOUBLE, "7", TRIPLE, "x"], report) == [None, 1.0, None, None]
    assert [found.code.id for found in report.diagnostics] == ["E713", "E713"]
    said_of = " ".join(found.message for found in report.diagnostics)
    assert "2 questions are not checked: the kernel has no Landlock" in said_of
    assert "unknown kind of checker `oracle`" in said_of


@pytest.mark.parametrize(
    "broken",
    [{"all": []}, {"all": [3]}, {"all": [{}]}, {"all": 7}, {"other": 1}],
)
def test_a_line_that_says_no_checker_is_no_score(broken):
    with pytest.raises(BrokenChecker):
        lasting(broken)
    assert checked([sample("x", broken)], ["x"]) == [None]


def test_what_checks_answers_to_people_questions():
    def found(check, answer, context=""):
        return asyncio.run(of_people([checker(check, FILES)], "?", answer, context))

    verify = found({"numeric": {"equals": "result"}}, "It takes 3 hours.")
    assert checked([sample("", verify)] * 2, ["3", "4 hours"]) == [1.0, 0.0]
    verify = found({"exact": {"equals": "result"}}, "Tern.")
    assert checked([sample("", verify)] * 2, ["tern", "gull"]) == [1.0, 0.0]
    verify = found({"citation": {"in": "document"}}, "“opened once”", CITED)
    assert checked([sample("", verify)] * 2, ["“It is opened once”", "“twice”"]) == [1.0, 0.0]
    assert found({"citation": {"in": "document"}}, "“opened once”") == {}, "nothing to cite"
    assert found({"python_tests": {"tests": "tests"}}, DOUBLE) == {}, "no tests are known"
    assert found({"agreement": {"of": 3}}, "7") == {}, "it knows no right answer"
    assert found({"regex": {"pattern": "^[A-Z]"}}, "lower") == {}, "it fails a person's answer"


PIPELINE = """\
version: 1
about: Sums.
takes: freeform
asks: 5
stages:
  - do: generate
    id: sums
    prompt: sums.j2
    many: true
    writes: {question: text, result: text}
  - do: generate
    id: answer
    prompt: answer.j2
    writes: {answer: text}
  - do: verify
  - do: say
    user: "{{ question }}"
    assistant: "{{ answer }}"
"""
SUMS = """{% block user %}The skill: {{ task }}
{{ seed.question }}
Write {{ count }} more, each as <question>...</question><result>...</result>
{% endblock %}"""
ANSWER = """{% block user %}<question>{{ question }}</question>
Reply with <answer>...</answer>
{% endblock %}"""


class Reckoner(Unconnected):
    """Asks for sums, and answers every third one wrongly."""

    model, by_rule, in_flight = "reckoner", False, 8

    def __init__(self):
        self.first = 100

    async def ask(self, request):
        if request.stage == "sums":
            self.first += 5
            pairs = [(self.first + n, 3 * n + 1) for n in range(5)]
            return Reply(
                "".join(
                    f"<question>What is {a} plus {b}?</question><result>{a} + {b}</result>"
                    for a, b in pairs
                )
            )
        a, b = (int(word.strip("?")) for word in request.columns["question"].split()[2::2])
        return Reply(f"<answer>{a} plus {b} is {a + b + ((a + b) % 3 == 0)}.</answer>")


def test_a_build_keeps_the_checkers_of_its_lines(tmp_path):
    seeds = [{"question": f"What is {n} plus 4?", "answer": f"It is {n + 4}."} for n in range(5)]
    route = {"kind": "freeform", "pipeline": "sums", "verify": {"numeric": {"equals": "result"}}}
    settings = {"version": 1, "samples_per_leaf": 60, "routes": [route]}
    write(
        tmp_path,
        {
            SKILL: skill(task_description="Add numbers.", seed_examples=seeds),
            "curriculum.yaml": yaml.safe_dump(settings).encode(),
            "pipelines/sums/pipeline.yaml": PIPELINE,
            "pipelines/sums/sums.j2": SUMS,
            "pipelines/sums/answer.j2": ANSWER,
            "pipelines/sums/example.yaml": "kind: freeform\n",
        },
    )
    report = Report()
    program = prepare(WorkTree(tmp_path), tmp_path / ".home", report)
    assert program, report.diagnostics
    teacher = Reckoner()
    engine = Local(teacher, teacher, Journal(Path(":memory:")))
    product = asyncio.run(expand(program, engine, report, lambda outcome: None, tmp_path))
    assert product, report.diagnostics
    emit(product, tmp_path / "build")
    build = data.read(tmp_path / "build", report)
    assert build, report.diagnostics
    for part in (build.phase2, build.validation, build.heldout):
        assert part
        scores = checked(part, [one.answer for one in part], report)
        assert scores == [1.0] * len(part)
        others = [str(1000 + i) for i in range(len(part))]
        assert checked(part, others, report) == [0.0] * len(part)
    (kept,) = build.heldout
    known = kept.answer.split()[-1]
    assert checked([kept] * 2, [f"I say {known}", "I say 99."]) == [1.0, 0.0]
    expressions = {one.verify["all"][0]["columns"]["result"] for one in build.phase2}
    assert any("+" in text for text in expressions), "what the teacher said is kept"
    lines = (tmp_path / "build" / "samples.jsonl").read_text("utf-8").splitlines()
    assert all("verify" in json.loads(line) for line in lines)
