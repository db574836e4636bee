"""Several processes train as one does: each sample once, and the same loss at every step."""

import json
import os
import random
import signal
import socket
from dataclasses import replace

import pytest

from tests.training.killing import at, fork, status
from tests.training.test_train_resume import assert_same, lines
from training import machine
from training.recipe import Choose

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", "0"))
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
