"""Self-Instruct and its Alpaca preset, walked with teachers whose every word is planted."""

import asyncio
import hashlib
import os
import random
import re
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from rouge_score.rouge_scorer import RougeScorer
from typer.testing import CliRunner

from compiler.cli import app
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.imagine import imagined
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.pipeline import folders, load
from compiler.source import SourceFile
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from tests.conftest import SEED
from tests.taxonomies import SKILL, skill, write

SEEDS = tuple(
    f"Name the {one} of a river that begins with {two}."
    for one, two in zip(
        ("length", "mouth", "colour", "source", "bed", "valley", "delta", "bank"),
        ("P", "Q and no other letter", "R", "S, then tell why", "T", "U or V", "W", "X"),
        strict=True,
    )
)
NEW = (
    "Compare two lakes by their depth in three lines.",
    "Why do tides follow the moon? Answer a child.",
    "Invent a proverb about rain and patience.",
    "List five trades that need a harbour.",
    "Shorten a weather report to one sentence.",
    "Explain how a lock lifts barges uphill.",
    "Turn a dry timetable into a cheerful advertisement.",
    "Which tools does an angler carry at night?",
)


def chance(salt=0):
    return random.Random(int(os.environ[SEED]) + salt)


@cache
def pipeline(name):
    made = load(folders()[name], Report())
    assert made
    return made


def leaf(questions=SEEDS, task="Write about water."):
    seeds = [{"question": q, "answer": f"It is {i}."} for i, q in enumerate(questions)]
    said = {"created_by": "me", "task_description": task, "seed_examples": seeds}
    text = yaml.safe_dump(said, allow_unicode=True)
    return make_leaf(
        parse(SourceFile("compositional_skills/water/qna.yaml", text.encode()), Report()), None
    )


class Teacher(Unconnected):
    """Says what is planted for a stage: a text, or a function of the request. Else every task is a
    generation without an input.
    """

    model, by_rule, in_flight = "teacher", False, 8

    def __init__(self, **says):
        one = "<context>none</context><answer>Done as told.</answer>"
        self.says = {"kind": "generation", "instances": one, **says}
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        said = self.says[request.stage]
        said = said(request) if callable(said) else said
        return said if isinstance(said, Reply) else Reply(said)

    def prompts(self, stage):
        return [r.messages[-1].content for r in self.asked if r.stage == stage]


def tagged(*questions):
    return "".join(f"<question>{question}</question>\n" for question in questions)


def walk(teacher, wanted=1, of=None, name="self-instruct", **ground):
    """The outcome of the one unit of a leaf."""
    made = pipeline(name)
    told = Ground(**{"settings": {"rounds": 1}, **ground})
    units = lower(of or leaf(), (), name, made.asks, wanted, Report(), told)

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [outcome async for outcome in expander.run(units, {name: made})]

    (outcome,) = asyncio.run(run())
    assert outcome.records == len(outcome.samples) + len(outcome.drops)
    return outcome


def questions(outcome):
    return [sample.question for sample in outcome.samples]


def codes(outcome):
    return Counter(drop.code.id for drop in outcome.drops)


def rouge(tokenizer=None):
    """ROUGE-L F1 by the package rouge-score."""
    scorer = RougeScorer(["rougeL"], tokenizer=tokenizer)
    return lambda a, b: scorer.score(a, b)["rougeL"].fmeasure


def babble(request):
    """Eight instructions, each a known one of which a share of the words is another."""
    text = f"{os.environ[SEED]}{request.index}{request.messages}"
    drawn = random.Random(hashlib.sha256(text.encode()).digest())
    words = " ".join(NEW).split()
    said = []
    for _ in range(8):
        share = drawn.random()
        like = drawn.choice((*NEW, *SEEDS)).split()
        said.append(" ".join(drawn.choice(words) if drawn.random() < share else w for w in like))
    return tagged(*said)


