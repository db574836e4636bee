"""A vLLM of our own: when it starts, what it is started with, and that nothing of it is left.

A program of the standard library stands in for vLLM: it answers as vLLM does, and has a process
beside it as vLLM has its engine. The real one is in `tests/real/test_vllm.py`.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler.curriculum import TeacherSpec
from compiler.pipeline import Sampling
from compiler.prompt import Message
from compiler.teacher import Failure, Reply, Request
from compiler.teacher.flags import Seen, command, gpus, gpus_needed, look, served_name, surroundings
from compiler.teacher.managed import Managed
from tests.conftest import SEED

REQUEST = Request((Message("user", "Hello?"),), Sampling())
STAND_IN = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

mode = os.environ.get("STAND_IN", "")
engine = subprocess.Popen(["sleep", "1000"])
with open(os.environ["STAND_IN_PIDS"], "a") as file:
    print(os.getpid(), engine.pid, file=file, flush=True)
value = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("(Worker pid=7) INFO 01-01 00:00:00 [runner.py:68] Starting to load model x...", flush=True)
if mode == "broken":
    print("(Worker pid=7) ERROR 01-01 00:00:00 [core.py:1] ValueError: the head is off")
    sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
if mode == "slow":
    time.sleep(1000)

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        model = {"id": sys.argv[sys.argv.index("--served-model-name") + 1], "owned_by": "vllm"}
        self.say({"data": [model]} if "models" in self.path else {})

    def do_POST(self):
        if mode == "dies":
            os._exit(3)
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"message": {"content": "Hi."}, "finish_reason": "stop"}
        self.say({"choices": [message]})

    def say(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass

port = int(sys.argv[sys.argv.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""
ASK = """
import asyncio, os, sys
from pathlib import Path
from compiler.curriculum import TeacherSpec
from compiler.teacher.managed import Managed
from tests.test_managed import REQUEST, pids

async def run():
    teacher = Managed(TeacherSpec("vllm", model="m"), Path(), lambda text: None)
    try:
        assert await teacher.open() is None
        if sys.argv[1] == "serving":
            await teacher.ask(REQUEST)
        asking = asyncio.create_task(teacher.ask(REQUEST))
        while not pids(Path(os.environ["STAND_IN_PIDS"])):
            await asyncio.sleep(0.05)
        print("now", flush=True)
        await asyncio.sleep(100)
    finally:
        await teacher.close()
