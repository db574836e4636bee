"""Evol-Instruct (arXiv 2304.12244, section 3): what a round may make, what becomes of the rest."""

import asyncio
import os
import random
from collections import Counter
from functools import cache
from itertools import count, pairwise
from pathlib import Path

import pytest
import yaml
from scipy.stats import chi2_contingency, chisquare

from compiler.diagnostics import Report
from compiler.documents.chunk import chunk
from compiler.documents.fetch import Document
from compiler.driver import expand
from compiler.expand import Expander, Local, from_seed
from compiler.expand.trip import Trip
from compiler.expand.verbs import drawn_by
from compiler.imagine import imagined
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.pipeline import Draw, Folder, folders, load
from compiler.program import prepare
from compiler.source import SourceFile, WorkTree
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from tests.conftest import SEED
from tests.taxonomies import DOCUMENT, SKILL, knowledge, skill, write

NAMES = ["constrain", "deepen", "concretize", "reason", "complicate", "widen"]
LONG = "Soap floats because air is beaten into it before it sets, which makes it light."


def chance(salt=0):
    return random.Random(f"{os.environ[SEED]} {salt}")


@cache
def pipeline(name="evol-instruct", only=""):
    """A pipeline; with `only`, a copy of it that has its own list of operators."""
    folder = folders()[name]
    if only:
        listed = yaml.safe_load(folder.files["operators.yaml"])
        chosen = [one for word in only.split() for one in listed if one["name"] == word]
        files = {**folder.files, "operators.yaml": yaml.safe_dump(chosen).encode()}
        folder = Folder("mine", "mine", files, folder.others)
    report = Report()
    made = load(folder, report)
    assert made, report.diagnostics
    return made


def leaf_of(questions, path=SKILL):
    """A leaf that shows these questions, and holds out one more."""
    seeds = [{"question": text, "answer": f"Seed answer {i}."} for i, text in enumerate(questions)]
    seeds.append({"question": "Which question is held out here?", "answer": "This one."})
    value = skill(seed_examples=seeds, task_description="Talk about soap.")
    return make_leaf(parse(SourceFile(path, yaml.safe_dump(value).encode()), Report()), None)


class Evolver(Unconnected):
    """Adds as many words to a question as `grows` draws, and passes everything; `says` has
    functions of the request for some stages, which answer None for what they leave alone.
    """

    model, by_rule, in_flight = "evolver", False, 8

    def __init__(self, grows=lambda: 9, **says):
        self.says, self.grows = says, grows
        self.asked = []
        self.fresh = count()

    async def ask(self, request):
        self.asked.append(request)
        said = self.says[request.stage](request) if request.stage in self.says else None
        if said is None and request.form == "choice":
            said = str(request.writes[0].choices[-1])
        return Reply(self.texts(request) if said is None else said)

    def texts(self, request):
        number, parent = next(self.fresh), request.columns["parent"]
        words = [f"w{number}x{i}" for i in range(self.grows())]
        question = " ".join([parent["question"] if words else f"q{number}", *words])
        told = {"question": question, "answer": f"{LONG} Number {number}."}
        return "".join(f"<{f.name}>{told[f.name]}</{f.name}>" for f in request.writes)

    def at(self, stage):
        return [request for request in self.asked if request.stage == stage]


def walk(made, leaf, teacher, units, chunks=(), **settings):
    lowered = lower(
        leaf, chunks, made.name, made.asks, units * made.asks, Report(), Ground(settings)
    )
    assert len(lowered) == units

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [o async for o in expander.run(lowered, {made.name: made})]

    outcomes = sorted(asyncio.run(run()), key=lambda o: o.number)
    for outcome in outcomes:
        assert outcome.records == len(outcome.samples) + len(outcome.drops)
    return outcomes


def samples_of(outcomes):
    return [sample for outcome in outcomes for sample in outcome.samples]


def codes_of(outcomes):
    return Counter(drop.code.id for outcome in outcomes for drop in outcome.drops)


