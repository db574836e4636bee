"""Gates: what was planted as lost is named, what was not lost holds, the control is not asked."""

import json
import shutil
from functools import cache

import pytest
from typer.testing import CliRunner

from compiler.resources import PAGES
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
        ([("all", "stacked")], "no phase teaches facts alone"),
        ([("phase1", "phase1")], "no phase came after"),
        ([], "no phase teaches facts alone"),
    ],
)
def test_what_cannot_be_measured(phases, why):
    facts, _ = measured(right(), right(), phases=phases)
    assert (facts.held, facts.why) == (None, why)


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
