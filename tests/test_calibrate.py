"""Judges are measured on people's grades, and what agrees with people decides what is kept."""

import asyncio
import itertools
import json
import math
import os
import random
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.builds import Build
from compiler.calibrate.calibration import (
    Graded,
    calibrate,
    of_conditions,
    read_graded,
    report_gate,
)
from compiler.calibrate.choose import choose
from compiler.calibrate.criteria import read_criteria
from compiler.calibrate.grades import Grade, now
from compiler.calibrate.item import Item, of_build
from compiler.calibrate.measure import Figures, measure, union, wilson
from compiler.calibrate.order import grading_order, suspicions
from compiler.calibrate.verdict import Chosen, Judging, examples, failing
from compiler.cli import COMMANDS
from compiler.cli.app import make_app
from compiler.curriculum import GateSettings
from compiler.diagnostics import Report, Span
from compiler.expand import Origin, Sample
from compiler.journal import Journal
from compiler.prompt import Message
from compiler.source import WorkTree
from compiler.teacher.scripted import Line, Scripted

LEAF = "compositional_skills/rhyme"
A, B = {0, 7, 8, 9, 10}, {1, 10, 11, 12, 13}
GOOD = [i < 7 for i in range(16)]
APP = make_app(
    {
        **COMMANDS,
        "grade": "compiler.cli.grade:grade",
        "calibrate": "compiler.cli.calibrate:calibrate",
    }
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "knowledge").mkdir()
    return tmp_path


@pytest.fixture
def rng():
    return random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))


def trivium(*words, code=0, said=None):
    done = CliRunner().invoke(APP, [str(word) for word in words], input=said)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def fails(items, number=16):
    return [i not in items for i in range(number)]


# figures


def test_the_golden_fixture():
    alone, other = measure(GOOD, fails(A)), measure(GOOD, fails(B))
    together = measure(GOOD, union([fails(A), fails(B)], 16))
    for figures in (alone, other):
        assert figures.coverage == pytest.approx(4 / 9, abs=1e-12)
        assert figures.false_failures == pytest.approx(1 / 7, abs=1e-12)
        assert figures.alignment == pytest.approx(24 / 41, abs=1e-12)
        assert figures.mcc == pytest.approx(19 / math.sqrt(3465), abs=1e-12)
    assert together.coverage == pytest.approx(7 / 9, abs=1e-12)
    assert together.false_failures == pytest.approx(2 / 7, abs=1e-12)
    assert together.alignment == pytest.approx(35 / 47, abs=1e-12)
    assert together.mcc == pytest.approx(31 / 63, abs=1e-12)


def test_a_set_fails_items_not_verdicts():
    """Item 10 fails twice and counts once; the set's false failures are not the mean of two."""
    together = measure(GOOD, union([fails(A), fails(B)], 16))
    assert together.failed_bad == len((A | B) - set(range(7))) == 7 != 4 + 4
    mean = (1 / 7 + 1 / 7) / 2
    assert together.false_failures == pytest.approx(2 / 7) != pytest.approx(mean)
    assert union([fails(A), fails(A)], 16) == fails(A)


def test_a_skip_is_no_failure_and_no_pass():
    skips = [None if i in (2, 8) else one for i, one in enumerate(fails(A))]
    figures = measure(GOOD, skips)
    assert (figures.skipped, figures.failed_good, figures.failed_bad) == (2, 1, 3)
    assert figures.coverage == pytest.approx(3 / 9, abs=1e-12)
    assert figures.false_failures == pytest.approx(1 / 7, abs=1e-12)
    as_failures = [one is True for one in skips]
    assert measure(GOOD, as_failures).false_failures == pytest.approx(2 / 7)
    both = union([skips, fails(B)], 16)
    assert measure(GOOD, both) == Figures(7, 9, 2, 6, 0)
    assert union([[None, None], [None, True]], 2) == [None, True]
    assert suspicions({"a": [None, False, True]}, 3) == [0, 0.5, 0]


@pytest.mark.parametrize("good, bad", [(0, 3), (3, 0), (0, 0)])
def test_a_figure_without_a_denominator_is_undefined(good, bad):
    grades = [True] * good + [False] * bad
    for passes in (True, False):
        figures = measure(grades, [passes] * len(grades))
        assert (figures.coverage is None) == (bad == 0)
        assert (figures.false_failures is None) == (good == 0)
        assert figures.alignment is None
        assert figures.mcc is None
        assert "NaN" not in json.dumps(figures.as_json(), allow_nan=False)
    assert choose([7], 7 if good else 0, 7 if bad else 0, GateSettings()) == ()


