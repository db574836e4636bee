"""The compile command, end to end: on git repositories built here, through the command line."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.cli.build import compile
from compiler.codes import D501
from compiler.diagnostics import Account
from compiler.resources import TAXONOMY
from compiler.teacher.extractive import Extractive

COUNTED = ("samples.jsonl", "phase1.jsonl", "phase2.jsonl", "heldout.jsonl")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def trivium(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def skill(folder, words, **more):
    leaf = {
        "version": 3,
        "created_by": "somebody",
        "task_description": f"Say the opposite, with {folder.name}.",
        "seed_examples": [
            {"question": f"Give me the opposite of the word {w}.", "answer": f"Un{w}."}
            for w in words
        ],
        **more,
    }
    write(folder, leaf)


def write(folder, leaf):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qna.yaml").write_text(yaml.safe_dump(leaf, sort_keys=False))
    (folder / "attribution.txt").write_text("License of the work: MIT\n")


def knowledge(folder, document, **more):
    seeds = [
        {
            "context": f"A {w} is a tool that a smith uses in the forge.",
            "questions_and_answers": [
                {"question": f"What is a {w} {i}?", "answer": f"A tool, number {i}."}
                for i in range(3)
            ],
        }
        for w in ("hammer", "tongs", "anvil", "bellows", "chisel")
    ]
    leaf = {
        "version": 3,
        "created_by": "smith",
        "domain": "smithing",
        "document_outline": "Tools of a forge",
        "seed_examples": seeds,
        "document": {"repo": ".", "commit": "HEAD", "patterns": [document]},
        **more,
    }
    write(folder, leaf)


TEXT = """# Tools

A swage is a block of steel that gives hot iron its shape. Charcoal is used to heat the iron
before it is worked. Iron is struck while it is hot because cold iron breaks. The three parts of
a forge are the hearth, the bellows and the anvil. A smith strikes about 40 blows in a minute.
"""


@pytest.fixture
def taxonomy(tmp_path):
    root = tmp_path / "taxonomy"
    skill(root / "compositional_skills/opposites/plain", "kind fair wise able even safe".split())
    skill(root / "compositional_skills/opposites/formal", "just sure seen told tied done".split())
    knowledge(root / "knowledge/crafts/forge", "documents/forge.md")
    (root / "documents").mkdir()
    (root / "documents/forge.md").write_text(TEXT)
    return root


def lines(build, name):
    return [json.loads(line) for line in (Path(build) / name).read_text().splitlines()]


def tree(folder):
    """A build's files; `run.json` tells of the run, and is another each time."""
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.name != "run.json"}


def asked(output):
    line = next(line for line in output.splitlines() if line.startswith("asked "))
    return int(line.split()[1].replace(",", ""))


def test_twice_the_same_bytes_and_the_second_time_no_question(taxonomy, home):
    assert asked(trivium("compile", "--out", "a")) > 50
    assert asked(trivium("compile", "--out", "b")) == 0
    assert tree("a") == tree("b")
    (home / "journal.sqlite").unlink()
    assert asked(trivium("compile", "--out", "c")) > 50
    assert tree("a") == tree("c")


def test_neither_place_nor_clock_enters_a_build(taxonomy, tmp_path):
    trivium("compile", "--out", "a")
    moved = tmp_path / "elsewhere" / "deep"
    moved.parent.mkdir()
    taxonomy.rename(moved)
    trivium("compile", "--taxonomy", moved, "--out", "b")
    assert tree("a") == tree("b")
    assert str(tmp_path).encode() not in b"".join(tree("a").values())


