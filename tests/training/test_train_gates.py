"""Gates: what was planted as lost is named, what was not lost holds, the control is not asked."""

import json
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from compiler.diagnostics import Report
from compiler.resources import PAGES
from training import run
from training.cli import app
from training.data import Build, Sample

PHASES = [("phase1", "phase1"), ("phase2", "phase2")]


def question(leaf, number, *, options=()):
    from training.ask import Question

    messages = (
        {"role": "user", "content": f"{leaf} {number}?"},
        {"role": "assistant", "content": "yes"},
    )
    sample = Sample(f"{leaf} {number}", messages, leaf.partition("/")[0], leaf)
    return Question(sample, options)


LEAVES = ("knowledge/a", "knowledge/b", "foundational_skills/c", "compositional_skills/d")


@cache
def asked():
    """Twenty trained questions of each leaf, sixty general ones."""
    some = ("yes", "no", "a", "b")
    return {
        "trained": [question(leaf, number) for leaf in LEAVES for number in range(20)],
        "general": [question("general", number, options=some) for number in range(60)],
    }


def right(**shares):
    """A column that is right for the given share of each leaf's questions, else for all."""
    from training.evaluate.scores import Column

    values = [
        float(int(one.sample.id.split()[-1]) >= 20 * (1 - shares.get(one.sample.leaf[-1], 1.0)))
        for one in asked()["trained"]
    ]
    return {"exact_match": Column.of(values)}


def known(share):
    from training.evaluate.scores import Column

    return {"choice": Column.of([float(i < 60 * share) for i in range(60)])}


def measured(before, after, general=(0.6, 0.6), phases=PHASES, limit=0.05):
    from training.evaluate import gates

    # The control forgets everything: no gate may look at it.
    found = {
        "trained": {"base": right(a=0, b=0, c=0), "phase1": before, "phase2": after}
        | {"control": right(a=0, b=0, c=0, d=0)},
        "general": {"base": known(general[0]), "phase1": known(general[0])}
        | {"phase2": known(general[1]), "control": known(0)},
    }
    taught = tuple(one.sample for one in asked()["trained"] if one.sample.branch[0] in "kf")
    return gates.measured(Build("f", taught, (), (), ()), phases, asked(), found, limit)


def test_nothing_lost_holds():
    facts, general = measured(right(), right(d=0))
    assert (facts.held, facts.n, facts.difference, facts.lost) == (True, 60, 0, ())
    assert (facts.stage, facts.against) == ("phase2", "phase1")
    assert (general.held, general.n, general.difference) == (True, 60, 0)
    assert (general.stage, general.against) == ("phase2", "base")


def test_what_is_lost_is_named():
    facts, _ = measured(right(), right(b=0.5))
    assert facts.held is False
    assert facts.difference == pytest.approx(-10 / 60, abs=1e-4)
    assert facts.low <= facts.difference <= facts.high < 0
    named = [(one["kind"], one["where"], one["difference"]) for one in facts.lost]
    assert named == [
        ("all", "all", pytest.approx(-10 / 60, abs=1e-4)),
        ("branches", "knowledge", -0.25),
        ("leaves", "knowledge/b", -0.5),
    ]


def test_a_branch_alone_breaks_the_gate():
    """What the others gained does not pay for it."""
    facts, _ = measured(right(a=0.2, b=0.2), right(c=0.5))
    assert facts.difference > 0
    assert facts.held is False
    assert [one["where"] for one in facts.lost] == ["foundational_skills", "foundational_skills/c"]


def test_only_what_is_surely_lost_counts():
    one_of_twenty = right(c=0.95)
    facts, general = measured(right(), one_of_twenty, general=(0.6, 0.58), limit=0)
    assert facts.difference < 0
    assert general.difference < 0
    assert (facts.held, general.held) == (True, True)


def test_the_limit_is_what_may_be_lost():
    lost = right(b=0.5)
    assert measured(right(), lost, limit=0.3)[0].held is True
    assert measured(right(), lost, limit=0.2)[0].held is False


def test_general_knowledge_that_is_lost():
    _, general = measured(right(), right(), general=(0.8, 0.4))
    assert general.held is False
    assert [one["where"] for one in general.lost] == ["all"]
    assert general.difference == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("phases", "why"),
    [
        ([("all", "stacked")], "no phase came after"),
        ([("phase1", "phase1")], "no phase came after"),
        ([], "no phase is done"),
    ],
)
def test_what_cannot_be_measured(phases, why):
    from training.evaluate import gates

    facts, _ = measured(right(), right(), phases=phases)
    assert (facts.held, facts.why) == (None, why)
    report = Report()
    gates.tell([facts.as_json()], report)
    ((code, told, soft),) = [(d.code.id, d.message, d.soft) for d in report.diagnostics]
    assert (code, soft, report.errors) == ("E707", True, 0)
    assert told == f"the gate on facts of phase 1 measures nothing: {why}"


def by_steps(phases, **shares):
    """The facts gates where a and b are short facts, c is a long one, and each stage is right for
    the shares given.
    """
    from training.evaluate import gates

    steps = {"knowledge": 1, "foundational_skills": 2}
    taught = [one.sample for one in asked()["trained"] if one.sample.branch in steps]
    build = Build("f", tuple(replace(one, step=steps[one.branch]) for one in taught), (), (), ())
    found = {name: right(**dict(zip("abc", three, strict=True))) for name, three in shares.items()}
    return gates.measured(build, phases, asked(), {"trained": found, "general": {}})[:-1]


LAB = [("kt1", "phase1-short"), ("kt2", "phase1-long"), ("st", "phase2")]


