"""`trivium serve`: merges where it must, starts a vLLM, says where it is, and leaves none behind.

A program of the standard library stands in for vLLM. The real one is in
`tests/real/test_vllm_serve.py`.
"""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml
from typer.testing import CliRunner

from tests import test_managed
from tests.test_managed import gone, pids
from training import export
from training.cli import app
from training.recipe import Lora, Named

stand_in = test_managed.stand_in
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def adapted(build, tiny, trained, train_on):
    named = Named(str(trained / "base"))
    return train_on(build, tiny, student=named, lora=Lora(2, 4))


def call(*words):
    return CliRunner().invoke(app, ["serve", "--port", "0", *map(str, words)])


def test_it_serves_until_ctrl_c_and_leaves_nothing(trained, stand_in):
    command = [sys.executable, "-c", "from training.cli import main; main()", "serve"]
    serving = subprocess.Popen(
        [*command, "--student", str(trained), "--port", "0", "--", "--max-num-seqs", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        head, curl, _, teacher = (serving.stdout.readline().strip() for _ in range(4))
        name, url = re.fullmatch(
            r"(phase2@\w{8}) answers at (http\S+/v1); Ctrl-C .*", head
        ).groups()
        assert yaml.safe_load(teacher) == {"teacher": {"kind": "openai", "url": url, "model": name}}
        words = shlex.split(curl)
        assert words[:2] == ["curl", f"{url}/chat/completions"]
        assert json.loads(words[-1])["model"] == name
        with build_opener(ProxyHandler({})).open(f"{url}/models") as answer:
            assert json.load(answer)["data"][0]["id"] == name
        family = pids(stand_in)
        given = Path(f"/proc/{family[0]}/cmdline").read_text().split("\0")
        assert given[given.index("--model") + 1] == str(trained / "phase2")
        assert given[given.index("--max-num-seqs") + 1] == "4"
    finally:
        serving.send_signal(signal.SIGINT)
    said = serving.communicate(timeout=20)[1]
    assert serving.returncode == 0, said
    assert [line.partition(" (")[0].partition(" after")[0] for line in said.splitlines()] == [
        f"vllm: starting {trained / 'phase2'}; its log is {stand_in.parent}/home/vllm/{name}.log",
        "vllm: ready",
        "stopped",
    ]
    assert gone(family)


def test_adapters_are_merged_once_and_again_when_they_change(adapted, monkeypatch):
    from safetensors.torch import load_file, save_file

    monkeypatch.setenv("STAND_IN", "broken")
    done = call("--student", adapted)
    assert done.exit_code == 1
    assert f"merging phase2 into {adapted / 'merged'}\n" in done.stderr
    assert "error[R407] vllm-failed: vLLM ended with status 1; ValueError: the head" in done.stderr
    assert f"vllm: starting {adapted / 'merged'};" in done.stderr
    assert "merging" not in call("--student", adapted).stderr

    assert (
        f"into {adapted / 'merged-phase1'}\n"
        in call("--student", adapted, "--stage", "phase1").stderr
    )
    weights = adapted / "phase1" / "adapter_model.safetensors"
    save_file({name: 2 * w for name, w in load_file(weights).items()}, weights)
    assert "merging" not in call("--student", adapted).stderr, "the control"
    assert "merging" in call("--student", adapted, "--stage", "phase1").stderr


def test_an_export_is_served_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN", "broken")
    place = tmp_path / "small"
    place.mkdir()
    (place / export.RECORD).write_text('{"to": "int8"}')
    (place / "config.json").write_text("{}")
    assert f"vllm: starting {place};" in call("--student", place).stderr
    (place / export.RECORD).write_text('{"to": "gguf"}')
    assert call("--student", place).exit_code == 2


def test_a_port_that_is_taken_is_said_before_anything_starts(trained, stand_in):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = call("--student", trained, "--port", port)
    assert done.exit_code == 2
    assert f"port {port} of 127.0.0.1" in done.stderr
    assert pids(stand_in) == []


def test_without_a_vllm_it_says_how_to_get_one(trained, monkeypatch):
    monkeypatch.setattr("training.commands.serve.find_python", lambda: "")
    done = call("--student", trained)
    assert done.exit_code == 1
    assert "error[R407] vllm-failed: vLLM is not installed" in done.stderr
    assert "pip install 'trivium[vllm]'" in done.stderr


def test_mistakes(trained, tmp_path):
    done = call("--student", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert "error[E701]" in done.stderr
    assert call("--student", trained, "--stage", "phase9").exit_code == 2
