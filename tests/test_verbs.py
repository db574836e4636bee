"""Every verb of the pipeline language, walked: what goes in comes out, or has a reason.

The pipelines are made here from YAML texts, so that each verb stands alone.
"""

import asyncio
import hashlib
import os
import random
from collections import Counter
from pathlib import Path

import pytest
import yaml

from compiler.curriculum import Route
from compiler.diagnostics import Report
from compiler.expand import Expander, from_seed
from compiler.ground import check_route
from compiler.imagine import imagined
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.pipeline import Folder, load
from compiler.source import SourceFile
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from compiler.verify import checker

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", random.randrange(2**32)))
SAY = {"do": "say", "user": "{{ question }}", "assistant": "{{ answer }}"}
ASK = {
    "do": "generate",
    "id": "ask",
    "prompt": "ask.j2",
    "many": True,
    "writes": {"question": "text"},
}
ANSWER = {"do": "generate", "id": "answer", "prompt": "answer.j2", "writes": {"answer": "text"}}
RATE = {
    "do": "generate",
    "id": "rate",
    "prompt": "rate.j2",
    "judge": True,
    "reply": "choice",
    "writes": {"rating": [1, 2, 3]},
}
TEMPLATES = {
    "ask.j2": "{{ count }} like {{ seed.question }}",
    "answer.j2": "Answer {{ question }}",
    "rate.j2": "Rate {{ question }} {{ answer }}",
    "evolve.j2": "{{ operator }} {{ parent.question }}",
}


def loaded(*stages, files=(), **keys):
    said = {"version": 1, "about": "try", "takes": "freeform", "asks": 4, **keys}
    said["stages"] = [*stages, SAY]
    texts = {**TEMPLATES, **dict(files), "pipeline.yaml": yaml.safe_dump(said, sort_keys=False)}
    report = Report()
    folder = Folder("mine", "pipelines/mine", {name: t.encode() for name, t in texts.items()})
    return load(folder, report), report.diagnostics


def pipeline(*stages, **keys):
    made, found = loaded(*stages, **keys)
    assert made, [(d.code.id, d.message, d.span) for d in found]
    return made


def leaf(number=6):
    seeds = [{"question": f"Rhyme on word{i}?", "answer": f"Rhyme {i}."} for i in range(number)]
    said = {"created_by": "me", "task_description": "Rhyme.", "seed_examples": seeds}
    file = SourceFile("compositional_skills/rhyme/qna.yaml", yaml.safe_dump(said).encode())
    return make_leaf(parse(file, Report()), None)


def number(text, salt=SEED):
    return int(hashlib.sha256(f"{salt} {text}".encode()).hexdigest()[:8], 16)


class Teacher(Unconnected):
    """Writes by a hash of what it is asked; `says` has functions of the request for some stages."""

    model, by_rule, in_flight = "teacher", False, 8

    def __init__(self, **says):
        self.says = says
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        drawn = number(f"{request.stage} {request.index} {request.messages}")
        if request.stage in self.says:
            return Reply(self.says[request.stage](request, drawn))
        if request.stage == "rate":
            return Reply(str(drawn % 3 + 1))
        field = request.writes[0].name
        records = 4 if request.many else 1
        return Reply("".join(f"<{field}>{field} {drawn} {i}?</{field}>" for i in range(records)))


def walk(made, teacher, samples=12, ground=None, of=None):
    units = lower(of or leaf(), (), "mine", made.asks, samples, Report(), ground or Ground())

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [o async for o in expander.run(units, {"mine": made})]

    outcomes = sorted(asyncio.run(run()), key=lambda o: o.number)
    for outcome in outcomes:
        assert outcome.records == len(outcome.samples) + len(outcome.drops)
    return outcomes


def samples_of(outcomes):
    return [sample for outcome in outcomes for sample in outcome.samples]


def codes_of(outcomes):
    return Counter(drop.code.id for outcome in outcomes for drop in outcome.drops)


def best(of, **more):
    return {"do": "best", "of": of, "by": "rating", "stages": [ANSWER, RATE], **more}


