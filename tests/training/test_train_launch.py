"""Several processes train as one does: each sample once, and the same loss at every step."""

import json
import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from compiler.diagnostics import Report
from tests.training import test_train_preference as pairs
from tests.training.builds import TINY
from tests.training.killing import at, fork, status
from tests.training.test_train_resume import assert_same, lines
from tests.training.test_train_run import COMMAND, ROOT, distance
from training import launch, machine, run
from training import recipe as recipes
from training.recipe import Choose, Lora, Named

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", "0"))
judged, prefer, adapted = pairs.judged, pairs.prefer, pairs.adapted  # fixtures
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}


def together(work, count=2, first=lambda number: None, **variables):
    """The statuses of `count` processes that do the work together, as a launcher starts them."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    variables |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_PORT": port}
    variables |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}

    def begin(number):
        def doing():
            first(number)
            work()

        return fork(doing, RANK=str(number), LOCAL_RANK=str(number), **variables)

    return [status(child) for child in [begin(number) for number in range(count)]]


@pytest.fixture(scope="module")
def recipe(tiny):
    import training.phase
    import training.preference  # noqa: F401  what a copy of this process need not import again

    phases = tuple(replace(phase, choose=Choose(2)) for phase in tiny.phases)
    return replace(tiny, phases=phases, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def alone(build, recipe, train_on):
    return train_on(build, recipe)


@pytest.mark.parametrize("variables", [{}, SHARDED], ids=["ddp", "fsdp2"])
def test_two_processes_train_as_one(build, recipe, alone, train_on, tmp_path, variables):
    out = tmp_path / "out"
    assert together(lambda: train_on(build, recipe, out), **variables) == [0, 0]
    assert_same(out, alone, ("phase1", "phase2"))
    said = [json.loads((o / "phase1/stage.json").read_text())["processes"] for o in (out, alone)]
    assert said == [2, 1]
    trained = [one for line in lines(out / "phase1/order.jsonl") for one in line["samples"]]
    assert sorted(trained) == sorted(sample.id for sample in build.phase1)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others(build, recipe, alone, train_on, tmp_path):
    out, draw = tmp_path / "out", random.Random(SEED)

    def kill(number):
        moment = draw.randrange(4, 12)  # of those in which it writes down what it trained on
        if number == 1:
            at(out, moment, lambda: os.kill(os.getpid(), signal.SIGKILL))

    ends = together(lambda: train_on(build, recipe, out), first=kill)
    assert ends == [machine.LOST, -signal.SIGKILL]
    assert together(lambda: train_on(build, recipe, out)) == [0, 0]
    assert_same(out, alone, ("phase1", "phase2"))


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, SHARDED], ids=["ddp", "fsdp2"])
@pytest.mark.parametrize("embeddings", [False, True])
def test_two_processes_train_adapters_as_one(
    build, recipe, alone, train_on, tmp_path, variables, embeddings
):
    phases = (recipe.phases[0], replace(recipe.phases[1], adapter="new"))
    lora = Lora(4, 8, embeddings=embeddings)
    recipe = replace(recipe, student=Named(str(alone / "phase1")), lora=lora, phases=phases)
    recipe = replace(recipe, merge=True)
    out, one = tmp_path / "out", tmp_path / "one"
    train_on(build, recipe, one)
    assert together(lambda: train_on(build, recipe, out), **variables) == [0, 0]
    assert_same(out, one, ("phase1", "phase2"))
    assert distance(out / "merged", one / "merged") < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, SHARDED], ids=["ddp", "fsdp2"])
@pytest.mark.parametrize("lora", [False, True])
def test_two_processes_prefer_as_one(request, trained, tmp_path, variables, lora):
    judged, prefer = (request.getfixturevalue(name) for name in ("judged", "prefer"))
    adapted = request.getfixturevalue("adapted") if lora else None
    model, more = (adapted, {"lora": Lora(4, 8)}) if lora else (trained, {})
    out, one = tmp_path / "out", tmp_path / "one"
    prefer(judged, model, one, **more)
    assert together(lambda: prefer(judged, model, out, **more), **variables) == [0, 0]
    here, there = (lines(place / "preferred" / "log.jsonl") for place in (out, one))
    for name in ("loss", "margin", "accuracy", "tokens"):
        found = [line[name] for line in here]
        assert found == pytest.approx([line[name] for line in there], rel=1e-3, abs=1e-4), name
    assert distance(out / "preferred", one / "preferred") < 1e-4


@pytest.mark.slow
def test_a_sharded_run_does_not_go_on_alone(build, recipe, train_on, tmp_path):
    from training import checkpoint

    seal = checkpoint.seal

    def sealed(*given) -> None:
        seal(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    def kill(number):
        checkpoint.seal = sealed

    together(lambda: train_on(build, recipe, tmp_path / "out"), first=kill, **SHARDED)
    report = Report()
    assert not run.train(build, recipe, tmp_path / "out", report, Console(quiet=True))
    assert [one.code.id for one in report.diagnostics if one.code.id == "F616"] == ["F616"]


DDP = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_CPU", "num_processes": 2}
FSDP = {**DDP, "distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 2}, "use_cpu": True}
GIVEN = {
    "mixed_precision": "no",
    "num_machines": 1,
    "machine_rank": 0,
    "downcast_bf16": "no",
    "main_training_function": "main",
    "rdzv_backend": "static",
    "same_network": True,
    "tpu_env": [],
    "tpu_use_cluster": False,
    "debug": False,
}
"""What `accelerate config` writes besides."""


def written(folder, value):
    path = folder / "accelerate.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return path


@pytest.mark.parametrize("kind", [DDP, FSDP, {**DDP, "distributed_type": "NO", "num_processes": 1}])
def test_what_accelerate_writes_can_be_launched(recipe, tmp_path, kind):
    report = Report()
    found = launch.read(written(tmp_path, {**kind, **GIVEN}), recipe, report)
    assert not report.diagnostics
    assert (found.processes, found.here, found.first) == (kind["num_processes"],) * 2 + (True,)
    assert found.cpu is (kind["distributed_type"] != "NO")


def test_a_gpu_for_each_process(recipe, tmp_path):
    import torch

    if torch.cuda.device_count() > 1:
        pytest.skip("there are some")
    report = Report()
    value = {**DDP, "distributed_type": "MULTI_GPU"}
    found = launch.read(written(tmp_path, value), recipe, report)
    assert launch.start(found, ["train"], tmp_path / "logs", report) == (1, "")
    assert "starts 2 processes here, which need a GPU each" in report.diagnostics[0].message


UNFIT = {
    "`DEEPSPEED` is not a way": {**DDP, "distributed_type": "DEEPSPEED"},
    "the file has no `distributed_type`": {"num_processes": 2},
    "the file has no `num_processes`": {"distributed_type": "MULTI_GPU"},
    "`num_processes` is 0": {**DDP, "num_processes": 0},
    "`num_processes` is 'two'": {**DDP, "num_processes": "two"},
    "`distributed_type` is `NO`, and `num_processes` is 2": {**DDP, "distributed_type": "NO"},
    "a step of 1 x 2 sequences cannot be shared by 3 processes": {**DDP, "num_processes": 3},
    "2 processes cannot be shared out evenly to 4 machines": {**DDP, "num_machines": 4},
    "2 machines find each other by `main_process_ip`": {**DDP, "num_machines": 2},
    "`mixed_precision` is `bf16`, and the recipe's": {**DDP, "mixed_precision": "bf16"},
    "`gradient_accumulation_steps` is the recipe's": {**DDP, "gradient_accumulation_steps": 4},
    "`deepspeed_config` is not supported": {**DDP, "deepspeed_config": {"zero_stage": 3}},
    "`dynamo_config` is not supported": {**DDP, "dynamo_config": {"dynamo_backend": "INDUCTOR"}},
    "`AMAZON_SAGEMAKER` is no machine": {**DDP, "compute_environment": "AMAZON_SAGEMAKER"},
    "only FSDP2 is supported": {**FSDP, "fsdp_config": {"fsdp_version": 1}},
    "`fsdp_activation_checkpointing` is the recipe's": {
        **FSDP,
        "fsdp_config": {"fsdp_version": 2, "fsdp_activation_checkpointing": True},
    },
}


@pytest.mark.parametrize("said", UNFIT)
def test_what_would_change_the_recipe_is_refused(recipe, tmp_path, said):
    report = Report()
    path = written(tmp_path, UNFIT[said])
    assert launch.read(path, recipe, report) is None
    assert {one.code.id for one in report.diagnostics} == {"F616"}
    assert any(said in one.message for one in report.diagnostics), report.diagnostics
    assert all(one.span.path == str(path) and one.hint for one in report.diagnostics)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", None])
def test_a_file_that_is_no_launch_file_is_refused(recipe, tmp_path, text):
    path, report = tmp_path / "accelerate.yaml", Report()
    if text is not None:
        path.write_text(text)
    assert launch.read(path, recipe, report) is None
    assert {one.code.id for one in report.diagnostics} == {"F616"}


@pytest.mark.slow
def test_the_command_launches_stops_and_goes_on(build_folder, build, tiny, train_on, tmp_path):
    """Ctrl-C, then kill -9 of one process, then to the end."""
    text = TINY.replace("epochs: 1", "epochs: 60", 1) + "checkpoint_seconds: 0.2\n"
    (tmp_path / "recipe.yaml").write_text(text)
    out = tmp_path / "out"
    words = ["--data", build_folder, "--recipe", tmp_path / "recipe.yaml", "--out", out]
    words += ["--launch", written(tmp_path, {**DDP, **GIVEN})]

    def start():
        command = [*COMMAND, *map(str, words)]
        return subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def steps():
        log = out / "work" / "phase1" / "log.jsonl"
        return len(lines(log)) if log.exists() else 0

    def wait_for_steps(process, more):
        least = steps() + more
        end = time.monotonic() + 300
        while steps() < least:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)

    first = start()
    wait_for_steps(first, 10)
    os.killpg(first.pid, signal.SIGINT)
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 130, said
    assert said.splitlines()[-2:] == [
        "stopping after this step, with a checkpoint; again: at once",
        "stopped; run the same command again to go on",
    ]
    kept = lines(out / "work" / "phase1" / "log.jsonl")

    second = start()
    wait_for_steps(second, 10)
    workers = [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
        and str(out) in _of(path, "cmdline")
        and "RANK=1\0" in _of(path, "environ")
    ]
    os.kill(workers[0], signal.SIGKILL)
    said = second.communicate(timeout=120)[1]
    assert second.returncode == 1, said
    assert "process 1 of 2 was killed by signal 9" in said
    assert "Traceback" not in said

    third = start()
    said = third.communicate(timeout=300)[1]
    assert third.returncode == 0, said
    assert said.splitlines()[-1].startswith("the student is in ")
    assert lines(out / "phase1" / "log.jsonl")[: len(kept)] == kept
    recipe = recipes.read(str(tmp_path / "recipe.yaml"), Report())
    assert_same(out, train_on(build, recipe), ("phase1", "phase2"))


def _of(process: Path, name: str) -> str:
    try:
        return (process / name).read_text("utf-8", "replace")
    except OSError:
        return ""
