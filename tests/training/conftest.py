"""What the tests of training share: quiet libraries, a tiny build, a way to train on it."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compiler.diagnostics import Report
from compiler.render import RENDERERS
from tests.training.builds import TINY, make_build
from training import data, machine, run
from training import recipe as recipes

machine.prepare()


@pytest.fixture(scope="session")
def build_folder(tmp_path_factory):
    return make_build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def build(build_folder):
    return data.read(build_folder, Report())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(TINY, "utf-8")
    return recipes.read(str(path), Report())


@pytest.fixture(scope="session")
def train_on(tmp_path_factory):
    def train(build, recipe, out: Path | None = None, **changes) -> Path:
        report = Report()
        recipe = replace(recipe, **changes)
        out = out or tmp_path_factory.mktemp("student")
        assert run.open_run(out, build, recipe, False, report), RENDERERS["human"](report)
        assert run.train(build, recipe, out, report, Console(quiet=True)), report.diagnostics
        return out

    return train


@pytest.fixture(scope="session")
def trained(build, tiny, train_on):
    """A student of a few steps, every stage there."""
    return train_on(build, tiny, control=True)
