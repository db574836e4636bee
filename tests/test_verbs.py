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

from compiler.diagnostics import Report
from compiler.expand import Expander, from_seed
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


def pipeline(*stages, files=(), **keys):
    said = {"version": 1, "about": "try", "takes": "freeform", "asks": 4, **keys}
    said["stages"] = [*stages, SAY]
    texts = {**TEMPLATES, **dict(files), "pipeline.yaml": yaml.safe_dump(said, sort_keys=False)}
    report = Report()
    folder = Folder("mine", "pipelines/mine", {name: t.encode() for name, t in texts.items()})
    made = load(folder, report)
    assert made, [(d.code.id, d.message, d.span) for d in report.diagnostics]
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
    walk(made, teacher, 4)
    assert [r.columns["topic"] for r in teacher.asked if r.stage == "ask"] == ["Owls", "Moss"]


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
