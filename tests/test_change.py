"""`trivium check --diff` and `--at`: what a change brings, read from git."""

import re
import subprocess

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from compiler.resources import PIPELINES
from tests.taxonomies import ATTRIBUTION, SKILL, knowledge, skill, write

BROKEN = "a: 'b"


def git(folder, *words):
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(folder, files, words=("-s",)):
    """Writes files (None deletes one) and commits them, signed off."""
    write(folder, {path: value for path, value in files.items() if value is not None})
    for path, value in files.items():
        if value is None:
            (folder / path).unlink()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x", *words)


def other(n):
    """A skill that shares no question with another one."""
    seeds = [{"question": f"Say {n}{c} in rhyme.", "answer": f"{c} {n}."} for c in "abcde"]
    return skill(seed_examples=seeds)


def one(name):
    return f"compositional_skills/{name}/qna.yaml"


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A taxonomy with a broken leaf, as people find it."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {SKILL: skill(), one("old"): BROKEN, one("gone"): other("gone")})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    return folder


def check(*words):
    done = CliRunner().invoke(app, ["check", "--format", "concise", *words])
    *_, last = done.stdout.splitlines() or [""]
    return done.exit_code, re.findall(r"(?:^|: )((?:error|warning)\[\w+)", done.stdout, re.M), last


def looked_at(*words):
    """How many files a check looked at."""
    status, _, last = check(*words)
    assert status in (0, 1), last
    return int(last.split()[1])


def test_what_is_on_disk_is_compared_with_the_base(repo):
    assert looked_at() == 3
    assert looked_at("--diff", "main") == 0
    write(repo, {one("new"): other("new")})
    assert looked_at("--diff", "main") == 1
    git(repo, "add", "-A")
    assert looked_at("--diff", "main") == 1
    assert looked_at("--diff", "main..HEAD") == 0
    (repo / ".gitignore").write_text("compositional_skills/new\n")
    git(repo, "rm", "-rq", "--cached", "compositional_skills/new")
    assert looked_at("--diff", "main") == 0


def test_a_change_is_its_own_alone(repo):
    """The base goes on after the fork; what it got does not count."""
    git(repo, "switch", "-qc", "topic")
    commit(repo, {one("new"): other("new")})
    git(repo, "switch", "-q", "main")
    commit(repo, {one("bad"): BROKEN, one("old"): f"{BROKEN} "})
    assert check("--diff", "main..topic") == (0, [], "checked 1 leaf file: 0 errors, 0 warnings")
    assert check("--diff", "main...topic")[0] == 0
    git(repo, "switch", "-q", "topic")
    assert check("--diff", "main")[0] == 0
    assert check("--diff", "topic~1..main")[:2] == (1, ["error[S001", "error[S001"])


def test_the_work_tree_is_neither_read_nor_touched(repo):
    commit(repo, {one("new"): BROKEN})
    (repo / one("new")).write_text("created_by: nobody\n")
    before = git(repo, "status", "--porcelain")
    assert check("--diff", "HEAD~1..HEAD")[1] == ["error[S001"]
    assert check("--at", "HEAD~1", "compositional_skills/old")[1] == ["error[S001"]
    assert check("--at", "HEAD~1", SKILL)[0] == 0
    assert git(repo, "status", "--porcelain") == before


def test_renamed_and_deleted_leaves(repo):
    git(repo, "mv", "compositional_skills/gone", "compositional_skills/moved")
    commit(repo, {one("old"): None})
    assert check("--diff", "HEAD~1..HEAD") == (
        0,
        [],
        "checked 1 leaf file: 0 errors, 0 warnings",
    )
    commit(repo, {SKILL: None})
    assert looked_at("--diff", "HEAD~1..HEAD") == 0


def test_a_leaf_is_checked_when_what_it_rests_on_changes(repo):
    bird = "knowledge/birds/robin/qna.yaml"
    commit(repo, {bird: knowledge()})
    assert check("--diff", "HEAD~1..HEAD")[0] == 0
    commit(repo, {"knowledge/birds/robin/attribution.txt": None})
    assert check("--diff", "HEAD~1..HEAD")[1] == ["warning[T127"]
    write(repo, {"knowledge/birds/robin/attribution.txt": ATTRIBUTION})
    (repo / "documents" / "robin.md").write_text("Sparrows live in towns.")
    git(repo, "add", "-A")
    git(repo, "commit", "-sqm", "x")
    found = check("--diff", "HEAD~1..HEAD")[1]
    assert "warning[T122" in found
    (repo / "documents" / "other.md").write_text("x")
    assert looked_at("--diff", "HEAD") == 0


