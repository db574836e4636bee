"""Runs: stages in order, each from the one before; a crash costs what came after a checkpoint."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compiler.diagnostics import Report
from training import machine, run
from training import recipe as recipes
from training.recipe import Lora, Named

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from training.cli import main; main()", "train"]


def weights(folder):
    from safetensors.torch import load_file

    found = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        found |= load_file(file)
    return found


def distance(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


def test_stages_and_their_account(trained, build, tiny):
    record = json.loads((trained / "run.json").read_text())
    assert record["fingerprint"] == build.fingerprint
    assert [stage["stage"] for stage in record["stages"]] == ["phase1", "phase2", "control"]
    for stage in record["stages"]:
        lines = (trained / stage["stage"] / "log.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        assert len(lines) == last["step"] == stage["steps"] > 2
        assert last["tokens"] == stage["tokens"]
        assert set(last) == {"step", "loss", "tokens", "taught", "lr", "seconds"}
        assert stage["why"] == "epochs"
        assert stage["done"]
    taken = {stage["stage"]: stage["samples"]["in"] for stage in record["stages"]}
    assert taken["control"] == 40 < taken["phase2"]
    assert distance(trained / "base", trained / "phase1") > 1e-3
    assert not (trained / "work").exists()


def test_a_stage_is_a_plain_hugging_face_folder(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(trained / "phase2")
    tokenizer = AutoTokenizer.from_pretrained(trained / "phase2")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.config.vocab_size == len(tokenizer)


def test_phase_2_starts_from_phase_1(build, tiny, train_on):
    frozen = replace(tiny.phases[1], learning_rate=1e-12)
    out = train_on(build, tiny, phases=(tiny.phases[0], frozen), control=True)
    assert distance(out / "phase1", out / "base") > 1e-3
    assert distance(out / "phase2", out / "phase1") < 1e-6
    assert distance(out / "control", out / "phase1") < 1e-6


def test_fresh_weights_depend_on_the_seed_only(build, tiny, trained, train_on):
    assert distance(train_on(build, tiny, seed=0) / "base", trained / "base") == 0
    assert distance(train_on(build, tiny, seed=1) / "base", trained / "base") > 1e-3


@pytest.mark.parametrize("embeddings", [False, True])
def test_lora_goes_on_with_the_same_adapter(build, tiny, trained, train_on, embeddings):
    import torch

    from training import student

    lora = Lora(4, 8, embeddings=embeddings)
    frozen = replace(tiny.phases[1], learning_rate=1e-12)
    phases = (tiny.phases[0], frozen)
    named = Named(str(trained / "base"))
    before = weights(trained / "base")
    out = train_on(build, tiny, student=named, lora=lora, phases=phases, merge=True)
    assert not (out / "base").exists()
    assert (out / "phase2" / "adapter_config.json").is_file()
    assert any("lora_B" in n and w.abs().max() > 1e-4 for n, w in weights(out / "phase1").items())
    assert distance(out / "phase2", out / "phase1") < 1e-6
    after = weights(trained / "base")
    assert all(torch.equal(before[name], after[name]) for name in before)

    found = run.find(out, Report())
    assert found.where("base") == str(trained / "base")
    adapted = student.load_model(found.where("phase2"), Report(), base=found.base).eval()
    merged = student.load_model(str(out / "merged"), Report()).eval()
    ids = torch.arange(20, 50)[None]
    with torch.inference_mode():
        assert torch.allclose(adapted(ids).logits, merged(ids).logits, atol=1e-4)


def test_stop_at_a_loss_and_at_a_time(build, tiny, train_on):
    low = replace(tiny.phases[0], stop_at_loss=100.0)
    late = replace(tiny.phases[1], max_seconds=1e-6)
    out = train_on(build, tiny, phases=(low, late))
    first, second = json.loads((out / "run.json").read_text())["stages"]
    assert first["why"] == "loss"
    assert second["why"] == "time"
    assert second["steps"] == 1


def test_another_build_or_recipe_is_refused(build, tiny, trained):
    report = Report()
    other = replace(build, fingerprint="other")
    assert not run.open_run(trained, other, replace(tiny, control=True), False, report)
    assert not run.open_run(trained, build, replace(tiny, seed=9), False, report)
    assert [d.message.rpartition(" a run of ")[2] for d in report.diagnostics] == [
        "another build",
        "another recipe",
    ]
    assert {d.code.id for d in report.diagnostics} == {"F608"}
    assert run.open_run(trained, build, replace(tiny, control=True, threads=2), False, Report())


def listing(folder):
    return {p.relative_to(folder): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "name", ["work/thesis.txt", "base/x", "phase1/x", "evaluation.json", "run.json"]
)
def test_what_is_not_ours_is_refused_and_stays(build, tiny, tmp_path, name, fresh):
    out = tmp_path / "mine"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text('{"name": "my run"}')
    before, report = listing(out), Report()
    assert not run.open_run(out, build, tiny, fresh, report)
    assert [d.code.id for d in report.diagnostics] == ["F612"]
    assert name.partition("/")[0] in report.diagnostics[0].message
    assert listing(out) == before


def test_what_is_not_ours_but_not_in_the_way_stays(build, tiny, tmp_path):
    """The control of the test above: only the names that a run uses are refused."""
    (tmp_path / "works").mkdir()
    assert run.open_run(tmp_path, build, tiny, False, Report())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "seen.txt", "works"]


def test_fresh_takes_no_folder_that_the_earlier_run_did_not_make(build, tiny, tmp_path):
    assert run.open_run(tmp_path, build, tiny, False, Report())
    (tmp_path / "notes").mkdir()
    other = replace(tiny, phases=(replace(tiny.phases[0], name="notes"),))
    report = Report()
    assert not run.open_run(tmp_path, build, other, True, report)
    assert "`notes`" in report.diagnostics[0].message
    (tmp_path / "notes").rmdir()
    (tmp_path / "phase1").mkdir()
    assert run.open_run(tmp_path, build, other, True, Report())
    assert not (tmp_path / "phase1").exists()


def test_to_ask_what_is_different_changes_nothing(build, tiny, tmp_path):
    assert run.difference(tmp_path, build, tiny) == ""
    assert run.open_run(tmp_path, build, tiny, False, Report())
    (tmp_path / "base").mkdir()
    before = listing(tmp_path)
    assert run.difference(tmp_path, build, tiny) == ""
    assert run.difference(tmp_path, build, replace(tiny, seed=9)) == "another recipe"
    assert run.difference(tmp_path, replace(build, fingerprint="x"), tiny) == "another build"
    assert listing(tmp_path) == before


BROKEN = [
    "",
    "[]",
    "{",
    "\\",
    '{"fingerprint": "x", "recipe": {}, "stages": [{"stage": "phase1"}]}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_record_is_no_student(tmp_path, text):
    (tmp_path / "phase1").mkdir()
    (tmp_path / "run.json").write_text(text)
    report = Report()
    assert run.find(tmp_path, report) is None
    assert [d.code.id for d in report.diagnostics] == ["E701"]
    assert "is not the record of a run" in report.diagnostics[0].message


def test_fresh_starts_over(build, tiny, train_on):
    out = train_on(build, tiny, phases=tiny.phases[:1])
    (out / "mine.txt").write_text("kept")
    assert run.open_run(out, build, replace(tiny, seed=9), True, Report())
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "run.json", "seen.txt"]


SLOW = """\
student: {kind: embedded, layers: 1, hidden: 32, heads: 2, vocabulary: 400}
method: full
max_length: 64
threads: 1
checkpoint_seconds: 0.2
phases:
  - {name: phase1, data: phase1, learning_rate: 0.003, epochs: 60, accumulation: 2}
