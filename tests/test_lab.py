"""LAB's claims about expansion, proven: purity, coverage, judges (arXiv 2403.01081)."""

import asyncio
import math
import os
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.pipeline import folders, load
from compiler.plan import plan
from compiler.program import prepare
from compiler.source import WorkTree
from compiler.teacher import Reply, Unconnected
from tests.taxonomies import knowledge, skill, write

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", random.randrange(2**32)))
MARK = re.compile(r"leafmark(\d+)x")


class Fake(Unconnected):
    """Writes what `says` makes of a request; judges pass all unless it says otherwise."""

    model, by_rule, in_flight = "fake", False, 8

    def __init__(self, says=lambda request: None):
        self.says, self.asked = says, []

    async def ask(self, request):
        self.asked.append(request)
        said = self.says(request)
        if said is None and request.form == "choice":
            said = str(request.writes[0].choices[-1])
        if said is None:
            count = request.columns["count"] if request.many else 1
            number = random.Random(f"{request.stage} {request.index} {request.messages}")
            said = "".join(
                f"<{field.name}>{field.name} {number.random()}</{field.name}>"
                for _ in range(count)
                for field in request.writes
            )
        return Reply(said)


def expand(units, pipelines, teacher):
    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [o async for o in expander.run(units, pipelines)]

    return sorted(asyncio.run(run()), key=lambda o: o.number)


def marked(value, mark):
    """A leaf whose every seed and document names it."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("document", "created_by", "version") else marked(inner, mark)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [marked(inner, mark) for inner in value]
    return f"{value} {mark}" if isinstance(value, str) else value


def taxonomy(draw):
    """Leaves of all kinds, in a random order of writing."""
    files = {}
    for number in range(9):
        mark = f"leafmark{number}x"
        if number % 3 == 0:
            leaf = marked(knowledge(), mark)
            leaf["document"] = {**leaf["document"], "patterns": [f"documents/{number}.md"]}
            files[f"knowledge/k{number}/qna.yaml"] = leaf
            files[f"documents/{number}.md"] = f"## Part\n\nRobins {mark} eat worms and sing.\n" * 5
            continue
        leaf = skill()
        if number % 3 == 1:
            for seed in leaf["seed_examples"]:
                seed["context"] = f"About {seed['question']}"
        files[f"compositional_skills/s{number}/qna.yaml"] = marked(leaf, mark)
    items = list(files.items())
    draw.shuffle(items)
    return dict(items)


SETTINGS = """samples_per_leaf: 12
routes:
  - {kind: knowledge, pipelines: {knowledge-qa: 2, knowledge-long: 1, knowledge-dialogue: 1}}
  - {kind: grounded, pipeline: skill-grounded}
  - {kind: freeform, pipeline: skill-freeform}
