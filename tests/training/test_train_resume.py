"""A run that is killed, stopped or starved ends where an undisturbed one does."""

import json
import os
import pickle
import random
import re
import resource
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compiler.diagnostics import Report
from compiler.resources import PAGES
from tests.training.builds import TINY
from tests.training.killing import fork, killed, moments, status
from tests.training.test_train_run import COMMAND, ROOT, distance
from training import run
from training.recipe import Choose, Lora, Named

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", "0"))
UNTIMED = ("step", "loss", "tokens", "taught", "lr")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def assert_same(one: Path, other: Path, stages: tuple[str, ...]) -> None:
    """Two students that went the same way."""
    for stage in stages:
        here, there = one / stage, other / stage
        assert (here / "order.jsonl").read_bytes() == (there / "order.jsonl").read_bytes()
        log, expected = lines(here / "log.jsonl"), lines(there / "log.jsonl")
        for name in UNTIMED:
            found = [line[name] for line in log]
            assert found == pytest.approx([line[name] for line in expected], rel=1e-4), name
        said, told = (json.loads((place / "stage.json").read_text()) for place in (here, there))
        for name in ("steps", "tokens", "taught", "why", "choice", "samples", "order", "done"):
            assert said[name] == told[name], name
        assert distance(here, there) < 1e-5
    assert not (one / "work").exists()
    here, there = ({path.name for path in out.iterdir()} - {"README.md"} for out in (one, other))
    assert here == there


