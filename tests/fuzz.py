"""What must hold for any bytes at all, and a program that looks for bytes where it does not.

    pip install atheris
    python -m tests.fuzz [FOLDER] [-max_total_time=300]

FOLDER holds real leaf files to start from; new inputs that reach more of the code are added to a
copy of it. `test_fuzz.py` asks the same of inputs that hypothesis draws.
"""

import re
import sys
import tempfile
from pathlib import Path
from shutil import copyfile

from compiler.diagnostics import Report
from compiler.fix import fix
from compiler.format import read_tree
from compiler.render import RENDERERS
from compiler.source import SourceFile
from compiler.tree import lint, parse

PATHS = ("knowledge/a/qna.yaml", "compositional_skills/a/qna.yaml")
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def judge(data):
    """Raises AssertionError, or anything else, where `data` shows a mistake of ours."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    rows = re.split(r"\r\n|\n|\r", text)
    for path in PATHS:
        report = Report()
        read_tree(SourceFile(path, data), report)
        for found in report.diagnostics:
            assert found.hint, found
            for span in (found.span, *(note.span for note in found.notes)):
                assert 1 <= span.line <= len(rows), found
                assert 1 <= span.column <= len(rows[span.line - 1]) + 1, found
                end = (span.end_line, span.end_column)
                assert not span.end_line or (span.line, span.column) <= end, found
        for render in RENDERERS.values():
            assert not RAW.search(render(report))
    report = Report()
    if tree := parse(SourceFile("any.yaml", data), report):
        lint(tree, report)
        for path in walk(tree.value):
            assert tree.span(path).end_line <= len(rows)
            assert tree.key_span(path).line <= tree.span(path).end_line or "<<" in text
    once = fix(SourceFile(PATHS[0], data))
    assert fix(SourceFile(PATHS[0], once.data)).data == once.data, "fix is not idempotent"
    assert once.repairs or once.data == data


def walk(value, at=()):
    """The path of every part of a value."""
    yield at
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk(part, (*at, key))


def main():
    import atheris

    words = [word for word in sys.argv[1:] if word.startswith("-")]
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    corpus = Path(tempfile.mkdtemp(prefix="trivium-fuzz-"))
    leaves = (leaf for folder in folders for leaf in folder.rglob("*.yaml"))
    for i, leaf in enumerate(leaf for leaf in leaves if leaf.stat().st_size < 4000):
        copyfile(leaf, corpus / str(i))
    words = ["-timeout=5", "-rss_limit_mb=2048", f"-artifact_prefix={corpus}-", *words, str(corpus)]
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *words], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
