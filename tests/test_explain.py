"""Every code has a page, and the example of every page is true.

A page shows files of a small taxonomy in fenced blocks that have a `title="PATH"`, then a `console`
block: a command and its exact output. `pytest --accept` writes the output anew. For what Markdown
cannot show, a title may end in ` (no final newline)`, or in ` (escaped)`: then `\\xE9` in the block
stands for that byte. A `sh` block runs before the command, as `ada` and at a fixed time. Git reads
`https://example.org/` from the folder of the example. The examples of the letters F and E run in
`tests/training/test_train_pages.py`.
"""

import os
import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from compiler.codes import CATALOGUE
from compiler.resources import PAGES

NOT_REPLAYED = {
    "D532": "needs a model that embeds texts",
    "R403": "needs a server that answers with something else than the format",
    "R408": "needs a language model that does not keep to the form",
    "R410": "needs a server that serves another model",
    "B901": "needs a mistake of ours",
    "B902": "needs a mistake of ours",
    "B903": "is said by the outermost frame of the command, which is not run here",
}
TRAINING = ("F", "E")
ADA = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
SECTIONS = ["What it catches", "Why it matters", "Example", "How to fix", "When to allow"]
CODES = list(CATALOGUE.values())
FILE = re.compile(r'^```\w* title="([^"]+?)( \([^)]+\))?"\n(.*?)^```$', re.M | re.S)
BEFORE = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
CONSOLE = re.compile(r"^```console\n\$ (trivium [^\n]+)\n(.*?)^```$", re.M | re.S)


def test_codes_and_pages_are_one_to_one():
    assert sorted(page.stem for page in PAGES.glob("*.md")) == sorted(CATALOGUE)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_page_has_the_shape_of_all_pages(code):
    text = (PAGES / f"{code.id}.md").read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    assert text.startswith(f"# {code}\n")
    assert re.findall(r"^## (.+)$", prose, re.M) == SECTIONS
    if code.id[0] not in TRAINING:
        assert len(CONSOLE.findall(text)) == (code.id not in NOT_REPLAYED)


def write_files(page, folder):
    for path, flag, text in FILE.findall(page):
        data = text.encode()
        if flag == " (escaped)":
            data = re.sub(rb"\\x([0-9A-F]{2})", lambda m: bytes.fromhex(m[1].decode()), data)
        elif flag == " (no final newline)":
            data = data.removesuffix(b"\n")
        else:
            assert not flag, f"unknown flag in the title of {path}"
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


REPLAYED = [c for c in CODES if c.id not in NOT_REPLAYED and c.id[0] not in TRAINING]


@pytest.mark.parametrize("code", REPLAYED, ids=str)
def test_the_example_is_true(code, tmp_path, monkeypatch, request):
    page = PAGES / f"{code.id}.md"
    text = page.read_text()
    shown = CONSOLE.search(text)
    words = shlex.split(shown[1])[1:]
    write_files(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / ".home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.org/")
    for script in BEFORE.findall(text):
        subprocess.run(["bash", "-e"], input=script, cwd=tmp_path, env=ADA, text=True, check=True)
    output = CliRunner().invoke(app, words).stdout
    if request.config.getoption("--accept"):
        page.write_text(text[: shown.start(2)] + output + text[shown.end(2) :])
    else:
        assert output == shown[2]
    assert code.id in output