@pytest.mark.parametrize("below", [0.7, 1.0])
def test_no_two_that_are_kept_are_alike(below):
    """Recomputed by another implementation; with the bound at 1 the same teacher's are alike."""
    settings = {"rounds": 12, "max_rouge_l": below}
    siblings, held_out = ("name the depth of one lake",), ("tell why the sea and the lake ask",)
    teacher = Teacher(instructions=babble)
    outcome = walk(teacher, 60, settings=settings, siblings=siblings, held_out=held_out)
    kept, score = questions(outcome), rouge()
    known = (*SEEDS, *siblings, *held_out)
    pairs = [*combinations(kept, 2), *((one, other) for one in kept for other in known)]
    most = max(score(a, b) for a, b in pairs)
    assert len(kept) > 8
    assert (most < 0.7) is (below == 0.7)
    assert codes(outcome)["D516"] > 0 or below == 1


@pytest.mark.parametrize("common, is_kept", [(7, False), (6, True)])
@pytest.mark.parametrize("place", ["leaf", "siblings", "held_out", "accepted"])
def test_seven_words_of_ten_are_too_many(common, is_kept, place):
    ten = "one two three four five six seven eight nine ten"
    near = " ".join([*ten.split()[:common], "red", "green", "blue", "white"][:10])
    assert rouge()(ten, near) == pytest.approx(common / 10)
    ground = {place: (ten,)} if place in ("siblings", "held_out") else {}
    of = leaf((ten, *SEEDS)) if place == "leaf" else None
    said = tagged(*([ten] if place == "accepted" else []), near)
    outcome = walk(Teacher(instructions=said), of=of, **ground)
    # of two candidates either may be the first to be accepted
    assert len(outcome.samples) == is_kept + (place == "accepted")
    assert codes(outcome) == ({} if is_kept else {"D516": 1})


PLANTED = {
    "too short": ("D502", "Name a river.", "Name a wide river."),
    "too long": ("D517", "Say" + " water" * 150, "Say" + " water" * 149),
    "banned": ("D518", "Now go to the shore and describe it.", "Now go by the shore to town."),
    "a program": (
        "D519",
        "Write a program that counts drops.",
        "Rewrite a program for Easter day.",
    ),
    "punctuation": ("D519", "(Hint) ask for the tide.", "3 hints help to tell a tide."),
    "letters": ("D519", "写一首关于潮水的短诗。", "Écluses, too, have a tide: tell of one."),
    "rouge": ("D516", SEEDS[0].replace("P", "Z"), "Name whatever river has no delta."),
    "exact": ("D503", f" {NEW[0].upper()}", "Compare wells by taste, in prose."),
}


@pytest.mark.parametrize("plant", ["bad", "good"])
def test_each_reason_drops_what_is_planted_for_it(plant):
    """Nine reasons; beside each stands a candidate that only just passes."""
    said = [NEW[0], *(one[1 + (plant == "good")] for one in PLANTED.values())]
    chance().shuffle(said)
    cut = Reply(
        tagged(*said) + "<question>Tell me about the", "length" if plant == "bad" else "stop"
    )
    outcome = walk(Teacher(instructions=cut), 9)
    if plant == "good":
        assert sorted(questions(outcome)) == sorted([*said, "Tell me about the"])
        assert not outcome.drops
        return
    (kept,) = questions(outcome)
    assert kept.casefold().strip() == NEW[0].casefold()
    assert codes(outcome) == Counter([code for code, *_ in PLANTED.values()] + ["D512"])
    details = {drop.code.id: drop.detail for drop in outcome.drops}
    assert details["D502"] == "3 words, 4 are wanted"
    assert details["D517"] == "151 words, at most 150 are wanted"
    assert details["D518"] == "it says go to"


def test_words_are_banned_per_leaf():
    said = tagged("Draw up a list of harbours.", "Mapping of reefs: tell how it is done.", NEW[0])
    bans = {"": 3, "draw": 2, "harbours, lakes": 1, "map": 3}
    for banned, kept in bans.items():
        outcome = walk(Teacher(instructions=said), settings={"rounds": 1, "banned": banned})
        assert len(outcome.samples) == kept, banned
        assert codes(outcome)["D518"] == 3 - kept