"""


@pytest.mark.slow
def test_killed_and_interrupted_runs_go_on(build, build_folder, tmp_path, train_on):
    """kill -9, then Ctrl-C, then to the end: the same steps and losses as in one go."""
    recipe = tmp_path / "slow.yaml"
    recipe.write_text(SLOW)
    out = tmp_path / "student"
    options = ["--data", str(build_folder), "--recipe", str(recipe)]
    log = out / "work" / "phase1" / "log.jsonl"

    def start(folder):
        command = [*COMMAND, *options, "--out", str(folder)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def steps():
        return log.read_text().count("\n") if log.exists() else 0

    def wait_for(condition, process):
        end = time.monotonic() + 60
        while not condition():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.02)

    first = start(out)
    wait_for(lambda: list(out.glob("work/phase1/checkpoint-*/trivium.json")), first)
    at = steps()
    wait_for(lambda: steps() > at + 5, first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    killed = log.read_text().splitlines()
    assert not (out / "phase1").exists()

    second = start(out)
    wait_for(lambda: steps() > len(killed) + 5, second)
    second.send_signal(signal.SIGINT)
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 130, said
    assert said.endswith("stopped; run the same command again to go on\n")
    stopped = log.read_text().splitlines()

    third = start(out)
    said = third.communicate(timeout=60)[1]
    assert third.returncode == 0, said
    done = (out / "phase1" / "log.jsonl").read_text().splitlines()
    assert done[: len(stopped)] == stopped  # Ctrl-C lost nothing
    kept = next(i for i, (a, b) in enumerate(zip(killed, done, strict=False)) if a != b)
    assert 0 < kept < len(killed)  # kill -9 lost what came after the checkpoint
    whole = train_on(build, recipes.read(str(recipe), Report()))
    one_go = (whole / "phase1" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in done] == list(range(1, len(one_go) + 1))
    for part in ("loss", "tokens", "lr"):
        assert [json.loads(line)[part] for line in done] == pytest.approx(
            [json.loads(line)[part] for line in one_go], rel=1e-3
        )


def test_half_a_folder_is_no_stage(build, tiny, train_on):
    """What a crash leaves: an unfinished copy, and a checkpoint without its mark."""
    out = train_on(build, tiny, phases=tiny.phases[:1])
    (out / "phase1").rename(out / ".phase1.part")
    (out / ".phase1.part" / "stage.json").unlink()
    (out / "work" / "phase1" / "checkpoint-99").mkdir(parents=True)
    train_on(build, tiny, out, phases=tiny.phases[:1])
    assert (out / "phase1" / "stage.json").is_file()
    assert not (out / ".phase1.part").exists()


def test_two_commands_do_not_train_in_one_folder(build, tiny, tmp_path):
    report = Report()
    assert run.open_run(tmp_path, build, tiny, False, report)
    with machine.alone(tmp_path) as free:
        assert free
        assert not run.train(build, tiny, tmp_path, report, Console(quiet=True))
        assert not run.open_run(tmp_path, build, tiny, True, report)
    assert {one.code.id for one in report.diagnostics} == {"F623"}
    assert (tmp_path / "run.json").is_file()
    assert run.open_run(tmp_path, build, tiny, True, Report())
