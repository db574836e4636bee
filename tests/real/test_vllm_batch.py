"""A real vLLM on the CPU answers a compile in waves, through its batch runner."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from compiler.resources import TAXONOMY
from tests.taxonomies import SKILL, skill, write
from tests.test_compile import tree, trivium

PIPELINE = {
    "version": 1,
    "about": "Choices alone, for a model of random weights says nothing else that can be read.",
    "takes": "freeform",
    "asks": 1,
    "stages": [
        {
            "do": "generate",
            "id": "tone",
            "prompt": "tone.j2",
            "reply": "choice",
            "sampling": {"max_tokens": 8},
            "writes": {"tone": ["plain", "formal"]},
        },
        {
            "do": "generate",
            "id": "rating",
            "prompt": "rating.j2",
            "judge": True,
            "reply": "choice",
            "sampling": {"max_tokens": 8, "temperature": 0},
            "writes": {"rating": [1, 2, 3]},
        },
        {"do": "say", "user": "{{ seed.question }} Be {{ tone }}.", "assistant": "Moon."},
    ],
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, vllm_python, small_model):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIVIUM_VLLM_PYTHON", str(vllm_python))
    monkeypatch.chdir(tmp_path)
    settings = {
        "samples_per_leaf": 4,
        "routes": [{"pipeline": "tones"}],
        "teacher": {"kind": "run-batch", "model": str(small_model), "args": ["--enforce-eager"]},
    }
    files = {
        "curriculum.yaml": yaml.safe_dump(settings).encode(),
        "pipelines/tones/pipeline.yaml": yaml.safe_dump(PIPELINE).encode(),
        "pipelines/tones/tone.j2": "How is this said: {{ seed.question }}",
        "pipelines/tones/rating.j2": "How {{ tone }} is this: {{ seed.question }}",
    }
    write(tmp_path / "taxonomy", {SKILL: skill(), **files})
    return tmp_path / "home"


def processes(model):
    """The ids of the processes whose command line names a model."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(model).encode() in place.read_bytes():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def test_a_whole_compile_in_two_waves(small_model, home):
    output = trivium("compile", "--out", "a")
    assert "vllm: wave 1 of 4 requests" in output
    assert "vllm: wave 2 of 4 requests" in output
    assert "wave 3" not in output
    assert not processes(small_model)
    assert not list(home.glob("run-batch-*"))
    manifest = json.loads(Path("a/manifest.json").read_text())
    books = {account["name"]: account for account in manifest["passes"]}
    assert (books["ask"]["kept"], books["expand"]["kept"]) == (4, 4)
    made = [json.loads(line) for line in Path("a/samples.jsonl").read_text().splitlines()]
    rated = [sample["scores"] for sample in made if sample["scores"]]
    assert rated
    assert all(0 < scores["rating_odds"] <= 1 for scores in rated)
    again = trivium("compile", "--out", "b")
    assert again.startswith("asked 0 questions")
    assert tree("a") == tree("b")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_vllm_ends_with_the_compile(how, small_model, home):
    environment = {**os.environ, "PYTHONPATH": str(TAXONOMY.parent)}
    command = [sys.executable, "-m", "compiler.cli", "compile", "--out", "a"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert "wave 1" in process.stderr.readline()
        assert "vllm: " in process.stderr.readline()
        assert processes(small_model)
        process.send_signal(how)
        process.stderr.read()
    patience = time.monotonic() + 30
    while processes(small_model) and time.monotonic() < patience:
        time.sleep(0.1)
    assert not processes(small_model)
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    if how is signal.SIGINT:
        assert not list(home.glob("run-batch-*"))


def test_a_model_that_cannot_be_loaded_is_said_once(home):
    Path("empty").mkdir()
    output = trivium("compile", "--teacher", "run-batch:empty", "--out", "a", code=1)
    assert "error[R407]" in output
    assert "wave 2" not in output
    assert not Path("a").exists()