def instances(*pairs):
    return "".join(f"<context>{a}</context><answer>{b}</answer>" for a, b in pairs)


@pytest.mark.parametrize("second", ["Two.", "One."])
def test_a_task_that_contradicts_itself_loses_all_instances(second):
    """The control says the same output twice: the two are merged, and nothing else goes."""
    torn = instances(
        ("the Nile", "One."), ("The Nile!", second), ("the Po", "Six."), ("none", "A.")
    )
    sound = instances(
        ("the Nile", "Three."), ("the Rhine", "One."), ("none", "Ay."), ("none", "Ay.")
    )

    def told(request):
        return torn if request.columns["question"] == NEW[1] else sound

    outcome = walk(Teacher(instructions=tagged(NEW[1], NEW[2]), instances=told))
    kept = Counter(questions(outcome))
    assert kept[NEW[2]] == 3  # another task's output for the same input is no contradiction
    assert kept[NEW[1]] == (0 if second == "Two." else 3)
    assert codes(outcome) == ({"D520": 4, "D503": 1} if second == "Two." else {"D503": 2})


def test_an_instance_has_an_input_and_an_output_of_its_own():
    said = instances(
        ("A lake", "a lake"), ("A pond:", "Deep."), ("A moor", "It is:"), ("A bog", "Wet.")
    )
    said += "<context>A fen</context><answer></answer>"
    outcome = walk(Teacher(instructions=tagged(NEW[0]), instances=said))
    (sample,) = outcome.samples
    assert [m.content for m in sample.messages] == [f"{NEW[0]}\n\nA bog", "Wet."]
    assert (sample.context, sample.answer) == ("A bog", "Wet.")
    assert codes(outcome) == {"D524": 1, "D523": 2, "D501": 1}


def test_what_is_accepted_does_not_depend_on_the_order_of_a_reply():
    """It would: taken as they come, the same candidates leave another set in another order."""
    drawn, score = chance(), rouge()
    words = [f"w{i}" for i in range(10)]
    chain = [" ".join(words[i : i + 6]) for i in range(5)] + [
        " ".join(words[i : i + 5]) for i in range(6)
    ]
    kept, taken = set(), set()
    for _ in range(6):
        drawn.shuffle(chain)
        outcome = walk(Teacher(instructions=tagged(*chain)), 20)
        kept.add(frozenset(questions(outcome)))
        known = []
        for text in chain:
            if all(score(text, other) < 0.7 for other in known):
                known.append(text)
        taken.add(frozenset(known))
    assert len(kept) == 1
    assert len(taken) > 1


def test_a_prompt_shows_six_of_people_and_two_of_the_machine_in_any_order():
    made = [
        f"{verb} {thing} {how}"
        for verb in ("Find", "Tell", "Weigh", "Sing")
        for thing in ("otters", "kelp", "ferries", "dew")
        for how in ("by their whiskers", "before noon falls")
    ]
    turns = iter(made)
    settings = {"rounds": 30, "tasks": 1}
    teacher = Teacher(instructions=lambda request: tagged(next(turns)))
    outcome = walk(teacher, len(made), settings=settings)
    assert sorted(questions(outcome)) == sorted(made[: len(outcome.samples)])
    shown = [
        re.findall("<question>(.+)</question>", p)[:-1] for p in teacher.prompts("instructions")
    ]
    assert len(shown[0]) == 6
    assert set(shown[0]) < set(SEEDS)
    machine = [[q in made for q in one] for one in shown[2:]]
    assert all((len(one), sum(one)) == (8, 2) for one in machine)
    for at, one in enumerate(shown):
        assert {q for q in one if q in made} <= set(made[:at])
    assert len({tuple(one) for one in machine}) > len(machine) / 2
    assert len({frozenset(one) & set(SEEDS) for one in map(frozenset, shown)}) > 1
    request = next(r for r in teacher.asked if r.stage == "instructions")
    assert request.sampling.as_json() == {
        "temperature": 0.7, "top_p": 0.5, "presence_penalty": 2, "max_tokens": 1024
    }  # fmt: skip
    assert SEEDS[-1] not in "".join(teacher.prompts("instructions"))  # it is held out
    assert {s.origin.generation for s in outcome.samples} > {1}


