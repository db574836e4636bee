"""The pages of training and evaluation: their examples are true, as those of the compiler are."""

import shlex

import pytest
from typer.testing import CliRunner

from compiler.codes import CATALOGUE
from compiler.resources import PAGES
from tests.test_explain import CONSOLE, write_files
from training.cli import app

ELSEWHERE = {
    "F611": "needs a missing package: tests/training/test_train_cli.py",
    "F614": "needs a full disk: tests/training/test_train_resume.py",
    "F615": "needs a damaged disk: tests/training/test_train_resume.py",
    "F621": "needs a loss that is no number: tests/training/test_train_resume.py",
    "E707": "needs a student: tests/training/test_train_gates.py",
    "F623": "needs two processes: tests/training/test_train_run.py",
    "E708": "needs a student: tests/training/test_train_evaluate.py",
    "E709": "needs a trained student: tests/training/test_train_export.py",
    "E710": "needs a machine without llama.cpp: tests/training/test_train_export.py",
    "E713": "needs a machine that cannot run code: tests/training/test_train_checked.py",
}
CODES = [code for code in CATALOGUE.values() if code.id[0] in "FE"]


def test_codes_and_pages_are_one_to_one():
    pages = {page.stem for page in PAGES.glob("*.md") if page.stem[0] in "FE"}
    assert pages == {code.id for code in CODES}
    assert len(CODES) == 36


@pytest.mark.parametrize("code", [c for c in CODES if c.id not in ELSEWHERE], ids=str)
def test_the_example_is_true(code, tmp_path, monkeypatch, request):
    page = PAGES / f"{code.id}.md"
    text = page.read_text("utf-8")
    assert text.startswith(f"# {code}\n")
    shown = CONSOLE.search(text)
    write_files(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / ".home"))
    output = CliRunner().invoke(app, shlex.split(shown[1])[1:]).output
    if request.config.getoption("--accept"):
        page.write_text(text[: shown.start(2)] + output + text[shown.end(2) :], "utf-8")
    else:
        assert output == shown[2]
    assert code.id in output
