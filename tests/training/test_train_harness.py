"""Tasks for lm-evaluation-harness: what is in the folder, and that the harness scores as we do."""

import json
import os
import random
import shutil
from dataclasses import replace

import pytest
import yaml

from compiler.diagnostics import Report
from training.data import Build, Sample


@pytest.fixture
def rng():
    return random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))


@pytest.fixture(scope="module")
def export_harness():
    from training.evaluate.harness import export_harness

    return export_harness


def rows_of(file):
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def yaml_of(file):
    return yaml.safe_load(file.read_text("utf-8").replace("!function ", ""))


def turns(*said):
    roles = ("user", "assistant") * len(said)
    return tuple({"role": role, "content": text} for role, text in zip(roles, said, strict=False))


def test_every_branch_is_asked_in_both_ways(export_harness, build, tmp_path):
    report = Report()
    names = export_harness(build, tmp_path / "tasks", report)
    assert not report.diagnostics
    assert names == [
        f"trivium_{branch}_{way}"
        for branch in ("compositional_skills", "knowledge")
        for way in ("choice", "exact")
    ]
    told = {}
    for name in names:
        rows = rows_of(tmp_path / "tasks" / f"{name}.jsonl")
        told[name] = rows
        assert yaml_of(tmp_path / "tasks" / f"{name}.yaml")["task"] == name
    asked = {row["question"] for name in names for row in told[name]}
    assert asked == {sample.question for sample in build.heldout}
    for row in told["trivium_knowledge_choice"]:
        assert row["choices"][row["gold"]] == row["answer"]
        assert 4 <= len(set(row["choices"])) == len(row["choices"])
    golds = {row["gold"] for row in told["trivium_knowledge_choice"]}
    assert len(golds) > 1, "the right one has no place of its own"
    whole = yaml_of(tmp_path / "tasks" / "trivium.yaml")
    ways = [yaml_of(tmp_path / "tasks" / f"{way}.yaml")["task"] for way in whole["task"]]
    assert sorted(name for way in ways for name in way) == names
    assert str(tmp_path) not in "".join(f.read_text() for f in (tmp_path / "tasks").iterdir())


def test_what_was_seen_or_has_several_turns_is_left_out(export_harness, build, tmp_path):
    planted, *others = build.heldout
    several = replace(others[0], messages=turns("Hello?", "Yes.", "Who?", "I."))
    system = ({"role": "system", "content": "Be brief."}, *others[1].messages)
    guided = replace(others[1], messages=system)
    seen = replace(planted, messages=turns(f"  {planted.question.upper()}", "No."))
    made = replace(
        build, phase2=(*build.phase2, seen), heldout=(planted, several, guided, *others[2:])
    )
    names = export_harness(made, tmp_path, Report())
    rows = [row for name in names for row in rows_of(tmp_path / f"{name}.jsonl")]
    assert planted.question not in {row["question"] for row in rows}
    assert len({row["question"] for row in rows}) == len(build.heldout) - 2
    told = (tmp_path / "README.md").read_text("utf-8")
    assert "1 question seen in training" in told
    assert "1 question of several turns" in told
    (found,) = {row["system"] for row in rows if row["question"] == guided.question}
    assert found == "Be brief."
    described = [yaml_of(tmp_path / f"{name}.yaml").get("description") for name in names]
    assert set(described) == {None, "system"}


