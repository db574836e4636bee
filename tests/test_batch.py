"""A batch teacher, through the command: a fake service takes its files and loses some of them."""

import asyncio
import gzip
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.codes import R402, R403, R406
from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report
from compiler.mock.answers import answer
from compiler.mock.prompt import Prompt, texts_of
from compiler.pipeline import Sampling
from compiler.prompt import Message
from compiler.resources import TAXONOMY
from compiler.teacher import Request
from compiler.teacher.batch import Batch
from compiler.teacher.batchfile import read_result
from compiler.teacher.batchfolder import Limits
from compiler.teacher.wire import read
from tests.conftest import SEED
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

MODEL = "mock"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = {"samples_per_leaf": 10}
    write(tmp_path / "taxonomy", {SKILL: skill(), KNOWLEDGE: knowledge()})
    (tmp_path / "taxonomy/curriculum.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "home"


@pytest.fixture
def draw(request):
    return random.Random(f"{os.environ[SEED]} {request.node.name}")


def complete(body):
    """The same answer to the same messages, whatever form the endpoint is asked for."""
    asked = json.dumps(body["messages"]).encode()
    draw = random.Random(hashlib.sha256(asked).hexdigest())
    prompt = Prompt(texts_of(body["messages"]))
    if prompt.choices or not prompt.names:
        text = answer({"messages": body["messages"]}, draw, 0.9).text
    else:
        wanted = prompt.count * list(prompt.names)
        text = "".join(
            f"<{name}>Is it {draw.randrange(10**6)} or {draw.randrange(10**6)}?</{name}>"
            for name in wanted
        )
    return {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": len(asked) // 4, "completion_tokens": len(text) // 4},
    }


def compile(out="build", teacher=f"batch:jobs#{MODEL}"):
    """Runs the command; returns whether it built, and what it printed."""
    done = CliRunner().invoke(app, ["compile", "--teacher", teacher, "--out", str(out)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 1), done.output
    assert Path(out, "manifest.json").exists() == ("written to" in done.output)
    return done.exit_code == 0, done.output


def waiting():
    """The requests that wait, by file."""
    return {
        path.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(Path("jobs/requests").glob("*.jsonl"))
    }


def good(request, **more):
    response = {"status_code": 200, "request_id": "r", "body": complete(request["body"])}
    line = {"id": "b", "custom_id": request["custom_id"], "response": response, "error": None}
    return json.dumps({**line, **more})


SAID = {"message": "overloaded", "type": "server_error", "code": 500}
FAILURES = [
    ({"status_code": 500, "body": {"error": SAID}}, None),
    (None, {"code": "batch_expired", "message": "overloaded: expired"}),
    ({"status_code": 400, "request_id": "v", "body": None}, {"error": SAID}),
    ({"status_code": 400, "request_id": "v", "body": None}, {"object": "error", **SAID}),
    ({"status_code": 400, "request_id": "v", "body": None}, "overloaded"),
]


def failed(request, said=FAILURES[0]):
    """How services say that a request failed: OpenAI's two ways, then vLLM's of three versions."""
    response, error = said
    return json.dumps({"custom_id": request["custom_id"], "response": response, "error": error})


def put(name, lines):
    """A result file; packed where its name says so."""
    path = Path("jobs/results") / name
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def answer_all(name="all.jsonl"):
    put(name, [good(request) for asked in waiting().values() for request in asked])


def tree(folder):
    """A build, but for what its run cost."""
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.name != "run.json"}


def kept(home):
    """The journal without its clock."""
    with sqlite3.connect(home / "journal.sqlite") as base:
        columns = "key, model, text, finish, prompt_tokens, completion_tokens"
        return sorted(base.execute(f"select {columns} from replies"))


@pytest.fixture
def live(tmp_path, monkeypatch):
    """What the same compile makes with an endpoint: the build and the journal."""

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.reply({"data": [{"id": MODEL}]})

        def do_POST(self):
            self.reply(complete(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def reply(self, value):
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with monkeypatch.context() as patch:
        patch.setenv("TRIVIUM_HOME", str(tmp_path / "live-home"))
        built, output = compile("live", f"http://127.0.0.1:{server.server_port}/v1#{MODEL}")
    server.shutdown()
    assert built, output
    return tree("live"), kept(tmp_path / "live-home")


def test_wave_after_wave_a_batch_makes_what_an_endpoint_makes(live, home, draw):
    """Results come shuffled, packed, twice, with failures, gaps and rubbish."""
    sent, expected, waves, seen = Counter(), Counter(), 0, ""
    while True:
        built, output = compile()
        seen += output
        if built:
            break
        assert "error[R406]" in output
        waves += 1
        lines, late, lost = [], [], 0
        for asked in waiting().values():
            for number, request in enumerate(asked):
                id = request["custom_id"]
                sent[id] += 1
                luck = draw.random() if number and not id.endswith("-3") else 1.0
                if luck < 0.1:
                    lost += 1
                elif luck < 0.3:
                    lines.append(failed(request, draw.choice(FAILURES)))
                else:
                    lines.append(good(request))
                if luck > 0.8:
                    late.append(good({**request, "body": {"messages": ["something else"]}}))
                    lines.append(failed(request))
        draw.shuffle(lines)
        half = draw.randrange(len(lines))
        put(f"{draw.random()}-{waves}.jsonl", lines[:half])
        put(f"{draw.random()}-{waves}.jsonl.gz", lines[half:])
        put(f"z{waves}.jsonl", [*late, '{"custom_id": "nobody", "response": null}'])
        expected["lost"] += lost
        expected["late"] += len(late)
    assert (tree("build"), kept(home)) == live
    assert set(sent.values()) == {1}, "an id was sent twice"
    assert expected["lost"] > 0 < expected["late"]
    assert any(id.endswith("-2") for id in sent)
    assert {id[:32] for id in sent} == {key for key, *_ in live[1]}
    assert "1 of requests that no file here asks" in seen
    assert not waiting()
    Path("jobs").rename("elsewhere")
    built, output = compile("again")
    assert built
    assert output.startswith("asked 0 questions")
    assert not waiting()


def test_what_waits_is_not_written_twice(home):
    built, output = compile()
    first = waiting()
    assert not built
    assert len(first["00001.jsonl"]) > 3
    assert f"{len(first['00001.jsonl'])} requests are not there yet" in output
    assert "jobs/requests/00001.jsonl" in output
    assert compile()[0] is False
    assert waiting() == first
    leaf = skill()
    leaf["seed_examples"][0]["question"] = "What rhymes with moon?"
    write(Path("taxonomy"), {SKILL: leaf})
    compile()
    second = waiting()
    assert list(second) == ["00001.jsonl", "00002.jsonl"]
    assert second["00001.jsonl"] == first["00001.jsonl"]
    ids = [request["custom_id"] for asked in second.values() for request in asked]
    assert len(ids) == len(set(ids))
    assert all("moon" in json.dumps(request) for request in second["00002.jsonl"])


def test_a_request_that_fails_three_times_is_a_failure_with_what_was_said(home):
    compile()
    unlucky = waiting()["00001.jsonl"][0]["custom_id"]
    for wave in range(30):
        put(
            f"{wave}.jsonl",
            [
                failed(request) if request["custom_id"].startswith(unlucky) else good(request)
                for asked in waiting().values()
                for request in asked
            ],
        )
        built, output = compile()
        if "R406" not in output:
            break
        assert "R402" not in output or wave > 1
    assert not built
    assert "error[R402]" in output
    assert "it failed in 3 batches; the last time: HTTP 500: overloaded" in output
    assert Path("build/manifest.json").exists()
    asked = [json.loads(x)["custom_id"] for p in Path("jobs/done").iterdir() for x in p.open()]
    assert sorted(id for id in asked if id.startswith(unlucky)) == [
        unlucky,
        f"{unlucky}-2",
        f"{unlucky}-3",
    ]


def test_broken_lines_are_named_with_their_file_and_their_place(home):
    compile()
    (asked,) = waiting().values()
    lines = [good(request) for request in asked]
    put("a.jsonl", ["{broken", *lines[1:], "[]", "", '{"custom_id": 3}'])
    put("b.jsonl", ["{}"] * 30)
    put("c.jsonl.gz", lines[:1])
    packed = Path("jobs/results/c.jsonl.gz")
    packed.write_bytes(packed.read_bytes()[:-12])
    put("notes.txt", ["no result file"])
    output = compile()[1]
    last = len(lines) + 3
    assert "warning[R411]" in output
    assert f"`jobs/results/a.jsonl`: 3 lines cannot be read: 1, {last - 2}, {last}" in output
    assert "the first: not JSON" in output
    assert "`jobs/results/b.jsonl`: 30 lines" in output
    assert "9, 10 and 20 more; the first: no `custom_id`" in output
    assert "`jobs/results/c.jsonl.gz`: 1 line cannot be read: " in output
    assert "notes" not in output
    asked_again = [r["custom_id"] for asked in waiting().values() for r in asked]
    assert f"{asked[0]['custom_id']}-2" in asked_again


def killed(place, before):
    """Compiles in a process that is killed before or after its rename of that place, 1 or 2;
    whether it came so far.
    """
    rename, count = Path.rename, 0

    def kill(self, target):
        nonlocal count
        count += 1
        if before and count == place:
            os.kill(os.getpid(), signal.SIGKILL)
        made = rename(self, target)
        if count == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    child = os.fork()
    if child == 0:
        try:
            Path.rename = kill
            compile()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_around_a_rename_nothing_is_lost_and_nothing_sent_twice(before, live, home, draw):
    """The renames are those of a new file of requests, and of one whose results are there."""
    sent, kills = Counter(), 0
    for wave in range(20):
        kills += sum(killed(place, before) for place in draw.sample((1, 2), 2))
        if compile()[0]:
            break
        for asked in waiting().values():
            sent.update(request["custom_id"] for request in asked)
        answer_all(f"{wave}.jsonl")
    assert kills >= 3
    assert set(sent.values()) == {1}
    assert set(sent) == {key for key, *_ in live[1]}
    assert (tree("build"), kept(home)) == live


def test_results_alone_make_a_lost_journal_anew(live, home):
    while not compile()[0]:
        answer_all(f"{time.monotonic()}.jsonl")
    (home / "journal.sqlite").unlink()
    for path in Path("jobs/done").iterdir():
        path.unlink()
    assert compile("again")[0]
    assert not waiting()
    assert (tree("again"), kept(home)) == live


def test_a_judge_may_use_the_same_folder():
    Path("taxonomy/curriculum.yaml").write_text(
        "samples_per_leaf: 5\njudge: {kind: batch, folder: jobs, model: judge}\n"
    )
    for wave in range(20):
        if compile()[0]:
            break
        for asked in waiting().values():
            assert len({request["body"]["model"] for request in asked}) == 1
        answer_all(f"{wave}.jsonl")
    manifest = json.loads(Path("build/manifest.json").read_text())
    assert "judge" in json.dumps(manifest)


def request(number, text="Hello?"):
    return Request((Message("user", f"{text} {number}"),), Sampling())


def asking(folder, numbers, limits=None, **more):
    """What a batch teacher says to requests, and what it told meanwhile."""
    told = []

    async def run():
        spec = TeacherSpec("batch", folder=str(folder), model=MODEL, **more)
        teacher = Batch(spec, told.append, Report(), *([limits] if limits else []))
        assert await teacher.open() is None
        try:
            return [await teacher.ask(request(number)) for number in numbers]
        finally:
            await teacher.close()

    return asyncio.run(run()), told


def test_a_file_holds_no_more_than_its_limits(draw):
    count = draw.randrange(20, 40)
    replies, told = asking("jobs", range(count), Limits(requests=7))
    assert {reply.code for reply in replies} == {R406}
    files = waiting()
    assert [len(asked) for asked in files.values()][:-1] == [7] * (count // 7 - (count % 7 == 0))
    assert sum(map(len, files.values())) == count
    assert told == [
        f"wrote {count} requests to `jobs/requests/00001.jsonl` and {len(files) - 1} files more"
    ]
    most = max(len(line) for path in Path("jobs/requests").iterdir() for line in path.open())
    asking("small", range(count), Limits(bytes=3 * most))
    sizes = [path.stat().st_size for path in Path("small/requests").iterdir()]
    assert max(sizes) <= 3 * most
    assert len(sizes) >= count // 3


def test_a_line_is_what_services_read():
    asking("jobs", ["\u2028 \x85 \N{SNOWMAN}"], extra={"service_tier": "flex"})
    (path,) = Path("jobs/requests").iterdir()
    (line,) = path.read_text().splitlines()
    value = json.loads(line)
    assert list(value) == ["custom_id", "method", "url", "body"]
    assert (value["method"], value["url"]) == ("POST", "/v1/chat/completions")
    assert (value["body"]["model"], value["body"]["service_tier"]) == (MODEL, "flex")
    assert value["body"]["messages"][0]["content"] == "Hello? \u2028 \x85 \N{SNOWMAN}"


@pytest.mark.parametrize("said", FAILURES)
def test_every_service_s_failure_is_understood(said):
    result = read_result(failed({"custom_id": "x"}, said).encode())
    assert result.id == "x"
    assert result.reply.code is R402
    assert "overloaded" in result.reply.detail


def test_an_answer_in_a_file_is_read_as_one_from_an_endpoint():
    body = complete({"messages": []})
    likely = [{"token": "3", "logprob": -0.5}, {"token": "1", "logprob": -1.5}]
    body["choices"][0]["logprobs"] = {"content": [{**likely[0], "top_logprobs": likely}]}
    line = {"custom_id": "x", "response": {"status_code": 200, "body": body}, "error": None}
    reply = read_result(json.dumps(line).encode()).reply
    assert reply == read(body)
    assert list(reply.odds) == ["3", "1"]
    line["response"]["body"] = {"choices": []}
    assert read_result(json.dumps(line).encode()).reply.code is R403


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"custom_id": 1}', b"\xff", b"[" * 10**5, b"3"])
def test_what_is_no_result_is_refused(line):
    with pytest.raises(ValueError, match=r"\w"):
        read_result(line)


def test_a_second_compile_in_the_folder_waits_for_the_first():
    script = (
        "import asyncio, sys\n"
        "from compiler.curriculum import TeacherSpec\n"
        "from compiler.diagnostics import Report\n"
        "from compiler.teacher.batch import Batch\n"
        "async def run():\n"
        "    teacher = Batch(TeacherSpec('batch', folder='jobs', model='m'), print, Report())\n"
        "    await teacher.open()\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    await teacher.close()\n"
        "asyncio.run(run())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TAXONOMY.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes) as first:
        assert first.stdout.readline() == "open\n"
        told, ends = [], threading.Timer(0.3, first.stdin.close)
        ends.start()
        start = time.monotonic()
        _, told = asking("jobs", [1])
        assert time.monotonic() - start > 0.25
    assert told[0] == "another compile works in `jobs`: waiting for its end"
    assert len(waiting()) == 1


FAKE = f"""#!{sys.executable}
import json, os, signal, sys, time
sys.path.insert(0, {str(TAXONOMY.parent)!r})
if sys.argv[1] != "-m":
    print(json.dumps({{"version": "0.32.0+cpu", "files": {{}}}}))
    sys.exit()
from tests.test_batch import complete, failed, good
words = dict(zip(sys.argv[3::], sys.argv[4::]))
assert sys.argv[2] == "vllm.entrypoints.openai.run_batch"
assert words["--served-model-name"] == "mock"
with open(words["-i"]) as asked, open(words["-o"], "w") as answered:
    for number, line in enumerate(asked):
        if "die" in os.environ and number == int(os.environ["die"]):
            answered.flush()
            sys.exit("ValueError: the engine is dead")
        request = json.loads(line)
        answered.write((good if request["body"]["model"] == "mock" else failed)(request) + "\\n")
"""


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """A stand-in for the Python that has vLLM."""
    path = tmp_path / "python"
    path.write_text(FAKE)
    path.chmod(0o755)
    monkeypatch.setenv("TRIVIUM_VLLM_PYTHON", str(path))
    return path


def test_a_runner_on_this_machine_makes_what_an_endpoint_makes(live, home, runner, monkeypatch):
    """And what the first answered before it died is not asked again."""
    monkeypatch.setenv("die", "3")
    built, output = compile(teacher=f"run-batch:{MODEL}")
    assert not built
    assert "error[R407]" in output
    assert "ValueError: the engine is dead" in output
    assert output.count("vllm: wave ") == 1
    assert len(kept(home)) == 3
    monkeypatch.delenv("die")
    built, output = compile(teacher=f"run-batch:{MODEL}")
    assert built, output
    waves = [line.split()[2:5:2] for line in output.splitlines() if line.startswith("vllm: wave ")]
    assert [number for number, _ in waves] == ["1", "2", "3", "4"]
    assert sum(int(requests) for _, requests in waves) == len(kept(home)) - 3
    assert (tree("build"), kept(home)) == live
    assert not list(home.glob("run-batch-*"))


def test_a_runner_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setenv("TRIVIUM_VLLM_PYTHON", "/nowhere/python")
    built, output = compile(teacher=f"run-batch:{MODEL}")
    assert not built
    assert "error[R407]" in output
    assert "`/nowhere/python` cannot be run" in output
