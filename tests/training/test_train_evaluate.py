"""Evaluation: the measures against values worked out by hand; the whole against a student."""

import json
import math
import os
import re
import shutil
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console
from typer.testing import CliRunner

from compiler.diagnostics import Report
from compiler.schema import load
from training import data, metrics, run, seen
from training import recipe as recipes
from training.cli import app
from training.data import Pair, Sample

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def evaluation():
    from training import evaluate

    return evaluate


@pytest.fixture(scope="module")
def ask():
    from training import ask

    return ask


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of eight general questions: enough to ask, and soon asked."""
    from training.evaluate.general import SHIPPED

    path = tmp_path_factory.mktemp("general") / "few.jsonl"
    path.write_text("\n".join(SHIPPED.read_text("utf-8").split("\n")[:8]), "utf-8")
    return path


@pytest.fixture(scope="module")
def evaluated(evaluation, build, trained, few, tmp_path_factory):
    """A student's folder with its evaluation, and the result."""
    from training.evaluate import general

    folder = tmp_path_factory.mktemp("evaluated")
    found, asked = run.find(trained, Report()), general.read(few, Report())
    result = evaluation.evaluate(build, found, Report(), QUIET, questions=asked, folder=folder)
    return folder, result


def call(*words, **options):
    return CliRunner().invoke(app, ["evaluate", *(str(word) for word in words)], **options)


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "f1"),
    [
        ("The Osten.", "the  osten", 1, 1),
        ("The Osten", "The Osten!", 1, 1),
        ("Osten", "The Osten", 0, 2 * 1 * 0.5 / 1.5),
        ("a b c d", "c d e f", 0, 0.5),
        ("a a b", "a b b", 0, 2 / 3),
        ("one, two", "one two", 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("", "x", 0, 0),
        ("x y", "z", 0, 0),
    ],
)
def test_metrics(answer, reference, exact, f1):
    assert metrics.exact_match(answer, reference) == exact
    assert metrics.token_f1(answer, reference) == pytest.approx(f1)


def test_scores(ask):
    from training.evaluate.scores import columns, groups, score

    def one(reference, options=(), speak=True):
        messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": reference})
        sample = Sample(reference, messages, "knowledge", f"knowledge/{reference[0]}")
        return ask.Question(sample, options, speak)

    asked = [one("Yes.", ("Yes.", "a", "b", "c")), one("no", ("no", "a", "b", "c", "d")), one("x")]
    given = [
        ask.Answer("yes", 1.0, 2, (0.5, 0.6, 0.7, 0.8)),
        ask.Answer("no way", 5.0, 1, (0.5, 0.5, 0.7, 0.8, 0.9)),  # a tie is no right choice
        ask.Answer("z", 6.0, 1),
    ]
    values = [None, 0.25, 0.75]
    found = columns(asked, given, {"judged": lambda samples, texts: values})
    parts = groups(asked)
    whole = score(asked, found, parts["all", ""])
    assert whole["n"] == 3
    assert whole["exact_match"] == pytest.approx(1 / 3, abs=1e-4)
    assert whole["f1"] == pytest.approx((1 + 2 / 3) / 3, abs=1e-4)
    assert whole["loss"] == 3.0
    assert whole["perplexity"] == pytest.approx(math.exp(3), abs=0.01)
    assert (whole["choice"], whole["chance"], whole["judged"]) == (0.5, 0.225, 0.5)
    assert whole["of"] == {"choice": 2, "judged": 2}
    assert score(asked, found, parts["leaves", "knowledge/Y"])["choice"] == 1
    assert "choice" not in score(asked, found, parts["leaves", "knowledge/x"])
    silent = [replace(one, speak=False) for one in asked]
    assert set(columns(silent, given, {})) == {"choice", "loss"}


@pytest.fixture(scope="module")
def student(trained):
    from training import student

    found = run.find(trained, Report())
    tokenizer = student.load_tokenizer(found.where("phase2"), Report())
    return student.load_model(found.where("phase2"), Report()).eval(), tokenizer


def test_batches_change_nothing(ask, build, student):
    """Padding and sorting must not change an answer or its loss."""
    asked = build.heldout[:12]
    together = ask.ask(*student, asked)
    alone = [ask.ask(*student, [one])[0] for one in asked]
    for a, b in zip(together, alone, strict=True):
        assert a.nll == pytest.approx(b.nll, rel=1e-4)
        assert a.tokens == b.tokens
        assert a.text.startswith(b.text) or b.text.startswith(a.text)


