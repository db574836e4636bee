"""The code's own pages go in; `docs/codes.md` and `docs/pipelines.md` come out.

Run by `make docs`. Nothing is written twice: a code's page lies in `compiler/explain/`, a
pipeline's text and example in its folder.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from compiler.codes import CATALOGUE, LETTERS
from compiler.diagnostics import Report
from compiler.pipeline import Folder, folders, load
from compiler.resources import PAGES

HERE = Path(__file__).parent
FENCE = "````"  # an example may hold three


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
        parts.append(re.sub(r"\]\(([A-Z]\d{3})\.md\)", _on_this_page, "\n".join(lines)))
    return "\n\n".join(parts) + "\n"


def _on_this_page(link: re.Match[str]) -> str:
    """A link to the page of a code, as one to its heading."""
    code = CATALOGUE[link[1]]
    return f"](#{code.id.lower()}-{code.name})"


def pipelines() -> str:
    """What each pipeline makes, its stages and its example; its prompts are linked."""
    known = folders()
    about = {name: _about(folder) for name, folder in known.items()}
    parts = ["# Pipelines", "How to write your own: [writing-pipelines.md](writing-pipelines.md)."]
    parts.append("\n".join(f"- [{name}](#{name}): {text}" for name, text in about.items()))
    for name, folder in known.items():
        parts += [f"## {name}", *_files(folder)]
    return "\n\n".join(parts) + "\n"


def _about(folder: Folder) -> str:
    pipeline = load(folder, Report())
    assert pipeline is not None
    return pipeline.about


def _files(folder: Folder) -> Iterator[str]:
    """The pipeline itself, its example, and links to all else in its folder."""
    for name in ("pipeline.yaml", "example.yaml"):
        yield f"### {name}"
        yield f"{FENCE}yaml\n{folder.files[name].decode().rstrip()}\n{FENCE}"
    rest = sorted(set(folder.files) - {"pipeline.yaml", "example.yaml"})
    if rest:
        place = f"../compiler/pipelines/{folder.name}"
        yield "Beside it: " + ", ".join(f"[{name}]({place}/{name})" for name in rest) + "."


if __name__ == "__main__":
    for name, text in (("codes", codes()), ("pipelines", pipelines())):
        (HERE / f"{name}.md").write_text(text, "utf-8")
        print(f"wrote docs/{name}.md, {len(text.splitlines()):,} lines")