def sorry(words):
    """An excuse of so many words."""
    said = "Sorry that this is long: " + LONG * 9
    return " ".join(said.split()[:words])


OK = "Soap cleans because its molecules hold grease and water alike."
GROW = " and say exactly why that is"
PLANTED = {
    "What cleans wool?": (GROW, OK, ""),
    "How is soap cut?": (" well in the rewritten way?", OK, "equal"),
    "Who sells soap?": (GROW, sorry(20), "D522"),
    "Who buys soap?": (GROW, sorry(79), "D522"),
    "Who makes soap?": (GROW, sorry(80), ""),
    "Who wraps soap?": (GROW, sorry(90), ""),
    "Say that you spilled soap.": (" and word it as an apology", "I am sorry for the soap.", ""),
    "Is soap wet?": (GROW, "It is the, and of. To be; or?!", "D523"),
    "Is soap dry?": (GROW, "... --- !!!", "D523"),
    "Is soap light?": (GROW, "No.", ""),
    "Name one fat.": (GROW, "Tallow.", ""),
    "Rate this soap.": (" as the given prompt asks", OK, "D524"),
    "Weigh this soap.": (" #Rewritten Prompt#: now weigh it", OK, "D524"),
    "Smell this soap.": (" beyond the Starting Question here", OK, "D524"),
    "Sort these soaps.": (" by how prompt their sellers answer a question", OK, ""),
    "Improve a rewritten prompt about soap.": (
        " so that it is the better rewritten prompt",
        OK,
        "",
    ),
    "Dry the soap.": ("", OK, "D525"),
    "Boil the soap.": (" a" * 21, OK, "D525"),
    "Cool the soap.": (" a" * 20, OK, ""),
    "Warm the soap.": (" today", OK, ""),
    "Stir a pot of hot soap.": (None, OK, "D525"),
}


def planted():
    """A teacher that says what is planted for the seed that a question grew out of."""

    def plan(question):
        return next(
            (seed, *said) for seed, said in PLANTED.items() if question.startswith(seed[:9])
        )

    def evolve(request):
        seed, more, _, _ = plan(request.columns["parent"]["question"])
        return f"<question>{seed[:9] if more is None else seed + more}</question>"

    def answer(request):
        return f"<answer>{plan(request.columns['question'])[2]}</answer>"

    def gain(request):
        return "equal" if plan(request.columns["question"])[3] == "equal" else "different"

    return Evolver(evolve=evolve, answer=answer, gain=gain)


def test_each_failure_is_eliminated_and_its_near_miss_is_not():
    assert len({seed[:9] for seed in PLANTED}) == len(PLANTED)
    seeds = list(PLANTED)
    chance().shuffle(seeds)
    outcomes = walk(pipeline(only="deepen"), leaf_of(seeds), planted(), len(seeds), rounds=1)
    verdicts = {
        seed: "".join(d.code.id for d in outcome.drops)
        for seed, outcome in zip(seeds, outcomes, strict=True)
    }
    told = {s: {"equal": "D521"}.get(code, code) for s, (_, _, code) in PLANTED.items()}
    assert verdicts == told
    assert sum(len(o.samples) for o in outcomes) == list(told.values()).count("")


def test_a_rule_that_is_turned_off_eliminates_nothing():
    """The control: it is the rules that eliminate, each its own."""
    seeds = list(PLANTED)
    off = {"echoes": "", "max_added_words": 100}
    outcomes = walk(pipeline(only="deepen"), leaf_of(seeds), planted(), len(seeds), rounds=1, **off)
    assert codes_of(outcomes) == {"D521": 1, "D522": 2, "D523": 2, "D525": 2}