def test_who_always_fails_or_always_passes_is_not_aligned():
    always, never = measure(GOOD, [False] * 16), measure(GOOD, [True] * 16)
    assert (always.coverage, always.false_failures, always.alignment) == (1, 1, 0)
    assert (never.coverage, never.false_failures, never.alignment) == (0, 0, 0)
    assert always.mcc is never.mcc is None
    assert measure(GOOD, GOOD).alignment == measure(GOOD, GOOD).mcc == 1


@pytest.mark.parametrize("hits, number", [(0, 5), (3, 7), (7, 9), (9, 9), (400, 1000)])
def test_wilson_is_where_the_share_would_be_unlikely(hits, number):
    """Each end is a share from which the one seen lies 1.96 standard errors away."""
    z, seen = 1.959963984540054, hits / number

    def distance(p):
        return abs(seen - p) - z * math.sqrt(p * (1 - p) / number)

    low, high = wilson(hits, number)
    assert 0 <= low <= seen <= high <= 1
    for end in (low, high):
        assert distance(end) == pytest.approx(0, abs=1e-9)
    wald = seen + z * math.sqrt(seen * (1 - seen) / number)
    if 0 < hits < number:
        assert abs(distance(min(wald, 1))) > 1e-6, "the simpler interval is another one"
    assert wilson(0, 0) is None


# the choice


def brute_force(failed, good, bad, gate):
    """By enumeration, in fractions: the whole list of sets, sorted by what is asked for."""
    sets = []
    for size in range(len(failed) + 1):
        for numbers in itertools.combinations(range(len(failed)), size):
            mask = 0
            for number in numbers:
                mask |= failed[number]
            coverage = Fraction((mask & bad).bit_count(), bad.bit_count())
            failures = Fraction((mask & good).bit_count(), good.bit_count())
            kept = 1 - failures
            aligned = 2 * coverage * kept / (coverage + kept) if coverage + kept else 0
            sets.append((numbers, coverage, failures, aligned))
    within = [s for s in sets if s[2] <= gate.max_false_failures and s[1] >= gate.min_coverage]
    if gate.min_coverage and within:
        return min(within, key=lambda s: (len(s[0]), -s[3], s[0]))[0]
    among = sets if gate.min_coverage else within
    return min(among, key=lambda s: (-s[3], len(s[0]), s[0]))[0]


GATES = [
    GateSettings(),
    GateSettings(0.5, 0.5),
    GateSettings(0.75, 0.25),
    GateSettings(1.0, 1.0),
    GateSettings(1.0, 0.0),
    GateSettings(0.0, 0.125),
]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_the_chosen_set_is_the_best_of_all_sets(gate, rng):
    kinds = set()
    for _ in range(12):
        number = rng.choice((10, 16))
        share = rng.choice((0.1, 0.25, 0.4))
        failed = [sum((rng.random() < share) << i for i in range(number)) for _ in range(8)]
        bad = sum((rng.random() < 0.5) << i for i in range(1, number - 1)) | 1
        good = (1 << number) - 1 ^ bad
        found = choose(failed, good, bad, gate)
        assert found == brute_force(failed, good, bad, gate)
        kinds.add(len(found))
    assert kinds != {0}


def test_the_smallest_set_is_not_the_greedy_one():
    """The assertion that covers most is in no smallest set here."""
    failed = [0b0001111, 0b0110011, 0b1001100]
    bad, good = 0b1111111, 0b10000000
    assert max(range(3), key=lambda i: (failed[i] & bad).bit_count()) == 0
    assert choose(failed, good, bad, GateSettings(1.0, 0.0)) == (1, 2)


def test_what_the_judges_drop_need_not_be_covered_again():
    failed, bad, good = [0b0011, 0b1100], 0b1111, 0b10000
    gate = GateSettings(1.0, 1.0)
    assert choose(failed, good, bad, gate) == (0, 1)
    assert choose(failed, good, bad, gate, given=0b0011) == (1,)


def test_twenty_assertions_are_no_trouble(rng):
    failed = [sum((rng.random() < 0.1) << i for i in range(60)) for _ in range(20)]
    bad = (1 << 30) - 1
    found = choose(failed, bad << 30, bad, GateSettings(0.5, 0.5))
    assert list(found) == sorted(set(found))