def test_what_is_to_be_sorted_gets_its_label_first():
    label = "<answer>{}</answer><context>{}</context>"
    said = label.format("salt", "A lagoon") + label.format("fresh", "A spring")
    kinds = {NEW[0]: "classification", NEW[1]: "generation"}
    teacher = Teacher(
        instructions=tagged(*kinds),
        kind=lambda request: kinds[request.columns["question"]],
        labelled=said,
        instances=instances(("A puddle", "Shallow.")),
    )
    outcome = walk(teacher)
    assert [(s.question, s.context, s.answer) for s in outcome.samples] == [
        (NEW[0], "A lagoon", "salt"),
        (NEW[0], "A spring", "fresh"),
        (NEW[1], "A puddle", "Shallow."),
    ]
    asked = {r.stage: r for r in teacher.asked}
    assert asked["kind"].sampling.temperature == asked["labelled"].sampling.temperature == 0
    order = {
        stage: re.findall(r"<(\w+)>\.\.\.", teacher.prompts(stage)[-1])
        for stage in ("labelled", "instances")
    }
    assert order == {"labelled": ["answer", "context"], "instances": ["context", "answer"]}
    plain = walk(
        Teacher(instructions=tagged(*kinds), kind="classification"),
        settings={"rounds": 1, "classify": False},
    )
    assert len(plain.samples) == 2  # the control: nobody asked after the kind


WORLD = {
    "Chinese": (
        ("请用三句话解释为什么海水是咸的。", "列出五种生活在河里的鱼。"),
        "请用三句话解释为什么湖水是咸的。",
        "给朋友写一封关于冬天钓鱼的信。",
    ),
    "Arabic": (
        ("اشرح لماذا يكون ماء البحر مالحا في ثلاث جمل قصيرة", "اذكر خمسة أنواع من الأسماك"),
        "اشرح لماذا يكون ماء البحر مالحا في أربع جمل قصيرة",
        "اكتب رسالة إلى صديق عن رحلة شتوية",
    ),
}


class Characters:
    """Splits each letter off: about what words are in scripts that set no spaces."""

    def tokenize(self, text):
        return re.findall(r"\w", text)


@pytest.mark.parametrize("name", WORLD)
def test_leaves_of_all_scripts_are_really_compared(name):
    seeds, near, new = WORLD[name]
    outcome = walk(Teacher(instructions=tagged(near, new)), of=leaf((*seeds, *seeds[:1])))
    assert questions(outcome) == [new]
    assert codes(outcome) == {"D516": 1}
    assert rouge()(seeds[0], near) == 0  # the control: words of a to z are no words here
    assert rouge(Characters())(seeds[0], near) >= 0.7 > rouge(Characters())(seeds[0], new)
    prompt = Teacher(instructions=tagged(new))
    walk(prompt, of=leaf(seeds), language="zh")
    assert "Write everything in Chinese." in prompt.prompts("instructions")[0]


TASK = "<question>{}</question><context>{}</context><answer>{}</answer>"


