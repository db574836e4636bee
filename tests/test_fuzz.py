"""No bytes are an exception or a hang: what hypothesis draws, and what was made to hurt."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from compiler.codes import S001
from compiler.diagnostics import Span
from compiler.fix import Fixed
from tests import fuzz
from tests.conftest import SEED
from tests.fuzz import judge
from tests.taxonomies import knowledge, skill

hypothesis.configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir(), "hypothesis"))

ROOT = Path(__file__).parent.parent
PIECES = st.sampled_from(
    [
        *(
            "a",
            "b: ",
            "- ",
            "question: ",
            "answer: ",
            "version: 3\n",
            "seed_examples:\n",
            "  ",
            "\n",
        ),
        *(
            "'",
            '"',
            "|\n",
            ">-\n",
            "#",
            "[",
            "]",
            "{",
            "}",
            ",",
            "? ",
            ":",
            "&a ",
            "*a",
            "<<: ",
            "!!",
        ),
        *(
            "!!set ",
            "!x ",
            "~",
            "=",
            "1",
            "0x",
            "1:1",
            "2001-01-01",
            "---\n",
            "...\n",
            "%TAG ! x\n",
        ),
        *(
            "\t",
            "\r",
            "\r\n",
            "\0",
            "\x1b",
            "\x85",
            "\u2028",
            "\ufeff",
            "\u202e",
            "é",
            "\U0001f600",
        ),
        *(
            "\\ud83d",
            "\\",
            '"\\ud83d\\ude00"',
            "# yamllint disable\n",
            "x" * 99,
            " " * 99,
            "\n" * 9,
        ),
    ]
)
LEAVES = tuple(
    yaml.safe_dump(leaf, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    for leaf in (skill(), knowledge())
    for flow in (None, False)
)


def quick(most):
    """Random inputs, each run others unless the seed is set; nothing is kept between runs."""
    settings = hypothesis.settings(max_examples=most, database=None, deadline=5000)
    return lambda test: hypothesis.seed(int(os.environ[SEED]))(settings(test))


@quick(100)
@hypothesis.example(["\ufeff", "\ufeff", "a: b \n"])
@hypothesis.given(st.lists(PIECES, max_size=30))
def test_no_text_is_an_exception(pieces):
    judge("".join(pieces).encode())


@quick(50)
@hypothesis.given(st.binary(max_size=60), st.sampled_from(["", "utf-16", "utf-8-sig", "utf-32"]))
def test_no_bytes_are_an_exception(data, coding):
    judge("a: b\n".encode(coding) + data if coding else data)


@quick(40)
@hypothesis.given(
    st.sampled_from(LEAVES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 3), PIECES), min_size=1, max_size=4),
)
def test_no_damage_to_a_leaf_is_an_exception(text, damages):
    for at, cut, piece in damages:
        at %= len(text) + 1
        text = text[:at] + piece + text[at + cut :]
    judge(text.encode())


@pytest.mark.slow
def test_no_file_takes_long_or_much():
    command = [sys.executable, "-m", "tests.hurting"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    for name, (codes, seconds, megabytes) in measured(done.stdout):
        assert codes != "nothing", name
        assert float(seconds) < 2, name
        assert int(megabytes) < 300, name


def measured(printed):
    lines = [line.rpartition(": ") for line in printed.splitlines()]
    assert len(lines) > 30
    return ((name, numbers.split()) for name, _, numbers in lines)


def test_a_mistake_would_be_seen(monkeypatch):
    judge(b"a: 1\n")
    with monkeypatch.context() as patch:
        patch.setattr(fuzz, "read_tree", lambda file, report: report.add(S001, "x", Span("q")))
        with pytest.raises(AssertionError):
            judge(b"a: 1\n")
    with monkeypatch.context() as patch:
        patch.setattr(fuzz, "fix", lambda file: Fixed(file, file.data + b"\n", ("repair",)))
        with pytest.raises(AssertionError):
            judge(b"a: 1\n")
