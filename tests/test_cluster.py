"""The engine of many processes: the same bytes, the same journal, and a killed worker costs little.

They start a Ray of their own on this machine; where Ray is not installed they are skipped.
"""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler.mock import running
from tests.taxonomies import skill, write

pytest.importorskip("ray", reason="the extra `ray` is not installed")

TRIVIUM = Path(sys.executable).with_name("trivium")


@pytest.fixture
def folder(tmp_path):
    leaves = {
        f"compositional_skills/verse{n}/qna.yaml": skill(
            seed_examples=[
                {"question": f"What rhymes with word{n}x{i}?", "answer": f"Rhyme {n} {i}."}
                for i in range(5)
            ]
        )
        for n in range(4)
    }
    write(tmp_path / "taxonomy", leaves)
    (tmp_path / "taxonomy" / "curriculum.yaml").write_text("samples_per_leaf: 100\n")
    return tmp_path


def words(folder, url, home, *more):
    out = ("--out", folder / home / "build")
    return (
        TRIVIUM,
        *("compile", "--taxonomy", folder / "taxonomy", *out, "--teacher", f"{url}#mock", *more),
    )


def env(folder, home):
    return {**os.environ, "TRIVIUM_HOME": str(folder / home)}


def compiled(folder, url, home, *more):
    done = subprocess.run(
        words(folder, url, home, *more), env=env(folder, home), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return built(folder, home), keys(folder, home)


def built(folder, home):
    files = json.loads((folder / home / "build" / "manifest.json").read_text())["files"]
    return {
        name: hashlib.sha256((folder / home / "build" / name).read_bytes()).hexdigest()
        for name in [*files, "manifest.json"]
    }


def keys(folder, home):
    with sqlite3.connect(folder / home / "journal.sqlite") as base:
        return {key for (key,) in base.execute("select key from replies")}


def workers():
    """The processes that walk units now."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"MapWorker" in status.read_bytes():
                found.append(int(status.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_the_same_bytes_and_keys_as_one_process_whatever_dies(folder):
    with running(latency=0.02) as server:
        alone = compiled(folder, server.url, "alone")
        asked = server.stats()["requests"]
        server.reset()
        before = set(workers())
        home = "spread"
        run = subprocess.Popen(
            words(folder, server.url, home, "--engine", "ray", "--workers", "2"),
            env=env(folder, home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        while sum(server.stats()["statuses"].values()) < asked / 4 and run.poll() is None:
            time.sleep(0.01)
        (victim, *_) = set(workers()) - before
        os.kill(victim, signal.SIGKILL)
        told = run.communicate(timeout=120)[0].decode()
        assert run.returncode == 0, told
        assert (built(folder, home), keys(folder, home)) == alone
        twice = server.stats()["requests"] - asked
        server.reset()
        assert twice < asked / 4, "only what the worker had in flight was asked again"
        compiled(folder, server.url, home)
        assert server.stats()["requests"] == 0, "one process finds all of it in the journal"