def test_alpaca_asks_once_for_whole_exercises():
    said = TASK.format(NEW[0], "Lake A; lake B", "A is deeper.") + TASK.format(
        NEW[1], "none", "It pulls."
    )
    said += TASK.format("Choose music for a boat trip.", "none", "A waltz.")
    said += TASK.format(NEW[0], "Other lakes", "B is deeper.")
    teacher = Teacher(**{"whole-tasks": said})
    outcome = walk(teacher, 40, name="alpaca")
    assert {(s.question, s.context, s.answer) for s in outcome.samples} in (
        {(NEW[0], "Lake A; lake B", "A is deeper."), (NEW[1], "", "It pulls.")},
        {(NEW[0], "Other lakes", "B is deeper."), (NEW[1], "", "It pulls.")},
    )
    assert codes(outcome) == {"D518": 1, "D503": 1}
    (request,) = teacher.asked
    assert (request.stage, request.sampling.temperature) == ("whole-tasks", 1)
    (prompt,) = teacher.prompts("whole-tasks")
    assert "Write 20 new" in prompt
    assert len(re.findall("<question>", prompt)) == 3 + 1
    music = walk(Teacher(instructions=tagged("Choose music for a boat trip.")))
    assert len(music.samples) == 1  # the control: the word is Alpaca's own ban


def test_alpaca_shows_people_only():
    made = iter(NEW)
    teacher = Teacher(**{"whole-tasks": lambda request: TASK.format(next(made), "none", "Yes.")})
    outcome = walk(teacher, len(NEW), name="alpaca", settings={"rounds": len(NEW)})
    assert len(outcome.samples) == len(NEW)
    assert not any(text in p for p in teacher.prompts("whole-tasks") for text in NEW)
    assert {s.origin.generation for s in outcome.samples} == {1}


@pytest.mark.parametrize("name, each", [("self-instruct", 2), ("self-instruct", 5), ("alpaca", 1)])
def test_the_plan_knows_what_a_walk_asks(name, each):
    """Of a teacher that always has something new, and writes as many instances as it may."""
    numbers = iter(range(10**6))

    def news(request):
        return [
            " ".join(f"w{next(numbers)}" for _ in range(5)) for _ in range(request.columns["count"])
        ]

    told = instances(*((f"Lake {i}", f"Depth {i}.") for i in range(9)))
    whole = lambda request: "".join(TASK.format(one, "none", "Yes.") for one in news(request))  # noqa: E731
    teacher = Teacher(
        instructions=lambda r: tagged(*news(r)), instances=told, **{"whole-tasks": whole}
    )
    settings = {"instances": each, "rounds": 100}
    outcome = walk(teacher, 100, name=name, settings=settings)
    (unit,) = lower(leaf(), (), name, 0, 100, Report(), Ground(settings))
    planned = {q.stage.id: q.calls for q in imagined(unit, pipeline(name))[0]}
    assert planned == Counter(request.stage for request in teacher.asked)
    of_each = Counter(questions(outcome))
    assert set(of_each.values()) == {each}
    assert codes(outcome)["D513"] == (9 - each) * len(of_each) * (name == "self-instruct")


def compile_(folder, lines, samples, monkeypatch):
    """The output of a compile of one leaf with a scripted teacher."""
    route = {"kind": "freeform", "pipeline": "self-instruct"}
    settings = {"samples_per_leaf": samples, "routes": [route], "check": {"allow": ["empty-phase"]}}
    files = {SKILL: skill(), "curriculum.yaml": yaml.safe_dump(settings)}
    write(folder, {**files, "teacher.yaml": yaml.safe_dump(lines)})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TRIVIUM_HOME", str(folder / ".home"))
    done = CliRunner().invoke(app, ["compile", "--teacher", "scripted:teacher.yaml"])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_teacher_that_repeats_itself_is_told_of(tmp_path, monkeypatch):
    """Whoever asks for no more than it knows hears nothing of it."""
    lines = [
        {"stage": "instructions", "text": tagged(*NEW[:4])},
        {"stage": "kind", "text": "generation"},
        {"stage": "instances", "text": "<context>none</context><answer>Yes.</answer>"},
    ]
    stuck = compile_(tmp_path / "stuck", lines, 50, monkeypatch)
    assert "warning[R409] saturated" in stuck
    asked = int(re.search(r"asked (\d+) questions", stuck)[1])
    assert asked == 3 + 2 * 4  # a round of news, two of echoes
    content = compile_(tmp_path / "content", lines, 4, monkeypatch)
    assert "R409" not in content