def test_the_loss_and_the_choices_are_those_of_a_plain_forward_pass(
    ask, build, student, monkeypatch
):
    """Also where the room for logits holds a few positions of one answer only."""
    import torch

    model, tokenizer = student
    options = tuple(dict.fromkeys(sample.answer for sample in build.heldout))[:4]
    question = ask.Question(replace(build.heldout[0]), options, speak=False)
    assert options[0] == question.sample.answer

    def plain(text, ending):
        prompt = f"<|user|>{question.sample.question}<|end|><|assistant|>"
        ids = tokenizer(prompt)["input_ids"]
        whole = [*ids, *tokenizer(text)["input_ids"], *([tokenizer.eos_token_id] * ending)]
        with torch.no_grad():
            odds = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return -sum(odds[i - 1, whole[i]].item() for i in range(len(ids), len(whole)))

    def asked():
        (batch,) = ask.asking(model, tokenizer, [question])
        return batch[0]

    found = asked()
    assert found.text == ""
    assert found.nll == pytest.approx(plain(options[0], True), rel=1e-4)
    wanted = [plain(option, False) / len(option) for option in options]
    assert found.choices == pytest.approx(wanted, rel=1e-4)
    monkeypatch.setattr(ask, "LOGITS", 3 * len(tokenizer))
    widths = []
    forward = type(model).forward

    def watched(self, *args, **kwargs):
        made = forward(self, *args, **kwargs)
        widths.append(made.logits.shape[0] * made.logits.shape[1])
        return made

    monkeypatch.setattr(type(model), "forward", watched)
    again = asked()
    assert max(widths) <= 3
    assert again.nll == pytest.approx(found.nll, rel=1e-4)
    assert again.choices == pytest.approx(found.choices, rel=1e-4)


def test_a_student_without_a_number_is_the_worst_and_no_crash(ask, build, student):
    import copy

    import torch

    model, tokenizer = student
    broken = copy.deepcopy(model)
    torch.nn.init.constant_(broken.get_output_embeddings().weight, math.nan)
    question = ask.Question(build.heldout[0], ("a", "b", "c", "d"), speak=False)
    (batch,) = ask.asking(broken, tokenizer, [question])
    assert batch[0].nll == ask.WORST * batch[0].tokens
    assert json.loads(json.dumps(batch[0].nll, allow_nan=False))


def test_evaluation_of_a_student(evaluation, build, evaluated):
    from training.evaluate.questions import PER_LEAF

    folder, result = evaluated
    assert result["stages"] == ["base", "phase1", "phase2", "control"]
    assert json.loads((folder / "evaluation.json").read_text()) == result
    jsonschema.validate(result, load("evaluation"))
    taught = result["sets"]["trained"]["phase1"]
    assert taught["leaves"]["knowledge/river"]["n"] == PER_LEAF
    assert taught["all"]["n"] == sum(leaf["n"] for leaf in taught["leaves"].values())
    assert taught["all"]["n"] == sum(branch["n"] for branch in taught["branches"].values())
    asked = result["sets"]["heldout"]["base"]
    assert asked["all"]["n"] == len(build.heldout)
    assert asked["all"]["perplexity"] == pytest.approx(math.exp(asked["all"]["loss"]), rel=1e-3)
    assert asked["all"]["chance"] == 0.2
    assert set(result["answers"][0]["answers"]) == set(result["stages"])
    known = result["sets"]["general"]["phase2"]["all"]
    assert (known["n"], known["chance"], "exact_match" in known) == (8, 0.2, False)
    pairs = [(one["against"], one["model"]) for one in result["comparisons"]]
    others = [("base", name) for name in ("phase1", "phase2", "control")]
    assert pairs == [*others, ("phase1", "phase2")]


def test_scores_are_means_of_the_values_that_are_told(evaluated):
    _, result = evaluated
    rows = [row for row in result["answers"] if row["set"] == "heldout"]
    for stage in result["stages"]:
        scores = result["sets"]["heldout"][stage]["all"]
        for measure in ("exact_match", "f1", "choice"):
            values = [row["values"][measure][stage] for row in rows]
            assert scores[measure] == pytest.approx(sum(values) / len(rows), abs=1e-3)
    last = result["comparisons"][-1]["sets"]["heldout"]["all"]["f1"]
    change = [row["values"]["f1"]["phase2"] - row["values"]["f1"]["phase1"] for row in rows]
    assert last["difference"] == pytest.approx(sum(change) / len(rows), abs=1e-3)