def test_facts_are_held_against_the_stage_that_taught_them_first():
    """What the second phase of facts took is lost, though the last one took nothing."""
    after = (0, 0, 1)
    short, long = by_steps(LAB, base=(0, 0, 0), kt1=(1, 1, 0), kt2=after, st=after)
    assert (short.stage, short.against, short.held, short.n) == ("st", "kt1", False, 40)
    assert (short.what, short.difference) == ("facts that kt1 taught", -1)
    assert (long.against, long.held, long.n) == ("kt2", True, 20)
    (only,) = by_steps(LAB[:2], base=(0, 0, 0), kt1=(1, 1, 0), kt2=after)
    assert (only.stage, only.against, only.held) == ("kt2", "kt1", False)
    again = [("kt1", "phase1-short"), ("both", "phase1"), ("st", "phase2")]
    gates = by_steps(again, base=(0, 0, 0), kt1=(1, 1, 0), both=(1, 1, 1), st=(1, 1, 0))
    assert [(one.against, one.n, one.held) for one in gates] == [
        ("kt1", 40, True),
        ("both", 20, False),
    ]


def test_facts_that_no_phase_taught_are_held_against_the_base():
    (facts,) = by_steps([("dpo", "preferences")], base=(1, 1, 1), dpo=(0, 0, 0))
    assert (facts.against, facts.held, facts.difference) == ("base", False, -1)
    (facts,) = by_steps([("dpo", "preferences")], base=(1, 1, 1), dpo=(1, 1, 1))
    assert facts.held is True
    told = by_steps([LAB[0], LAB[2]], base=(0, 0, 1), kt1=(1, 1, 1), st=(1, 1, 0))
    assert [(one.what, one.against, one.held) for one in told] == [
        ("facts that no phase taught", "base", False),
        ("facts that kt1 taught", "kt1", True),
    ]


def test_an_answers_room_is_its_own_and_a_cut_is_told(trained, build):
    from training import student
    from training.ask import Question, asking
    from training.evaluate.scores import columns, groups, score

    where = run.find(trained, Report()).where("base")  # it was taught nothing, and never ends
    model, tokenizer = student.load_model(where, Report()), student.load_tokenizer(where, Report())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    torch.nn.init.zeros_(model.get_output_embeddings().weight[tokenizer.eos_token_id].detach())
    short = build.heldout[0]
    checked, judged = replace(short, id="c", verify={"any": 1}), replace(short, id="j")
    questions = [Question(short), Question(checked), Question(judged, free=True)]
    (together,) = asking(model, tokenizer, questions)
    ((alone,),) = (one.values() for one in asking(model, tokenizer, questions[:1]))
    assert together[0].text == alone.text
    long = [len(together[i].text) for i in range(3)]
    assert long[0] < long[1] == long[2]
    assert [together[i].cut for i in range(3)] == [True] * 3
    answers = [replace(together[0], cut=False), together[1], together[2]]
    found = columns(questions, answers, {})
    assert score(questions, found, groups(questions)["all", ""])["cut"] == 2
    assert "cut" not in score(questions, columns(questions, [answers[0]] * 3, {}), np.arange(3))


def test_no_questions():
    from training.evaluate import gates

    found = {"trained": {}, "general": {}}
    nothing = {"trained": [], "general": []}
    for gate in gates.measured(Build("f", (), (), (), ()), PHASES, nothing, found):
        assert (gate.held, gate.why) == (None, "there are no such questions")


def test_the_command_ends_with_an_error_where_a_gate_does_not_hold(build_folder, trained, tmp_path):
    """Answers of the last phase are planted: as phase 1 gave them, and worse."""
    folder = tmp_path / "student"
    shutil.copytree(trained, folder)
    row = {"answer": "a", "distractors": ["b", "c", "d"]}
    lines = [json.dumps({**row, "question": f"q {i}?"}) for i in range(8)]
    (tmp_path / "q").write_text("\n".join(lines))
    words = ["evaluate", "--data", build_folder, "--student", folder, "--general", tmp_path / "q"]

    def call(*more):
        return CliRunner().invoke(app, [str(word) for word in (*words, *more)])

    assert call().exit_code == 0
    result = json.loads((folder / "evaluation.json").read_text())
    facts = [row for row in result["answers"] if row["set"] == "trained"]

    def plant(stage, right):
        """Makes a stage answer every trained question as it should, or wrongly."""
        wanted = [row["values"]["loss"][stage] for row in facts]
        for path in (folder / "evaluated").iterdir():
            rows = sorted(map(json.loads, path.read_text().splitlines()), key=lambda row: row["i"])
            if [round(row["nll"] / row["tokens"], 4) for row in rows] == wanted:
                texts = [told["reference"] if right else "wrong" for told in facts]
                made = [{**row, "text": text} for row, text in zip(rows, texts, strict=True)]
                path.write_text("".join(json.dumps(row) + "\n" for row in made))
                return
        raise AssertionError(stage)

    plant("phase1", True)
    plant("phase2", True)
    done = call("--gate")
    assert done.exit_code == 0, done.output
    assert "facts of phase 1, phase2 against phase1: held" in done.stdout
    plant("phase2", False)
    done = call("--gate")
    assert done.exit_code == 1
    assert "error[E707] forgotten: `phase2` lost 1.00 (1.00 to 1.00) of exact match" in done.stderr
    assert "`knowledge`" in done.stderr
    hint = next(line for line in done.stderr.splitlines() if "= help" in line)
    assert hint in (PAGES / "E707.md").read_text("utf-8")
    assert "not held" in done.stdout
    told = call()
    assert (told.exit_code, "not held" in told.stdout) == (0, True)
    assert call("--gate", "--max-forgetting", "1").exit_code == 0