def test_a_folder_of_others_is_left_alone(export_harness, build, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    report = Report()
    assert export_harness(build, tmp_path, report) == []
    assert [found.code.id for found in report.diagnostics] == ["F612"]
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_earlier_export_is_replaced(export_harness, build, tmp_path):
    folder = tmp_path / "tasks"
    export_harness(build, folder, Report())
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    export_harness(build, folder, Report())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    skills = tuple(one for one in build.heldout if one.branch != "knowledge")
    export_harness(replace(build, heldout=skills), folder, Report())
    assert not list(folder.glob("trivium_knowledge*"))
    assert export_harness(replace(build, heldout=()), tmp_path / "none", Report()) == []
    assert not (tmp_path / "none").exists()


def test_a_branch_is_no_path(export_harness, tmp_path):
    said = Sample("a1", turns("What?", "That."), "../../etc", "x")
    names = export_harness(Build("f", (), (), (), (said,)), tmp_path / "tasks", Report())
    assert names == ["trivium__etc_exact"]


def told(sample: Sample, answer: str) -> Sample:
    """The sample with another answer."""
    return replace(
        sample, messages=(*sample.messages[:-1], {**sample.messages[-1], "content": answer})
    )


def teach(model, tokenizer, samples, steps=80):
    """Teaches answers, and where they end: what never ends depends on the room that it gets."""
    import torch

    from training.encode import IGNORED, tokens_of

    encoded = [tokens_of(sample, tokenizer) for sample in samples]
    width = max(len(ids) for ids, _ in encoded)
    ids = torch.tensor([[*a, *[0] * (width - len(a))] for a, _ in encoded])
    labels = torch.tensor([[*b, *[IGNORED] * (width - len(b))] for _, b in encoded])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.eval()


def test_the_harness_scores_as_we_do(export_harness, build, tiny, tmp_path, rng):
    """A student learns half of the answers, which are asked for in other letters."""
    pytest.importorskip("lm_eval")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from training import student
    from training.ask import asking
    from training.evaluate.questions import gather
    from training.evaluate.scores import columns, groups

    tokenizer = student.make_tokenizer(build, tiny.student.vocabulary)
    model = student.make_model(tiny.student, tokenizer, tiny)
    known = set(rng.sample([sample.id for sample in build.heldout], len(build.heldout) // 2))
    teach(model, tokenizer, [s if s.id in known else told(s, "I forgot.") for s in build.heldout])
    where = tmp_path / "student"
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    references = tuple(told(one, f"{one.answer.upper()} ;") for one in build.heldout)
    made = replace(build, heldout=references)
    asked = gather(made, (), frozenset(), Report())[0]["heldout"]
    answers = {}
    for batch in asking(model, tokenizer, asked):
        answers |= batch
    ours = columns(asked, [answers[i] for i in range(len(asked))], {})
    export_harness(made, tmp_path / "first", Report())
    shutil.move(tmp_path / "first", tmp_path / "moved")
    theirs = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(where), "dtype": "float32"},
        tasks=["trivium"],
        task_manager=TaskManager(include_path=str(tmp_path / "moved"), include_defaults=False),
        apply_chat_template=True,
        device="cpu",
        batch_size=16,
        bootstrap_iters=0,
    )
    scores, samples = theirs["results"], theirs["samples"]
    number = {question.sample.id: i for i, question in enumerate(asked)}
    for branch in ("compositional_skills", "knowledge"):
        chosen = groups(asked)["branches", branch]
        exact, choice = (scores[f"trivium_{branch}_{way}"] for way in ("exact", "choice"))
        assert exact["exact_match,none"] == pytest.approx(ours["exact_match"].mean(chosen))
        assert choice["acc_norm,none"] == pytest.approx(ours["choice"].mean(chosen))
        for one in samples[f"trivium_{branch}_exact"]:
            i = number[one["doc"]["id"]]
            (text,) = one["resps"][0]
            assert text.strip().startswith(answers[i].text), "it may go on where ours had no room"
            if text.strip() == answers[i].text:
                assert one["f1"] == pytest.approx(ours["f1"].above[i])
        for one in samples[f"trivium_{branch}_choice"]:
            i = number[one["doc"]["id"]]
            for option, said in zip(one["doc"]["choices"], one["resps"], strict=True):
                nll = answers[i].choices[asked[i].options.index(option)]
                assert -float(said[0][0]) / len(option) == pytest.approx(nll, abs=1e-4)
    assert 0 < scores["trivium_exact"]["exact_match,none"] < 1, "the test has something to tell"
    assert scores["trivium_exact"]["exact_match,none"] == pytest.approx(ours["exact_match"].mean())
