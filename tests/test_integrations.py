"""The action and the workflows for a taxonomy.

GitHub's published schemas check their shape; `tests/actions.py` runs their steps as GitHub does.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from compiler.render import RENDERERS
from compiler.summary import MARK
from tests.actions import FAULT, MENDED, OLD, Origin, Runner, commands, git
from tests.taxonomies import SKILL, skill

ROOT = Path(__file__).parent.parent
WORKFLOWS = ROOT / "docs" / "workflows"
TAXONOMY, COMMENT = WORKFLOWS / "taxonomy.yml", WORKFLOWS / "taxonomy-comment.yml"
TRIVIUM = Path(sys.executable).parent / "trivium"
BROKEN = "compositional_skills/broken/qna.yaml"
EVIL = "touch${IFS}harm"


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return Origin(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def runner(origin, tmp_path):
    """Makes the machine of a job."""

    def checkout(runner, given):
        assert given["persist-credentials"] == "false"
        at = runner.workspace
        pull = runner.event.get("pull_request", {}).get("number")
        ref = f"refs/pull/{pull}/merge" if runner.event_name == "pull_request" else "main"
        git(at, "init", "-q")
        git(at, "remote", "add", "origin", origin.folder.as_uri())
        if given.get("fetch-depth") == "0":
            git(at, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", ref)
            git(at, "checkout", "-q", "--detach", git(origin.folder, "rev-parse", ref))
        else:
            git(at, "fetch", "-q", "--depth=1", "origin", ref)
            git(at, "checkout", "-q", "--detach", "FETCH_HEAD")
        return True, {}

    def python(runner, given):
        return True, {"python-path": str(stand_in)}

    def upload(runner, given):
        shutil.copy(given["path"], tmp_path / given["name"])
        return True, {}

    def download(runner, given):
        shutil.copy(tmp_path / given["name"], runner.workspace / "trivium-summary.md")
        return True, {}

    others = {
        "actions/checkout": checkout,
        "actions/setup-python": python,
        "actions/upload-artifact": upload,
        "actions/download-artifact": download,
        "github/codeql-action/upload-sarif": lambda runner, given: (True, {}),
        "OWNER/trivium": lambda runner, given: runner.action(ROOT, given),
    }
    # A Python whose new environments hold this checkout's Trivium and a pip that only notes.
    stand_in = tmp_path / "python"
    stand_in.write_text(
        f'#!/bin/sh\n{sys.executable} "$@" --without-pip || exit\n'
        f'for made; do :; done\nln -s {TRIVIUM} "$made/bin/trivium"\n'
        'printf \'#!/bin/sh\\nprintf "%%s\\\\n" "$@" > "$HOME/pip"\\n\' > "$made/bin/pip"\n'
        'chmod +x "$made/bin/pip"\n'
    )
    stand_in.chmod(0o755)
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    count = itertools.count()

    def make(event_name, event):
        return Runner(tmp_path / f"job{next(count)}", event_name, event, others, path)

    return make


def of_others(runner):
    """What was said of files that the change did not touch."""
    return [path for path in (OLD, MENDED) if path in runner.log + runner.summary]


def steps_of(file):
    """(permissions, steps) of every job, or of an action."""
    value = yaml.safe_load(file.read_text("utf-8"))
    if "runs" in value:
        return [({}, value["runs"]["steps"])]
    assert value["permissions"] == {}
    return [(job["permissions"], job["steps"]) for job in value["jobs"].values()]


@pytest.mark.parametrize(
    "file, schema",
    [(ROOT / "action.yml", "actions"), (TAXONOMY, "workflows"), (COMMENT, "workflows")],
    ids=lambda value: getattr(value, "name", value),
)
def test_files_fit_githubs_published_schemas(file, schema, tmp_path):
    pytest.importorskip("check_jsonschema")
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.github-{schema}",
    ]
    assert subprocess.run([*check, file], capture_output=True).returncode == 0
    spoilt = tmp_path / file.name
    spoilt.write_text(file.read_text("utf-8").replace("steps:", "step:"))
    assert subprocess.run([*check, spoilt], capture_output=True).returncode == 1


@pytest.mark.parametrize("file", [ROOT / "action.yml", TAXONOMY, COMMENT], ids=lambda f: f.name)
def test_no_script_holds_an_expression_and_no_token_is_lent(file):
    for permissions, steps in steps_of(file):
        reads = [step for step in steps if step.get("uses", "").startswith("OWNER/trivium@")]
        may_write = [name for name, level in permissions.items() if level == "write"]
        assert not reads or set(may_write) <= {"security-events"}
        assert not any("${{" in step.get("run", "") for step in steps)
        assert ("github.token" in str(steps)) == ("pull-requests" in permissions)


def test_a_change_is_judged_by_what_it_adds(origin, runner):
    bad = runner("pull_request", origin.propose({BROKEN: FAULT}))
    assert bad.job(TAXONOMY, "change") == "failure"
    (told,) = [rest for command, rest in commands(bad.log) if command == "error"]
    assert told.startswith(f" file={BROKEN},line=4,")
    assert "T105" in told
    assert BROKEN in bad.summary
    assert "T105" in bad.summary
    good = runner("pull_request", origin.propose({SKILL: skill(created_by="bea")}))
    assert good.job(TAXONOMY, "change") == "success"
    assert not [rest for command, rest in commands(good.log) if command == "error"]
    assert not of_others(bad) + of_others(good)
    assert good.job(TAXONOMY, "whole") == "skipped"


@pytest.mark.parametrize("event_name", ["push", "schedule", "workflow_dispatch"])
def test_everything_is_checked_weekly_and_shown_as_sarif(origin, runner, event_name):
    whole = runner(event_name, {})
    assert whole.job(TAXONOMY, "whole") == "failure"
    assert [OLD in whole.log, whole.summary] == [True, ""]
    uses, given = whole.asked[-1]
    assert uses.startswith("github/codeql-action/upload-sarif@")
    sarif = json.loads((whole.workspace / given["sarif_file"]).read_text("utf-8"))
    assert sarif["version"] == "2.1.0"
    assert OLD in json.dumps(sarif)
    assert runner(event_name, {}).job(TAXONOMY, "change") == "skipped"


def test_a_merge_group_is_a_change(origin, runner):
    request = origin.propose({BROKEN: FAULT})["pull_request"]
    group = {"base_sha": origin.main, "head_sha": request["head"]["sha"]}
    queued = runner("merge_group", {"merge_group": group})
    assert queued.job(TAXONOMY, "change") == "failure"
    assert BROKEN in queued.summary
    assert not of_others(queued)


@pytest.mark.parametrize("base", ["", "main", "origin/main", "HASH"])
def test_the_action_fetches_what_a_shallow_clone_lacks(origin, runner, base):
    one = runner("pull_request", origin.propose({BROKEN: FAULT}))
    one.others["actions/checkout"](one, {"persist-credentials": "false"})
    assert git(one.workspace, "rev-parse", "--is-shallow-repository") == "true"
    given = {"base": origin.main if base == "HASH" else base}
    succeeds, outputs = one.action(ROOT, given)
    assert (succeeds, outputs["status"], outputs["sarif"]) == (False, "1", "")
    assert BROKEN in Path(outputs["summary"]).read_text("utf-8")
    assert not of_others(one)


def test_a_branch_that_is_here_is_not_fetched_and_an_unknown_one_is_a_failure(origin, runner):
    one = runner("push", {})
    one.others["actions/checkout"](one, {"persist-credentials": "false", "fetch-depth": "0"})
    succeeds, outputs = one.action(ROOT, {"base": "no-such-branch"})
    assert (succeeds, outputs["status"]) == (False, "")
    assert "no-such-branch" in one.log
    git(one.workspace, "remote", "set-url", "origin", "/none")
    assert one.action(ROOT, {"base": "main"})[1]["status"] == "0"


def test_the_summary_becomes_one_comment_and_the_change_is_never_checked_out(origin, runner):
    event = origin.propose({BROKEN: FAULT})
    read = runner("pull_request_target", event)
    assert read.job(COMMENT, "read") == "success"
    assert not (read.workspace / BROKEN).exists()
    comment = runner("pull_request_target", event)
    gh = Path(comment.path.split(":")[0]) / "gh"
    gh.write_text('#!/bin/sh\ncase "$*" in *--jq*) cat "$HOME/ids";; *) echo "$@";; esac\n')
    gh.chmod(0o755)
    comments = f"repos/someone/taxonomy/issues/{event['pull_request']['number']}/comments"
    for ids, place in (("", comments), ("7\n8\n", "repos/someone/taxonomy/issues/comments/7")):
        (comment.home / "ids").write_text(ids)
        comment.log = ""
        assert comment.job(COMMENT, "comment") == "success"
        assert comment.log.endswith(f"--field body=@trivium-summary.md {place}\n")
    told = (comment.workspace / "trivium-summary.md").read_text("utf-8")
    assert BROKEN in told
    assert told.startswith(f"{MARK}\n")
    assert f"mark='{MARK}'" in COMMENT.read_text("utf-8")


def test_names_of_branches_and_files_do_no_harm(origin, runner):
    name = f"a;{EVIL};$({EVIL})`{EVIL}`'\""
    git(origin.folder, "update-ref", f"refs/heads/{name}", origin.main)
    names = (f"knowledge/{name}", "knowledge/a\n::error file=x::forged", "--output=sarif:harm")
    event = origin.propose({f"{path}/qna.yaml": FAULT for path in names}, name)
    target, one = runner("pull_request_target", event), runner("pull_request", event)
    target.job(COMMENT, "read")
    one.job(TAXONOMY, "change")
    one.action(ROOT, {"base": name, "taxonomy": "."})
    for log, errors in ((target.log, 3), (one.log, 6)):
        told = [rest for command, rest in commands(log) if command == "error"]
        assert [len(told), any(rest.endswith("::forged") for rest in told)] == [errors, False]
    assert not (target.workspace / "harm").exists()
    assert not (one.workspace / "harm").exists()
    one.script(f"echo {name[:-2]}", {})
    assert (one.workspace / "harm").exists(), "the control: a name inside a script is run"


@pytest.mark.parametrize("form", sorted(RENDERERS))
def test_text_of_a_leaf_never_steers_the_runner(origin, runner, form):
    hostile = "##[stop-commands]x"
    leaf = FAULT + f'"{hostile}": "\\n::add-mask::ada\\n::error::forged"\n'
    one = runner("pull_request", origin.propose({BROKEN: leaf}))
    one.others["actions/checkout"](one, {"persist-credentials": "false", "fetch-depth": "0"})
    succeeds, outputs = one.action(ROOT, {"format": form, "summary": "false"})
    assert (succeeds, outputs["status"], outputs["summary"]) == (False, "1", "")
    assert "[stop-commands]x" in one.log
    said = {command for command, rest in commands(one.log)}
    assert said == ({"error", "warning"} if form == "github" else set())
    assert commands(f"error: unknown key `{hostile}`\n::error::said") == [], "the control"


def test_modules_in_the_repository_are_never_imported(origin, runner):
    module = "import os, pathlib\npathlib.Path(os.environ['HOME'], 'harm').touch()\n"
    names = ("venv", "pip", "yaml", "git", "typing", "compiler/__init__", "sitecustomize", "runpy")
    files = {f"{name}.py": module for name in names}
    one = runner("pull_request", origin.propose({**files, BROKEN: FAULT}))
    assert one.job(TAXONOMY, "change") == "failure"
    assert BROKEN in one.summary
    assert not (one.home / "harm").exists()
    *_, option, pins, asked = (one.home / "pip").read_text().splitlines()
    assert (option, pins, asked) == ("--constraint", f"{ROOT}/constraints.txt", str(ROOT))
    one.script(f"{sys.executable} -m venv --help", {})
    assert (one.home / "harm").exists(), "the control: without -I they are"