def test_the_best_of_several_goes_on_and_the_worst_is_its_pair():
    teacher = Teacher()
    outcomes = walk(pipeline(ASK, best(4, pair=True)), teacher)
    made = samples_of(outcomes)
    assert len(made) == 12
    assert codes_of(outcomes) == {"D528": 36}
    rated = {}
    for request in teacher.asked:
        if request.stage == "rate":
            answer = str(request.columns["answer"])
            drawn = number(f"{request.stage} {request.index} {request.messages}")
            rated.setdefault(request.columns["question"], {})[answer] = drawn % 3 + 1
    for sample in made:
        scores = rated[sample.question]
        assert scores[sample.answer] == max(scores.values()) == sample.rivals[0][0]
        assert sorted(proxy for proxy, _ in sample.rivals) == sorted(scores.values())
        if len(set(scores.values())) > 1:
            assert scores[sample.rejected] == min(scores.values())
        else:
            assert sample.rejected == "", "without a difference there is nothing to prefer"
    assert any(sample.rejected for sample in made)


def test_the_best_of_one_is_no_best_of():
    plain, one = Teacher(), Teacher()
    expected = samples_of(walk(pipeline(ASK, ANSWER, RATE), plain))
    made = samples_of(walk(pipeline(ASK, best(1, pair=True)), one))
    key = [(s.id, s.scores, s.rejected, s.rivals, s.origin.replies) for s in made]
    assert key == [(s.id, s.scores, s.rejected, s.rivals, s.origin.replies) for s in expected]
    assert {(r.messages, r.index) for r in one.asked} == {
        (r.messages, r.index) for r in plain.asked
    }
    two = samples_of(walk(pipeline(ASK, best(2)), Teacher()))
    assert [s.id for s in two] != [s.id for s in expected], "the control"


def test_a_pool_fills_in_rounds_and_draws_from_what_was_accepted():
    draw = {
        "do": "draw",
        "writes": {"shown": {"from": "seeds", "number": 2}, "made": {"from": "pool", "number": 2}},
    }
    rounds = {
        "do": "rounds",
        "number": 9,
        "over": "pool",
        "calls": 2,
        "each": 4,
        "stages": [draw, ASK, {"do": "unique", "of": "question"}],
    }
    files = {"ask.j2": "{{ count }}{% for e in shown + made %} {{ e.question }}{% endfor %}"}
    made = pipeline(rounds, ANSWER, asks="all", files=files)
    teacher = Teacher()
    outcomes = walk(made, teacher, samples=20)
    assert len(outcomes) == 1
    asked = [r for r in teacher.asked if r.stage == "ask"]
    assert len(asked) == 6, "three rounds of two calls of four"
    assert len(samples_of(outcomes)) == 24
    later = {r.columns["round"]: r.columns["made"] for r in asked}
    assert [len(later[turn]) for turn in (1, 2, 3)] == [0, 2, 2]
    generations = Counter(s.origin.generation for s in samples_of(outcomes))
    assert generations[1] == 8
    assert generations[2] >= 8, "what was made of what was made"
    questions, expected = imagined(lower(leaf(), (), "mine", 0, 20, Report())[0], made)
    assert [q.calls for q in questions] == [6, 24]
    assert expected == 24


def test_a_teacher_that_repeats_itself_is_saturated():
    rounds = {
        "do": "rounds",
        "number": 50,
        "over": "pool",
        "each": 4,
        "stages": [ASK, {"do": "unique", "of": "question"}],
    }
    teacher = Teacher(ask=lambda request, drawn: "<question>Always the same?</question>")
    (outcome,) = walk(pipeline(rounds, ANSWER, asks="all"), teacher, samples=20)
    assert outcome.saturated
    assert len([r for r in teacher.asked if r.stage == "ask"]) == 3
    assert [s.question for s in outcome.samples] == ["Always the same?"]
    assert not walk(pipeline(rounds, ANSWER, asks="all"), Teacher(), samples=20)[0].saturated


