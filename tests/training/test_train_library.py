"""The library: the lines of docs/library.md run, and what the commands would say is raised."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import training
from compiler.codes import F610
from tests.training.builds import TINY
from training import library, run, seen

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "library.md"


GENERAL = {"question": "What is 1 + 1?", "answer": "2", "distractors": ["3", "4", "5"]}


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.S)


@pytest.fixture
def here(build_folder, tmp_path, monkeypatch):
    """A folder in which the paths of the documentation lead to tiny things."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "build").symlink_to(build_folder)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def test_the_five_lines_run(here, capsys, monkeypatch):
    (here / "few.jsonl").write_text(json.dumps(GENERAL) + "\n")
    monkeypatch.setattr("training.evaluate.general.SHIPPED", here / "few.jsonl")
    first, second = blocks(DOC.read_text("utf-8"))
    assert len([line for line in first.splitlines() if line]) == 5
    told = {}
    exec(first.replace('"tiny-cpu"', '"tiny.yaml"'), told)
    scores = capsys.readouterr().out.splitlines()[-1]
    assert scores.startswith("{'n': 20, ")
    assert told["student"].stages == ("base", "phase1", "phase2")
    assert (here / "out" / "student" / "README.md").is_file()
    exec(second, {})
    assert capsys.readouterr().out.startswith("F605 no-build: `nowhere` has no `manifest.json`")


def test_the_docstring_has_the_same_lines():
    shown = [line.strip() for line in training.__doc__.splitlines()]
    assert set(blocks(DOC.read_text("utf-8"))[0].splitlines()) <= set(shown)


def test_a_student_is_opened_again_and_answers_by_itself(trained, build_folder):
    student = library.load(trained, build_folder)
    first = student.answer("Name the river.")
    student.answer("Something else?")
    assert student.answer("Name the river.") == first, "a question stands alone"
    assert student.answer("Name the river.", "base") != first
    with pytest.raises(ValueError, match="no stage `phase9`; there are base, phase1"):
        student.answer("Who?", "phase9")


def test_what_is_wrong_is_raised_with_its_code(build_folder, tmp_path):
    with pytest.raises(library.TrainingError, match=r"^E701 no-student: .*run `trivium train`"):
        library.load(tmp_path, build_folder)
    with pytest.raises(library.TrainingError, match=r"^F604 unknown-recipe: "):
        library.train(build_folder, "tin-cpu", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_warnings_are_kept(trained, build_folder, tiny, monkeypatch):
    def train(build, recipe, out, report, console):
        report.add(F610, "phase1: only about 3 steps", hint="raise `epochs`")
        return True

    monkeypatch.setattr(run, "train", train)
    student = library.train(build_folder, replace(tiny, control=True), trained)
    warned = "F610 few-steps: phase1: only about 3 steps (raise `epochs`)"
    assert student.warnings == (warned,)


def test_a_student_keeps_the_evaluation_of_its_own_build(trained, build, tmp_path, monkeypatch):
    """Asked of another build it needs marks of what it was taught, and its card stays."""
    from tests.training.builds import make_build

    folder, other = tmp_path / "student", make_build(tmp_path / "other", seed=1)
    shutil.copytree(trained, folder)
    (folder / "README.md").write_text("card")
    known = folder / seen.FILE
    known.rename(tmp_path / "marks")
    with pytest.raises(library.TrainingError, match=r"^F608 "):
        library.load(folder, other).evaluate()
    (tmp_path / "marks").rename(known)
    (tmp_path / "few.jsonl").write_text(json.dumps(GENERAL) + "\n")
    monkeypatch.setattr("training.evaluate.general.SHIPPED", tmp_path / "few.jsonl")
    result = library.load(folder, other).evaluate()
    assert json.loads((tmp_path / "evaluation" / "evaluation.json").read_text()) == result
    assert (folder / "README.md").read_text() == "card"
    assert not (folder / "evaluation.json").exists()


def test_the_door_is_light():
    code = "import sys; from training import library; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