def test_one_edited_leaf_asks_its_own_units_only(taxonomy):
    trivium("compile", "--out", "a")
    before = asked(trivium("compile", "--out", "alone", "--taxonomy", only(taxonomy, "plain")))
    assert before == 0
    skill(
        taxonomy / "compositional_skills/opposites/plain", "kind fair wise able neat safe".split()
    )
    fresh = asked(trivium("compile", "--out", "b"))
    leaf = only(taxonomy, "plain")
    assert 0 < fresh <= len(lines("b", "samples.jsonl"))
    assert asked(trivium("compile", "--out", "c", "--taxonomy", leaf)) == 0
    old, new = (
        {s["id"] for s in lines(build, "samples.jsonl") if "plain" not in s["leaf"]}
        for build in "ab"
    )
    assert old == new
    assert not [s for s in lines("b", "samples.jsonl") if "even" in s["messages"][0]["content"]]


def only(taxonomy, name):
    """A taxonomy with one leaf of `taxonomy`, at the same path."""
    copy = taxonomy.parent / f"only-{name}-{random.randrange(10**9)}"
    leaf = f"compositional_skills/opposites/{name}"
    (copy / leaf).mkdir(parents=True)
    for file in (taxonomy / leaf).iterdir():
        (copy / leaf / file.name).write_bytes(file.read_bytes())
    return copy


def test_the_books_close_and_agree_with_the_files(taxonomy):
    trivium("compile", "--out", "a")
    manifest = json.loads(Path("a/manifest.json").read_text())
    for books in manifest["passes"]:
        assert books["in"] == books["kept"] + sum(books["dropped"].values())
    by_name = {books["name"]: books for books in manifest["passes"]}
    human = sum(leaf["human"] for leaf in manifest["leaves"])
    assert by_name["sift"]["in"] == by_name["expand"]["kept"] + human
    aside = len(lines("a", "validation.jsonl"))
    assert aside == by_name["mix"]["dropped"]["D514"] > 0
    assert by_name["mix"]["in"] == by_name["sift"]["kept"]
    assert by_name["sift"]["kept"] == len(lines("a", "samples.jsonl"))
    drops = Counter(drop["code"] for drop in lines("a", "drops.jsonl"))
    assert drops == Counter(by_name["expand"]["dropped"]) + Counter(by_name["sift"]["dropped"])
    for name in COUNTED:
        assert manifest["files"][name]["count"] == len(lines("a", name))


def test_no_held_out_question_is_in_a_sample(taxonomy, home):
    trivium("compile", "--out", "a")
    held = [h["messages"][0]["content"] for h in lines("a", "heldout.jsonl")]
    assert len(held) == 2 + 5
    said = "\n".join(s["messages"][0]["content"] for s in lines("a", "samples.jsonl"))
    assert not [question for question in held if question in said]
    assert "What is a hammer 0?" in said


def test_a_copy_of_a_held_out_question_is_held_out_too(taxonomy, monkeypatch):
    """The last word of each leaf is held out; a third leaf shows one of them in its first place."""
    prompts = []
    ask = Extractive.ask

    async def listen(self, request):
        prompts.extend(message.content for message in request.messages)
        return await ask(self, request)

    monkeypatch.setattr(Extractive, "ask", listen)
    skill(taxonomy / "compositional_skills/opposites/copy", "SAFE near dear clear fear".split())
    trivium("compile", "--out", "a")
    assert any("opposite of the word near" in prompt for prompt in prompts)
    assert not [p for p in prompts if "opposite of the word safe" in p.lower()]
    samples = str(lines("a", "samples.jsonl")).lower()
    assert "opposite of the word safe" not in samples
    assert "opposite of the word near" in samples


def test_a_leaf_that_asks_one_question_only_is_not_barren(taxonomy):
    jokes = [{"question": "Tell a joke.", "answer": f"A smith enters bar {i}."} for i in range(5)]
    write(
        taxonomy / "compositional_skills/jokes",
        {
            "version": 3,
            "created_by": "me",
            "task_description": "Tell jokes.",
            "seed_examples": jokes,
        },
    )
    trivium("compile", "--out", "a")
    made = [s for s in lines("a", "samples.jsonl") if s["leaf"].endswith("jokes")]
    assert {s["origin"]["kind"] for s in made} == {"seed", "synthetic"}
    assert "Tell a joke" not in str(lines("a", "heldout.jsonl"))


