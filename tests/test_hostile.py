"""Input made to hurt: the whole command finds it, in little time and memory, shown safely."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

CPU_SECONDS, MEGABYTES = 2.0, 300
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(f'*{a}' for _ in range(9))}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def large(path, start="created_by: ada\n", size=100_000_000):
    """A sparse file of `size` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(start)
    os.truncate(path, size)


RUN = """
import atexit, re, sys, time
from pathlib import Path

told = Path(sys.argv.pop(1))

def tell():
    most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
    told.write_text(f"{time.process_time()} {int(most) / 1024}")

atexit.register(tell)
from compiler.cli import app, guarded
guarded(app)
"""


def check(folder, *words, stdin=os.devnull):
    """The command's status and output, CPU seconds, and most memory in MB."""
    told = folder.parent / "told"
    options = ["--format", "concise", "--taxonomy", folder]
    with Path(stdin).open("rb") as given:
        done = subprocess.run(
            [sys.executable, "-c", RUN, told, "check", *options, *words],
            env={**os.environ, "TRIVIUM_HOME": str(folder.parent / "home")},
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    seconds, megabytes = told.read_text().split()
    return done.returncode, done.stdout, float(seconds), float(megabytes)


def alias_bomb(folder):
    write(folder, {SKILL: BOMB})


def large_leaf(folder):
    large(folder / SKILL)


def large_attribution(folder):
    write(folder, {SKILL: skill()})
    large(folder / "compositional_skills/rhyme/attribution.txt")


def large_document(folder):
    write(folder, {KNOWLEDGE: knowledge()})
    large(folder / "documents/robin.md", "Robins")


def deep(folder):
    write(folder, {SKILL: "[" * 10_000})


def deep_blocks(folder):
    write(folder, {SKILL: "".join(f"{' ' * n}a:\n" for n in range(2_000))})


def many_keys(folder):
    write(folder, {SKILL: "".join(f"k{n}: 1\n" for n in range(400_000))})


def a_nul(folder):
    write(folder, {SKILL: "created_by: a\0b\n"})


def utf16(folder):
    write(folder, {SKILL: "created_by: ada\n".encode("utf-16")})


def links_in_a_ring(folder):
    write(folder, {SKILL: skill()})
    (folder / "knowledge").mkdir()
    (folder / "knowledge" / "a").symlink_to("b")
    (folder / "knowledge" / "b").symlink_to("a")
    (folder / "knowledge" / "up").symlink_to("../..")


def a_pipe(folder):
    (folder / "knowledge" / "x").mkdir(parents=True)
    os.mkfifo(folder / "knowledge" / "x" / "qna.yaml")


def escapes_in_a_name(folder):
    write(folder, {"knowledge/a\n::error::b\x1b[31m\u202e\x9b/qna.yaml": "a: 'b"})


def repository(address):
    def make(folder):
        where = {"repo": address, "commit": "0" * 40, "patterns": ["../../etc/*", "/etc/passwd"]}
        write(folder, {KNOWLEDGE: knowledge(document=where)})

    make.__name__ = address
    return make


@pytest.mark.parametrize(
    "make, codes",
    [
        (alias_bomb, {"S008"}),
        (large_leaf, {"S008"}),
        (large_attribution, {"S008", "T127"}),
        (large_document, {"T122"}),
        (deep, {"S008"}),
        (deep_blocks, {"S008"}),
        (many_keys, {"S008"}),
        (a_nul, {"S001"}),
        (utf16, {"S005"}),
        (links_in_a_ring, {"S009"}),
        (a_pipe, {"S009"}),
        (escapes_in_a_name, {"S001"}),
        (repository("ext::sh -c 'touch x'"), {"T126", "T139"}),
        (repository("file::/etc"), {"T126", "T139"}),
        (repository("--upload-pack=touch x"), {"T126", "T139"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_found_in_little_time_and_memory(tmp_path, make, codes):
    folder = tmp_path / "taxonomy"
    folder.mkdir()
    make(folder)
    status, out, seconds, megabytes = check(folder)
    assert status in (0, 1), out
    assert codes <= set(re.findall(r"\[(\w\d{3})\]", out.decode())), out.decode()
    assert seconds < CPU_SECONDS
    assert megabytes < MEGABYTES
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", out)
    assert not Path("x").exists()


def test_a_large_standard_input(tmp_path):
    folder = tmp_path / "taxonomy"
    write(folder, {SKILL: skill()})
    large(tmp_path / "in")
    words = ["-", "--stdin-path", str(folder / SKILL)]
    status, out, seconds, megabytes = check(folder, *words, stdin=tmp_path / "in")
    assert (status, b"[S008]" in out) == (1, True)
    assert seconds < CPU_SECONDS
    assert megabytes < MEGABYTES


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/dev/zero", "/etc", "..", "a\nb"])
def test_a_path_outside_is_not_read(tmp_path, name):
    folder = tmp_path / "taxonomy"
    write(folder, {SKILL: skill()})
    status, out, seconds, _ = check(folder, name)
    assert (status, b"[T111]" in out) == (1, True)
    assert seconds < CPU_SECONDS
