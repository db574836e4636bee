"""New leaves: where they may lie, what they hold, that they pass once filled in."""

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from compiler.diagnostics import Report
from compiler.draft.place import write_all
from compiler.front import check
from compiler.resources import SCHEMAS
from compiler.source import SourceFile, WorkTree
from compiler.tree import parse
from tests.conftest import SEED

WREN = "knowledge/birds/wren"
KINDS = {
    "knowledge": (WREN,),
    "skill": ("compositional_skills/rhyme",),
    "grounded": ("compositional_skills/headline", "--grounded"),
    "foundational": ("foundational_skills/sums",),
    "longer": (
        "compositional_skills/a_name_that_is_really_much_longer_than_others",
        "--examples=12",
    ),
    "elsewhere": (WREN, "--repo", "https://example.org/birds"),
}
GAP = re.compile(r"<[^<>\n]+>")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty taxonomy as the current folder, and a git that knows nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "documents").mkdir()
    return tmp_path


def run(*words, **options):
    return CliRunner().invoke(app, ["new", *map(str, words)], **options)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    }


def findings(folder):
    report = Report()
    check(WorkTree(folder), report)
    return report.diagnostics


def leaf_of(result, folder=Path()):
    return folder / re.search(r"wrote (.+/qna.yaml)", result.stdout)[1]


# A fresh leaf


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fresh_leaf_has_gaps_and_nothing_else_to_mend(here, kind):
    result = run(*KINDS[kind])
    assert result.exit_code == 0, result.output
    leaf = leaf_of(result)
    there = {
        (file.as_posix(), number)
        for file in (leaf, leaf.with_name("attribution.txt"))
        for number, line in enumerate(file.read_text().split("\n"), 1)
        if GAP.search(line)
    }
    found = findings(here)
    assert {(d.span.path, d.span.line) for d in found if d.code.id == "T129"} == there
    fill_in = {"knowledge": {"T142"}, "elsewhere": {"T125"}}.get(kind, set())
    assert {d.code.id for d in found} == {"T128", "T129"} | fill_in
    assert f"to fill in: {len(there)} texts" in result.stdout