def evolving(number=3):
    operators = {"operator": {"from": ["deepen", "widen"]}}
    evolve = {
        "do": "generate",
        "id": "evolve",
        "prompt": "evolve.j2",
        "writes": {"question": "text"},
    }
    keep = {"do": "keep", "if": "rating > 1", "else": "D511"}
    stages = [{"do": "draw", "writes": operators}, evolve, ANSWER, RATE, keep]
    return pipeline({"do": "rounds", "number": number, "over": "rows", "stages": stages})


def test_rows_evolve_and_a_failed_parent_tries_again():
    teacher = Teacher()
    outcomes = walk(evolving(), teacher, samples=40)
    made = {sample.id: sample for sample in samples_of(outcomes)}
    roots = {from_seed(leaf(), seed).id for seed in leaf().shown}
    assert made
    assert len(made) + codes_of(outcomes)["D511"] == 3 * len(outcomes)
    for sample in made.values():
        parent = made.get(sample.origin.parent)
        assert parent or sample.origin.parent in roots, "a forest whose roots are people's"
        assert sample.origin.generation == (parent.origin.generation if parent else 0) + 1
        assert sample.origin.drawn[-1] in ("operator=deepen", "operator=widen")
    failed = {d.text for o in outcomes for d in o.drops}
    evolved = [r for r in teacher.asked if r.stage == "evolve"]
    parents = Counter(r.columns["parent"]["question"] for r in evolved)
    assert not failed & set(parents), "nothing grows out of a failure"
    assert any(count > 1 for count in parents.values()), "its parent tries again"


def test_more_samples_wanted_change_no_question_that_was_asked_before():
    few, many = Teacher(), Teacher()
    walk(evolving(), few, samples=4)
    walk(evolving(), many, samples=20)
    assert {r.messages for r in few.asked} <= {r.messages for r in many.asked}


def test_unique_does_not_depend_on_the_order_of_a_reply():
    words = [f"Is {w} a word?" for w in ("fig", "fog", "Fig", "FOG", "yam", "fig")]
    kept = []
    for turn in range(4):
        random.Random(SEED + turn).shuffle(words)
        said = "".join(f"<question>{text}</question>" for text in words)
        teacher = Teacher(ask=lambda request, drawn, said=said: said)
        outcomes = walk(pipeline(ASK, {"do": "unique", "of": "question"}, ANSWER), teacher, 4)
        kept.append(sorted(s.question for s in samples_of(outcomes)))
        assert codes_of(outcomes) == {"D503": 3}
    assert kept[1:] == kept[:-1]


@pytest.mark.parametrize("against", [["leaf"], ["siblings"], ["held-out"], []])
def test_unique_compares_with_what_people_wrote(against):
    ground = Ground(siblings=("What rhymes on beside?",), held_out=("What is asked at the end?",))
    texts = {
        "leaf": "Rhyme on word2",
        "siblings": "what rhymes on beside",
        "held-out": "What is asked at the end",
    }
    said = "".join(f"<question>{text}</question>" for text in texts.values())
    teacher = Teacher(ask=lambda request, drawn: said)
    unique = {"do": "unique", "of": "question", "by": "near", "below": 0.9, "against": against}
    outcomes = walk(pipeline(ASK, unique, ANSWER), teacher, 4, ground)
    dropped = [d.text for o in outcomes for d in o.drops]
    assert dropped == [texts[name] for name in against]


def test_instances_that_contradict_each_other_take_their_task_with_them():
    pairs = [("a", "One?", "1"), ("a", "Two?", "2"), ("b", "Three?", "3"), ("b", "three", "4")]
    said = "".join(
        f"<task>{t}</task><question>{q}</question><answer>{a}</answer>" for t, q, a in pairs
    )
    said += "<task>a</task><question>one</question><answer>1.</answer>"
    writes = {"task": "text", "question": "text", "answer": "text"}
    unique = {"do": "unique", "of": ["question"], "differs": "answer", "within": "task"}
    made = pipeline({**ASK, "writes": writes}, {**unique, "else": "D520"})
    outcomes = walk(made, Teacher(ask=lambda request, drawn: said), 4)
    assert [s.answer for s in samples_of(outcomes)] == ["1", "2"]
    assert codes_of(outcomes) == {"D520": 2, "D503": 1}


