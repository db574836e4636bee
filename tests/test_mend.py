"""`trivium check --fix` and `--diff-only`, as a user types them."""

import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.resources import TAXONOMY
from tests.taxonomies import SKILL, skill, write

BAD = "compositional_skills/bad/qna.yaml"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A taxonomy with a good leaf and one with a typo, a lost newline and a comment."""
    text = yaml.safe_dump(skill(), sort_keys=False).replace("rhymes with", "sounds like")
    typo = text.replace("answer: Word a.", "anser: Word a.  # keep me").rstrip("\n")
    write(tmp_path, {SKILL: skill(), BAD: typo})
    (tmp_path / "compositional_skills/bad/attribution.txt").write_text(
        "Title of work: x\nLicense of the work: CC0-1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*words, **settings):
    return CliRunner().invoke(app, ["check", *words], **settings)


def test_it_mends_and_then_checks(here):
    assert check().exit_code == 1
    good = (here / SKILL).read_bytes()
    (here / BAD).chmod(0o600)
    done = check("--fix", "--format", "concise")
    assert done.exit_code == 0
    assert done.stdout == "checked 2 leaf files: 0 errors, 0 warnings\n"
    assert "the key `anser` spelt `answer` (T102)" in done.stderr
    assert done.stderr.endswith("mended 1 file\n")
    assert (here / SKILL).read_bytes() == good
    assert "answer: Word a.  # keep me\n" in (here / BAD).read_text()
    assert (here / BAD).stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in (here / BAD).parent.iterdir()) == ["attribution.txt", "qna.yaml"]
    assert check("--fix").stderr == "mended 0 files\n"


def test_the_diff_changes_nothing_and_applies(here):
    before = (here / BAD).read_bytes()
    done = check("--diff-only")
    assert (done.exit_code, (here / BAD).read_bytes()) == (1, before)
    git = ["git", "-c", "core.autocrlf=false", "apply", "-"]
    subprocess.run(git, input=done.stdout.encode(), check=True)
    assert check("--diff-only").exit_code == 0
    assert check("--diff-only").stdout == ""
    assert check().exit_code == 0


def test_only_what_is_named_is_mended(here):
    before = (here / BAD).read_bytes()
    assert check("--fix", SKILL).exit_code == 0
    assert (here / BAD).read_bytes() == before
    assert check("--fix", BAD).exit_code == 0
    assert (here / BAD).read_bytes() != before


def test_the_standard_input_comes_out_mended(here):
    text = (here / BAD).read_text()
    done = check("-", "--fix", "--stdin-path", BAD, input=text)
    assert done.stdout == text.replace("anser", "answer") + "\n"
    assert (here / BAD).read_text() == text
    again = check("-", "--fix", "--stdin-path", BAD, input=done.stdout)
    assert again.stdout == done.stdout


def test_a_revision_is_not_written_to(here):
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(["git", *who, *words], check=True)
    assert check("--fix", "--at", "HEAD").exit_code == 2
    assert check("--fix", "--diff", "HEAD..HEAD").exit_code == 2
    assert check("--fix", "--diff", "HEAD").stderr == "mended 0 files\n"
    with (here / BAD).open("a") as file:
        file.write("\n")
    assert check("--fix", "--diff", "HEAD").stderr.endswith("mended 1 file\n")


def test_a_file_that_cannot_be_written_stays_whole(here, monkeypatch):
    from pathlib import Path

    before = (here / BAD).read_bytes()

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    assert isinstance(check("--fix").exception, OSError)
    monkeypatch.undo()
    assert (here / BAD).read_bytes() == before
    assert sorted(p.name for p in (here / BAD).parent.iterdir()) == ["attribution.txt", "qna.yaml"]


def test_the_shipped_taxonomy_needs_no_mending(monkeypatch):
    monkeypatch.chdir(TAXONOMY.parent)
    done = check("--diff-only", "--taxonomy", str(TAXONOMY))
    assert (done.exit_code, done.stdout) == (0, "")