@pytest.mark.parametrize("left", [False, True], ids=["filled", "but for one"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_leaf_that_is_filled_in_has_no_findings(here, kind, left):
    draw = random.Random(os.environ[SEED])
    leaf = leaf_of(run(*KINDS[kind]))
    fill(leaf, here, draw, draw.randrange(5) if left else None)
    codes = [d.code.id for d in findings(here)]
    assert codes == (["T129"] if left else [])


WORDS = "small grey old loud shy quick brown tall calm wild young bright".split()
THINGS = "wren robin river hill nest feather stone garden forest harbour meadow cloud".split()
ACTS = "sees finds likes needs follows meets guards wants hears carries".split()


def fill(leaf, folder, draw, left):
    """Fills in all gaps as an author would, but for the question number `left`."""
    numbers = iter(range(1, 1000))
    said = []

    def sentence():
        a, b = draw.choice(WORDS), draw.choice(WORDS)
        c, d = draw.sample(THINGS, 2)
        return f"The {a} {c} number {next(numbers)} {draw.choice(ACTS)} the {b} {d}."

    questions = 0

    def written(found):
        nonlocal questions
        what = found[0][1:-1]
        if what.startswith("your question"):
            questions += 1
            if questions - 1 == left:
                return found[0]
            return sentence().replace("The", "Is it true that the").replace(".", "?")
        if what.startswith("your passage"):
            said.append(" ".join(sentence() for _ in range(4)))
            return said[-1]
        if what.startswith("your answer"):
            return said[-1].split(". ")[0] + "." if said else sentence()
        if "GitHub" in what:
            return draw.choice(THINGS)
        if "commit" in what:
            return f"{draw.randrange(16**40):040x}"
        return "documents/wren.md" if "document" in what and "summary" not in what else sentence()

    text = leaf.read_text().replace("documents/<your document on wren>.md", "documents/wren.md")
    leaf.write_text(GAP.sub(written, text))
    (folder / "documents" / "wren.md").write_text("\n\n".join(said) or "none")
    beside = leaf.with_name("attribution.txt")
    licence = draw.choice(["CC-BY-4.0", "MIT", "CC0-1.0"])
    beside.write_text(
        GAP.sub("Ada", re.sub("<your source's licence.*>", licence, beside.read_text()))
    )


def test_two_fresh_leaves_do_not_ask_the_same(here):
    run(WREN)
    run("knowledge/birds/robin")
    assert {d.code.id for d in findings(here)} == {"T128", "T129", "T142"}


def test_options_leave_no_gap_where_they_say_all(here):
    result = run(
        WREN, "--created-by", "ada", "--domain", "birds", "--outline", "How wrens live: a guide",
        "--patterns", "a.md", "--patterns", "b.md", "--title", "Wrens", "--link", "-",
        "--license", "MIT", "--creator", "Ada",
    )  # fmt: skip
    value = parse(SourceFile(WREN, leaf_of(result).read_bytes()), Report()).value
    assert value["document_outline"] == "How wrens live: a guide"
    assert value["document"] == {"repo": ".", "commit": "HEAD", "patterns": ["a.md", "b.md"]}
    assert not GAP.search((here / WREN / "attribution.txt").read_text())
    assert {d.span.line for d in findings(here) if d.span.line < 6} == set()


@pytest.mark.parametrize(
    "words",
    [
        (WREN, "--task", "x"),
        (WREN, "--grounded"),
        ("compositional_skills/x", "--domain", "x"),
        ("compositional_skills/x", "--patterns", "x"),
        (WREN, "--examples", "0"),
        (WREN, "--schema", "a b"),
        (WREN, "--from", "none.csv"),
        (),
    ],
)
def test_wrong_usage_is_status_2_and_writes_nothing(here, words):
    result = run(*words)
    assert (result.exit_code, files(here)) == (2, {}), result.output


# Its place


@pytest.mark.parametrize(
    "typed, path",
    [
        ("knowledge/birds/wren", "knowledge/birds/wren"),
        ("knowledge/birds/wren/", "knowledge/birds/wren"),
        ("./knowledge/birds/wren/qna.yaml", "knowledge/birds/wren"),
        ("knowledge\\birds\\wren", "knowledge/birds/wren"),
        ("Knowledge/Birds/House Wren", "knowledge/birds/house_wren"),
        ("knowledge/vögel/Zaunkönig (klein)!", "knowledge/vogel/zaunkonig_klein"),
        ("knowledge/.hidden/x", "knowledge/hidden/x"),
        ("knowledge/a\nb/\x1b[31m", "knowledge/a_b/31m"),
    ],
)
def test_a_path_becomes_a_folder_that_check_likes(here, typed, path):
    result = run(typed)
    assert leaf_of(result).as_posix() == f"{path}/qna.yaml"
    assert ("becomes" in result.stdout) == (path not in typed.replace("\\", "/"))
    assert "\x1b" not in result.stdout
    assert "T130" not in {d.code.id for d in findings(here)}


def test_a_folder_that_is_there_keeps_its_name(here):
    (here / "knowledge" / "Old Birds").mkdir()
    assert leaf_of(run("knowledge/Old Birds/New Wren")).parts[1:3] == ("Old Birds", "new_wren")


@pytest.mark.parametrize(
    "typed, said",
    [
        ("/etc/wren", "absolute"),
        ("C:\\wren", "absolute"),
        ("~/wren", "absolute"),
        ("knowledge/../wren", "`..`"),
        ("../wren", "`..`"),
        ("wren", "no branch of a taxonomy"),
        ("knowlege/wren", "did you mean `knowledge`?"),
        ("compositional-skills/wren", "did you mean `compositional_skills`?"),
        ("knowledge", "folder of its own"),
        ("knowledge/qna.yaml", "folder of its own"),
        ("knowledge/file/wren", "is a file"),
        ("knowledge/link/wren", "is a link"),
        ("knowledge/compositional_skills/wren", "is a branch"),
        ("knowledge/鳥", "no letter"),
        (".", "name the leaf's folder"),
    ],
)
def test_a_path_that_holds_no_leaf_is_refused(here, typed, said):
    (here / "knowledge" / "file").write_text("")
    (here / "knowledge" / "link").symlink_to(here / "documents")
    before = files(here)
    result = run(typed)
    assert (result.exit_code, files(here)) == (2, before)
    assert said in " ".join(result.stderr.split())


def test_the_taxonomy_may_lie_elsewhere(here, monkeypatch):
    monkeypatch.chdir(here.parent)
    assert leaf_of(run(f"{here.name}/knowledge/x", "--taxonomy", here.name)).is_file()
    monkeypatch.chdir(here / "knowledge")
    assert leaf_of(run("birds/robin", "--taxonomy", "..")).is_file()
    assert "knowledge/birds/robin/qna.yaml" in files(here)


def test_a_leaf_that_is_there_is_never_overwritten(here):
    run(WREN)
    before = files(here)
    result = run("Knowledge/birds/wren/qna.yaml", "--created-by", "eve")
    assert (result.exit_code, files(here)) == (2, before)
    assert "is there already" in result.stderr


def test_an_attribution_that_is_there_is_kept(here):
    (here / WREN).mkdir(parents=True)
    (here / WREN / "attribution.txt").write_text("mine\n")
    run(WREN)
    assert (here / WREN / "attribution.txt").read_text() == "mine\n"


def test_all_files_are_written_or_none(here):
    there = here / "there"
    there.write_text("mine")
    before = files(here)
    with pytest.raises(FileExistsError):
        write_all({here / "a" / "b" / "c": "x", there: "y"})
    assert (files(here), (here / "a").exists(), there.read_text()) == (before, False, "mine")
    write_all({here / "a" / "b" / "c": "x"})
    assert (here / "a" / "b" / "c").read_text() == "x"


# Who and with what


@pytest.mark.parametrize(
    "settings, name",
    [
        ({"github.user": "ada-l", "user.name": "eve"}, "ada-l"),
        ({"user.email": "123+Ada@users.noreply.github.com", "user.name": "eve"}, "Ada"),
        ({"user.email": "ada@users.noreply.github.com"}, "ada"),
        ({"user.name": "ada", "user.email": "eve@example.org"}, "ada"),
        ({"user.name": "Ada Lovelace", "user.email": "ada@example.org"}, "<your GitHub user name>"),
        ({"github.user": "-no--name"}, "<your GitHub user name>"),
    ],
)
def test_the_author_is_who_git_says(here, monkeypatch, settings, name):
    config = here / ".gitconfig"
    for key, value in settings.items():
        subprocess.run(["git", "config", "--file", config, key, value], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert f'created_by: "{name}"' in leaf_of(run(WREN)).read_text()
    assert 'created_by: "bob"' in leaf_of(run("knowledge/x", "--created-by", "bob")).read_text()


ANSWERS = {
    "knowledge/birds/wren": ["ada", "birds", "", "https://example.org/x", "c0ffee", "w.md"],
    "compositional_skills/rhyme": ["ada", "Find a rhyme."],
}
WORK = ["The title", "-", "MIT", "Ada"]


@pytest.mark.parametrize("path", sorted(ANSWERS))
def test_on_a_terminal_what_is_missing_is_asked_for(here, monkeypatch, path):
    monkeypatch.setattr("compiler.cli.new.on_terminal", lambda: True)
    answers = [path, *ANSWERS[path], *WORK]
    for told in range(len(answers)):
        result = run(input="".join(f"{answer}\n" for answer in answers[:told]))
        assert (result.exit_code, files(here)) == (130, {}), told
        assert "nothing was written" in result.stderr
    result = run(input="\n".join(answers) + "\n")
    assert result.exit_code == 0
    text = leaf_of(result).read_text()
    assert all(f'"{answer}"' in text for answer in ANSWERS[path] if answer)
    assert (here / path / "attribution.txt").read_text() == (
        "Title of work: The title\nLink to work: -\nLicense of the work: MIT\nCreator names: Ada\n"
    )


def test_enter_leaves_gaps_and_takes_what_is_offered(here, monkeypatch):
    monkeypatch.setattr("compiler.cli.new.on_terminal", lambda: True)
    result = run("compositional_skills/word_rhyme", input="ada\n\n\n\n\n\n")
    assert result.exit_code == 0
    assert 'task_description: "<your description' in leaf_of(result).read_text()
    said = (here / "compositional_skills/word_rhyme/attribution.txt").read_text().split("\n")
    assert said[:2] == ["Title of work: Word rhyme", "Link to work: -"]
    assert said[2].startswith("License of the work: <")
    assert said[3] == "Creator names: ada"


# The schema for editors


def schema_of(leaf):
    first = leaf.read_text().split("\n")[0]
    return re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)[1]


@pytest.mark.parametrize("kind", ["knowledge", "skill", "foundational"])
@pytest.mark.parametrize("layout", ["alone", "own schemas", "beside schemas"])
def test_the_schema_is_found_from_every_clone(tmp_path, monkeypatch, kind, layout):
    root = tmp_path / "repo" / ("taxonomy" if layout == "beside schemas" else "")
    (root / "knowledge").mkdir(parents=True)
    if layout == "alone":
        (root / ".git").mkdir()
        (tmp_path / "schemas" / "v3").mkdir(parents=True)
        (tmp_path / "schemas" / "v3" / "knowledge.json").write_text("not of this repository")
    else:
        shutil.copytree(SCHEMAS, tmp_path / "repo" / "schemas")
    monkeypatch.chdir(root)
    before = set(files(tmp_path))
    leaf = root / leaf_of(run(*KINDS[kind]))
    written = set(files(tmp_path)) - before
    assert len(written) == (3 if layout == "alone" else 2)
    assert all(str(tmp_path).encode() not in files(tmp_path)[name] for name in written)
    (tmp_path / "repo").rename(tmp_path / "clone")
    leaf = tmp_path / "clone" / leaf.relative_to(tmp_path / "repo")
    found = json.loads((leaf.parent / schema_of(leaf)).read_text())
    name = "knowledge" if kind == "knowledge" else "compositional_skills"
    assert found == json.loads((SCHEMAS / "v3" / f"{name}.json").read_text())


def test_the_schema_can_be_an_address_or_none(here):
    address = "https://example.org/knowledge.json"
    assert schema_of(leaf_of(run(WREN, "--schema", address))) == address
    assert leaf_of(run("knowledge/x", "--schema", "none")).read_text().startswith("version: 3\n")
    assert not (here / "schemas").exists()


def test_editors_can_use_the_schemas():
    for file in SCHEMAS.glob("v*/*.json"):
        text = file.read_text()
        assert '"$ref"' not in text
        assert '"$id"' not in text
