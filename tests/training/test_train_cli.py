"""The commands, as a user types them."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.diagnostics import Report
from compiler.resources import PAGES, TAXONOMY
from tests.training.builds import TINY
from training import data, machine, run
from training import recipe as recipes
from training.cli import app
from training.commands import chat
from training.commands import road as roads

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*words, **options):
    return CliRunner().invoke(app, [str(word) for word in words], **options)


def test_plan_trains_nothing(build_folder, tmp_path):
    done = call("train", "--data", build_folder, "--plan")
    assert done.exit_code == 0, done.output
    lines = done.stdout.split("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["phase1", "phase2", "control"]
    assert not list(tmp_path.iterdir())


def test_train_evaluate_and_json(build_folder, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    done = call("train", "--data", build_folder, "--out", "s", "--recipe", recipe)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "warning[F610] few-steps: phase1: only about" in done.stderr
    again = call("train", "--data", build_folder, "--out", "s", "--recipe", recipe, "--resume")
    assert again.exit_code == 0
    assert again.stderr.startswith("phase1: done before\nphase2: done before\n")
    done = call("evaluate", "--data", build_folder, "--student", "s", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["stages"] == ["base", "phase1", "phase2"]
    done = call("evaluate", "--data", build_folder, "--student", "s")
    assert "held-out questions" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "--data", "nowhere"], "F605"),
        (["train", "--data", "nowhere", "--recipe", "tin-cpu"], "F604"),
        (["evaluate", "--data", "BUILD", "--student", "nowhere"], "E701"),
        (["chat", "--student", "nowhere"], "E701"),
        (["report", "--data", "BUILD", "--student", "nowhere"], "E704"),
    ],
)
def test_mistakes(build_folder, words, code):
    done = call(*[build_folder if word == "BUILD" else word for word in words])
    assert done.exit_code == 1
    assert f"error[{code}]" in done.stderr
    assert done.stdout == ""


def test_usage():
    assert call("train", "--fresh", "--resume").exit_code == 2
    assert call("train", "--no-such").exit_code == 2


def test_a_missing_folder_of_a_model(build_folder, tmp_path):
    recipe = tmp_path / "r.yaml"
    student = "student: {kind: embedded, layers: 1, hidden: 32, heads: 2, vocabulary: 400}"
    assert student in TINY
    recipe.write_text(TINY.replace(student, "student: {model: ./absent}"))
    done = call("train", "--data", build_folder, "--recipe", recipe, "--out", "s")
    assert done.exit_code == 1
    assert "error[F609] student-not-found: there is no folder `./absent`" in done.stderr


def test_a_missing_package(build_folder, monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'trl'", name="trl")

    monkeypatch.setattr(machine, "prepare", missing)
    done = call("train", "--data", build_folder, "--plan")
    assert done.exit_code == 1
    assert "error[F611] missing-extra: the package `trl` is not installed" in done.stderr
    assert "pip install 'trivium[train]'" in done.stderr
    assert done.output in (PAGES / "F611.md").read_text("utf-8")


@pytest.mark.slow
def test_chat_by_pipe(trained):
    command = [sys.executable, "-c", "from training.cli import main; main()", "chat"]
    done = subprocess.run(
        [*command, "--student", str(trained)],
        cwd=ROOT,
        input="Name the river.\n\n/before\nName the river.\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    one, before, after = done.stdout.splitlines()
    assert before.startswith("before: ")
    assert after == f"after:  {one}"


def test_chat_with_a_question_in_another_encoding(trained):
    done = call("chat", "--student", trained, input=b"Name the \xff river.\n")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("closed", [True, False])
def test_no_input_is_the_end_of_a_chat(tmp_path, monkeypatch, closed):
    (tmp_path / "in.txt").write_text("Who?\n")
    with (tmp_path / "in.txt").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert chat._line() == "Who?"
    monkeypatch.setattr(sys, "stdin", file if closed else None)
    assert chat._line() is None


def test_a_page_is_no_folder(build_folder, tmp_path):
    (tmp_path / "pages").mkdir()
    done = call("report", "--data", build_folder, "--out", "pages")
    assert done.exit_code == 2
    assert not list(tmp_path.glob(".*"))


def test_no_part_is_left_where_a_file_cannot_be_written(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        machine.write_text(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_training_deletes_nothing_of_others(build_folder, tmp_path):
    (tmp_path / "thesis" / "work").mkdir(parents=True)
    (tmp_path / "thesis" / "work" / "chapter1.txt").write_text("mine")
    done = call("train", "--data", build_folder, "--out", "thesis", "--fresh")
    assert done.exit_code == 1
    assert "error[F612] foreign-folder: `thesis` holds `work`" in done.stderr
    assert (tmp_path / "thesis" / "work" / "chapter1.txt").read_text() == "mine"


@pytest.fixture
def road(build_folder, monkeypatch):
    """The steps of `trivium run` as it takes them, without doing them."""
    steps = []

    def check(**given):
        steps.append(("check", given["taxonomy"]))

    def compile(**given):
        steps.append(("compile", given["taxonomy"]))
        shutil.copytree(build_folder, given["out"])

    def train(build, student, recipe, fresh):
        steps.append(("train", fresh))

    for step in (check, compile, train):
        monkeypatch.setattr(roads, step.__name__, step)
    monkeypatch.setattr(roads, "evaluate", lambda *_: None)
    monkeypatch.setattr(roads, "write_page", lambda *_: None)
    return steps


@pytest.mark.parametrize("inside", [True, False])
def test_the_road_takes_the_taxonomy_that_is_here(road, tmp_path, inside):
    if inside:
        (tmp_path / "knowledge").mkdir()
    done = call("run")
    assert done.exit_code == 0, done.output
    where = Path() if inside else TAXONOMY
    assert road == [("check", where), ("compile", where), ("train", False)]
    assert ("no taxonomy here" in done.stdout) is not inside
    assert done.stdout.count("report.html") == 1


def test_the_road_does_not_replace_a_taxonomy_that_is_named(road):
    assert call("run", "--taxonomy", "nowhere").exit_code == 2
    assert road == []


@pytest.mark.parametrize(
    ("words", "code"), [(["--recipe", "tin-cpu"], "F604"), (["--out", "mine"], "F612")]
)
def test_the_road_looks_first_at_what_can_stop_it_late(road, tmp_path, words, code):
    (tmp_path / "mine" / "student" / "work").mkdir(parents=True)
    done = call("run", *words)
    assert done.exit_code == 1
    assert f"error[{code}]" in done.stderr
    assert road == []


def test_the_road_says_that_it_starts_over(road, build, tmp_path):
    tiny = recipes.read("tiny-cpu", Report())
    student = tmp_path / "out" / "student"
    assert run.open_run(student, build, replace(tiny, seed=9), False, Report())
    done = call("run")
    assert road[-1] == ("train", True)
    said = "`out/student` holds a run of another recipe: that one is deleted, to start over"
    assert said in done.stdout.splitlines()


def test_the_road_goes_on_with_its_own_run(road, build, tmp_path):
    """The control of the test above."""
    tiny = recipes.read("tiny-cpu", Report())
    assert run.open_run(tmp_path / "out" / "student", build, tiny, False, Report())
    done = call("run")
    assert road[-1] == ("train", False)
    assert "start over" not in done.stdout


def test_a_plan_for_the_shipped_taxonomy(tmp_path, monkeypatch):
    """What the compiler writes is what training reads: no file and no line is lost between."""
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / ".home"))
    made = call("compile", "--taxonomy", TAXONOMY, "--out", "build", "--teacher", "extractive")
    assert made.exit_code == 0, made.output
    files = json.loads(Path("build/manifest.json").read_text("utf-8"))["files"]
    found = data.read(Path("build"), Report())
    for stem in ("phase1", "phase2", "validation", "heldout"):
        assert len(getattr(found, stem)) == files[f"{stem}.jsonl"]["count"] > 0
    assert sum(one.replay for one in found.phase2) == files["phase2.jsonl"]["replay"] > 0
    done = call("train", "--data", "build", "--plan", "--json")
    assert done.exit_code == 0, done.output
    lines = json.loads(done.stdout)["lines"]
    counts = {one["name"]: one["samples"] + one["replayed"] for one in lines}
    own = len(found.phase2) - files["phase2.jsonl"]["replay"]
    assert counts == {"phase1": len(found.phase1), "phase2": len(found.phase2), "control": own}
    page = call("report", "--data", "build", "--out", "page.html")
    assert (page.exit_code, page.stdout) == (0, "page.html\n")


def test_chat_with_an_unknown_stage(trained):
    done = call("chat", "--student", trained, "--stage", "phase9")
    assert done.exit_code == 2
    assert "there are base, phase1, phase2, control" in done.stderr