def test_a_copy_of_what_the_base_got_since_is_found(repo):
    """Two people send the same leaf; the first is merged."""
    git(repo, "switch", "-qc", "topic")
    commit(repo, {one("mine"): other("same")})
    git(repo, "switch", "-q", "main")
    commit(repo, {one("theirs"): other("same")})
    assert check("--diff", "main..topic")[1] == ["warning[T121"]
    assert check("--diff", "main~1..topic")[1] == []


def test_bare_shallow_and_detached(repo, tmp_path, monkeypatch):
    commit(repo, {one("new"): other("new")})
    commit(repo, {one("newer"): BROKEN})
    git(tmp_path, "clone", "-q", "--bare", repo, tmp_path / "bare.git")
    monkeypatch.chdir(tmp_path)
    assert check("--taxonomy", "bare.git", "--diff", "main~2")[:2] == (1, ["error[S001"])
    assert looked_at("--taxonomy", "bare.git", "--at", "main~1") == 4

    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", tmp_path / "shallow")
    base = git(repo, "rev-parse", "main~2")
    monkeypatch.chdir(tmp_path / "shallow")
    assert check("--diff", base)[0] == 2
    git(tmp_path / "shallow", "fetch", "-q", "--depth", "1", "origin", base)
    assert check("--diff", base)[1] == ["warning[T113", "error[S001"]

    monkeypatch.chdir(repo)
    git(repo, "checkout", "-q", "--detach", "HEAD~1")
    assert check("--diff", "main~2")[:2] == (0, [])


