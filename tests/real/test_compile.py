"""Real contributions, their documents resolved by git's `insteadOf`, go the whole road."""

import json
from pathlib import Path

import pytest
import yaml

from tests.test_compile import trivium

MORE = [f"origin/pr/{number}" for number in (1293, 1320, 1377, 1383)]
REVISIONS = [
    *("main", "origin/pr/1410"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in MORE),
]


@pytest.mark.parametrize("revision", REVISIONS)
def test_check_plan_and_compile(revision, taxonomy, mirrored, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    for command in ("check", "plan", "compile"):
        output = trivium(
            command,
            *("--taxonomy", taxonomy, "--at", revision),
            *(("--out", tmp_path / "build") if command == "compile" else ()),
        )
        assert " 0 errors" in output
    again = trivium(
        "compile", "--taxonomy", taxonomy, "--at", revision, "--out", tmp_path / "again"
    )
    assert again.startswith("asked 0 questions")
    for file in (f for f in (tmp_path / "build").iterdir() if f.name != "run.json"):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    manifest = json.loads((tmp_path / "build/manifest.json").read_text())
    assert len(manifest["leaves"]) >= 16
    for leaf in manifest["leaves"]:
        assert leaf["synthetic"] or leaf["human"] or leaf["skipped"], leaf
        if leaf["branch"] == "knowledge":
            assert leaf["synthetic"] >= 10
            assert leaf["documents"][0]["commit"]


def test_a_pinned_pdf_is_said_clearly_and_the_others_go_on(
    taxonomy, mirrored, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    leaf = "knowledge/history/united_states/federal/budget_2024"
    import git

    text = git.Repo(taxonomy).git.show(f"origin/pr/1410:{leaf}/qna.yaml")
    value = yaml.safe_load(text)
    value["document"]["patterns"] = ["source_docs/*.pdf"]
    for name, patterns in (("pdf", ["source_docs/*.pdf"]), ("text", ["*.md"])):
        value["document"]["patterns"] = patterns
        folder = Path("mine/knowledge/budget") / name
        folder.mkdir(parents=True)
        (folder / "qna.yaml").write_text(yaml.safe_dump(value))
    output = trivium("compile", "--taxonomy", "mine", "--out", "build")
    assert "skipped knowledge/budget/pdf: T143 unsupported-document" in output
    assert "PDF" in output
    manifest = json.loads(Path("build/manifest.json").read_text())
    assert [bool(leaf["synthetic"]) for leaf in manifest["leaves"]] == [False, True]