def test_what_was_asked_is_not_asked_again(
    evaluation, build, trained, few, evaluated, monkeypatch, tmp_path
):
    from training.evaluate import general

    before, result = evaluated
    folder = tmp_path / "copy"
    shutil.copytree(before, folder)
    found, questions = run.find(trained, Report()), general.read(few, Report())

    def again():
        given = evaluation.evaluate(
            build, found, Report(), QUIET, questions=questions, folder=folder
        )
        return given == result

    asked = []
    asking = evaluation.asking

    def watched(model, tokenizer, questions, known):
        for batch in asking(model, tokenizer, questions, known):
            asked.extend(i for i in batch if i not in known)
            yield batch

    monkeypatch.setattr(evaluation, "asking", watched)
    assert again()
    assert asked == []
    kept = sorted((folder / "evaluated").iterdir())
    longest = max(kept, key=lambda path: path.stat().st_size)
    whole = longest.read_bytes()
    longest.write_bytes(whole[:-7])  # the last line is torn: its batch is asked again
    (folder / "evaluation.json").write_text("")
    assert again()
    assert 0 < len(asked) <= whole.count(b"\n")
    assert again(), "what was asked again is kept"
    asked.clear()
    for path in kept:
        path.write_bytes(b'\x00{"i": 1}\n[[[\n{"i": 0, "text": "x", "nll": "y"}\n')
    assert again()
    assert (
        len(asked)
        == sum(
            len(s["base"]["leaves"]) > 0 and s["base"]["all"]["n"] for s in result["sets"].values()
        )
        * 4
    )


def test_a_killed_evaluation_goes_on(build_folder, trained, few, evaluated, tmp_path):
    """`kill -9` after the first answers: the same command ends at the same scores."""
    asked = tmp_path / "out" / "evaluated"
    words = ["--data", build_folder, "--student", trained, "--general", few, "--out", asked.parent]
    if not (one := os.fork()):
        call(*words)
        os._exit(0)
    while not (asked.is_dir() and any(asked.iterdir())):
        assert os.waitpid(one, os.WNOHANG) == (0, 0), "it ended before it asked anything"
        time.sleep(0.005)
    os.kill(one, signal.SIGKILL)
    os.waitpid(one, 0)
    assert not (asked.parent / "evaluation.json").exists()
    kept = {path.name: path.read_bytes() for path in asked.iterdir()}
    done = call(*words, "--json")
    assert done.exit_code == 0, done.output
    for name, text in kept.items():
        assert (asked / name).read_bytes().startswith(text[: text.rfind(b"\n") + 1])
    assert json.loads(done.stdout) == evaluated[1]


def test_ctrl_c_ends_cleanly(build_folder, trained, few, monkeypatch, evaluation, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "asking", stopped)
    done = call(
        "--data", build_folder, "--student", trained, "--general", few, "--out", tmp_path / "o"
    )
    assert done.exit_code == 130
    assert "run the same command again" in done.stderr
    assert done.stdout == ""


# Other models


def test_models_without_a_run(build_folder, trained, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = [f"one={trained / 'phase1'}", f"two={trained / 'phase2'}", f"again={trained}"]
    words = [word for one in named for word in ("--model", one)]
    done = call("--data", build_folder, "--general", few, *words)
    assert done.exit_code == 0, done.output
    assert "two against one" in done.stdout
    assert "gates" not in done.stdout
    result = json.loads(Path("out/evaluation/evaluation.json").read_text())
    jsonschema.validate(result, load("evaluation"))
    assert (result["stages"], result["gates"]) == ([], [])
    assert [one["name"] for one in result["models"]] == ["one", "two", "again"]
    last = result["sets"]["heldout"]
    assert last["again"] == last["two"], "the folder of a run stands for its last phase"
    same = {row["answers"]["again"] == row["answers"]["two"] for row in result["answers"]}
    assert same == {True}


def test_adapters(build_folder, trained, few, tmp_path):
    """A folder of adapters is asked on what it was made for: new ones change nothing."""
    from training import recipe, student

    base, adapters = str(trained / "phase1"), tmp_path / "adapters"
    model = student.load_model(base, Report())
    made = student.with_adapters(model, recipe.Lora(rank=2, alpha=4))
    made.peft_config["default"].base_model_name_or_path = base
    made.save_pretrained(adapters)
    student.load_tokenizer(base, Report()).save_pretrained(adapters)
    words = ["--data", build_folder, "--general", few, "--out", tmp_path, "--json"]
    done = call(*words, "--model", f"base={base}", "--model", f"new={adapters}")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    for scores in result["sets"].values():
        assert scores["new"] == scores["base"]


def test_a_model_beside_the_stages_of_a_run(build_folder, trained, few, evaluated, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(evaluated[0], folder)
    words = ["--data", build_folder, "--student", trained, "--general", few, "--out", folder]
    done = call(*words, "--model", f"again={trained / 'phase1'}", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert [one["name"] for one in result["models"]] == [*result["stages"], "again"]
    assert result["stages"] == evaluated[1]["stages"]
    assert result["gates"] == evaluated[1]["gates"]
    for scores in result["sets"].values():
        assert scores["again"] == scores["phase1"]
    assert ("base", "again") in [(c["against"], c["model"]) for c in result["comparisons"]]


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "nothing"],
        ["--model", "=x"],
        ["--model", "a b=x"],
        ["--model", "a=x", "--model", "a=y"],
        ["--model", "a=x", "--gate"],
        ["--student", "STUDENT", "--model", "phase1=x"],
        ["--max-forgetting", "2"],
    ],
)
def test_usage(build_folder, trained, words):
    words = [trained if word == "STUDENT" else word for word in words]
    assert call("--data", build_folder, *words).exit_code == 2