asyncio.run(run())
"""


@pytest.fixture(autouse=True)
def stand_in(tmp_path, monkeypatch):
    """Puts the stand-in where `import vllm` finds it, in the Python of the tests."""
    package = tmp_path / "site" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text(STAND_IN)
    (tmp_path / "site" / "vllm" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("TRIVIUM_VLLM_PYTHON", sys.executable)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STAND_IN_PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "pids"


def made(say=lambda text: None, **more):
    return Managed(TeacherSpec("vllm", model="m", **more), Path(), say)


def pids(file):
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(found, seconds=5.0):
    """Waits until none of the processes lives; False where one still does."""
    until = time.monotonic() + seconds
    while any(map(lives, found)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(lives, found))


def test_it_starts_at_the_first_question_and_leaves_nothing_behind(stand_in, tmp_path):
    said = []

    async def run():
        teacher = made(said.append)
        try:
            assert await teacher.open() is None
            before = pids(stand_in)
            replies = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(3)))
            port = teacher._server.port
            alive = [lives(pid) for pid in pids(stand_in)]
        finally:
            await teacher.close()
        return before, replies, port, alive

    before, replies, port, alive = asyncio.run(run())
    assert before == []
    assert [reply.text for reply in replies] == ["Hi."] * 3
    assert alive == [True, True], "one server, and its engine"
    assert not any(map(lives, pids(stand_in)))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    log = tmp_path / "home" / "vllm" / "m.log"
    assert "Starting to load model" in log.read_text()
    assert said[0] == f"vllm: starting m; its log is {log}"
    assert said[-1].startswith("vllm: ready after ")


def test_who_asks_nothing_starts_nothing(stand_in):
    async def run():
        teacher = made()
        failure = await teacher.open()
        await teacher.close()
        return failure

    assert asyncio.run(run()) is None
    assert pids(stand_in) == []


@pytest.mark.parametrize("when", ["slow", "serving"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_we_end_the_server_ends_too(stand_in, when, how):
    asking = subprocess.Popen(
        [sys.executable, "-c", ASK, when],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "STAND_IN": when},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert asking.stdout.readline() == b"now\n"
        found = pids(stand_in)
        assert [lives(pid) for pid in found] == [True, True]
    finally:
        os.killpg(asking.pid, how)
        asking.wait(10)
    assert gone(found)


def test_without_the_leash_a_killed_server_leaves_its_engine(stand_in):
    """The control: a signal at the server alone does not reach what it started."""
    words = command(sys.executable, TeacherSpec("vllm", model="m"), "m", Seen(), 0)
    server = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
    server.stdout.readline()
    server.kill()
    server.wait()
    _, engine = pids(stand_in)
    assert lives(engine)
    os.kill(engine, signal.SIGKILL)


def test_a_killed_leash_does_not_leave_the_server(stand_in):
    async def run():
        teacher = made()
        try:
            await teacher.open()
            await teacher.ask(REQUEST)
            teacher._server._process.kill()
            server, engine = pids(stand_in)
            return gone([server]), engine
        finally:
            await teacher.close()

    ended, engine = asyncio.run(run())
    assert ended
    if lives(engine):  # vLLM ends its engine when it is asked to end; the stand-in does not
        os.kill(engine, signal.SIGKILL)


def test_a_server_that_does_not_start_is_said_once_with_its_cause(stand_in, monkeypatch):
    monkeypatch.setenv("STAND_IN", "broken")

    async def run():
        teacher = made()
        try:
            await teacher.open()
            return await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(3)))
        finally:
            await teacher.close()

    failures = asyncio.run(run())
    assert len(set(failures)) == 1
    assert failures[0].code.id == "R407"
    assert failures[0].detail.startswith(
        "vLLM ended with status 1; ValueError: the head is off; RuntimeError: Engine core"
    )
    assert len(pids(stand_in)) == 2, "it was started once"
    assert gone(pids(stand_in))


def test_a_server_that_dies_fails_what_was_asked_and_what_comes_after(stand_in, monkeypatch):
    monkeypatch.setenv("STAND_IN", "dies")

    async def run():
        teacher = made()
        try:
            await teacher.open()
            first = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(3)))
            return [*first, await teacher.ask(REQUEST)]
        finally:
            await teacher.close()

    failures = asyncio.run(run())
    assert {failure.code.id for failure in failures} == {"R407"}
    assert "status 3" in failures[0].detail
    assert gone(pids(stand_in))


def test_the_port_is_kept_until_the_server_has_it(stand_in, monkeypatch):
    monkeypatch.setenv("STAND_IN", "slow")

    async def run():
        teacher = made()
        try:
            await teacher.open()
            asking = asyncio.create_task(teacher.ask(REQUEST))
            while not pids(stand_in):
                await asyncio.sleep(0.05)
            with socket.socket() as other, pytest.raises(OSError):
                other.bind(("127.0.0.1", teacher._server.port))
            asking.cancel()
        finally:
            await teacher.close()

    asyncio.run(run())
    assert gone(pids(stand_in))


def refusal(teacher):
    failure = asyncio.run(teacher.open())
    assert isinstance(failure, Failure)
    assert failure.code.id == "R407"
    return failure.detail


def test_where_no_vllm_is_installed(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH")
    assert "has no vLLM: install it with `pip install 'trivium[vllm]'`" in refusal(made())
    monkeypatch.delenv("TRIVIUM_VLLM_PYTHON")
    assert "vLLM is not installed: " in refusal(made())
    monkeypatch.setenv("TRIVIUM_VLLM_PYTHON", str(tmp_path / "none"))
    assert "cannot be run: No such file" in refusal(made())


def test_a_folder_that_is_not_there():
    teacher = Managed(TeacherSpec("vllm", model="./none"), Path(), print)
    assert refusal(teacher) == "there is no folder `./none`"


def test_a_package_in_the_current_folder_is_not_taken_for_vllm(monkeypatch, tmp_path):
    """The current folder may be a taxonomy, which strangers write; the control does take it."""
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.chdir(tmp_path / "site")
    assert subprocess.run([sys.executable, "-c", "import vllm"]).returncode == 0
    assert "has no vLLM" in refusal(made())


@pytest.fixture
def model(tmp_path):
    draw = random.Random(os.environ[SEED])
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"num_attention_heads": 12, "max_position_embeddings": 8192}'
    )
    (folder / "model.safetensors").write_bytes(draw.randbytes(100_000))
    (folder / "README.md").write_text("A model.")
    return folder


def test_a_folder_is_named_by_what_is_in_it(model, tmp_path):
    name = served_name(str(model), ())
    assert name.startswith("small@")
    assert len(name) == len("small@") + 8
    (model / "README.md").write_text("Another word.")
    moved = tmp_path / "elsewhere" / "small"
    shutil.copytree(model, moved)
    assert served_name(str(moved), ()) == name
    draw = random.Random(os.environ[SEED] + "x")
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[draw.randrange(len(weights))] ^= 1 << draw.randrange(8)
    (model / "model.safetensors").write_bytes(weights)
    changed = served_name(str(model), ())
    assert changed != name
    (model / "config.json").write_text("{}")
    assert served_name(str(model), ()) not in (name, changed)


def test_flags_that_change_what_is_said_change_the_name(model):
    assert served_name("org/m", ()) == "org/m"
    for placing in (["--enforce-eager"], ["-tp", "2"], ["--max_num_seqs=8", "--block-size", "32"]):
        assert served_name("org/m", placing) == "org/m"
        assert served_name(str(model), placing) == served_name(str(model), ())
    spoken = {
        served_name("org/m", args)
        for args in (["--quantization", "fp8"], ["--quantization", "awq"], ["--revision=v1"])
    }
    assert len(spoken) == 3
    assert all(name.startswith("org/m@") for name in spoken)


def words_of(seen, model="m", **more):
    return command("python", TeacherSpec("vllm", model=model, **more), "name", seen, 1)


def flag(words, name):
    return words[words.index(name) + 1] if name in words else None


def test_the_length_is_set_where_the_model_allows_more(model, monkeypatch):
    monkeypatch.setattr("compiler.teacher.flags.gpus", list)
    seen = asyncio.run(look(sys.executable, str(model)))
    assert seen == Seen(cpu=False, longest=8192, heads=12, weights=100_000)
    assert flag(words_of(seen, context=4096), "--max-model-len") == "4096"
    assert flag(words_of(seen, context=8192), "--max-model-len") is None
    assert flag(words_of(Seen(), context=8192), "--max-model-len") is None


def test_the_users_flags_come_after_ours_and_before_what_nobody_may_change():
    words = words_of(Seen(longest=9999), args=("--max-model-len", "7", "--port", "2"))
    lengths = [words[i + 1] for i, word in enumerate(words) if word == "--max-model-len"]
    ports = [words[i + 1] for i, word in enumerate(words) if word == "--port"]
    assert lengths == ["4096", "7"]
    assert ports == ["2", "1"]


@pytest.mark.parametrize("cpuinfo, wanted", [("flags: avx2", "float32"), ("avx512_bf16", None)])
def test_a_cpu_without_bfloat16_computes_in_float32(cpuinfo, wanted, monkeypatch):
    real = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *more: cpuinfo if str(path) == "/proc/cpuinfo" else real(path, *more),
    )
    assert flag(words_of(Seen(cpu=True)), "--dtype") == wanted
    assert flag(words_of(Seen(cpu=False)), "--dtype") is None


def test_a_cpu_gives_some_of_its_free_memory_to_the_cache(monkeypatch):
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert int(surroundings(Seen(cpu=True))["VLLM_CPU_KVCACHE_SPACE"]) >= 1
    assert "VLLM_CPU_KVCACHE_SPACE" not in surroundings(Seen())
    assert "VLLM_API_KEY" not in surroundings(Seen())
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    assert surroundings(Seen(cpu=True))["VLLM_CPU_KVCACHE_SPACE"] == "3"


def test_as_many_gpus_as_the_weights_need():
    eighty = [80 * 2**30] * 8
    assert gpus_needed(Seen(weights=16 * 2**30, heads=32), eighty) == 1
    assert gpus_needed(Seen(weights=140 * 2**30, heads=64), eighty) == 4  # 3 does not divide 64
    assert gpus_needed(Seen(weights=140 * 2**30, heads=12), eighty) == 3
    assert gpus_needed(Seen(weights=900 * 2**30, heads=64), eighty) == 1  # the user has to say
    assert gpus_needed(Seen(), eighty) == gpus_needed(Seen(weights=1), []) == 1


def test_gpus_are_those_that_this_process_may_use(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '0, GPU-a, 81559'\necho '1, GPU-b, 81559'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == [81559 * 2**20] * 2
    big = Seen(weights=120 * 10**9, heads=64)
    assert flag(words_of(big), "--tensor-parallel-size") == "2"
    assert flag(words_of(Seen(weights=10**9, heads=64)), "--tensor-parallel-size") is None
    told = words_of(big, args=("--pipeline-parallel-size=2",))
    assert flag(told, "--tensor-parallel-size") is None
    for visible, many in (("1", 1), ("GPU-a", 1), ("0,1", 2), ("", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert len(gpus()) == many
    program.write_text("#!/bin/sh\nexit 9\n")
    assert gpus() == []


def test_a_reply_is_that_of_an_endpoint(stand_in):
    async def run():
        teacher = made()
        try:
            await teacher.open()
            return await teacher.ask(REQUEST)
        finally:
            await teacher.close()

    assert asyncio.run(run()) == Reply("Hi.")