def test_spread_makes_a_draft_of_each_line():
    topics = {"do": "generate", "id": "topics", "prompt": "ask.j2", "writes": {"topics": "text"}}
    spread = {"do": "spread", "column": "topics", "writes": "topic"}
    ask = {**ASK, "many": False, "prompt": "topic.j2"}
    made = pipeline(topics, spread, ask, ANSWER, files={"topic.j2": "About {{ topic }}"})
    teacher = Teacher(topics=lambda request, drawn: "<topics>- Owls\n2. Moss\n\n* Owls\n</topics>")
    outcomes = walk(made, teacher, 4)
    assert [r.columns["topic"] for r in teacher.asked if r.stage == "ask"] == ["Owls", "Moss"]
    assert codes_of(outcomes) == {"D503": 1}


def test_spread_takes_one_marker_and_loses_nothing():
    topics = {"do": "generate", "id": "topics", "prompt": "ask.j2", "writes": {"topics": "text"}}
    spread = {"do": "spread", "column": "topics", "writes": "question", "most": 4}
    text = "1. 3 apples?\n2) 2024 was what?\n3. 3 apples?\n-\n- -5 or 5?\n.5 of it?\n• Six?"
    teacher = Teacher(topics=lambda request, drawn: f"<topics>{text}</topics>")
    outcomes = walk(pipeline(topics, spread, ANSWER), teacher, 4)
    lines = ["3 apples?", "2024 was what?", "-5 or 5?", ".5 of it?"]
    assert [s.question for s in samples_of(outcomes)] == lines
    dropped = [(d.code.id, d.text) for o in outcomes for d in o.drops]
    assert dropped == [("D503", "3 apples?"), ("D513", "Six?")]


def test_a_judge_cannot_rescue_what_a_checker_fails():
    judged = [ANSWER, {"do": "verify"}, RATE, {"do": "keep", "if": "rating == 3", "else": "D511"}]
    teacher = Teacher(
        answer=lambda request, drawn: f"<answer>{drawn % 2 + 6}</answer>", rate=lambda *_: "3"
    )
    ground = Ground(checker=checker({"exact": {"equals": ["7"]}}, {}))
    outcomes = walk(pipeline(ASK, *judged), teacher, 12, ground)
    right = sum("7" in s.answer for s in samples_of(outcomes))
    assert right == len(samples_of(outcomes)) == 12 - codes_of(outcomes)["D515"] > 0
    assert all(s.scores["verified"] == 1 for s in samples_of(outcomes))
    asked = {r.columns["answer"] for r in teacher.asked if r.stage == "rate"}
    assert asked == {"7"}, "no judge is asked about what a checker failed"
    assert len(samples_of(walk(pipeline(ASK, *judged), Teacher(rate=lambda *_: "3")))) == 12


def test_agreement_asks_again():
    def say(request, drawn):
        return f"<answer>It is {7 if drawn % 4 else drawn}</answer>"

    agreement = {"do": "verify", "agreement": {"of": 5, "least": 3, "column": "answer"}}
    teacher = Teacher(answer=say)
    outcomes = walk(pipeline(ASK, ANSWER, agreement), teacher, 12)
    assert all(s.answer == "It is 7" for s in samples_of(outcomes))
    asked = Counter(r.messages for r in teacher.asked if r.stage == "answer")
    assert set(asked.values()) == {5}
    assert {r.index for r in teacher.asked if r.stage == "answer"} == set(range(5))
    assert codes_of(outcomes)["D515"] > 0


def test_a_stage_stands_only_when_its_condition_holds():
    judge = {**RATE, "when": "tone == 'strict'"}
    keep = {"do": "keep", "if": "rating == 3", "else": "D511", "when": "tone == 'strict'"}
    made = pipeline(ASK, ANSWER, judge, keep, settings={"tone": ["mild", "strict"]})
    mild = walk(made, Teacher(), ground=Ground({"tone": "mild"}))
    strict = walk(made, Teacher(), ground=Ground({"tone": "strict"}))
    assert codes_of(mild) == {}
    assert codes_of(strict)["D511"] > 0