def test_mistakes(build_folder, trained, tmp_path):
    words = ["--data", build_folder, "--student", trained, "--out", tmp_path / "out"]
    done = call(*words, "--model", "a=./absent", "--model", "out/student/phase9")
    assert (done.exit_code, done.stderr.count("error[F609]")) == (1, 2)
    assert "recipe" not in done.stderr
    assert not (tmp_path / "out").exists(), "nobody was asked before it was said"
    (tmp_path / "q.jsonl").write_text("{}\n")
    done = call("--data", build_folder, "--student", trained, "--general", tmp_path / "q.jsonl")
    assert (done.exit_code, "error[E712]" in done.stderr) == (1, True)


def test_another_build_is_asked_where_marks_tell_what_was_taught(
    build_folder, build, trained, few, tmp_path
):
    from tests.training.builds import make_build

    other = make_build(tmp_path / "other", seed=1)
    student = tmp_path / "student"
    shutil.copytree(trained, student)
    (student / seen.FILE).unlink()
    words = ["--data", other, "--student", student, "--general", few]
    done = call(*words)
    assert (done.exit_code, "error[F608]" in done.stderr) == (1, True)
    asked = data.read(other, Report()).heldout
    seen.write(student, [*build.phase1, *build.phase2, asked[0]])
    done = call(*words, "--json")
    assert done.exit_code == 0, done.output
    assert "warning[E708]" in done.stderr
    result = json.loads(done.stdout)
    known = seen.read(student) | seen.marks(data.read(other, Report()).phase2)
    left = [one for one in asked if seen.mark(one.question) in known]
    assert asked[0] in left
    assert result["left_out"] == {"heldout": len(left)}
    assert result["sets"]["heldout"]["base"]["all"]["n"] == len(asked) - len(left)
    assert result["sets"]["trained"]["base"]["all"]["n"] == 0
    assert result["gates"][0]["held"] is None
    assert not (student / "evaluation.json").exists(), "that is of its own build"
    kept = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert kept == result


def planted(build, folder, question):
    """The build with one more held-out question, in a folder."""
    from tests.training.builds import write_build

    rows = []
    for part in (build.phase1, build.phase2, build.heldout):
        rows.append([asdict(one) | {"messages": list(one.messages)} for one in part])
    rows[2].append(
        {**rows[2][0], "id": "planted"}
        | {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "Yes."},
            ]
        }
    )
    return write_build(folder, *rows)