def test_a_taxonomy_in_a_folder_of_its_repository(repo, tmp_path, monkeypatch):
    git(tmp_path, "init", "-q", "-b", "main", "outer")
    outer = tmp_path / "outer"
    commit(outer, {f"taxonomy/{SKILL}": skill()})
    commit(outer, {f"taxonomy/{one('new')}": BROKEN, "other/new.yaml": BROKEN})
    monkeypatch.chdir(outer)
    assert check("--diff", "HEAD~1")[1] == ["error[S001"]
    assert check("--diff", "HEAD~1..HEAD")[1] == ["error[S001"]
    assert looked_at("--at", "HEAD~1") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--diff", "nowhere"],
        ["--diff", "nowhere..HEAD"],
        ["--diff", "--output=x"],
        ["--at", "--help-me"],
        ["--at", "HEAD", "--diff", "HEAD"],
        ["-", "--at", "HEAD", "--stdin-path", SKILL],
        ["-"],
        [SKILL, "--stdin-path", SKILL],
        ["--output", "sarif"],
        ["--output", "xml:out"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_said(repo, words):
    assert check(*words)[0] == 2
    assert not (repo / "x").exists()


def test_no_repository_is_said(tmp_path, monkeypatch):
    write(tmp_path, {SKILL: skill()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert check("--diff", "main")[0] == 2


@pytest.mark.parametrize(
    "name, email, codes",
    [
        ("Ada", "ada@example.org", []),
        ("A. Lovelace", "12+ada@users.noreply.github.com", []),
        ("Robert", "bob@example.org", ["T156"]),
        ("", "ada.l@example.org", []),
    ],
)
def test_the_author_and_the_leaf(repo, name, email, codes):
    write(repo, {one("new"): other("new")})
    git(repo, "add", "-A")
    who = ["-c", f"user.name={name or 'x'}", "-c", f"user.email={email}"]
    git(repo, *who, "commit", "-sqm", "x")
    assert check("--diff", "main~1..main")[1] == [f"warning[{code}" for code in codes]
    git(repo, *who, "commit", "-q", "--amend", "-m", "no sign-off")
    assert "warning[T157" in check("--diff", "main~1..main")[1]


def test_another_hand_may_mend_a_leaf(repo):
    write(repo, {SKILL: skill(task_description="Rhyme well.")})
    git(repo, "add", "-A")
    git(repo, "-c", "user.name=Bob", "-c", "user.email=b@b.org", "commit", "-sqm", "x")
    assert check("--diff", "main~1..main")[1] == []


def test_a_sign_off_by_another_is_none(repo):
    write(repo, {one("new"): other("new")})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "x\n\nSigned-off-by: Bob <bob@example.org>")
    assert check("--diff", "main~1..main")[1] == ["warning[T157"]


def test_names_that_are_no_plain_words(repo):
    hostile = "compositional_skills/a b\n\x1b[31m'\"; touch x/qna.yaml"
    commit(repo, {hostile: BROKEN})
    status, found, _ = check("--diff", "main~1..main")
    assert (status, found) == (1, ["error[S001"])


def test_the_standard_input_stands_for_a_file(repo):
    def piped(text, *words):
        words = ["check", "-", "--format", "concise", "--stdin-path", *words]
        return CliRunner().invoke(app, words, input=text)

    text = (repo / SKILL).read_text()
    assert piped(text, SKILL).exit_code == 0
    assert "S001" in piped(BROKEN, SKILL).stdout
    copied = piped(text, one("copied")).stdout
    assert "T121" in copied
    assert "T127" in copied
    assert (repo / SKILL).read_text() == text


def test_a_change_cannot_silence_its_own_findings(repo):
    commit(repo, {"curriculum.yaml": "check: {raise: [copied-question]}\n"})
    git(repo, "switch", "-qc", "topic")
    quiet = "check: {allow: [copied-question, missing-attribution]}\n"
    commit(repo, {one("copy"): skill(), "curriculum.yaml": quiet})
    assert check("--diff", "main..topic")[:2] == (1, ["error[T121"])
    assert check("--at", "topic", one("copy"))[:2] == (0, [])


def test_a_summary_runs_no_pipeline_of_the_change(repo, tmp_path):
    git(repo, "switch", "-qc", "topic")
    evil = "{% block user %}{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}"
    source = PIPELINES / "skill-freeform"
    files = {f"pipelines/evil/{f.name}": f.read_text() for f in source.iterdir()}
    files |= {p: f"{evil}{{% endfor %}}{{% endblock %}}" for p in files if p.endswith(".j2")}
    routes = "routes: [{pipeline: evil}]\n"
    commit(repo, {**files, "curriculum.yaml": routes, one("new"): other("new")})
    summary = tmp_path / "summary.md"
    assert check("--diff", "main..topic", "--summary", str(summary))[0] == 0
    assert "What it would add" in summary.read_text()
    assert "xxxx" not in summary.read_text()


def test_a_leaf_that_the_base_moved_is_no_copy(repo):
    git(repo, "switch", "-qc", "topic")
    commit(repo, {SKILL: skill(task_description="Rhyme better.")})
    git(repo, "switch", "-q", "main")
    git(repo, "mv", "compositional_skills/rhyme", "compositional_skills/verse")
    git(repo, "commit", "-sqm", "x")
    assert check("--diff", "main..topic")[:2] == (0, [])


@pytest.mark.parametrize("name", ["Ev\x01il \x02", "a\nb", "zz"])
def test_no_name_hides_an_author(repo, name):
    write(repo, {one("new"): other("new")})
    git(repo, "add", "-A")
    who = ["-c", f"user.name={name}", "-c", "user.email=zz@example.net"]
    git(repo, *who, "commit", "-qm", "x\n\nSigned-off-by: anybody")
    assert check("--diff", "main~1..main")[1] == ["warning[T157", "warning[T156"]


def test_paths_bound_a_change_and_must_be_there(repo):
    commit(repo, {one("new"): other("new"), one("newer"): BROKEN}, words=())
    assert check("--diff", "HEAD~1", "compositional_skills/new")[1] == ["warning[T157"]
    assert check("--diff", "HEAD~1", SKILL)[:2] == (0, [])
    assert check("--diff", "HEAD~1", "nowhere")[0] == 2


def test_from_inside_a_folder(repo, monkeypatch):
    monkeypatch.chdir(repo / "compositional_skills" / "old")
    assert looked_at() == 3
    assert check("qna.yaml")[1] == ["error[S001"]
    assert check("--at", "HEAD", "qna.yaml")[1] == ["error[S001"]
    text = (repo / SKILL).read_text()
    for path in (str(repo / SKILL), "../rhyme/qna.yaml", SKILL):
        words = ["check", "-", "--stdin-path", path]
        assert CliRunner().invoke(app, words, input=text).exit_code == 0, path
