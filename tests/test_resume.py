"""Faults and kills through the whole command: nothing is lost, and nothing is asked twice.

The mock teacher is the endpoint; the undisturbed compile is the control of every claim.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.journal import Journal, key_of
from compiler.mock import running
from compiler.teacher.openai import OpenAI
from tests.taxonomies import skill, write

DRAW = random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))
WORDS = "robin heron finch wren swift crane stork raven lark owl hawk kite".split()
GOOD = "compositional_skills/good"
HIT = "compositional_skills/hit"


def leaf(task, seeds):
    def text(count):
        return " ".join(DRAW.choices(WORDS, k=count))

    examples = [{"question": f"{text(9)} {n}?", "answer": f"{text(7)}."} for n in range(seeds)]
    return skill(task_description=task, seed_examples=examples)


def taxonomy(root, leaves, samples, **teacher):
    """A git repository of skills, a task for each folder; `teacher` are settings."""
    settings = {"samples_per_leaf": samples}
    if teacher:
        settings["teacher"] = {"kind": "openai", "model": "mock", **teacher}
    files = {f"{folder}/qna.yaml": leaf(*told) for folder, told in leaves.items()}
    write(root, {**files, "curriculum.yaml": yaml.safe_dump(settings)})
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *who, *words], cwd=root, check=True)
    return root


def start(root, out, home, *more):
    """The command in a process of its own."""
    words = ["compile", "--taxonomy", str(root), "--out", str(out), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "compiler.cli", *words],
        env={**os.environ, "TRIVIUM_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def compiled(root, out, home, *more):
    """Runs the command here, to its end; what it said."""
    words = ["compile", "--taxonomy", str(root), "--out", str(out), *more]
    done = CliRunner().invoke(app, words, env={"TRIVIUM_HOME": str(home)})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1), done.output
    books(out)
    return done.output


def tree(folder):
    """The bytes of a build, but for what its run cost."""
    names = (path for path in folder.iterdir() if path.name != "run.json")
    return {path.name: path.read_bytes() for path in names}


def books(out):
    """The passes of a manifest by name, which all add up."""
    passes = json.loads((out / "manifest.json").read_text())["passes"]
    for one in passes:
        assert one["in"] == one["kept"] + sum(one["dropped"].values()), one
    return {one["name"]: one for one in passes}


def bodies(record):
    """The messages of the requests that a server wrote down."""
    return [json.dumps(json.loads(line)["messages"]) for line in record.read_text().splitlines()]


def count(record):
    return record.read_bytes().count(b"\n")


LASTING = {
    "429": "R402",
    "429-retry-after": "R402",
    "500": "R402",
    "reset": "R401",
    "hang": "R401",
    "drip": "R401",
    "truncated": "R403",
    "html": "R403",
    "html-502": "R402",
    "empty": "R403",
    "refuse": "R402",
    "wrong-model": "R410",
    "refusal": "R402",
}


SETTINGS = {"timeout": 0.7, "deadline": 1.5, "in_flight": 8}
LEAVES = {GOOD: ("Rhyme.", 6), HIT: ("Rhyme on hit-it.", 6)}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """An endpoint without faults: its URL and what it was asked."""
    record = tmp_path_factory.mktemp("clean") / "asked"
    with running(record=str(record)) as mock:
        yield f"{mock.url}#mock", record


@pytest.fixture(scope="module")
def plain(tmp_path_factory, clean):
    """A taxonomy, its undisturbed build, and what that asked."""
    folder = tmp_path_factory.mktemp("plain")
    root = taxonomy(folder / "t", LEAVES, 5)
    compiled(root, folder / "build", folder / "home", "--teacher", clean[0])
    return root, folder / "build", bodies(clean[1])


@pytest.fixture
def faulted(tmp_path, plain, clean):
    """Compiles while one of two leaves always meets a fault, then the same without it; what the
    first said, and what each asked.
    """

    def run(name, **more):
        settings = tmp_path / "t"
        shutil.copytree(plain[0], settings)
        asked = tmp_path / "asked"
        with running(fault=f"{name}:always:hit-it", record=str(asked)) as mock:
            teacher = {"kind": "openai", "model": "mock", "url": mock.url, **SETTINGS, **more}
            file = settings / "curriculum.yaml"
            file.write_text(yaml.safe_dump({"samples_per_leaf": 5, "teacher": teacher}))
            said = compiled(settings, tmp_path / "first", tmp_path / "home")
        before = len(bodies(clean[1]))
        compiled(plain[0], tmp_path / "second", tmp_path / "home", "--teacher", clean[0])
        return said, bodies(asked), bodies(clean[1])[before:]

    return run


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_fails_one_unit_with_its_code_and_the_next_run_asks_it_again(
    faulted, plain, tmp_path, name
):
    said, before, again = faulted(name)
    _, build, all_ = plain
    first = books(tmp_path / "first")
    assert first["ask"]["dropped"] == {LASTING[name]: 1}
    assert (first["ask"]["kept"], books(build)["ask"]["kept"]) == (1, 2)
    assert f"error[{LASTING[name]}]" in said
    assert HIT in said
    assert sorted(again) == sorted(body for body in all_ if "hit-it" in body)
    assert set(before) >= set(all_) - set(again)
    assert tree(tmp_path / "second") == tree(build) != tree(tmp_path / "first")


def test_the_same_id_for_every_answer_changes_nothing(faulted, plain, tmp_path):
    _, _, again = faulted("duplicate")
    assert again == []
    assert books(tmp_path / "first") == books(plain[1])


@pytest.mark.parametrize("name, code", [("length", "D512"), ("huge", "D501")])
def test_a_reply_that_is_of_no_use_is_dropped_with_its_code(faulted, plain, tmp_path, name, code):
    _, _, again = faulted(name, timeout=30, deadline=60)
    first = books(tmp_path / "first")
    assert first["ask"]["kept"] == 2
    assert code in first["expand"]["dropped"]
    assert 0 < first["expand"]["kept"] < books(plain[1])["expand"]["kept"]
    assert again == []


PASSING = ("429", "429-retry-after", "500", "reset", "hang", "drip", "truncated", "html-502")


def test_faults_that_pass_cost_tries_and_nothing_else(plain, tmp_path):
    root = shutil.copytree(plain[0], tmp_path / "t")
    with running(fault=[f"{name}:0.04" for name in PASSING]) as mock:
        teacher = {"kind": "openai", "model": "mock", "url": mock.url, "timeout": 0.7}
        file = root / "curriculum.yaml"
        file.write_text(yaml.safe_dump({"samples_per_leaf": 5, "teacher": teacher}))
        said = compiled(root, tmp_path / "build", tmp_path / "home")
        stats = mock.stats()
    assert stats["repeats"] == sum(stats["faults"].values())
    assert "error[" not in said
    assert books(tmp_path / "build") == books(plain[1])


def test_a_server_that_dies_and_comes_back_loses_nothing(plain, tmp_path):
    with running(die_after=DRAW.randint(5, 25), latency=0.02) as mock:
        teacher = f"{mock.url}#mock"
        with start(plain[0], tmp_path / "build", tmp_path / "home", "--teacher", teacher) as run:
            mock.process.wait(30)
            with running(port=urlsplit(mock.url).port) as again:
                said, _ = run.communicate(timeout=60)
                assert again.stats()["requests"] > 0
    assert run.returncode == 0, said
    assert tree(tmp_path / "build") == tree(plain[1])


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_asks_nothing_twice_and_ends_with_the_same_bytes(
    tmp_path, monkeypatch, kills
):
    """The reference run tells which messages stand behind each key of the journal."""
    root = taxonomy(tmp_path / "t", {GOOD: ("Rhyme.", 14), HIT: ("Count.", 14)}, 50)
    messages = {}
    ask = OpenAI.ask

    async def watched(self, request):
        said = [message.as_json() for message in request.messages]
        messages[key_of(self, request)] = json.dumps(said)
        return await ask(self, request)

    record, home = tmp_path / "asked", tmp_path / "home"
    with running(latency=0.05, slots=4, record=str(record)) as mock:
        more = ["--teacher", f"{mock.url}#mock"]
        with monkeypatch.context() as patch:
            patch.setattr(OpenAI, "ask", watched)
            compiled(root, tmp_path / "plain", tmp_path / "other", *more)
        assert len(set(messages.values())) == len(messages) == mock.stats()["requests"]

        def journaled():
            with Journal(home / "journal.sqlite") as journal:
                return {said for key, said in messages.items() if journal.get(key) is not None}

        kept = journaled()
        for kill in range(kills):
            before = count(record)
            left = len(messages) - len(kept)
            until = before + DRAW.randint(1, max(1, 2 * left // (kills - kill)))
            patience = 60 if left else DRAW.uniform(0, 1.5)
            with start(root, tmp_path / "build", home, *more) as run:
                end = time.monotonic() + patience
                while count(record) < until and run.poll() is None and time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(DRAW.uniform(0, 0.05))
                run.kill()
            assert kept.isdisjoint(bodies(record)[before:])
            grown = journaled()
            assert grown >= kept
            kept = grown
        before = count(record)
        with start(root, tmp_path / "build", home, *more) as run:
            said, _ = run.communicate(timeout=60)
        assert run.returncode == 0, said
        last = bodies(record)[before:]
        assert sorted(last) == sorted(set(messages.values()) - kept)
        assert not kept.isdisjoint(bodies(record))  # for without a journal all was asked
    assert tree(tmp_path / "build") == tree(tmp_path / "plain")