def test_training_writes_down_what_it_teaches(build, tiny, tmp_path):
    """Own samples, replayed ones, pairs, what the base was taught; and nothing that it does not."""
    pair = Pair("p", build.heldout[0].messages, "knowledge", "knowledge/x", rejected="No.")
    whole = replace(build, preferences=(pair,))
    skills, pairs = tiny.phases[1], replace(tiny.phases[1], name="pairs", data="preferences")
    recipe = replace(tiny, phases=(skills, pairs))
    assert run.open_run(tmp_path / "a", whole, recipe, False, Report())
    known = seen.marks([*build.phase2, pair])
    assert seen.read(tmp_path / "a") == known
    assert not seen.marks(build.phase1) <= known
    assert run.open_run(tmp_path / "b", build, replace(recipe, replay=False), False, Report())
    assert not seen.read(tmp_path / "b") & seen.marks(one for one in build.phase2 if one.replay)
    (tmp_path / "a" / "phase2").mkdir()
    (tmp_path / "a" / "phase2" / "config.json").write_text("{}")
    base = recipes.Named(str(tmp_path / "a" / "phase2"))
    assert run.open_run(tmp_path / "c", build, replace(tiny, student=base), False, Report())
    assert seen.read(tmp_path / "c") == known | seen.marks(build.phase1)
    (tmp_path / "a" / "README.md").write_text("card")
    (tmp_path / "a" / seen.FILE).write_text("old")
    assert run.open_run(tmp_path / "a", build, tiny, True, Report())
    assert seen.read(tmp_path / "a") == seen.marks([*build.phase1, *build.phase2])
    assert not (tmp_path / "a" / "README.md").exists()


def test_marks_go_with_the_weights(build, trained, tmp_path):
    from training.evaluate.models import Model, fingerprint, taught, unmarked
    from training.export import to_merged
    from training.export.merged import Source

    known = seen.read(trained)
    assert known == seen.marks([*build.phase1, *build.phase2])
    copied, export, bare = (tmp_path / name for name in ("copied", "export", "bare"))
    shutil.copytree(trained / "phase2", copied)
    assert to_merged(Source("phase2", str(trained / "phase2"), ""), "fp32", export, Report())
    shutil.copytree(copied, bare)
    (bare / seen.FILE).unlink()
    for folder in (copied, export, trained / "phase2", trained):
        assert taught([Model("x", str(folder))]) == known
    models = [Model("a", str(copied)), Model("b", str(bare)), Model("c", "OWNER/NAME")]
    assert unmarked(models) == ["b"]
    assert fingerprint(models[0]) == fingerprint(models[1]), "marks are no weights"


def test_the_harness_is_given_what_evaluation_asks(build, trained, few, tmp_path, monkeypatch):
    """Also where another model than the student was taught a question."""
    from training import evaluate as evaluation

    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    seen.write(other, [replace(build.heldout[0])])
    folder = planted(build, tmp_path / "build", "Is this new?")
    words = ["--data", folder, "--general", few, "--model", other]
    done = call(*words, "--harness", tmp_path / "tasks")
    assert f"lm-evaluation-harness: 4 tasks in {tmp_path / 'tasks'}" in done.stderr.replace(
        "\n", ""
    )
    assert f"heldout: 1 of {len(build.heldout) + 1} questions stood in training" in done.stderr
    text = "".join(path.read_text() for path in (tmp_path / "tasks").glob("*.jsonl"))
    assert "Is this new?" in text
    assert build.heldout[0].question not in text
    (tmp_path / "file").write_text("mine")
    done = call(*words, "--harness", tmp_path / "file")
    assert (done.exit_code, "error[F612]" in done.stderr, "F614" in done.stderr) == (1, True, False)


def test_only_what_a_run_was_trained_on_is_called_trained(build):
    from training.evaluate.questions import samples_of

    long = replace(build.phase1[0], id="long", step=2)
    made = replace(build, phase1=(*build.phase1, long))
    assert {one.leaf for one in samples_of(made)["trained"]} > {one.leaf for one in build.phase1}
    leaves = {one.leaf for one in samples_of(made, ["phase1-short"])["trained"]}
    assert leaves == {one.leaf for one in build.phase1}
    assert samples_of(made, ["phase1-long", "phase1-long"])["trained"] == (long,)


# What a person sees


def test_the_tables(evaluated, capsys):
    from training.evaluate import table

    _, result = evaluated
    for width, leaves in ((80, False), (120, True)):
        console = Console(width=width, file=sys.stdout, highlight=False, markup=False)
        table.show(result, console, leaves=leaves)
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= width
        assert ("    river" in text) is leaves
        assert "phase2 against phase1" in text
        assert "phase1 against base" not in text
        assert "multiple choice, 0.20 by chance" in text
        shown = re.search(r"^exact match +(\d+) +([\d. ]+)$", text, re.M)
        trained = result["sets"]["trained"]
        assert int(shown[1]) == trained["base"]["all"]["n"]
        assert shown[2].split() == [
            f"{trained[stage]['all']['exact_match']:.2f}" for stage in result["stages"]
        ]
        assert "…" not in text