def test_a_leaf_has_the_prompts_of_its_language():
    made = pipeline(ASK, ANSWER, files={"answer.de.j2": "Antworte: {{ question }}"})
    for language, begins in (("de", "Antworte"), ("fr", "Answer"), ("", "Answer")):
        teacher = Teacher()
        (first, *_) = samples_of(walk(made, teacher, 4, Ground(language=language)))
        asked = [r.messages[0].content for r in teacher.asked if r.stage == "answer"]
        assert all(text.startswith(begins) for text in asked)
        assert first.origin.language == language


def test_a_child_takes_what_it_lacks_from_its_parent():
    parent = {"version": 1, "about": "p", "takes": "freeform", "asks": 4}
    parent |= {"settings": {"tone": "mild", "size": 3}, "stages": [ASK, ANSWER, SAY]}
    child = {"version": 1, "about": "c", "extends": "above", "settings": {"tone": "loud"}}
    texts = {name: text.encode() for name, text in TEMPLATES.items()}
    above = Folder("above", "above", {**texts, "pipeline.yaml": yaml.safe_dump(parent).encode()})
    own = {"answer.j2": b"SHOUT {{ question }}", "pipeline.yaml": yaml.safe_dump(child).encode()}
    report = Report()
    made = load(Folder("mine", "mine", own, {"above": above}), report)
    assert made, report.diagnostics
    assert made.settings.defaults == {"tone": "loud", "size": 3}
    teacher = Teacher()
    walk(made, teacher, 4, Ground(made.settings.defaults))
    assert any(r.messages[0].content.startswith("SHOUT") for r in teacher.asked)
    changed = Folder("above", "above", {**above.files, "ask.j2": b"x {{ count }}"})
    other = load(Folder("mine", "mine", own, {"above": changed}), Report())
    assert other.digest != made.digest, "a parent's text decides too"
    assert load(Folder("mine", "mine", own), (missing := Report())) is None
    assert [d.code.id for d in missing.diagnostics] == ["P214"]


def test_several_turns_make_one_sample():
    follow = {"do": "generate", "id": "follow", "prompt": "answer.j2"}
    follow |= {"writes": {"second": "text", "reply": "text"}}
    turns = [
        {"role": "system", "text": "Be {{ tone }}.", "when": "tone != 'plain'"},
        {"role": "user", "text": "{{ question }}"},
        {"role": "assistant", "text": "{{ answer }}"},
        {"role": "user", "text": "{{ second }}"},
        {"role": "assistant", "text": "{{ reply }}"},
    ]
    said = {"version": 1, "about": "d", "takes": "freeform", "asks": 4}
    said |= {"settings": {"tone": ["plain", "kind"]}}
    say = {"do": "say", "messages": turns, "unmask": True}
    said["stages"] = [ASK, ANSWER, follow, say]
    texts = {name: text.encode() for name, text in TEMPLATES.items()}
    written = yaml.safe_dump(said, sort_keys=False).encode()
    folder = Folder("mine", "mine", {**texts, "pipeline.yaml": written})
    made = load(folder, Report())
    says = {"follow": lambda request, drawn: f"<second>And {drawn}?</second><reply>Yes.</reply>"}
    for tone, roles in (("plain", "user assistant user assistant"), ("kind", "system user")):
        (sample, *_) = samples_of(walk(made, Teacher(**says), 4, Ground({"tone": tone})))
        assert " ".join(m.role for m in sample.messages).startswith(roles)
        assert (sample.answer, sample.unmask) == ("Yes.", True)