# the order


def test_the_order_alternates_between_the_extremes():
    """By hand: `a` fails 1 of 4, so to fail it weighs 3/4; `b` fails 2 of 4 and weighs 1/2."""
    said = {"a": [True, False, True, True], "b": [False, False, True, True]}
    suspicion = suspicions(said, 4)
    assert suspicion == [0.5, 1.25, 0, 0]
    order = grading_order(["p", "q", "r", "s"], suspicion)
    assert order == [1, 3, 0, 2]
    assert order != sorted(range(4), key=lambda i: -suspicion[i])


def test_to_fail_what_nearly_all_pass_is_more_suspicious(rng):
    number = rng.randrange(10, 40)
    rare, common = rng.sample(range(number), 2)
    said = {"rare": fails({rare}, number), "common": fails(set(range(number)) - {rare}, number)}
    suspicion = suspicions(said, number)
    assert suspicion[rare] > suspicion[common] > 0
    ids = [f"{i:03}" for i in range(number)]
    assert grading_order(ids, suspicion)[0] == rare
    assert sorted(grading_order(ids, suspicion)) == list(range(number))


# criteria and grades

CRITERIA = {
    "criteria": [
        {
            "id": "short",
            "text": "The answer is short.",
            "assertions": [{"if": "answer | wordcount <= 3"}, {"if": "answer | length <= 30"}],
        },
        {
            "id": "polite",
            "text": "The answer is polite.",
            "branches": ["compositional_skills"],
            "assertions": [{"if": "'fool' not in answer"}],
        },
    ]
}