def test_a_rarer_question_need_not_grow():
    seeds = [f"Who was the {n}th soap maker of the town?" for n in range(8)]
    shrink = Evolver(grows=lambda: 0)
    assert len(samples_of(walk(pipeline(only="widen"), leaf_of(seeds), shrink, 8))) == 32
    deep = walk(pipeline(only="deepen"), leaf_of(seeds), Evolver(grows=lambda: 0), 8)
    assert codes_of(deep) == {"D525": 32}


def test_growth_is_counted_and_not_only_asked_for():
    drawn = chance("grows")
    teacher = Evolver(grows=lambda: drawn.randint(0, 40))
    seeds = [f"Which soap has number {n}?" for n in range(20)]
    outcomes = walk(pipeline(), leaf_of(seeds), teacher, 40)
    asked = {}
    for request in teacher.at("answer"):
        columns = request.columns
        added = len(columns["question"].split()) - len(columns["parent"]["question"].split())
        asked[columns["question"]] = columns["operator"]["name"], added
    deep = [added for name, added in asked.values() if name != "widen"]
    wide = [added for name, added in asked.values() if name == "widen"]
    assert set(deep) <= set(range(1, 21))
    assert len(deep) > 20
    assert max(wide) > 20, "the control: breadth is not bound"
    assert {s.question for s in samples_of(outcomes)} == set(asked)
    assert codes_of(outcomes).keys() == {"D525"}


def test_a_failed_parent_goes_back_unchanged_and_tries_again():
    def equal_in_the_second_round(request):
        return "equal" if request.columns["round"] == 2 else None

    teacher = Evolver(gain=equal_in_the_second_round)
    seeds = [f"Which soap is made of {n}?" for n in ("tallow", "olives", "palms")]
    outcomes = walk(pipeline(), leaf_of(seeds), teacher, 3)
    for seed, outcome in zip(seeds, outcomes, strict=True):
        first, third, fourth = outcome.samples
        (failed,) = outcome.drops
        assert failed.code.id == "D521"
        assert (failed.detail, failed.answer) == ("gain is equal", ""), "none of its parent's"
        rounds = {
            r.columns["round"]: r
            for r in teacher.at("evolve")
            if r.columns["parent"]["question"].startswith(seed)
            or first.question in r.columns["parent"]["question"]
            or any(s.question == r.columns["parent"]["question"] for s in outcome.samples)
        }
        parents = [rounds[turn].columns["parent"] for turn in (1, 2, 3, 4)]
        kept = {"question": first.question, "answer": first.answer, "context": ""}
        assert parents[0]["question"] == seed
        assert parents[1] == parents[2] == kept
        assert parents[3]["question"] == third.question
        assert len({r.index for r in rounds.values()}) == 4, "each round is asked anew"
        assert [s.origin.parent for s in (third, fourth)] == [first.id, third.id]
        assert failed.text not in {p["question"] for p in parents}


def drawn(made):
    """The operators of four rounds of 1,500 units, in each of which all fail."""
    leaf = leaf_of([f"Soap {chance(n).random()}?" for n in range(10)])
    stage = next(stage for stage in made.every() if isinstance(stage, Draw))
    for unit in lower(leaf, (), made.name, 4, 6000, Report()):
        trip = Trip(unit, made, 0, "", "")
        tries = (drawn_by(trip, stage, trip.begin().fork(at, 4, at)) for at in range(4))
        yield [one.columns["operator"]["name"] for one in tries]


def test_the_six_operators_are_drawn_alike():
    walks = list(drawn(pipeline()))
    counts = Counter(name for names in walks for name in names)
    assert (set(counts), counts.total()) == (set(NAMES), 6000)
    assert chisquare([counts[name] for name in NAMES]).pvalue > 1e-5
    pairs = Counter(pair for names in walks for pair in pairwise(names))
    table = [[pairs[one, other] for other in NAMES] for one in NAMES]
    assert chi2_contingency(table).pvalue > 1e-5, "a round knows nothing of the one before"
    lopsided = Counter(
        n for names in drawn(pipeline(only=" ".join([*NAMES, "deepen"]))) for n in names
    )
    assert chisquare([lopsided[name] for name in NAMES]).pvalue < 1e-5, "the control"


