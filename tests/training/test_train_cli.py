"""The commands, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.resources import PAGES
from tests.training.builds import TINY
from training import machine
from training.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*words, **options):
    return CliRunner().invoke(app, [str(word) for word in words], **options)


def test_plan_trains_nothing(build_folder, tmp_path):
    done = call("train", "--data", build_folder, "--plan")
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "phase1",
        "phase2",
        "control",
    ]
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


def test_chat_with_an_unknown_stage(trained):
    done = call("chat", "--student", trained, "--stage", "phase9")
    assert done.exit_code == 2
    assert "there are base, phase1, phase2, control" in done.stderr