def write(folder, criteria=CRITERIA, grades=()):
    (folder / "grades").mkdir(exist_ok=True)
    (folder / "grades" / "criteria.yaml").write_text(yaml.safe_dump(criteria, sort_keys=False))
    lines = [json.dumps(grade.as_json()) for grade in grades]
    (folder / "grades" / "ada.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def criteria_of(folder):
    return read_criteria(WorkTree(folder), Report())


def item(number, answer="Spoon.", **more):
    return Item(f"{number:016x}", LEAF, f"What rhymes with {number}?", answer, **more)


def graded(folder, *pairs, grader="ada"):
    """Grades of answers, by the criteria as they are."""
    digests = now(criteria_of(folder).of("compositional_skills"))
    return [
        Grade(item(i, answer), good, grader, "", digests) for i, (answer, good) in enumerate(pairs)
    ]


def read(folder):
    report = Report()
    return read_graded(WorkTree(folder), report), report


def said(report):
    return [(d.code.id, d.span.path, d.span.line) for d in report.diagnostics]


LONG = "you fool have to look into the whole of the dictionary"
PAIRS = [("Spoon.", True), ("Moon.", True), (LONG, False), ("fool", False)]


def test_editing_a_criterion_takes_its_grades(here):
    write(here)
    write(here, grades=graded(here, *PAIRS))
    assert len(read(here)[0].grades) == 4
    spaced = json.loads(json.dumps(CRITERIA))
    spaced["criteria"][1]["text"] = "The answer\nis  polite."
    write_again(here, spaced)
    assert len(read(here)[0].grades) == 4, "white space is no edit"
    edited = json.loads(json.dumps(CRITERIA))
    edited["criteria"][1]["assertions"] = [{"if": "true"}]
    write_again(here, edited)
    assert len(read(here)[0].grades) == 4, "an assertion is no criterion"
    edited["criteria"][1]["text"] = "The answer is not rude."
    write_again(here, edited)
    found, report = read(here)
    assert found.grades == ()
    assert len(found.again) == 4, "they can be graded again"
    assert said(report) == [("M317", "grades/criteria.yaml", 8)]
    assert "4 grades" in report.diagnostics[0].message
    del edited["criteria"][1]
    write_again(here, edited)
    assert read(here)[0].grades == ()
    edited["criteria"] += [CRITERIA["criteria"][1], {"id": "new", "text": "It is new."}]
    write_again(here, edited)
    assert len(read(here)[0].grades) == 4, "a new criterion takes no grades"


def write_again(folder, criteria):
    (folder / "grades" / "criteria.yaml").write_text(yaml.safe_dump(criteria, sort_keys=False))


def test_an_edit_takes_only_the_grades_that_were_given_under_it(here):
    write(here)
    known = now(criteria_of(here).of("knowledge"))
    assert set(known) == {"short"}
    other = replace(item(9), leaf="knowledge/birds")
    write(here, grades=[*graded(here, *PAIRS), Grade(other, True, "ada", "", known)])
    edited = json.loads(json.dumps(CRITERIA))
    edited["criteria"][1]["text"] = "The answer is not rude."
    write_again(here, edited)
    assert [grade.item.leaf for grade in read(here)[0].grades] == ["knowledge/birds"]


def test_several_graders_vote_and_a_later_grade_replaces(here):
    write(here)
    (one,) = graded(here, ("Spoon.", True))
    votes = [one, replace(one, grader="bob", good=False)]
    write(here, grades=votes)
    assert read(here)[0].grades == (), "divided"
    write(here, grades=[*votes, replace(one, grader="eve", good=False)])
    assert [grade.good for grade in read(here)[0].grades] == [False]
    write(here, grades=[*votes, replace(one, good=False)])
    assert [grade.good for grade in read(here)[0].grades] == [False]


def test_grades_may_be_yaml(here):
    write(here)
    lines = [grade.as_json() for grade in graded(here, *PAIRS)]
    by_lines = read(write(here, grades=graded(here, *PAIRS)))[0].grades
    (here / "grades" / "ada.jsonl").unlink()
    (here / "grades" / "ada.yaml").write_text(yaml.safe_dump({"grades": lines}))
    assert read(here)[0].grades == by_lines


@pytest.mark.parametrize(
    "edit, line, words",
    [
        ('{"id": "x"}', 2, "has no `answer`"),
        ("{", 2, "no JSON"),
        ("GRADE god", 2, "not one of `good`, `bad`"),
        ("LEAF rhyme", 2, "does not match"),
    ],
)
def test_a_broken_grade_is_named_with_its_line(edit, line, words, here):
    write(here)
    good, bad = (grade.as_json() for grade in graded(here, *PAIRS[:2]))
    if " " in edit and edit[0].isupper():
        key, value = edit.lower().split()
        edit = json.dumps({**bad, key: value})
    (here / "grades" / "ada.jsonl").write_text(f"{json.dumps(good)}\n{edit}\n")
    found, report = read(here)
    assert found.grades == ()
    assert set(said(report)) == {("M316", "grades/ada.jsonl", line)}
    assert any(words in d.message for d in report.diagnostics)


@pytest.mark.parametrize(
    "criterion, line, words",
    [
        ({"assertions": [{"if": "answr == ''"}]}, 5, "unknown column `answr`"),
        ({"assertions": [{"if": "answer |"}]}, 5, "no valid Jinja"),
        ({"assertions": [{"if": "answer | wordcout"}]}, 5, "wordcout"),
        ({"assertions": [{"if": "answer > 3"}]}, 5, "fails when it is rendered"),
        ({"assertions": [{"if": "1 / 0"}]}, 5, "fails when it is rendered: division by zero"),
        ({"assertions": [{"if": "'%c' % 10 ** 30"}]}, 5, "fails when it is rendered"),
        ({"assertions": [{"if": "(" * 9999}]}, 5, "no valid Jinja"),
        ({"assertions": [{"judge": "{{ 2.0 ** 9999 }}"}]}, 5, "fails when it is rendered"),
        ({"assertions": [{"judge": "{{ document }}"}]}, 5, "unknown column `document`"),
        ({"assertions": [{"if": "true", "judge": "x"}]}, 5, "`assertions`"),
        ({"branches": ["skills"]}, 5, "`skills`"),
        ({"id": "Short"}, 2, "does not match"),
    ],
)
def test_a_broken_criterion_is_named_with_its_place(criterion, line, words, here):
    write(here, {"criteria": [{"id": "short", "text": "It is short.", **criterion}]})
    found, report = read(here)
    assert found == Graded()
    assert said(report) == [("M316", "grades/criteria.yaml", line)]
    assert words in report.diagnostics[0].message


def test_a_score_that_is_not_there_is_a_skip(here):
    only = [{"id": "rated", "text": "Rated.", "assertions": [{"if": "scores.rating > 2"}]}]
    write(here, {"criteria": only})
    made = graded(here, *PAIRS)
    rated = replace(made[3], item=replace(made[3].item, scores={"rating": 1}))
    write(here, {"criteria": only}, [*made[:3], rated])
    line = of_conditions(read(here)[0], GateSettings()).whole.lines[0]
    assert (line.name, line.figures) == ("rated-1", Figures(2, 2, 0, 1, 3))


# what is chosen, and what it drops


def sample(answer, kind="synthetic", scores=None):
    messages = (Message("user", "What rhymes with moon?"), Message("assistant", answer))
    origin = Origin(kind, "", "", "", (), ())
    asked = messages[0].content
    return Sample(
        answer, messages, "compositional_skills", LEAF, origin, asked, answer, scores=scores or {}
    )


def test_one_changed_grade_changes_the_chosen_set_and_what_is_kept(here):
    write(here)
    samples = [sample(answer) for answer in ("Spoon.", "A fool.", "Look into a dictionary at once")]
    pairs = [*PAIRS, ("Say it like any other word", False)]

    def kept(pairs):
        write(here, grades=graded(here, *pairs))
        chosen = of_conditions(read(here)[0], GateSettings()).chosen
        names = [one.id for set in chosen.sets.values() for one in set]
        return names, [s.answer for s in samples if failing(s, chosen) is None]

    first = kept(pairs)
    assert first == (["short-1", "polite-1"], ["Spoon."])
    changed = kept([*pairs[:4], (pairs[4][0], True)])
    assert changed == (["polite-1"], ["Spoon.", "Look into a dictionary at once"])
    assert kept(pairs) == first


def test_a_persons_own_example_is_held_to_nothing(here):
    write(here)
    write(here, grades=graded(here, *PAIRS))
    chosen = of_conditions(read(here)[0], GateSettings()).chosen
    assert failing(sample("fool"), chosen).id == "polite"
    assert failing(sample("fool", "seed"), chosen) is None
    assert failing(sample("fool"), Chosen()) is None


PROMPT = """{{ criterion }}
{% for one in examples %}({{ one.grade }}) {{ one.answer }}
{% endfor %}
<answer>{{ answer }}</answer>"""
JUDGED = {"criteria": [{"id": "kind", "text": "It is kind.", "assertions": [{"judge": PROMPT}]}]}


def judged(folder, judge, pairs, journal):
    write(folder, JUDGED)
    write(folder, JUDGED, graded(folder, *pairs))
    judging = Judging(judge, journal)
    found, _ = read(folder)
    return asyncio.run(calibrate(found, GateSettings(), judging)), judging


def test_a_judge_is_asked_once_and_sees_examples_but_never_the_item(here):
    lines = [Line("kind-1", "no", f"<answer>{a}</answer>") for a, good in PAIRS if not good]
    judge = Scripted([*lines, Line("kind-1", "yes")])
    with Journal(here / "journal") as journal:
        found, judging = judged(here, judge, PAIRS, journal)
        assert (judging.tally.asked, judging.tally.journaled) == (4, 0)
        assert [r.form for r in judge.asked] == ["choice"] * 4
        for request, (answer, _) in zip(judge.asked, PAIRS, strict=True):
            (prompt,) = (message.content for message in request.messages)
            shown, _, asked = prompt.partition("<answer>")
            assert answer in asked
            assert f") {answer}\n" not in shown
            assert all(f") {other}\n" in shown for other, _ in PAIRS if other != answer)
            assert prompt.startswith("It is kind.")
        (branch,) = found.branches
        assert branch.lines[0].figures == Figures(2, 2, 0, 2, 0)
        assert [one.id for one in branch.chosen] == ["kind-1"]
        again, judging = judged(here, judge, PAIRS, journal)
        assert (judging.tally.asked, judging.tally.journaled) == (0, 4)
        assert again == found

        async def kept():
            samples = map(sample, ("fool", "Tune.", LONG, "June."))
            return [fails async for fails in judging.failing(samples, found.chosen)]

        assert [fails and fails.id for fails in asyncio.run(kept())] == ["kind", None, "kind", None]


def test_a_judge_that_agrees_with_nobody_is_not_chosen(here):
    for text in ("yes", "no", "perhaps"):
        with Journal(here / f"journal-{text}") as journal:
            judge = Scripted([Line("kind-1", text)], text)
            found, _ = judged(here, judge, PAIRS, journal)
        assert found.chosen.sets == {}
        assert found.whole.lines[0].figures.alignment == 0
        assert found.whole.lines[0].figures.skipped == (4 if text == "perhaps" else 0)


def test_a_judge_without_an_answer_is_reported(here):
    judge = Scripted([Line("kind-1", refuse=True)])
    with Journal(here / "journal") as journal:
        found, judging = judged(here, judge, PAIRS, journal)
    report = Report()
    judging.report(report)
    assert [d.code.id for d in report.diagnostics] == ["R402"]
    assert "4 questions" in report.diagnostics[0].message
    later = Report()
    judging.report(later)
    assert later.diagnostics == ()
    assert found.whole.lines[0].figures.skipped == 4


def test_examples_are_a_few_of_each_kind():
    grades = [Grade(item(i, f"Word {i}."), i % 2 == 0) for i in range(20)]
    shown = examples(item(0, "Word 0."), grades)
    assert [(one["answer"], one["grade"]) for one in shown] == [
        ("Word 2.", "good"),
        ("Word 4.", "good"),
        ("Word 1.", "bad"),
        ("Word 3.", "bad"),
    ]
    twin = replace(item(0, "Word 0."), id="another")
    assert examples(twin, grades) == shown, "nor the same words under another id"
    assert examples(item(99), grades)[0]["answer"] == "Word 0."


def test_the_builds_own_judges_are_measured(here):
    write(here, {"criteria": [{"id": "good", "text": "It is good."}]})
    made = graded(here, *PAIRS)
    items = [
        replace(made[0].item, scores={"rating": 3, "fitting": "yes", "rating_odds": 0.9}),
        replace(made[1].item, scores={"rating": 2, "fitting": "yes"}),
        replace(made[2].item, scores={"rating": 1, "fitting": "yes"}, drop="D511"),
        replace(made[3].item, scores={"fitting": "no"}, drop="D503"),
    ]
    grades = [replace(grade, item=one) for grade, one in zip(made, items, strict=True)]
    found = of_conditions(Graded(grades=tuple(grades)), GateSettings()).branches[0]
    assert {line.name: line.figures for line in found.lines} == {
        "D511 poor-answer": Figures(2, 2, 0, 1, 0),
        "fitting is no": Figures(2, 2, 0, 1, 0),
        "rating below 2": Figures(2, 2, 0, 1, 1),
        "rating below 3": Figures(2, 2, 1, 1, 1),
        "all judges": Figures(2, 2, 0, 1, 0),
        "chosen set": Figures(2, 2, 0, 0, 0),
        "judges and chosen set": Figures(2, 2, 0, 1, 0),
    }


# the commands

SCRIPT = """
- stage: questions
  text: |
    <question>Find a rhyme for light.</question>
    <question>Find a rhyme for bone.</question>
    <question>Find a rhyme for blue.</question>
    <question>Find a rhyme for cold.</question>
- {stage: fitting, text: "yes"}
- {stage: answer, contains: for bone, text: <answer>You fool can take stone.</answer>}
- {stage: answer, contains: for blue, text: <answer>Shoe.</answer>}
- {stage: answer, contains: for cold, text: <answer>It could be any word at all.</answer>}
- {stage: answer, text: <answer>Night.</answer>}
- {stage: rating, text: "3"}
"""


@pytest.fixture
def build(here):
    leaf = here / LEAF
    leaf.mkdir(parents=True)
    pairs = [("moon", "Spoon."), ("star", "Car."), ("sea", "Tea."), ("oak", "Smoke.")]
    seeds = [{"question": f"What rhymes with {a}?", "answer": b} for a, b in pairs]
    (leaf / "qna.yaml").write_text(
        yaml.safe_dump({"created_by": "ada", "task_description": "Rhyme.", "seed_examples": seeds})
    )
    (here / "curriculum.yaml").write_text(
        "samples_per_leaf: 5\nmix: {validation: 0}\ngate: {min_coverage: 0.9}\n"
        "check: {allow: [empty-phase, missing-attribution]}\n"
    )
    (here / "teacher.yaml").write_text(SCRIPT)
    write(here)
    (here / "grades" / "ada.jsonl").unlink()
    trivium("compile", "--teacher", "scripted:teacher.yaml")
    return here / "out" / "build"


def grades_of(folder):
    return [json.loads(line) for line in (folder / "grades" / "ada.jsonl").open()]


def answers(build=Path("out/build")):
    return sorted(one.answer for one in of_build(Build(build)) if not one.drop)


def grade_all(good, *words):
    """Grades what is shown, one after the other: good where the answer is among `good`."""
    for _ in range(10):
        shown = trivium("grade", "--grader", "ada", *words, said="")
        if "no sample is left" in shown:
            return
        answer = shown.partition("answer:\n  ")[2].split("\n")[0]
        trivium("grade", "--grader", "ada", *words, said="g\n" if answer in good else "b\n")
    raise AssertionError("there is always another one")


def test_a_person_grades_and_every_grade_is_kept_at_once(build, here):
    assert answers() == [
        "It could be any word at all.",
        "Night.",
        "Shoe.",
        "You fool can take stone.",
    ]
    shown = trivium("grade", "--grader", "ada", said="b\nx\nn\nwell found\ng\ns\n")
    first, second = grades_of(here)
    assert first["answer"] == "You fool can take stone.", "two assertions fail it"
    assert (first["grade"], second["grade"]) == ("bad", "good")
    assert second["answer"] in ("Night.", "Shoe."), "then one that none fails"
    assert (first.get("note"), second["note"]) == (None, "well found")
    assert first["criteria"] == now(criteria_of(here).all)
    assert first["scores"] == {"fitting": "yes", "rating": 3}
    assert "coverage undefined -> 0.0%" in shown
    assert "coverage 0.0% -> 100.0%" in shown
    assert "2 grades added" in shown
    again = trivium("grade", "--grader", "ada", "--number", "1", said="g\n")
    assert first["answer"] not in again, "what is graded is not shown again"
    assert len(grades_of(here)) == 3
    assert "no sample is left" in trivium("grade", "--leaf", "knowledge/*", said="")
    trivium("grade", here, code=1)


def test_a_dropped_answer_can_be_graded(build, here):
    line = {
        **dict.fromkeys(("name", "detail", "stage"), ""),
        "code": "D511",
        "leaf": LEAF,
        "text": "Find a rhyme for night.",
        "answer": "Ham.",
        "scores": {"rating": 1},
        "replies": [],
    }
    with (build / "drops.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.write(json.dumps({**line, "answer": ""}) + "\n")
    grade_all({"Night.", "Shoe.", "Ham."})
    (dropped,) = [one for one in grades_of(here) if one["answer"] == "Ham."]
    assert (dropped["drop"], dropped["scores"]) == ("D511", {"rating": 1})
    table = json.loads(trivium("calibrate", "--format", "json"))
    (judge,) = [one for one in table["all"]["lines"] if one["name"] == "D511 poor-answer"]
    assert (judge["false_failures"], judge["coverage"]) == (pytest.approx(1 / 3), 0)


def test_a_build_tells_context_and_question_apart(here):
    """A grounded sample asks both in one message."""
    line = {
        "id": "1",
        "leaf": LEAF,
        "branch": LEAF.partition("/")[0],
        "unmask": False,
        "origin": asdict(Origin("synthetic", "", "", "ada", (), ())),
        "messages": [
            {"role": "user", "content": "Robins sing.\n\nWho sings?"},
            {"role": "assistant", "content": "Robins."},
        ],
        "scores": {},
    }
    told = {**line, "question": "Who sings?", "context": "Robins sing."}
    seed = {**told, "origin": {**line["origin"], "kind": "seed"}}
    (here / "manifest.json").write_text("{}")
    (here / "drops.jsonl").write_text("")
    (here / "samples.jsonl").write_text("".join(f"{json.dumps(o)}\n" for o in (told, line, seed)))
    first, second = of_build(Build(here))
    assert (first.question, first.context, first.answer) == (
        "Who sings?",
        "Robins sing.",
        "Robins.",
    )
    assert (second.question, second.context) == ("Robins sing.\n\nWho sings?", "")


def test_a_gate_without_grades_points_at_its_setting():
    at = Span("curriculum.yaml", 3)
    report = Report()
    made = of_conditions(Graded(gate=at), GateSettings(0.9))
    report_gate(made, ["knowledge"], GateSettings(0.9), report)
    (found,) = report.diagnostics
    assert (found.code.id, found.span) == ("M315", at)
    assert found.hint == "grade samples with `trivium grade`"


def test_the_gate_warns_here_and_fails_in_ci(build, here, monkeypatch):
    grade_all({"Night.", "Shoe."})
    met = trivium("calibrate", "--gate")
    assert "M315" not in met
    assert "* chosen: short-1" in met
    path = here / "grades" / "ada.jsonl"
    path.write_text(path.read_text().replace('"good"', '"bad"', 1))
    assert "warning[M315]" in trivium("calibrate")
    assert "error[M315]" in trivium("calibrate", "--gate", code=1)
    monkeypatch.setenv("CI", "true")
    assert "error[M315]" in trivium("calibrate", code=1)
    told = json.loads(trivium("calibrate", "--format", "json", code=1))
    assert [one["code"] for one in told["findings"]] == ["M315"]
    assert told["branches"][0]["chosen"] == ["short-1"]
    assert told["gate"] == {"min_coverage": 0.9, "max_false_failures": 1.0}


def test_without_a_bad_grade_figures_are_undefined_and_the_gate_is_not_met(build):
    grade_all(set(answers()))
    shown = trivium("calibrate", "--gate", code=1)
    assert "undefined" in shown
    assert "nan" not in shown.lower().replace("answer", "")
    assert "coverage is undefined, for no sample is graded bad" in shown


def test_calibrate_asks_the_judge_once(build, here):
    write_again(here, JUDGED)
    grade_all({"Night.", "Shoe."})
    (here / "judge.yaml").write_text(
        "- {stage: kind-1, contains: <answer>You, text: 'no'}\n"
        "- {stage: kind-1, contains: <answer>It, text: 'no'}\n"
        "- {stage: kind-1, text: 'yes'}\n"
    )
    words = ("calibrate", "--judge", "scripted:judge.yaml", "--gate")
    assert "* chosen: kind-1" in trivium(*words)
    done = CliRunner().invoke(APP, words)
    assert "asked the judge 0 questions; 4 answers came from the journal" in done.stderr
    (here / "grades" / "ada.jsonl").unlink()
    shown = trivium("grade", "--judge", "scripted:judge.yaml", "--grader", "bob", said="b\ng\n")
    assert shown.count("false failures undefined -> 0.0%; chosen: kind-1") == 1


def test_without_grades_there_is_nothing_to_calibrate(here):
    assert "error[M316]" in trivium("calibrate", code=1)


def test_one_changed_grade_changes_what_a_compile_keeps(build, here):
    def compiled():
        trivium("compile", "--teacher", "scripted:teacher.yaml")
        drops = [json.loads(line) for line in (build / "drops.jsonl").open()]
        return answers(), sorted((d["text"], d["detail"]) for d in drops if d["code"] == "D543")

    everything = answers()
    assert compiled() == (everything, [])
    grade_all({"Night.", "Shoe."})
    first, dropped = compiled()
    assert first == ["Night.", "Shoe."]
    assert dropped == [
        ("Find a rhyme for bone.", "`short`: The answer is short."),
        ("Find a rhyme for cold.", "`short`: The answer is short."),
    ]
    path = here / "grades" / "ada.jsonl"
    lines = [json.loads(line) for line in path.open()]
    for line in lines:
        if line["answer"].startswith("It could"):
            line["grade"] = "good"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert compiled() == (
        ["It could be any word at all.", "Night.", "Shoe."],
        [("Find a rhyme for bone.", "`polite`: The answer is polite.")],
    )


def test_a_compile_asks_the_judge_whom_people_agree_with(build, here):
    """The control is a judge that passes everything: it is chosen by nobody, and drops nothing."""
    write_again(here, JUDGED)
    grade_all({"Night.", "Shoe."})
    verdicts = (
        "- {stage: kind-1, contains: <answer>You, text: 'no'}\n"
        "- {stage: kind-1, contains: <answer>It, text: 'no'}\n"
        "- {stage: kind-1, text: 'yes'}\n"
    )
    (here / "teacher.yaml").write_text(SCRIPT + verdicts)
    assert "failed-assertion (D543)" in trivium("compile", "--teacher", "scripted:teacher.yaml")
    assert answers() == ["Night.", "Shoe."]
    (here / "teacher.yaml").write_text(SCRIPT + "- {stage: kind-1, text: 'yes'}\n")
    shown = trivium("compile", "--teacher", "scripted:teacher.yaml")
    assert "D543" not in shown
    assert "warning[M315]" in shown
    assert len(answers()) == 4


def test_a_compile_in_ci_stops_below_the_gate_before_it_asks(build, here, monkeypatch):
    grade_all(set(answers()))
    monkeypatch.setenv("CI", "true")
    (build / "manifest.json").unlink()
    shown = trivium("compile", "--teacher", "scripted:teacher.yaml", code=1)
    assert "error[M315]" in shown
    assert "asked" not in shown
    assert not (build / "manifest.json").exists()
    monkeypatch.delenv("CI")
    trivium("compile", "--teacher", "scripted:teacher.yaml")
    assert (build / "manifest.json").exists()