def test_a_walk_draws_what_was_drawn_there():
    seen = Evolver(grows=lambda: 0, gain=lambda request: "equal")
    leaf = leaf_of([f"Soap {chance(n).random()}?" for n in range(10)])
    walk(pipeline(), leaf, seen, 10)
    told = {(r.columns["parent"]["question"], r.columns["round"]): r for r in seen.at("evolve")}
    expected = list(drawn(pipeline()))[:10]
    for seed, names in zip(leaf.shown, expected, strict=True):
        asked = [told[seed.question, turn].columns["operator"]["name"] for turn in (1, 2, 3, 4)]
        assert asked == names


def test_an_input_to_work_on_has_one_of_five_forms():
    teacher = Evolver()
    walk(pipeline(only="complicate"), leaf_of([f"Count soap {n}." for n in range(25)]), teacher, 25)
    prompts = [r.messages[-1].content for r in teacher.at("evolve")]
    forms = Counter(r.columns["form"] for r in teacher.at("evolve"))
    assert set(forms) == {"a table", "a piece of code", "JSON", "XML", "SQL"}
    assert all("What it hands over is" in prompt for prompt in prompts)
    other = Evolver()
    walk(pipeline(only="deepen"), leaf_of(["Count soap."]), other, 1)
    assert not any("What it hands over is" in r.messages[-1].content for r in other.at("evolve"))


def test_lineage_is_a_forest_whose_roots_are_peoples_questions():
    drawn = chance("fails")
    teacher = Evolver(rating=lambda request: drawn.choice("123"))
    leaf = leaf_of([f"Which soap has letter {c}?" for c in "abcdefgh"])
    made = samples_of(walk(pipeline(), leaf, teacher, 16))
    seeds = {from_seed(leaf, seed).id: seed.id for seed in leaf.shown}
    known = {sample.id: sample.origin for sample in made}
    assert len(known) == len(made)
    assert {o.generation for o in known.values()} == {1, 2, 3, 4}
    for sample in made:
        steps, at = 0, sample.id
        while at in known:
            steps, at = steps + 1, known[at].parent
        assert steps == sample.origin.generation, "a path that ends"
        assert seeds[at] == sample.origin.seeds[0], "so the root is known where a parent is dropped"
        names = [d.removeprefix("operator=") for d in sample.origin.drawn if "operator=" in d]
        assert len(names) == sample.origin.generation
        assert set(names) <= set(NAMES)


def test_a_judge_that_finds_everything_equal_leaves_nothing():
    leaf = leaf_of([f"Which soap has letter {c}?" for c in "abcd"])
    outcomes = walk(pipeline(), leaf, Evolver(gain=lambda request: "equal"), 4)
    assert samples_of(outcomes) == []
    assert codes_of(outcomes) == {"D521": 16}
    assert len(samples_of(walk(pipeline(), leaf, Evolver(), 4))) == 16, "the control"


def test_the_plan_counts_every_round():
    teacher = Evolver()
    leaf = leaf_of(["Which soap floats?"])
    (unit,) = lower(leaf, (), "evol-instruct", 4, 4, Report())
    questions, samples = imagined(unit, pipeline())
    walk(pipeline(), leaf, teacher, 1)
    assert samples == 4
    assert {q.stage.id: q.calls for q in questions} == Counter(r.stage for r in teacher.asked)


@pytest.mark.parametrize("name", ["evol-instruct", "evol-knowledge"])
def test_what_the_prompt_calls_the_parent_is_known_as_an_echo(name):
    made = pipeline(name)
    prompt = made.folder.files["evolve.j2"].decode()
    echoes = [one.strip() for one in str(made.settings.defaults["echoes"]).split(",")]
    called = {echo for echo in echoes if echo in prompt}
    assert {"starting question", "rarer question"} <= called
    assert echoes == [echo.lower() for echo in dict.fromkeys(echoes)]


