"""Expansion: order, no barriers, nothing asked twice, one bad unit never stops the rest."""

import asyncio
import os
import random
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from compiler.codes import R402
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.expand.order import issue_order
from compiler.journal import Journal, key_of
from compiler.leaf import make_leaf
from compiler.lower import lower
from compiler.pipeline import folders, load
from compiler.prompt import compile_template
from compiler.source import SourceFile
from compiler.teacher import Failure, Reply, Request, Unconnected
from compiler.tree import parse

PIPELINE = load(folders()["skill-freeform"], Report())


def units(samples=40, seeds=6, name="compositional_skills/rhyme", word="word"):
    lines = ["created_by: me", "task_description: Rhyme.", "seed_examples:"]
    for i in range(seeds):
        lines += [f"  - question: Rhyme on {word}{i}.", f"    answer: Rhyme{i}."]
    file = SourceFile(f"{name}/qna.yaml", "\n".join(lines).encode())
    leaf = make_leaf(parse(file, Report()), None)
    return lower(leaf, (), PIPELINE.name, PIPELINE.asks, samples, Report())


class Fake(Unconnected):
    """Answers every stage after `delay(request)` seconds; refuses what `refuses` says."""

    model, in_flight, by_rule = "fake", 8, False

    def __init__(self, delay=lambda request: 0.0, refuses=lambda request: False):
        self.delay, self.refuses, self.asked = delay, refuses, []
        self.busy = self.most = 0

    async def ask(self, request):
        self.asked.append(request)
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(self.delay(request))
        self.busy -= 1
        if self.refuses(request):
            return Failure(R402, "no")
        seed = request.columns["seed"]["question"]
        texts = {
            "questions": "".join(
                f"<question>{seed} Again {i} of {request.index}?</question>" for i in range(5)
            ),
            "fitting": "yes",
            "answer": "<answer>Moon.</answer>",
            "rating": "3",
        }
        return Reply(texts[request.stage], prompt_tokens=10, completion_tokens=5)


def expand(teacher, journal=None, of=None):
    async def run():
        expander = Expander(teacher, teacher, journal or Journal(Path(":memory:")))
        outcomes = [o async for o in expander.run(of or units(), {PIPELINE.name: PIPELINE})]
        outcomes.sort(key=lambda outcome: outcome.number)
        return outcomes, expander.tally

    return asyncio.run(run())


def test_outcomes_know_their_place_whatever_order_replies_come_in():
    draw = random.Random(5)
    outcomes, _ = expand(Fake(delay=lambda request: draw.random() / 50))
    assert [o.unit for o in outcomes] == list(units())
    assert [s.id for o in outcomes for s in o.samples] == [
        s.id for o in expand(Fake())[0] for s in o.samples
    ]


def test_a_slow_unit_holds_up_nobody():
    """With a barrier after each stage this would take four times the slow reply, not once."""
    slow = units()[0].seeds[0]

    def delay(request):
        return 1.0 if request.stage == "questions" and request.columns["seed"] == first else 0.0

    first = units()[0].columns["seed"]
    teacher = Fake(delay)
    finished = []

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        start = time.monotonic()
        async for outcome in expander.run(units(), {PIPELINE.name: PIPELINE}):
            finished.append((outcome.unit.seeds[0], time.monotonic() - start))

    asyncio.run(run())
    quick = [seconds for seed, seconds in finished if seed != slow]
    late = [seconds for seed, seconds in finished if seed == slow]
    assert max(quick) < 0.9 < min(late)


def test_a_second_run_asks_nothing(tmp_path):
    with Journal(tmp_path / "j") as journal:
        first, tally = expand(Fake(), journal)
        assert tally.asked == journal.count() > 50
        again = Fake()
        second, tally = expand(again, journal)
    assert second == first
    assert again.asked == []
    assert (tally.asked, tally.journaled) == (0, 8 + 40 * 3)


def test_an_edited_seed_asks_its_own_units_only(tmp_path):
    def both(seeds):
        return [*units(), *units(name="compositional_skills/b", seeds=seeds)]

    with Journal(tmp_path / "j") as journal:
        expand(Fake(), journal, both(3))
        teacher = Fake()
        expand(teacher, journal, both(4))
        again = Fake()
        expand(again, journal, both(4))
    questions = [r for r in teacher.asked if r.stage == "questions"]
    known = {(str(u.columns), u.index) for u in both(3)}
    changed = [u for u in both(4) if (str(u.columns), u.index) not in known]
    assert len(questions) == len(changed) > 0
    begun = [{**PIPELINE.settings.defaults, **u.columns} for u in changed]
    assert {str(r.columns) for r in questions} == set(map(str, begun))
    assert again.asked == []


def test_a_refused_unit_is_named_and_the_others_go_on():
    bad = units()[3].columns["seed"]

    def refuses(request):
        return request.columns["seed"] == bad

    outcomes, _ = expand(Fake(refuses=refuses))
    failed = [o for o in outcomes if o.failure]
    assert {o.failure.code.id for o in failed} == {"R402"}
    assert len(failed) == sum(u.columns["seed"] == bad for u in units())
    assert all(len(o.samples) == 5 for o in outcomes if not o.failure)


def test_a_refused_judge_drops_its_record_with_the_reason():
    def refuses(request):
        return request.stage == "rating" and "Again 2" in request.columns["question"]

    outcomes, _ = expand(Fake(refuses=refuses))
    for outcome in outcomes:
        assert len(outcome.samples) == 4
        assert [(d.code.id, d.stage) for d in outcome.drops] == [("R402", "rating")]
    assert all(o.failure is None for o in outcomes)


