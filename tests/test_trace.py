"""Through the command, on a git repository: every sample leads back to what it was made of, what is
taken out of the taxonomy is gone with all that came from it, and what may not be trained on never
enters.
"""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from compiler.documents.text import normalise
from compiler.journal import Journal
from compiler.leaf import words
from tests.conftest import SEED
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

BEES = "knowledge/insects/bee/qna.yaml"
CHANCE = random.Random(int(os.environ[SEED]))


def trivium(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def git(folder, *words):
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def bees():
    """A leaf of another document, of which every word is another."""
    made = json.dumps(knowledge(domain="insects")).replace("Robins", "Bees").replace("robin", "bee")
    return json.loads(made.replace("worms", "pollen").replace("eggs", "combs"))


def text(kind, parts):
    names = CHANCE.sample(["amber", "cobalt", "copper", "cedar", "granite", "marble", "velvet"], 5)
    return "\n\n".join(
        f"## Part {i}\n\nA {name} {kind} of kind {i} is a creature that lives in {parts} number "
        f"{i}. The {name} {kind} is seen because it has {i + 3} spots and a {name} back."
        for i, name in enumerate(names)
    )


@pytest.fixture
def taxonomy(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    root = write(
        tmp_path / "taxonomy",
        {
            SKILL: skill(),
            KNOWLEDGE: knowledge(),
            BEES: bees(),
            "documents/bee.md": text("bee", "hive"),
            "curriculum.yaml": "samples_per_leaf: 20\nmix: {validation: 0.1}\n",
        },
    )
    (root / "documents/robin.md").write_text(text("robin", "garden"))
    git(root, "init", "-q")
    commit(root)
    return root


def samples(build):
    return [json.loads(line) for line in (Path(build) / "samples.jsonl").read_text().splitlines()]


def test_every_sample_leads_to_what_it_was_made_of(taxonomy, tmp_path):
    revision = git(taxonomy, "rev-parse", "HEAD")
    trivium("compile", "--at", "HEAD")
    manifest = json.loads(Path("out/build/manifest.json").read_text())
    assert manifest["taxonomy"]["revision"] == revision
    leaves = {leaf["leaf"]: leaf for leaf in manifest["leaves"]}
    made = samples("out/build")
    listed = (line.split() for line in git(taxonomy, "ls-tree", "-r", revision).splitlines())
    blobs = {path: blob for _, _, blob, path in listed}
    assert {s["origin"]["kind"] for s in made} == {"seed", "synthetic"}
    with Journal(tmp_path / "home/journal.sqlite") as journal:
        for sample in made:
            origin, leaf = sample["origin"], leaves[sample["leaf"]]
            assert origin["blob"] == blobs[origin["file"]]
            assert origin["licences"] == ["CC-BY-4.0"]
            assert origin["contributor"] == "ada"
            assert origin["seeds"]
            assert all(seed.startswith(f"{sample['leaf']}#") for seed in origin["seeds"])
            if origin["kind"] == "seed":
                assert (origin["generation"], origin["replies"]) == (0, [])
                continue
            assert origin["teacher"] == manifest["teacher"]
            assert origin["prompts"] == manifest["pipelines"][origin["pipeline"]]
            assert origin["replies"]
            assert set(journal.get_many(origin["replies"])) == set(origin["replies"])
            if sample["branch"] == "knowledge":
                (document,) = leaf["documents"]
                assert origin["document"] == document["path"]
                assert origin["document_blob"] == document["blob"] == blobs[document["path"]]
                assert (document["repo"], document["commit"]) == (".", revision)
                start, end = sample["cited"]
                assert origin["start"] <= start < end <= origin["end"]
                said = normalise((taxonomy / document["path"]).read_bytes())[start:end]
                answer = set(words(sample["messages"][-1]["content"]))
                assert 2 * len(answer & set(words(said))) >= len(answer), (answer, said)


def test_without_a_document_exactly_its_descendants_are_gone(taxonomy):
    trivium("compile", "--at", "HEAD", "--out", "before")
    (taxonomy / "documents/bee.md").unlink()
    commit(taxonomy)
    trivium("compile", "--at", "HEAD", "--out", "after")
    before = {s["id"]: s for s in samples("before")}
    after = {s["id"] for s in samples("after")}
    descendants = {i for i, s in before.items() if s["origin"]["document"] == "documents/bee.md"}
    assert descendants
    assert set(before) - after == descendants
    assert after <= set(before)
    manifest = json.loads(Path("after/manifest.json").read_text())
    (leaf,) = [leaf for leaf in manifest["leaves"] if leaf["file"] == BEES]
    assert (leaf["skipped"], leaf["documents"]) == ("T142", [])


@pytest.mark.parametrize("licence, is_denied", [("CC-BY-4.0", False), ("CC-BY-NC-4.0", True)])
def test_the_same_document_under_a_denied_licence_gives_nothing(taxonomy, licence, is_denied):
    place = taxonomy / BEES.replace("qna.yaml", "attribution.txt")
    place.write_text(f"Title of work: Bees\nLicense of the work: {licence}\n")
    said = trivium("compile", "--out", "b")
    mine = [s for s in samples("b") if s["leaf"] == BEES.rpartition("/")[0]]
    manifest = json.loads(Path("b/manifest.json").read_text())
    (leaf,) = [leaf for leaf in manifest["leaves"] if leaf["file"] == BEES]
    assert ("warning[M312]" in said) is is_denied
    assert leaf["skipped"] == ("M312" if is_denied else "")
    if is_denied:
        assert not mine
        assert "its licence `CC-BY-NC-4.0` forbids commercial use" in said
        assert f"{place.relative_to(taxonomy.parent)}:2:22" in said
        assert "Bees" not in (Path("b") / "heldout.jsonl").read_text()
    else:
        assert {s["origin"]["kind"] for s in mine} == {"seed", "synthetic"}
        assert len(mine) > 10


def test_a_data_set_goes_through_the_sift_and_into_its_phase(taxonomy):
    robin, asked = knowledge(), skill()["seed_examples"]
    held = robin["seed_examples"][0]["questions_and_answers"][-1]["question"]
    rows = [
        {"question": held, "answer": "It lays them."},
        {"question": asked[0]["question"], "answer": "Another word."},
        *({"question": f"How far is star {n}?", "answer": f"{n} years."} for n in range(8)),
        {"question": "How far is the sun?", "answer": ""},
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows)
    settings = """samples_per_leaf: 20
mix:
  validation: 0
  sources:
    - {file: stars.jsonl, licence: MIT}
    - {file: stars.jsonl, licence: CC-BY-NC-4.0, name: refused}
"""
    write(taxonomy, {"stars.jsonl": data, "curriculum.yaml": settings})
    (taxonomy / "documents/robin.md").write_text(text("robin", "garden"))
    said = trivium("compile", "--out", "b")
    mine = [s for s in samples("b") if s["leaf"] == "sources/stars"]
    assert len(mine) == 8
    assert {s["origin"]["kind"] for s in mine} == {"source"}
    dropped = [json.loads(line) for line in (Path("b") / "drops.jsonl").read_text().splitlines()]
    codes = sorted(drop["code"] for drop in dropped if drop["leaf"] == "sources/stars")
    assert codes == ["D502", "D505", "D506"]
    phase2 = [json.loads(line) for line in (Path("b") / "phase2.jsonl").read_text().splitlines()]
    assert {s["id"] for s in mine} <= {s["id"] for s in phase2}
    assert "sources/refused" not in str(samples("b"))
    assert "`stars.jsonl` is left out: its licence `CC-BY-NC-4.0`" in said
    manifest = json.loads(Path("b/manifest.json").read_text())
    assert [(one["name"], one["drawn"], one["skipped"]) for one in manifest["sources"]] == [
        ("stars", 11, ""),
        ("refused", 0, "M312"),
    ]
    card = (Path("b") / "README.md").read_text()
    assert "| stars.jsonl |" in card
    assert "Name the authors and keep the notice of: CC-BY-4.0, MIT." in card


def test_phase_1_tells_its_steps_and_the_books_close_over_what_is_cut(taxonomy):
    settings = "samples_per_leaf: 20\nmix: {validation: 0, min_human: 0.5, short_answer: 5}\n"
    (taxonomy / "curriculum.yaml").write_text(settings)
    trivium("compile", "--out", "b")
    manifest = json.loads(Path("b/manifest.json").read_text())
    books = {one["name"]: one for one in manifest["passes"]}["mix"]
    assert books["dropped"]["D540"] > 0
    drops = [json.loads(line) for line in (Path("b") / "drops.jsonl").read_text().splitlines()]
    cut = [drop for drop in drops if drop["stage"] == "mix"]
    assert [drop["code"] for drop in cut] == ["D540"] * books["dropped"]["D540"]
    assert len(samples("b")) == books["kept"]
    phase1 = [json.loads(line) for line in (Path("b") / "phase1.jsonl").read_text().splitlines()]
    assert [s["step"] for s in phase1] == sorted(s["step"] for s in phase1)
    counts = {True: 0, False: 0}
    for sample in phase1:
        for message in sample["messages"]:
            counts[sample["origin"]["kind"] == "seed"] += len(words(message["content"]))
    share = counts[True] / sum(counts.values())
    assert share >= 0.5
    assert manifest["mixture"]["human"]["phase1"] == pytest.approx(share, abs=1e-5)


def test_a_floor_out_of_reach_writes_no_build(taxonomy):
    settings = "samples_per_leaf: 20\nmix: {min_human: 0.99}\n"
    (taxonomy / "curriculum.yaml").write_text(settings)
    said = trivium("compile", "--out", "b", code=1)
    assert "error[M313]" in said
    assert not Path("b/manifest.json").exists()