def test_every_sample_leads_to_its_leaf_and_its_document(taxonomy):
    trivium("compile", "--out", "a")
    text = (taxonomy / "documents/forge.md").read_text()
    made = [s for s in lines("a", "samples.jsonl") if s["origin"]["document"]]
    assert made
    for sample in made:
        origin = sample["origin"]
        passage = text[origin["start"] : origin["end"]]
        assert origin["document"] == "documents/forge.md"
        assert sample["branch"] == "knowledge"
        assert passage
        assert (origin["contributor"], origin["licences"]) == ("smith", ["MIT"])
    story = trivium("show", made[0]["id"][:9], "--data", "a")
    assert made[0]["messages"][0]["content"] in story
    assert "documents/forge.md" in story
    assert made[0]["origin"]["replies"][0] in story
    trivium("show", "zzzz", "--data", "a", code=1)


def test_a_leaf_that_yields_nothing_is_named_and_the_others_go_on(taxonomy):
    knowledge(taxonomy / "knowledge/crafts/lost", "documents/lost.md")
    output = trivium("compile", "--out", "a")
    assert "skipped knowledge/crafts/lost: T142 missing-document" in output
    assert lines("a", "samples.jsonl")
    manifest = json.loads(Path("a/manifest.json").read_text())
    assert [leaf["skipped"] for leaf in manifest["leaves"] if leaf["skipped"]] == ["T142"]


def test_an_error_stops_before_a_question_is_asked(taxonomy, home):
    skill(taxonomy / "compositional_skills/opposites/plain", ["one", "two"])
    output = trivium("compile", "--out", "a", code=1)
    assert "T106" in output
    assert not Path("a").exists()
    assert not (home / "journal.sqlite").exists()


@pytest.mark.parametrize(
    "settings, code",
    [
        ("samples_per_leaf: 0", "M303"),
        ("samples_per_leave: 5", "M302"),
        ("teacher: {}", "M301"),
        ("routes: [{pipeline: knowledge-qb}]", "M304"),
        ("check: {raise: [T999]}", "M309"),
        ("teacher: {kind: openai}", "M310"),
        ("a: b: c", "S001"),
    ],
)
def test_a_mistake_in_the_build_file_has_a_code_and_a_place(taxonomy, settings, code):
    (taxonomy / "curriculum.yaml").write_text(f"seed: 1\n{settings}\n")
    output = trivium("compile", "--out", "a", code=1)
    assert f"error[{code}]" in output
    assert "curriculum.yaml:2" in output or code == "M304"


def test_the_build_file_raises_and_allows_warnings_by_path(taxonomy):
    (taxonomy / "compositional_skills/opposites/plain/attribution.txt").unlink()
    assert "warning[T127]" in trivium("check")
    (taxonomy / "curriculum.yaml").write_text("check: {raise: [missing-attribution]}\n")
    assert "error[T127]" in trivium("check", code=1)
    (taxonomy / "curriculum.yaml").write_text(
        "check: {allow: [{code: T127, paths: ['*/opposites/*']}]}\n"
    )
    assert "T127" not in trivium("check")


def test_the_dial_sets_the_number_of_samples(taxonomy):
    counts = []
    for dial in (5, 20):
        (taxonomy / "curriculum.yaml").write_text(f"samples_per_leaf: {dial}\n")
        trivium("compile", "--out", "a")
        manifest = json.loads(Path("a/manifest.json").read_text())
        counts.append([leaf["synthetic"] for leaf in manifest["leaves"]])
        assert all(n <= dial for n in counts[-1])
        assert "samples_per_leaf: " + str(dial) in trivium("plan")
    assert sum(counts[1]) > 2 * sum(counts[0])


