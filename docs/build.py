"""The code's own pages go in; `docs/codes.md` and `docs/pipelines.md` come out.

Run by `make docs`. Nothing is written twice: a code's page lies in `compiler/explain/`, a
pipeline's text and example in its folder.
"""

from pathlib import Path

from compiler.codes import CATALOGUE, LETTERS
from compiler.diagnostics import Report
from compiler.pipeline import folders, load
from compiler.resources import PAGES

HERE = Path(__file__).parent


def codes() -> str:
    """Every code's page under the heading of its letter."""
    parts = ["# Codes"]
    letter = ""
    for code in CATALOGUE.values():
        if code.id[0] != letter:
            letter = code.id[0]
            parts.append(f"# {LETTERS[letter]}")
        page = (PAGES / f"{code.id}.md").read_text("utf-8")
        lines = (f"#{line}" if line.startswith("#") else line for line in page.splitlines())
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def pipelines() -> str:
    """What each pipeline makes, its stages and its example."""
    parts = ["# Pipelines"]
    for folder in folders().values():
        pipeline = load(folder, Report())
        assert pipeline is not None
        parts.append(f"## {folder.name}\n\n{pipeline.about}")
        for name, data in sorted(folder.files.items()):
            parts.append(f"### {name}\n\n```\n{data.decode().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for name, text in (("codes", codes()), ("pipelines", pipelines())):
        (HERE / f"{name}.md").write_text(text, "utf-8")
        print(f"wrote docs/{name}.md, {len(text.splitlines()):,} lines")