"""


def test_every_example_in_a_prompt_is_of_its_leaf_and_prompts_are_as_planned(tmp_path):
    draw = random.Random(SEED)
    asked = []
    for turn in range(2):
        folder = write(tmp_path / str(turn), {**taxonomy(draw), "curriculum.yaml": SETTINGS})
        report = Report()
        program = prepare(WorkTree(folder), tmp_path / "cache", report)
        assert program, report.diagnostics
        marks = {r.leaf.path: MARK.search(r.leaf.seeds[0].question)[1] for r in program.leaves}
        per_leaf = Counter()

        def says(request, per_leaf=per_leaf):
            said = "\n".join(message.content for message in request.messages)
            (found,) = set(MARK.findall(said))
            per_leaf[found] += 1
            if request.form == "choice":
                return None
            count = request.columns["count"] if request.many else 1
            number = random.Random(f"{request.stage} {request.index} {said}")
            return "".join(
                f"<{f.name}>leafmark{found}x {number.random()}</{f.name}>"
                for _ in range(count)
                for f in request.writes
            )

        teacher = Fake(says)
        expand(program.units, program.pipelines, teacher)
        lines = plan(program.units, program.pipelines, teacher, None).lines
        planned = Counter()
        for line in lines:
            planned[marks[line.leaf]] += line.calls
        assert per_leaf == planned, SEED
        asked.append(sorted(str((r.messages, r.index)) for r in teacher.asked))
    assert asked[0] == asked[1], "the order of files changes nothing"


def leaves_of_zipf(folder, number):
    """Leaves whose sizes fall as 1/rank, and the weight of each."""
    files = {}
    for rank in range(1, number + 1):
        seeds = [
            {"question": f"Ask leafmark{rank}x {i}?", "answer": f"Say {rank} {i}."}
            for i in range(max(5, 40 // rank))
        ]
        files[f"compositional_skills/z{rank}/qna.yaml"] = skill(seed_examples=seeds)
    write(folder, {**files, "curriculum.yaml": "samples_per_leaf: 20\n"})
    return prepare(WorkTree(folder), folder / "cache", Report())


def entropy(counts):
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def test_leaf_guided_prompts_reach_every_leaf_and_a_pool_does_not(tmp_path):
    """The teacher falls into its modes: of the leaves that a prompt shows it writes for the one
    that it knows best. The control draws examples from the pool of all, as Self-Instruct does.
    """
    number = 20
    program = leaves_of_zipf(tmp_path, number)
    written = Counter()

    def says(request):
        if request.stage != "questions":
            return None
        shown = [int(mark) for mark in MARK.findall(request.messages[-1].content)]
        mode = min(shown)
        written[mode] += request.columns["count"]
        draw = random.Random(str(request.messages) + str(request.index))
        return "".join(f"<question>leafmark{mode}x {draw.random()}</question>" for _ in range(5))

    expand(program.units, program.pipelines, Fake(says))
    guided = entropy(written)
    assert guided >= 0.95 * math.log2(number), (guided, SEED)
    pool = [seed for record in program.leaves for seed in record.leaf.shown]
    draw = random.Random(SEED)
    drawn = [replace(unit, shown=tuple(draw.sample(pool, 3))) for unit in program.units]
    written.clear()
    expand(drawn, program.pipelines, Fake(says))
    assert entropy(written) <= 0.7 * math.log2(number), (entropy(written), SEED)


@pytest.mark.parametrize("keep_min", [2, 3])
@pytest.mark.parametrize("name", ["skill-freeform", "skill-grounded"])
def test_a_judge_that_says_anything_keeps_what_it_rates_high_enough(tmp_path, name, keep_min):
    """1, 2, 3, garbage or nothing, by a hash of the answer; what cannot be read is never kept."""
    said = {"1": [], "2": [], "3": [], "maybe 2 or 3": [], "": []}

    def says(request):
        if request.stage != "rating":
            return None
        answer = str(request.columns["answer"])
        verdict = random.Random(f"{SEED} {answer}").choice(sorted(said))
        if answer not in said[verdict]:
            said[verdict].append(answer)
        return verdict

    leaf = skill()
    if name == "skill-grounded":
        for seed in leaf["seed_examples"]:
            seed["context"] = f"About {seed['question']}"
    settings = (
        f"samples_per_leaf: 60\nroutes: [{{pipeline: {name}, with: {{keep_min: {keep_min}}}}}]\n"
    )
    write(tmp_path, {"compositional_skills/one/qna.yaml": leaf, "curriculum.yaml": settings})
    program = prepare(WorkTree(tmp_path), tmp_path / "cache", Report())
    outcomes = expand(program.units, program.pipelines, Fake(says))
    kept = sorted(sample.answer for o in outcomes for sample in o.samples)
    expected = [a for verdict in "123"[keep_min - 1 :] for a in said[verdict]]
    assert kept == sorted(expected), SEED
    codes = Counter(drop.code.id for o in outcomes for drop in o.drops)
    assert codes["D501"] == len(said["maybe 2 or 3"]) + len(said[""])
    assert codes["D511"] == sum(len(said[verdict]) for verdict in "123"[: keep_min - 1])
    assert all(said.values()), "each of the five was said"


def test_a_persona_is_the_leafs():
    """The two personas ask differently, and decode differently."""
    pipeline = load(folders()["skill-freeform"], Report())
    stages = {stage.id: stage for stage in pipeline.generates}
    assert stages["answer"].sampling.temperature < stages["answer-freely"].sampling.temperature
    assert set(pipeline.settings.choices["persona"]) == {"precise", "creative"}


def test_short_and_long_answers_come_of_one_document(tmp_path):
    write(tmp_path, {"knowledge/birds/robin/qna.yaml": knowledge(), "curriculum.yaml": SETTINGS})
    program = prepare(WorkTree(tmp_path), tmp_path / "cache", Report())
    teacher = Fake()
    expand(program.units, program.pipelines, teacher)
    asked = [r.messages[-1].content for r in teacher.asked if r.stage == "questions"]
    assert 0 < sum("three to six sentences" in text for text in asked) < len(asked)
    units = Counter(unit.pipeline for unit in program.units)
    assert units["knowledge-qa"] >= units["knowledge-long"] > 0
    assert units["knowledge-dialogue"] > 0


@pytest.mark.parametrize("said", ["detected", "set"])
def test_a_german_leaf_is_asked_in_german(tmp_path, said):
    seeds = [
        {
            "context": f"Die Wasseramsel Nummer {n} ist ein Vogel, der in der Nähe von Bächen lebt "
            "und unter Wasser nach Nahrung sucht.",
            "questions_and_answers": [
                {
                    "question": f"Was macht die Wasseramsel {n} unter dem Wasser mit {what}?",
                    "answer": f"Sie sucht dort nach der Nahrung, und das ist {what}.",
                }
                for what in ("Larven", "Krebsen", "Würmern")
            ],
        }
        for n in range(5)
    ]
    leaf = knowledge(seed_examples=seeds, document_outline="Wie die Wasseramsel am Bach lebt")
    route = "{kind: knowledge, pipelines: [knowledge-qa, knowledge-dialogue]"
    route += ", language: de}" if said == "set" else "}"
    if said == "set":
        leaf = knowledge()
    files = {"knowledge/birds/dipper/qna.yaml": leaf, "curriculum.yaml": f"routes: [{route}]\n"}
    write(tmp_path, files)
    program = prepare(WorkTree(tmp_path), tmp_path / "cache", Report())
    teacher = Fake()
    outcomes = expand(program.units, program.pipelines, teacher)
    assert all("Du bereitest" in r.messages[0].content for r in teacher.asked)
    assert {s.origin.language for o in outcomes for s in o.samples} == {"de"}
    write(tmp_path, {"knowledge/birds/dipper/qna.yaml": knowledge(), "curriculum.yaml": ""})
    english = Fake()
    program = prepare(WorkTree(tmp_path), tmp_path / "cache", Report())
    expand(program.units, program.pipelines, english)
    assert not any("Du bereitest" in r.messages[0].content for r in english.asked)
