"""The hooks for pre-commit, run by pre-commit itself on a repository made here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

MANIFEST = Path(__file__).parent.parent / ".pre-commit-hooks.yaml"
BIN = Path(sys.executable).parent
BROKEN = "compositional_skills/broken/qna.yaml"
FAULT = "created_by: ada\ntask_description: x\nseed_examples:\n- question: 100%, a\n"

pytest.importorskip("pre_commit")


def hooks():
    value = yaml.safe_load(MANIFEST.read_text("utf-8"))
    return {hook["id"]: hook for hook in value}


@pytest.fixture
def committed(tmp_path):
    """Runs one of our hooks, through pre-commit, on a repository made of files."""

    def run(hook, files, *words):
        # In place of an environment of its own, which takes a network, the hook gets this one.
        ours = {**hooks()[hook], "language": "system"}
        config = {"repos": [{"repo": "local", "hooks": [ours]}]}
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        write(tmp_path, {**files, ".pre-commit-config.yaml": yaml.safe_dump(config)})
        subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
        env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        env["PRE_COMMIT_HOME"] = str(tmp_path / ".git" / "pre-commit")
        words = words or ("--all-files",)
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--verbose", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )

    return run


def test_the_hooks_are_what_pre_commit_reads():
    validate = [sys.executable, "-m", "pre_commit", "validate-manifest"]
    subprocess.run([*validate, MANIFEST], check=True)
    assert {hook["language"] for hook in hooks().values()} == {"python"}


def test_a_commit_of_clean_leaves_passes_and_of_a_broken_one_does_not(committed):
    clean = {SKILL: skill(), KNOWLEDGE: knowledge()}
    done = committed("trivium-check", clean)
    assert (done.returncode, "checked 2 leaf files" in done.stdout) == (0, True)
    done = committed("trivium-check", {BROKEN: FAULT})
    assert (done.returncode, "error[T105]" in done.stdout) == (1, True)
    done = committed("trivium-check", {}, "--files", SKILL)
    assert done.returncode == 0, "the control: only what is committed counts"


@pytest.mark.parametrize("path", ["knowledge/birds/qna.yml", "knowledge/birds/leaf.YAML"])
def test_the_hook_sees_misnamed_leaves(committed, path):
    assert "T110" in committed("trivium-check", {path: skill()}).stdout


@pytest.mark.parametrize("path", ["README.md", "mkdocs.yaml", "--fix/qna.yaml"])
def test_the_hook_leaves_other_files_alone(committed, path):
    assert "no files to check" in committed("trivium-check", {path: FAULT}).stdout


def test_the_fixing_hook_mends_and_says_so(committed, tmp_path):
    leaf = yaml.safe_dump(skill(), sort_keys=False)
    spoilt = leaf.replace("created_by: ada\n", "created_by: ada  \n")
    done = committed("trivium-fix", {SKILL: spoilt})
    assert (done.returncode, "files were modified" in done.stdout) == (1, True)
    assert (tmp_path / SKILL).read_text() == leaf
    assert committed("trivium-fix", {}).returncode == 0
