"""The commands as a user types them: exit status, formats, what a path means, what is imported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from compiler.cli import app, guarded
from compiler.codes import CATALOGUE
from compiler.render import RENDERERS
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

ROOT = Path(__file__).parent.parent
BROKEN = "created_by: ada\ntask_description: x\nseed_examples:\n- question: 100%, a\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that holds a clean taxonomy, as the current one."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path, {SKILL: skill(), KNOWLEDGE: knowledge()})


def run(*words):
    return CliRunner().invoke(app, words)


def last(result):
    return result.stdout.strip().split("\n")[-1]


def test_a_clean_taxonomy(here):
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "checked 2 leaf files: 0 errors, 0 warnings\n")


def test_an_error_is_status_1_and_a_warning_is_not(here):
    write(here, {"knowledge/X y/qna.yaml": skill(version=1)})
    assert run("check").exit_code == 1
    write(here, {"knowledge/X y/qna.yaml": "# nothing\n"})
    result = run("check")
    assert (result.exit_code, last(result)) == (0, "checked 3 leaf files: 0 errors, 1 warning")


@pytest.mark.parametrize(
    "words, files",
    [
        ((SKILL,), 1),
        (("compositional_skills",), 1),
        (("compositional_skills/",), 1),
        ((".",), 2),
        ((SKILL, KNOWLEDGE, SKILL), 2),
        (("--taxonomy", "."), 2),
    ],
)
def test_paths_name_files_and_folders(here, words, files):
    result = run("check", *words)
    assert result.exit_code == 0
    assert f"checked {files} leaf file" in last(result)


def test_a_path_is_seen_from_here_or_from_the_taxonomy(here, monkeypatch):
    monkeypatch.chdir(here / "compositional_skills")
    for path in ("rhyme", "rhyme/qna.yaml", SKILL):
        result = run("check", "--taxonomy", "..", path)
        assert (result.exit_code, last(result)[:19]) == (0, "checked 1 leaf file")
    monkeypatch.chdir(here.parent)
    result = run("check", "--taxonomy", here.name, f"{here.name}/{SKILL}")
    assert (result.exit_code, last(result)[:19]) == (0, "checked 1 leaf file")


@pytest.mark.parametrize("path", ["no/such", "/etc/passwd", "../outside"])
def test_a_path_of_nothing_is_t111(here, path):
    result = run("check", "--format", "concise", path)
    assert result.exit_code == 1
    assert "error[T111]" in result.stdout


def test_a_named_file_that_is_no_leaf_is_t110(here):
    result = run("check", "--format", "concise", "documents/robin.md")
    assert (result.exit_code, "error[T110]" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("--format", "xml"), ("--taxonomy", "none"), ("--no-such",), ("--at", "HEAD")],
)
def test_wrong_usage_is_status_2(here, words):
    result = run("check", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error" in result.stderr


def test_no_taxonomy_is_a_clear_usage_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("check")
    assert result.exit_code == 2
    assert "--taxonomy DIR" in result.stderr


@pytest.mark.parametrize("form", sorted(RENDERERS))
def test_every_format_tells_of_every_finding(here, form):
    write(here, {SKILL: BROKEN})
    result = run("check", "--format", form)
    assert result.exit_code == 1
    assert "T105" in result.stdout
    assert "\x1b" not in result.stdout


def test_json_is_one_object_a_line_and_nothing_else(here):
    write(here, {SKILL: BROKEN})
    lines = [json.loads(line) for line in run("check", "--format", "json").stdout.splitlines()]
    assert [(line["path"], line["line"], line["code"]) for line in lines] == [(SKILL, 4, "T105")]
    write(here, {SKILL: skill()})
    assert run("check", "--format", "json").stdout == ""


def test_github_paths_are_those_of_the_repository(here, monkeypatch):
    write(here, {SKILL: BROKEN})
    monkeypatch.chdir(here.parent)
    out = run("check", "--format", "github", "--taxonomy", here.name).stdout
    found = re.match(r"::error file=([^,]+),line=4,.*?title=T105 missing-answer::", out)
    assert found[1] == f"{here.name}/{SKILL}"


def test_a_revision_is_read_not_the_work_tree(here):
    me = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *me, *words], cwd=here, check=True)
    write(here, {SKILL: BROKEN})
    assert run("check").exit_code == 1
    assert run("check", "--at", "HEAD").exit_code == 0
    assert run("check", "--at", "HEAD", SKILL).exit_code == 0
    assert run("check", "--at", "nothing").exit_code == 2


def test_explain():
    by_id, by_name = run("explain", "t105"), run("explain", "missing-answer")
    assert by_id.stdout == by_name.stdout
    assert by_id.stdout.startswith("# T105 missing-answer\n")
    listed = run("explain").stdout
    assert [code for code in CATALOGUE if code not in listed] == []
    wrong = run("explain", "mising-answer")
    assert (wrong.exit_code, "`missing-answer`" in wrong.stderr) == (2, True)


def test_an_unexpected_exception_is_one_line_and_status_3(monkeypatch, capsys):
    broken = typer.Typer(pretty_exceptions_enable=False)

    @broken.command()
    def fall():
        raise ZeroDivisionError("a\n\x1b[31mb")

    monkeypatch.setattr(sys, "argv", ["trivium"])
    monkeypatch.delenv("TRIVIUM_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end:
        guarded(broken)
    said = capsys.readouterr().err
    assert end.value.code == 3
    assert said.startswith("error[B902] internal-error: ZeroDivisionError: a \\x1b[31mb\n")
    assert "Traceback" not in said
    monkeypatch.setenv("TRIVIUM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        guarded(broken)


def test_check_starts_light(here):
    heavy = [
        "torch",
        "vllm",
        "transformers",
        "datasets",
        "ray",
        "pyarrow",
        "aiohttp",
        "git",
        "trl",
        "peft",
    ]
    program = (
        "import sys\nfrom compiler.cli import app\n"
        "try:\n    app(['check'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=here, env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