def test_a_revision_is_compiled_as_it_was(taxonomy, tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", taxonomy, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    (taxonomy / "documents/forge.md").write_text(TEXT.replace("swage", "drift"))
    trivium("compile", "--out", "now")
    trivium("compile", "--out", "then", "--at", "main")
    now, then = (str(lines(build, "samples.jsonl")) for build in ("now", "then"))
    assert ("drift" in now, "swage" in now) == (True, False)
    assert ("drift" in then, "swage" in then) == (False, True)
    assert len(json.loads(Path("then/manifest.json").read_text())["taxonomy"]["revision"]) == 40
    trivium("compile", "--at", "nowhere", code=2)


class Endpoint(BaseHTTPRequestHandler):
    """Answers in the pipelines' tags after a little while, and remembers what was asked."""

    got: Counter
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply({"data": [{"id": "mock"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        self.got[json.dumps(body, sort_keys=True)] += 1
        time.sleep(0.02)
        number = abs(hash(prompt)) % 10**9
        choices = body.get("structured_outputs", {}).get("choice")
        if choices:
            text = choices[-1]
        elif "Now write your" in prompt:
            text = "".join(
                f"<question>Question {number + i} about {number * i}?</question>"
                f"<answer>Iron {number + i}.</answer>"
                for i in range(5)
            )
        else:
            text = f"<answer>Something {number}.</answer>"
        self.reply(
            {
                "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            }
        )

    def reply(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint():
    class Mine(Endpoint):
        got: ClassVar[Counter] = Counter()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", Mine.got
    server.shutdown()


def test_kill_in_the_middle_then_go_on_asks_nothing_twice(taxonomy, endpoint, home, tmp_path):
    url, got = endpoint
    in_flight = 4
    (taxonomy / "curriculum.yaml").write_text(
        f"teacher: {{kind: openai, url: '{url}', in_flight: {in_flight}}}\n"
    )
    command = [sys.executable, "-m", "compiler.cli", "compile", "--out", str(tmp_path / "a")]
    environment = {**os.environ, "PYTHONPATH": str(TAXONOMY.parent)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path)
    while sum(got.values()) < 60:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a/manifest.json").exists()
    killed = sum(got.values())
    trivium("compile", "--out", "a")
    both = sum(got.values())
    assert both > killed
    assert asked(trivium("compile", "--out", "b")) == 0
    assert sum(got.values()) == both
    assert tree("a") == tree("b")
    (home / "journal.sqlite").unlink()
    undisturbed = asked(trivium("compile", "--out", "undisturbed"))
    stored_together = 4 * in_flight  # a reply is stored within milliseconds
    assert both <= undisturbed + in_flight + stored_together
    assert tree("a") == tree("undisturbed")


def test_an_endpoint_that_is_not_there_is_said(taxonomy, monkeypatch):
    monkeypatch.setattr("compiler.teacher.openai.FIRST_WAIT", 0.001)
    output = trivium("compile", "--teacher", "http://127.0.0.1:9/v1", "--out", "a", code=1)
    assert "error[R401]" in output
    assert not Path("a").exists()


def test_a_scripted_teacher_on_the_command_line(taxonomy, tmp_path):
    (tmp_path / "teacher.yaml").write_text(
        "teacher:\n"
        "  - stage: questions\n"
        "    contains: opposite\n"
        "    text: <question>Name the opposite of up.</question>\n"
        "  - {stage: answer, text: '<answer>Down.</answer>'}\n"
        "  - {stage: fitting, text: 'yes'}\n"
        "  - {stage: rating, text: '3'}\n"
    )
    output = trivium("compile", "--teacher", "scripted:teacher.yaml", "--out", "a")
    assert "R405" in output
    made = [s for s in lines("a", "samples.jsonl") if s["origin"]["kind"] == "synthetic"]
    assert [m["content"] for m in made[0]["messages"]] == ["Name the opposite of up.", "Down."]
    assert len(made) == 1
    trivium("compile", "--teacher", "scripted:nowhere.yaml", code=1)
    trivium("compile", "--teacher", "clever", code=2)


def test_the_shipped_taxonomy_compiles_clean():
    output = trivium("compile", "--taxonomy", TAXONOMY, "--out", "a")
    assert "0 errors, 0 warnings" in output
    manifest = json.loads(Path("a/manifest.json").read_text())
    assert all(leaf["synthetic"] >= 20 for leaf in manifest["leaves"])


def test_books_that_do_not_close_are_our_bug():
    """The control: the check can fail."""
    assert Account.of("pass", 3, 1, [D501, D501]).as_json()["dropped"] == {"D501": 2}
    with pytest.raises(AssertionError, match="cannot account for 1"):
        Account.of("pass", 4, 1, [D501, D501])


@pytest.mark.parametrize("fault", ["out is a file", "home is a file", "the journal is no database"])
def test_a_path_that_cannot_be_used_is_said_before_anything_is_asked(taxonomy, home, fault):
    home.parent.mkdir(exist_ok=True)
    if fault == "out is a file":
        Path("a").write_text("mine")
    elif fault == "home is a file":
        home.write_text("mine")
    else:
        home.mkdir()
        (home / "journal.sqlite").write_text("no database, and long enough to be looked at " * 40)
    command = [sys.executable, "-m", "compiler.cli", "compile", "--out", "a"]
    environment = {**os.environ, "PYTHONPATH": str(TAXONOMY.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    code = (
        "E705] damaged-journal" if fault == "the journal is no database" else "B903] unusable-path"
    )
    assert f"error[{code}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "asked" not in done.stdout
    if fault == "out is a file":
        assert Path("a").read_text() == "mine"


def test_an_endpoint_that_refuses_all_leaves_the_old_build(taxonomy, tmp_path):
    trivium("compile", "--out", "a")
    before = tree("a")
    (tmp_path / "no.yaml").write_text("teacher:\n  - {stage: questions, refuse: true}\n")
    output = trivium("compile", "--teacher", "scripted:no.yaml", "--out", "a", code=1)
    assert "error[R402]" in output
    assert tree("a") == before


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("no space left on device")])
def test_a_build_that_is_stopped_while_it_is_written_leaves_the_old_one(
    taxonomy, monkeypatch, stop
):
    def stopped(*args):
        raise stop

    trivium("compile", "--out", "a")
    before = tree("a")
    skill(taxonomy / "compositional_skills/opposites/new", "kind fair wise able even".split())
    with monkeypatch.context() as patch:
        patch.setattr("compiler.emit._write_parquet", stopped)
        with pytest.raises((KeyboardInterrupt, OSError)):
            compile(taxonomy, Path("a"))
    assert tree("a") == before
    trivium("compile", "--out", "a")
    assert tree("a") != before


def test_the_drafts_of_a_killed_run_go(taxonomy):
    trivium("compile", "--out", "a")
    before = tree("a")
    Path("a/.draft-killed").mkdir()
    Path("a/.draft-killed/samples.jsonl").write_text("{")
    trivium("compile", "--out", "a")
    assert tree("a") == before


def test_samples_stream_to_parquet_in_groups(taxonomy, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("compiler.emit._GROUP", 7)
    trivium("compile", "--out", "a")
    with parquet.ParquetFile("a/samples.parquet") as file:
        groups, found = file.num_row_groups, file.read().to_pylist()
    for sample in found:
        sample["scores"] = json.loads(sample["scores"])
    assert found == lines("a", "samples.jsonl")
    assert groups == -(-len(found) // 7) > 5


def test_plan_counts_what_the_journal_holds(taxonomy):
    def journaled():
        line = next(li for li in trivium("plan").splitlines() if li.startswith("all leaves"))
        return [int(n.replace(",", "")) for n in line.split()[2:]]

    *before, known, left = journaled()
    assert (known, left) == (0, before[3])
    trivium("compile", "--out", "a")
    *after, known, left = journaled()
    assert (known > 0, left) == (True, 0)
    assert before == after