POOL = {"do": "rounds", "number": 2, "over": "pool", "stages": [ASK]}
SAME = {"do": "unique", "of": "question"}
NEAR = {**SAME, "by": "near", "below": "n"}
WORDS = {"do": "draw", "writes": {"kinds": {"from": ["a", "b"], "number": "n"}}}
SEEN = {"do": "keep", "if": "kinds is defined", "else": "D502"}
NUMBERS = {
    "of": [ASK, best("n")],
    "number": [{**POOL, "number": "n"}, ANSWER],
    "calls": [{**POOL, "calls": "n"}, ANSWER],
    "each": [{**POOL, "each": "n"}, ANSWER],
    "most": [{**ASK, "most": "n"}, ANSWER],
    "below": [ASK, NEAR, ANSWER],
    "drawn": [WORDS, SEEN, ASK, ANSWER],
}
UNFIT = [-3, 0, 2.7, 1001, float("nan"), "two", True]


@pytest.mark.parametrize("key", NUMBERS)
def test_a_setting_that_is_a_number_of_a_stage_is_within_its_bounds(key):
    """At load by default and by every choice, in a route, and at last on the way."""
    stages, good = NUMBERS[key], 0.5 if key == "below" else 2
    unfit = [value for value in UNFIT if (key, value) != ("drawn", 0)]
    for value in unfit:
        made, found = loaded(*stages, settings={"n": value})
        is_number = isinstance(value, int | float) and value is not True
        assert [d.code.id for d in found] == ["P205" if is_number else "P208"], (value, found)
    made, found = loaded(*stages, settings={"n": [good, 0.25, 7000]})
    assert [d.code.id for d in found] == ["P205"], "a choice that nobody may take"
    made = pipeline(*stages, settings={"n": good}, asks="all")
    for value in [good, *unfit]:
        route = Route((("mine", 1.0),), settings={"n": value})
        check_route(route, {"mine": made}, report := Report())
        said = [
            (d.code.id, d.message.startswith("`n` of `mine` must be")) for d in report.diagnostics
        ]
        assert said == ([] if value == good and value is not True else [("M320", True)]), value
    for value in unfit:
        if value == 1001:  # a unit may want as many
            continue
        outcomes = walk(made, Teacher(), ground=Ground({"n": value}))
        assert codes_of(outcomes)["P208"] == sum(o.records for o in outcomes) > 0
        imagined(lower(leaf(), (), "mine", 0, 4, Report(), Ground({"n": value}))[0], made)
    assert samples_of(walk(made, Teacher(), ground=Ground({"n": good})))


def test_a_setting_is_of_the_kind_of_its_default():
    seen = {"do": "keep", "if": "a or b or c", "else": "D502"}
    made = pipeline(ASK, seen, ANSWER, settings={"a": True, "b": 4, "c": "mild"})
    fits = {"a": (False,), "b": (5, 0.5), "c": ("loud", "")}
    words = {"a": "true or false", "b": "a number, such as `4`", "c": "a text, such as `mild`"}
    for name, good in fits.items():
        for value in (False, 5, 0.5, "loud", "", "no"):
            route = Route((("mine", 1.0),), settings={name: value})
            check_route(route, {"mine": made}, report := Report())
            said = [d.message for d in report.diagnostics]
            fit = any(type(value) is type(one) for one in good)
            assert said == ([] if fit else [f"`{name}` of `mine` is {words[name]}"])


AGREE = {"do": "verify", "agreement": {"of": 3, "column": "extra"}}
EXTRA = {"do": "generate", "id": "extra", "prompt": "answer.j2", "writes": {"extra": "text"}}


@pytest.mark.parametrize(
    "stage",
    [
        {"do": "unique", "of": "extra"},
        {**SAME, "differs": "extra"},
        {**SAME, "differs": "answer", "within": "extra"},
        {**SAME, "when": "extra == 'a'"},
        {"do": "spread", "column": "extra", "writes": "answer"},
        AGREE,
    ],
)
def test_a_column_whose_stage_is_left_out_is_a_drop(stage):
    made = pipeline(ASK, ANSWER, {**EXTRA, "when": "asked"}, stage, settings={"asked": True})
    outcomes = walk(made, Teacher(), 4, Ground({"asked": False}))
    assert codes_of(outcomes) == {"P208": 4}
    assert not codes_of(walk(made, Teacher(), 4, Ground({"asked": True})))["P208"]