def compiled(folder, pipelines, teacher, files):
    """The generations of the samples that the phases get."""
    routes = [{"kind": kind, "pipeline": name} for kind, name in pipelines.items()]
    settings = {"version": 1, "samples_per_leaf": 16, "routes": routes}
    settings["mix"] = {"validation": 0.0, "replay": 0.0}
    settings["sift"] = {"grounding": False, "language": False}
    write(folder, {**files, "curriculum.yaml": yaml.safe_dump(settings).encode()})
    report = Report()
    program = prepare(WorkTree(folder), folder / ".home", report)
    assert program, report.diagnostics
    engine = Local(teacher, teacher, Journal(Path(":memory:")))
    product = asyncio.run(expand(program, engine, report, lambda outcome: None, folder))
    placed = (*product.mixture.phase1, *product.mixture.phase2)
    made = [product.samples[p.sample.place] for p in placed]
    return Counter(sample.origin.generation for sample in made)


def test_the_mixture_holds_every_round_and_the_seeds(tmp_path):
    seeds = [{"question": f"Say {c} {c}1 {c}2 {c}3?", "answer": f"{LONG} {c}"} for c in "abcde"]
    files = {SKILL: skill(seed_examples=seeds)}
    found = compiled(tmp_path, {"freeform": "evol-instruct"}, Evolver(), files)
    assert found == {0: 4, 1: 4, 2: 4, 3: 4, 4: 4}


def leaf_and_chunks():
    file = SourceFile("knowledge/birds/robin/qna.yaml", yaml.safe_dump(knowledge()).encode())
    leaf = make_leaf(parse(file, Report()), None)
    return leaf, chunk(Document("robin.md", ".", "", "0" * 40, DOCUMENT), 40)


def test_knowledge_that_grew_past_its_document_is_dropped():
    def evolve(request):
        number = next(fresh)
        known = "eat worms" if number % 2 else "migrate to Sweden"
        question = f"{request.columns['parent']['question']} And do they {known} too {number}?"
        return f"<question>{question}</question><answer>They {known}, {number}.</answer>"

    def faithful(request):
        return "no" if "Sweden" in request.columns["answer"] else "yes"

    fresh = count()
    leaf, chunks = leaf_and_chunks()
    judged = Evolver(evolve=evolve, faithful=faithful)
    outcomes = walk(pipeline("evol-knowledge"), leaf, judged, 5, chunks)
    made = samples_of(outcomes)
    assert codes_of(outcomes).keys() <= {"D507", "D525"}
    assert codes_of(outcomes)["D507"] > 0
    assert max(s.origin.generation for s in made) > 1
    assert not any("Sweden" in s.question for s in made)
    shown = [r for r in judged.asked if r.stage != "standalone"]
    assert all(str(r.columns["document"]) in r.messages[-1].content for r in shown)
    fresh = count()
    lenient = samples_of(walk(pipeline("evol-knowledge"), leaf, Evolver(evolve=evolve), 5, chunks))
    assert any("Sweden" in s.question for s in lenient), "the control"


def test_knowledge_begins_with_a_question_of_its_own_passage():
    def unfaithful_at_first(request):
        return "no" if request.columns["round"] < 3 else None

    leaf, chunks = leaf_and_chunks()
    teacher = Evolver(faithful=unfaithful_at_first)
    outcomes = walk(pipeline("evol-knowledge"), leaf, teacher, 3, chunks)
    roots = {from_seed(leaf, seed).id for seed in leaf.shown}
    assert [r.columns["round"] for r in teacher.at("question")] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [r.columns["round"] for r in teacher.at("evolve")] == [4, 4, 4]
    for outcome in outcomes:
        first, second = outcome.samples
        assert first.origin.parent in roots
        assert (second.origin.parent, second.origin.generation) == (first.id, 2)
        assert [d.code.id for d in outcome.drops] == ["D507", "D507"]
