"""OSS-Instruct, walked with teachers whose every word is planted (arXiv 2312.02120)."""

import asyncio
import hashlib
import json
import os
import random
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.diagnostics import Report
from compiler.documents.text import normalise
from compiler.draw import Text, reextract
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.novelty import Novelty
from compiler.pipeline import Folder, folders, load
from compiler.source import SourceFile, blob_id
from compiler.teacher import Reply, Unconnected
from compiler.teacher.scripted import Scripted
from compiler.tree import parse
from compiler.verify import checker
from tests.conftest import SEED
from tests.taxonomies import DOCUMENT, KNOWLEDGE, SKILL, knowledge, skill, write

CHANCE = random.Random(os.environ[SEED])
FAVOURITE = "Write a function that returns the sum of a list of numbers."
SEEDS = (
    "Write a function that returns the sum of a list of numbers.",
    "Write a function that returns the largest number of a list.",
    "Write a function that tells whether a string is a palindrome.",
    "Write a function that counts the vowels of a string.",
    "Write a function that reverses a list.",
    "Write a function that returns the mean of a list of numbers.",
)
OPENING = "Write a function that"
BENCHMARK = (
    "Write a function that returns the product of a list of numbers.",
    "Write a function that returns the smallest number of a list.",
    "Write a function that counts the consonants of a string.",
    "Write a function that tells whether a list is sorted.",
    "Write a function that reverses a string.",
)