@pytest.mark.parametrize(
    "stages, settings, code, word, line",
    [
        (
            [ASK, ANSWER, {**AGREE, "agreement": {"of": 3, "column": "task"}}],
            {},
            "P202",
            "task",
            18,
        ),
        ([ASK, {**best(2), "by": "1", "stages": [ANSWER, SAME]}], {}, "P209", "unique", 18),
        (
            [ASK, {**best(2), "by": "1", "stages": [ANSWER, {**POOL, "stages": [SAME]}]}],
            {},
            "P209",
            "",
            21,
        ),
        *([[ASK, ANSWER], {name: "x"}, "P205", name, 5] for name in ("task", "count", "round")),
        *([[ASK, ANSWER], {name: "x"}, "P205", name, 5] for name in ("parent", "question")),
    ],
)
def test_what_could_not_mean_anything_is_refused(stages, settings, code, word, line):
    keys = {"settings": settings} if settings else {}
    made, found = loaded(*stages, **keys)
    assert made is None
    assert [d.code.id for d in found if d.code.id != "P213"] == [code]
    assert word in found[0].message
    assert found[0].span.line >= line


class Slow(Teacher):
    """Answers in another order with every seed."""

    def __init__(self, seed, **says):
        super().__init__(**says)
        self.chance = random.Random(seed)

    async def ask(self, request):
        for _ in range(self.chance.randrange(9)):
            await asyncio.sleep(0)
        return await super().ask(request)


def test_what_is_unique_does_not_depend_on_who_answers_first():
    grow = {"do": "generate", "id": "grow", "prompt": "grow.j2", "writes": {"question": "text"}}
    files = {"grow.j2": "{{ parent.question }}", "more.j2": "More like {{ question }}"}
    rows = {"do": "rounds", "number": 3, "over": "rows"}
    rows["stages"] = [{**grow, "many": True}, SAME, ANSWER]
    more = {**ASK, "id": "more", "prompt": "more.j2"}
    pool = {"do": "rounds", "number": 2, "over": "pool", "calls": 2, "stages": [more, SAME]}

    def say(request, drawn):
        texts = (f"Is it {drawn % 3 + at}?" for at in range(2))
        return "".join(f"<question>{text}</question>" for text in texts)

    for stages in ([rows], [ASK, rows], [ASK, pool, ANSWER]):
        made, ends = pipeline(*stages, files=files), set()
        for turn in range(3):
            outcomes = walk(made, Slow(SEED + turn, grow=say, more=say), 4)
            assert codes_of(outcomes)["D503"] > 0
            told = [(s.id, s.origin.parent, s.origin.replies) for s in samples_of(outcomes)]
            dropped = [(d.code.id, d.text, d.replies) for o in outcomes for d in o.drops]
            ends.add(repr((told, dropped)))
        assert len(ends) == 1


def test_texts_are_the_same_but_for_white_space():
    answers = ["a - b", "a + b", "a  -\nb", "A - b"]
    said = "".join(f"<question>{i}?</question><answer>{a}</answer>" for i, a in enumerate(answers))
    ask = {**ASK, "writes": {"question": "text", "answer": "text"}}
    for by, kept in (("exact", 1), ("text", 3)):
        unique = {"do": "unique", "of": "answer", "by": by, "against": []}
        outcomes = walk(pipeline(ask, unique), Teacher(ask=lambda *_: said), 4)
        assert len(samples_of(outcomes)) == kept
        assert codes_of(outcomes) == {"D503": 4 - kept}


def test_the_checker_of_a_route_can_ask_again_only_what_was_asked():
    made = pipeline(ASK, ANSWER, {"do": "verify"})
    for column, codes in (("answer", []), ("task", ["M318"])):
        verify = {"agreement": {"of": 3, "column": column}}
        check_route(Route((("mine", 1.0),), verify=verify), {"mine": made}, report := Report())
        assert [d.code.id for d in report.diagnostics] == codes