def test_a_failure_is_not_journaled(tmp_path):
    with Journal(tmp_path / "j") as journal:
        expand(Fake(refuses=lambda request: True), journal)
        assert journal.count() == 0


def test_the_same_question_in_flight_twice_is_asked_once():
    twice = [units()[0], units()[0]]
    teacher = Fake(delay=lambda request: 0.01)
    outcomes, _ = expand(teacher, of=twice)
    assert len(teacher.asked) == 1 + 5 * 3
    assert outcomes[0].samples == outcomes[1].samples


def test_origin_leads_back_to_leaf_seed_and_replies():
    teacher = Fake()
    outcomes, _ = expand(teacher)
    known = {key_of(teacher, request) for request in teacher.asked}
    for outcome in outcomes:
        for sample in outcome.samples:
            origin = sample.origin
            assert origin.file == "compositional_skills/rhyme/qna.yaml"
            assert origin.seeds[0] == outcome.unit.seeds[0]
            assert len(origin.replies) == 4
            assert set(origin.replies) <= known
            assert dict(sample.scores) == {"fitting": "yes", "rating": 3}


@pytest.mark.parametrize("samples", [1, 5, 6, 40, 63])
def test_the_dial_makes_as_many_calls_as_it_needs(samples):
    made = units(samples)
    assert len(made) == -(-samples // PIPELINE.asks)
    assert len({unit.id for unit in made}) == len(made)


def test_held_out_seeds_are_in_no_prompt():
    teacher = Fake()
    expand(teacher)
    prompts = "\n".join(m.content for r in teacher.asked for m in r.messages)
    assert "word4" in prompts
    assert "word5" not in prompts


def test_units_of_one_prefix_are_begun_together_and_the_longest_of_the_last_first():
    chance = random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))
    mixed = [*units(20, name="compositional_skills/a"), *units(40, name="compositional_skills/b")]
    chance.shuffle(mixed)
    order = issue_order(mixed, 0)
    assert sorted(order) == list(range(len(mixed)))
    leaves = [mixed[number].leaf.path for number in order]
    assert sum(a != b for a, b in pairwise(leaves)) == 1
    assert sum(a != b for a, b in pairwise(u.leaf.path for u in mixed)) > 1, "the control"
    short, long = units(15, name="skills/short"), units(15, name="skills/long", word="word " * 90)
    assert issue_order([*short, *long], 6) == [3, 4, 5, 0, 1, 2]
    assert issue_order([*short, *long], 0) == [0, 1, 2, 3, 4, 5], "the control"


def test_a_teacher_is_told_when_every_open_draft_waits_for_it():
    """One that answers only then, as a batch does, ends all the same, a wave a stage."""

    class Waves(Fake):
        waves = 0

        async def ask(self, request):
            self.held = getattr(self, "held", [])
            answer = asyncio.get_running_loop().create_future()
            self.held.append((request, answer))
            await answer
            return await super().ask(request)

        def flush(self):
            self.waves += 1
            held, self.held = self.held, []
            for _, answer in held:
                answer.set_result(None)

    teacher = Waves()
    teacher.in_flight = 1000
    outcomes, tally = expand(teacher)
    assert sum(len(o.samples) for o in outcomes) == 40
    assert (tally.asked, teacher.waves) == (8 + 40 * 3, 4)


def test_what_is_added_to_a_body_is_part_of_the_key():
    plain, other = Fake(), Fake()
    other.extra = {"chat_template_kwargs": {"enable_thinking": False}}
    request = Request((), PIPELINE.generates[0].sampling)
    assert key_of(plain, request) == key_of(Fake(), request) != key_of(other, request)


def test_a_text_that_fails_for_one_record_is_its_drop_and_no_more(monkeypatch):
    say = PIPELINE.stages[-1]
    odd = compile_template("user", "{{ question.split(' ')[4] }}")
    stages = (
        *PIPELINE.stages[:-1],
        replace(say, turns=(replace(say.turns[0], text=odd), say.turns[1])),
    )

    class Short(Fake):
        async def ask(self, request):
            reply = await super().ask(request)
            is_first = request.stage == "questions" and request.columns["seed"] == first
            return Reply("<question>Why?</question>") if is_first else reply

    first = units()[0].columns["seed"]

    async def run():
        expander = Expander(teacher := Short(), teacher, Journal(Path(":memory:")))
        pipelines = {PIPELINE.name: replace(PIPELINE, stages=stages)}
        return [o async for o in expander.run(units(), pipelines)]

    outcomes = asyncio.run(run())
    codes = {d.code.id for o in outcomes for d in o.drops}
    assert (codes, len(outcomes)) == ({"P208"}, len(units()))
    assert sum(len(o.samples) for o in outcomes) > 0


def test_what_cannot_be_stored_is_said_to_who_waits_and_to_nobody_else(tmp_path, monkeypatch):
    async def run(journal):
        put = journal._put_all

        def failing(many):
            if any(kept.key == "bad" for kept in many):
                raise MemoryError("no room")
            return put(many)

        monkeypatch.setattr(journal, "_put_all", failing)
        with pytest.raises(MemoryError):
            await asyncio.wait_for(journal.keep("bad", "m", Reply("x")), 5)
        return await asyncio.wait_for(journal.keep("good", "m", Reply("y")), 5)

    with Journal(tmp_path / "j") as journal:
        assert asyncio.run(run(journal)) == Reply("y")
        assert journal.count() == 1