@pytest.fixture(scope="module")
def chosen(tiny):
    """A recipe that writes a checkpoint at every step, and of the first phase chooses one."""
    phases = (replace(tiny.phases[0], choose=Choose(2)), tiny.phases[1])
    return replace(tiny, phases=phases, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def whole(build, chosen, train_on, tmp_path_factory):
    """An undisturbed run, and how many moments it has."""
    import training.phase
    import training.preference  # noqa: F401  what a copy of this process need not import again

    out = tmp_path_factory.mktemp("whole") / "out"
    return out, moments(lambda: train_on(build, chosen, out), out)


def test_a_killed_run_ends_at_the_same_place(build, chosen, whole, train_on, tmp_path):
    reference, count = whole
    draw, out = random.Random(SEED), tmp_path / "out"
    for _ in range(2):
        assert killed(lambda: train_on(build, chosen, out), out, draw.randrange(count // 2))
    train_on(build, chosen, out)
    assert_same(out, reference, ("phase1", "phase2"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["continue", "new"])
def test_killed_runs_of_adapters_end_at_the_same_place(
    build, chosen, trained, train_on, tmp_path, kind
):
    phases = (chosen.phases[0], replace(chosen.phases[1], adapter=kind, stop_at_loss=5.0))
    lora = Lora(4, 8, dropout=0.1, embeddings=True)
    named = Named(str(trained / "phase1"))
    recipe = replace(chosen, student=named, lora=lora, phases=phases, merge=True)
    count = moments(lambda: train_on(build, recipe, tmp_path / "whole"), tmp_path / "whole")
    draw, out, kills = random.Random(SEED), tmp_path / "out", 0
    while killed(lambda: train_on(build, recipe, out), out, draw.randrange(count // 2)):
        kills += 1
        assert kills < 60
    assert_same(out, tmp_path / "whole", ("phase1", "phase2"))
    assert distance(out / "merged", tmp_path / "whole" / "merged") < 1e-5


def stopped(build, recipe, out: Path, act) -> tuple[int, Report]:
    """The status of a run in a copy of this process, and its report; it does `act` before."""
    said = out.with_name(f"{out.name}.report")

    def doing() -> None:
        report = Report()
        act()
        try:
            assert run.open_run(out, build, recipe, False, report)
            run.train(build, recipe, out, report, Console(quiet=True))
        finally:
            said.write_bytes(pickle.dumps(report))

    ended = status(fork(doing))
    return ended, pickle.loads(said.read_bytes())


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=SLOW)])
def test_ctrl_c_stops_with_a_checkpoint_and_twice_at_once(
    build, chosen, whole, train_on, tmp_path, times
):
    recipe, out = replace(chosen, checkpoint_seconds=1e6), tmp_path / "out"

    def act() -> None:
        from training import watch

        handle = watch.Watch.on_log

        def on_log(self, args, state, control, logs, **more) -> None:
            handle(self, args, state, control, logs, **more)
            if state.global_step == 4:
                for _ in range(times):
                    interrupt()

        watch.Watch.on_log = on_log

    assert stopped(build, recipe, out, act)[0] == 130
    work = out / "work" / "phase1"
    checkpoints = [path.parent.name for path in work.glob("checkpoint-*/trivium.json")]
    log = lines(work / "log.jsonl")
    if times == 1:
        assert checkpoints[-1] == f"checkpoint-{len(log)}"
        assert len(log) == 5
    else:
        assert len(log) == 4
    train_on(build, recipe, out)
    assert_same(out, whole[0], ("phase1", "phase2"))


def test_ctrl_c_while_a_candidate_is_asked(build, chosen, whole, train_on, tmp_path):
    from training import checkpoint

    out = tmp_path / "out"

    def act() -> None:
        from training import phase as phases

        ask = phases.asking

        def asking(*given):
            interrupt()
            yield from ask(*given)

        phases.asking = asking

    assert stopped(build, chosen, out, act)[0] == 130
    work = out / "work" / "phase1"
    assert not (work / "candidates.jsonl").exists() or not lines(work / "candidates.jsonl")
    assert (
        checkpoint.newest(work, "phase1", Report()).name
        == f"checkpoint-{len(lines(work / 'log.jsonl'))}"
    )
    train_on(build, chosen, out)
    assert_same(out, whole[0], ("phase1", "phase2"))


def on_page(code: str, said: str) -> bool:
    """Whether the page of a code shows these words, but for names and numbers."""

    def plain(text: str) -> str:
        return re.sub(r"`[^`\n]+`|phase\d|checkpoint-\d+|step \d+|[\d.]+ MB", "#", text)

    return plain(said) in plain((PAGES / f"{code}.md").read_text("utf-8"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.fixture(scope="module")
def halfway(build, chosen, tmp_path_factory):
    """A run that was killed in phase 2 with two checkpoints."""
    from training import checkpoint

    out = tmp_path_factory.mktemp("halfway") / "out"

    def act() -> None:
        seal = checkpoint.seal

        def sealed(folder, *given) -> None:
            seal(folder, *given)
            if folder.parent.name == "phase2" and folder.name == "checkpoint-4":
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.seal = sealed

    def doing() -> None:
        act()
        report = Report()
        assert run.open_run(out, build, chosen, False, report)
        run.train(build, chosen, out, report, Console(quiet=True))

    assert status(fork(doing)) == -signal.SIGKILL
    return out


@pytest.mark.parametrize(
    ("spoil", "both"),
    [(flip, False), (shorten, True), pytest.param(Path.unlink, False, marks=SLOW)],
)
def test_a_damaged_checkpoint_is_not_used(build, chosen, whole, halfway, tmp_path, spoil, both):
    out = tmp_path / "out"
    shutil.copytree(halfway, out)
    work, draw = out / "work" / "phase2", random.Random(f"{SEED} {spoil.__name__} {both}")
    for step in (4, 3) if both else (4,):
        files = [
            one for one in (work / f"checkpoint-{step}").iterdir() if one.name != "trivium.json"
        ]
        spoil(draw.choice(sorted(files)))
    ended, report = stopped(build, chosen, out, lambda: None)
    assert ended == 0
    told = [one.message for one in report.diagnostics if one.code.id == "F615"]
    assert len(told) == (2 if both else 1)
    assert ("begins anew" if both else "goes on from step 3") in told[0]
    assert both or on_page("F615", told[0])
    assert_same(out, whole[0], ("phase1", "phase2"))


def test_a_whole_checkpoint_is_used_and_nothing_said(build, chosen, whole, halfway, tmp_path):
    """The control of the test above."""
    out = tmp_path / "out"
    shutil.copytree(halfway, out)
    ended, report = stopped(build, chosen, out, lambda: None)
    assert ended == 0
    assert not [one for one in report.diagnostics if one.code.id == "F615"]
    assert_same(out, whole[0], ("phase1", "phase2"))


@pytest.mark.parametrize("share", [pytest.param(0.7, marks=SLOW), 1.5])
def test_no_room_is_told_and_the_run_goes_on_when_there_is(
    build, chosen, whole, train_on, tmp_path, share
):
    """Files may be no larger than a share of the weights: of the base, of a checkpoint."""
    out = tmp_path / "out"
    most = int(share * (whole[0] / "base" / "model.safetensors").stat().st_size)

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    ended, report = stopped(build, chosen, out, act)
    assert ended == 0
    told = [one for one in report.diagnostics if one.code.id == "F614"]
    assert len(told) == 1
    assert f"`{out}` cannot be written: " in told[0].message
    assert not [path for path in out.rglob("*") if path.name.endswith(".part")]
    assert all((path / "trivium.json").is_file() for path in out.glob("work/*/checkpoint-*"))
    assert (out / "base").is_dir() is (share > 1)
    train_on(build, chosen, out)
    assert_same(out, whole[0], ("phase1", "phase2"))


@pytest.mark.slow
def test_a_full_disk(build, build_folder, whole, train_on, chosen, tmp_path):
    """On a real file system of 1 MB, which then is made larger."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no file systems may be mounted here")
    (tmp_path / "small").mkdir()
    (tmp_path / "recipe.yaml").write_text(TINY + "checkpoint_seconds: 0\n")
    command = [*COMMAND, "--data", str(build_folder), "--recipe", str(tmp_path / "recipe.yaml")]
    script = """
        mount -t tmpfs -o size=700k none small
        "$@" --out small/out; echo "status $?"; find small | grep -c -E "part|gone"
        mount -o remount,size=20m small
        "$@" --out small/out; echo "status $?"; cp -r small/out kept
    """
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script, "bash", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["status", "1", "0", "status", "0"], done.stderr
    told = re.search(r"error\[F614\].*\n.*", done.stderr)[0]
    assert on_page("F614", told)
    reference = train_on(
        build, replace(chosen, phases=tuple(replace(one, choose=None) for one in chosen.phases))
    )
    assert_same(tmp_path / "kept", reference, ("phase1", "phase2"))


def test_a_loss_that_is_no_number_ends_the_run(build, chosen, tmp_path):
    wild = replace(chosen.phases[0], learning_rate=1e30)
    recipe = replace(chosen, phases=(wild,))
    for _ in range(2):
        _, report = stopped(build, recipe, tmp_path / "out", lambda: None)
        told = [one for one in report.diagnostics if one.code.id == "F621"]
        assert len(told) == 1
        assert on_page("F621", told[0].message)
        assert not (tmp_path / "out" / "phase1").exists()


def test_a_tracker_is_told_of_every_step(build, tiny, train_on, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = train_on(build, tiny, tmp_path / "out", trackers=("tensorboard",))
    for stage in ("phase1", "phase2"):
        events = EventAccumulator(str(out / stage / "runs"))
        events.Reload()
        told = {one.step: one.value for one in events.Scalars("train/loss")}
        log = lines(out / stage / "log.jsonl")
        assert told == pytest.approx({line["step"]: line["loss"] for line in log}, abs=1e-4)