def made_up(lines, number=0):
    """A file of code that nobody wrote; no two of its lines are alike."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ("".join(CHANCE.choices(letters, k=CHANCE.randint(4, 12))) for _ in range(lines))
    text = "\n".join(f"{name}_{i} = {CHANCE.random():.4f}" for i, name in enumerate(names))
    return Text(f"src/{number}.py", blob_id(text.encode()), text)


def leaf(value=None, path="compositional_skills/small/qna.yaml"):
    seeds = [{"question": q, "answer": f"def f{i}(): ..."} for i, q in enumerate(SEEDS)]
    text = yaml.safe_dump(value or skill(task_description="Program.", seed_examples=seeds))
    return make_leaf(parse(SourceFile(path, text.encode()), Report()), None)


class Teacher(Unconnected):
    """Says what `says` makes of a request; of choices the `verdict`, by default the last."""

    model, by_rule, in_flight = "teacher", False, 8

    def __init__(self, says, verdict=""):
        self.says, self.verdict, self.asked = says, verdict, []

    async def ask(self, request):
        self.asked.append(request)
        if request.form == "choice":
            return Reply(self.verdict or str(request.writes[0].choices[-1]))
        said = self.says(request)
        return said if isinstance(said, Reply) else Reply(said)


def pipeline(name="oss-instruct", change=lambda files: files):
    folder = folders()[name]
    report = Report()
    made = load(Folder(name, folder.shown, change(dict(folder.files))), report)
    assert made, [(d.code.id, d.message) for d in report.diagnostics]
    return made


def walk(teacher, texts, wanted=1, of=None, using=None, **ground):
    """The outcome of the one unit of a leaf."""
    made = using or pipeline()
    told = Ground(**{"texts": tuple(texts), **ground})
    units = lower(of or leaf(), (), made.name, made.asks, wanted, Report(), told)

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [outcome async for outcome in expander.run(units, {made.name: made})]

    (outcome,) = asyncio.run(run())
    assert outcome.records == len(outcome.samples) + len(outcome.drops)
    return outcome


def said(question, answer):
    return f"<question>{question}</question>\n<answer>{answer}</answer>"


def inspired(request):
    """Something else for every prompt."""
    name = hashlib.sha256(str(request.messages).encode()).hexdigest()[:10]
    return said(f"Compute the number {name}.", f"It is {name}, for it is its name.")


def codes(outcome):
    return Counter(drop.code.id for drop in outcome.drops)


def places_of(outcome):
    return [(sample.origin.document, sample.origin.lines) for sample in outcome.samples]


def test_windows_have_1_to_15_lines_and_come_again():
    texts = [made_up(60, number) for number in range(5)]
    known = {text.blob: text for text in texts}
    teacher = Teacher(inspired)
    outcome = walk(teacher, texts, wanted=150)
    places = places_of(outcome)
    lengths = {end - start + 1 for _, (start, end) in places}
    assert lengths == set(range(1, 16))
    assert len(set(places)) == len(places)
    prompts = "\0".join(r.messages[-1].content for r in teacher.asked)
    for sample in outcome.samples:
        text = known[sample.origin.document_blob]
        assert text.path == sample.origin.document
        assert f"<snippet>\n{reextract(text.text, *sample.origin.lines)}\n" in prompts
    again = walk(Teacher(inspired), texts, wanted=150)
    assert [one.id for one in again.samples] == [one.id for one in outcome.samples]
    other = walk(Teacher(inspired), texts, 40, leaf(path="compositional_skills/other/qna.yaml"))
    assert [(one.origin.document, one.origin.lines) for one in other.samples] != places[
        : len(other.samples)
    ]


def striking(request):
    """A teacher with one favourite, unless its prompt has a line that catches its eye."""
    if shown := re.search(r"<snippet>\n(.*)\n</snippet>", request.messages[-1].content, re.S):
        line = max(shown[1].split("\n"), key=lambda one: (len(one), one))
        name = hashlib.sha256(line.encode()).hexdigest()[:12]
        return said(f"Explain {name}.", f"{name} is a name.")
    return said(FAVOURITE.replace("sum", "total"), "def total(numbers): return sum(numbers)")


def without_snippets(files):
    """The same pipeline without its draw, and its prompts without the lines."""
    stages = yaml.safe_load(files["pipeline.yaml"])
    inside = stages["stages"][0]["stages"]
    stages["stages"][0]["stages"] = [one for one in inside if "snippet" not in str(one)]
    files["pipeline.yaml"] = yaml.safe_dump(stages, sort_keys=False).encode()
    for name in ("problem.j2", "rating.j2"):
        text = files[name].decode()
        files[name] = re.sub(r"<snippet>.*?</snippet>\n", "", text, flags=re.S).encode()
    return files


def test_snippets_make_a_teacher_with_a_favourite_write_ten_times_as_many_problems():
    texts = [made_up(40, number) for number in range(6)]
    with_them = walk(Teacher(striking), texts, wanted=60)
    bare = pipeline(change=without_snippets)
    alone = walk(Teacher(striking), texts, wanted=60, using=bare)
    distinct = [len({one.question for one in found.samples}) for found in (with_them, alone)]
    assert distinct[1] == 1
    assert distinct[0] >= 10 * distinct[1], distinct
    assert alone.saturated


CODE = "```python\ndef f(a):\n    return a * 12.42\n```"
MINE = "Multiply by 12.42."


@pytest.mark.parametrize(
    "reply, code",
    [
        (said(MINE, f"One line will do:\n{CODE}"), ""),
        (said(f"{MINE} Begin with:\n```\ndef f(a):\n```", CODE), ""),
        (said(f"Simplify this:\n{CODE}", CODE.replace("    ", "\t")), "D527"),
        (said(f"What is f(2)?\n{CODE}", f"It is 24.84, for the code is\n{CODE}"), "D527"),
        (f"<answer>{CODE}</answer>\n<question>{MINE}</question>", "D501"),
        (f"<question>{MINE}</question>", "D501"),
        (f"<answer>{CODE}</answer>", "D501"),
        (said(MINE, ""), "D501"),
        (said("", CODE), "D501"),
        ("Which problem do you mean?", "D501"),
        (Reply(f"<question>{MINE}</question><answer>It is", "length"), "D512"),
        (Reply("<question>Multiply", "length"), "D512"),
        (said(SEEDS[1].upper(), CODE), "D503"),
    ],
)
def test_what_is_kept_of_a_reply_and_why_not(reply, code):
    once = {"settings": {"rounds": 1, "calls": 1}}
    outcome = walk(Teacher(lambda _: reply), [made_up(9)], **once)
    assert [drop.code.id for drop in outcome.drops] == ([code] if code else [])
    assert bool(outcome.samples) is not bool(code)


def test_the_same_problem_or_solution_is_kept_once_whatever_its_white_space():
    def unlike(number):
        return f"Count the {number} stars.", f"def stars(): return {number}"

    for change, kept in (
        (lambda n: unlike(n), 4),
        (lambda n: (f"Count  the\n{' ' * n}stars.", unlike(n)[1]), 1),
        (lambda n: (unlike(n)[0], f"def stars():\n{' ' * (n + 1)}return 7"), 1),
    ):
        numbers = iter(range(99))

        def says(_, change=change, numbers=numbers):
            return said(*change(next(numbers)))

        outcome = walk(Teacher(says), [made_up(50)], wanted=4, settings={"rounds": 1, "calls": 4})
        assert len(outcome.samples) == kept
        assert codes(outcome) == Counter({"D503": 4 - kept} if kept < 4 else {})


def test_the_same_lines_are_asked_about_once():
    teacher = Teacher(inspired)
    three = Text("a.md", "0" * 40, "one\ntwo")
    outcome = walk(teacher, [three], wanted=50, settings={"rounds": 20, "judged": "no"})
    assert len(teacher.asked) == len(outcome.samples) == 3
    assert outcome.saturated
    assert set(codes(outcome)) == {"D503"}


def test_a_leaf_without_lines_says_so_and_asks_nothing():
    teacher = Teacher(inspired)
    assert codes(walk(teacher, [], settings={"rounds": 1, "calls": 1})) == {"P208": 1}
    assert not teacher.asked


def test_the_judge_may_be_left_out_and_the_checker_outranks_it():
    wrong = Teacher(inspired, verdict="1")
    texts, once = [made_up(50)], {"rounds": 1, "calls": 4}
    assert codes(walk(wrong, texts, 4, settings=once)) == {"D511": 4}
    assert len(walk(wrong, texts, 4, settings={**once, "judged": "no"}).samples) == 4
    never = checker({"regex": {"pattern": "no such solution"}}, {})
    praised = Teacher(inspired)
    assert codes(walk(praised, texts, 4, settings=once, checker=never)) == {"D515": 4}
    assert {request.stage for request in praised.asked} == {"problem"}


def test_the_prompts_of_a_problem_begin_alike():
    """So that a server with a prefix cache reads the lines once."""
    teacher = Teacher(inspired)
    walk(teacher, [made_up(50)], settings={"rounds": 1, "calls": 1}, language="de")
    problem, rating = (
        "\0".join(message.content for message in request.messages) for request in teacher.asked
    )
    end = problem.index("</snippet>")
    assert problem[:end] == rating[:end]
    assert "Write everything in German." in problem


def near(problems, benchmark):
    """The mean ROUGE-L of problems with the nearest question of a benchmark."""
    known = Novelty(0.001)
    for question in benchmark:
        known.add(question, "")
    found = [known.nearest(one) or (0.0, "") for one in problems]
    return sum(similarity for similarity, _ in found) / len(found)


def mimic(request):
    """Asks for a function, in words of a line that it was shown, and some of another one."""
    text = request.messages[-1].content
    chance = random.Random(f"{os.environ[SEED]}{request.index}{text}")
    lines = re.search(r"<snippet>\n(.*)\n</snippet>", text, re.S)
    shown = lines[1].split("\n") if lines else re.findall(r"<question>(.*\w)</question>", text)
    shown = [line.removeprefix(OPENING) for line in shown]
    one, other = (re.findall(r"\w+", chance.choice(shown)) for _ in range(2))
    words = [word if chance.random() < 0.7 else chance.choice(other or one) for word in one]
    problem = f"{OPENING} {' '.join(words)} {chance.randint(0, 999)}"
    if request.stage == "instructions":
        return f"<question>{problem}</question>"
    answer = f"def f(): return {chance.random()}"
    return said(problem, answer) if lines else f"<context>none</context><answer>{answer}</answer>"


def test_problems_are_farther_from_a_benchmark_than_those_that_grow_out_of_seeds():
    """Magicoder, figure 4: .105 against .169. Seeds that are like a benchmark breed its questions;
    lines of code do not.
    """
    like = [{"question": question[:-1], "answer": "def f(): ..."} for question in SEEDS]
    of = leaf(skill(task_description="Program.", seed_examples=like))
    loose = {"max_rouge_l": 0.95}
    leaked = [Text("benchmark.txt", "0" * 40, "\n".join(BENCHMARK))]  # a control
    outcomes = (
        walk(Teacher(mimic), [made_up(60, number) for number in range(3)], 20, of),
        walk(Teacher(mimic), (), 20, of, pipeline("self-instruct"), settings=loose),
        walk(Teacher(mimic), leaked, 20, of),
    )
    for outcome in outcomes:
        assert len(outcome.samples) >= 5, codes(outcome)
    far, baseline, leak = (
        near([sample.question for sample in outcome.samples], BENCHMARK) for outcome in outcomes
    )
    assert far < baseline - 0.1, (far, baseline)
    assert leak > baseline, (leak, baseline)


def git(folder, *words):
    done = subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    return done.stdout


def committed(folder, files):
    """Makes a repository; the hash of its one commit."""
    folder.mkdir()
    git(folder, "init", "-q")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    return git(folder, "rev-parse", "HEAD").decode().strip()


def test_a_compile_keeps_where_the_lines_stood_to_the_byte(tmp_path, monkeypatch):
    """Code of a pinned repository for a skill, and for knowledge the leaf's own document, whose
    lines are counted as chunks are: in its normal form.
    """
    files = {f"{n}.c": made_up(40, n).text.encode() + b"\n\tint \xc3\xa9;  \n" for n in range(3)}
    commit = committed(tmp_path / "code", {**files, "picture.c": b"\0\1"})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path / 'code'}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.org/code")
    snippets = {"repo": "https://example.org/code", "commit": commit, "patterns": ["*.c"]}
    routes = [
        {"kind": "freeform", "pipeline": "oss-instruct", "snippets": snippets},
        {"kind": "knowledge", "pipeline": "oss-instruct"},
    ]
    texts = [*(data.decode() for data in files.values()), normalise(DOCUMENT.encode())]
    begins = sorted({line for text in texts for line in text.split("\n")})
    script = [
        {
            "stage": "problem",
            "contains": f"<snippet>\n{line}\n",
            "text": said(f"What is thing {i}?", f"The one with number {i}."),
        }
        for i, line in enumerate(begins)
    ]
    settings = {"samples_per_leaf": 12, "routes": routes, "mix": {"validation": 0}}
    home = write(
        tmp_path / "home",
        {
            SKILL: skill(),
            KNOWLEDGE: knowledge(),
            "curriculum.yaml": yaml.safe_dump(settings),
            "teacher.yaml": yaml.safe_dump([*script, {"stage": "rating", "text": "3"}]),
        },
    )
    asked = []
    ask = Scripted.ask
    monkeypatch.setattr(Scripted, "ask", lambda self, r: asked.append(r) or ask(self, r))
    monkeypatch.chdir(home)
    monkeypatch.setenv("TRIVIUM_HOME", str(home / ".home"))
    done = CliRunner().invoke(app, ["compile", "--teacher", "scripted:teacher.yaml"])
    assert done.exit_code == 0, done.output
    assert "T144" in done.output  # the picture
    drawn = {request.columns["snippet"]["text"] for request in asked if request.stage == "problem"}
    made = [json.loads(line) for line in (home / "out/build/samples.jsonl").open()]
    seen = Counter()
    for sample in made:
        origin = sample["origin"]
        if origin["kind"] != "synthetic":
            continue
        path, blob, (start, end) = origin["document"], origin["document_blob"], origin["lines"]
        if is_own := path == "documents/robin.md":
            data = (home / path).read_bytes()
            assert blob_id(data) == blob
            data = normalise(data).encode()
        else:
            assert git(tmp_path / "code", "rev-parse", f"{commit}:{path}").decode().strip() == blob
            data = git(tmp_path / "code", "cat-file", "blob", blob)
        shown = b"\n".join(data.split(b"\n")[start - 1 : end]).decode()
        assert shown in drawn
        first = begins.index(shown.split("\n")[0])
        assert sample["question"] == f"What is thing {first}?"
        seen[is_own] += 1
    assert seen[True] >= 3
    assert seen[False] >= 5
