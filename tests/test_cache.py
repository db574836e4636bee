"""What a check remembers: the same findings, and nothing that is no longer true."""

import os
import random
import sqlite3
import subprocess
import sys

import pytest

from compiler import cache as caching
from compiler.cache import Cache
from compiler.diagnostics import Report
from compiler.front import check
from compiler.render import RENDERERS
from compiler.source import WorkTree
from tests.taxonomies import ATTRIBUTION, KNOWLEDGE, SKILL, knowledge, skill, write

SEED = int(os.environ["TRIVIUM_TEST_SEED"])


@pytest.fixture
def looks(monkeypatch):
    """Counts the files that are truly looked at."""
    from compiler import examine

    seen = []
    whole = examine.read_tree

    def counting(file, report):
        seen.append(file.path)
        return whole(file, report)

    monkeypatch.setattr(examine, "read_tree", counting)
    return seen


def run(folder, file):
    report = Report()
    with Cache(file) as cache:
        check(WorkTree(folder), report, cache=cache)
    return report


def damaged(chance):
    """A leaf with a few lines of it lost or changed."""
    lines = (write_text(skill()) + "\n# end").splitlines()
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(lines))
        lines[at] = chance.choice(["", lines[at] + "  ", lines[at].replace("a", "\u200b"), "x: y"])
    return "\n".join(lines)


def write_text(value):
    import yaml

    return yaml.safe_dump(value, sort_keys=False)


def test_a_second_look_says_the_same_and_looks_at_nothing(tmp_path, looks):
    chance = random.Random(SEED)
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    files = {f"compositional_skills/n{n}/qna.yaml": damaged(chance) for n in range(30)}
    write(folder, {**files, KNOWLEDGE: knowledge()})
    first = run(folder, file)
    assert len(looks) == 31
    assert first.diagnostics
    looks.clear()
    second = run(folder, file)
    assert not looks
    for form, render in RENDERERS.items():
        assert render(second) == render(first), form
    bare = Report()
    check(WorkTree(folder), bare)
    assert bare.diagnostics == first.diagnostics


@pytest.mark.parametrize(
    "path, text",
    [
        (SKILL, "created_by: ada\n"),
        ("compositional_skills/rhyme/attribution.txt", "License of the work: CC-BY-NC-4.0\n"),
        ("compositional_skills/rhyme/attribution.txt", None),
        ("documents/robin.md", "Sparrows."),
        ("documents/robin2.md", "Sparrows."),
        ("curriculum.yaml", "teacher: {kind: extractive, context: 256}\n"),
    ],
)
def test_what_it_rests_on_is_looked_at_again(tmp_path, looks, path, text):
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    bird = knowledge(document={"repo": ".", "commit": "HEAD", "patterns": ["documents/*.md"]})
    write(folder, {SKILL: skill(), KNOWLEDGE: bird})
    run(folder, file)
    looks.clear()
    if text is None:
        (folder / path).unlink()
    else:
        write(folder, {path: text})
        (folder / path).write_text(text)
    changed = run(folder, file)
    assert looks
    bare = Report()
    check(WorkTree(folder), bare)
    assert changed.diagnostics == bare.diagnostics


def test_an_untouched_leaf_is_not_looked_at_again(tmp_path, looks):
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    write(folder, {SKILL: skill(), KNOWLEDGE: knowledge()})
    run(folder, file)
    looks.clear()
    write(folder, {SKILL: skill(task_description="Rhyme well.")})
    run(folder, file)
    assert looks == [SKILL]


def test_another_program_remembers_nothing(tmp_path, looks, monkeypatch):
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    write(folder, {SKILL: skill()})
    run(folder, file)
    looks.clear()
    monkeypatch.setattr(caching, "_program", lambda: b"another")
    run(folder, file)
    assert looks == [SKILL]


@pytest.mark.parametrize("breaks", ["garbage", "folder", "value", "closed"])
def test_a_broken_cache_is_no_trouble(tmp_path, looks, breaks):
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    write(folder, {SKILL: skill(), KNOWLEDGE: "a: 'b"})
    first = run(folder, file)
    if breaks == "value":
        with sqlite3.connect(file) as base:
            base.execute("UPDATE seen SET value = '[1, 2'")
    else:
        file.unlink()
        if breaks == "garbage":
            file.write_bytes(random.Random(SEED).randbytes(5000))
        elif breaks == "folder":
            file.mkdir()
        else:
            file.write_bytes(b"")
            file = file / "inside" / "a file"
    looks.clear()
    assert run(folder, file).diagnostics == first.diagnostics
    assert len(looks) == 2


def test_two_at_once(tmp_path):
    write(tmp_path / "taxonomy", {SKILL: skill(), KNOWLEDGE: "a: 'b"})
    command = [sys.executable, "-m", "compiler.cli", "check", "--taxonomy", tmp_path / "taxonomy"]
    environment = {**os.environ, "TRIVIUM_HOME": str(tmp_path / "home")}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    outputs = {process.communicate()[0] for process in running}
    assert {process.returncode for process in running} == {1}
    assert len(outputs) == 1


def test_it_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "MOST_ENTRIES", 10)
    folder, file = tmp_path / "taxonomy", tmp_path / "cache"
    for n in range(40):
        write(folder, {SKILL: skill(task_description=f"Rhyme {n}."), "x": ATTRIBUTION})
        run(folder, file)
    with sqlite3.connect(file) as base:
        assert base.execute("SELECT count(*) FROM seen").fetchone()[0] <= 21
