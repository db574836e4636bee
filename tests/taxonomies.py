"""Small taxonomies for tests: a skill and a knowledge leaf without findings, to be changed."""

import copy

import yaml

from compiler.diagnostics import Report
from compiler.front import read_checked
from compiler.source import WorkTree, blob_id

SKILL = "compositional_skills/rhyme/qna.yaml"
KNOWLEDGE = "knowledge/birds/robin/qna.yaml"
ATTRIBUTION = "Title of work: x\nLicense of the work: CC-BY-4.0\n"
DOCUMENT = "\n\n".join(
    f"## Part {n}\n\nRobins of kind {n} **eat** [worms](worms.md), sing at dawn and lay {n} eggs."
    for n in range(1, 6)
)


def skill(**changes):
    """A version 3 skill of five examples."""
    seeds = [{"question": f"What rhymes with {n}?", "answer": f"Word {n}."} for n in "abcde"]
    leaf = {"version": 3, "created_by": "ada", "task_description": "Rhyme.", "seed_examples": seeds}
    return {**copy.deepcopy(leaf), **changes}


def knowledge(**changes):
    """A version 3 knowledge leaf of five contexts, each with three questions."""
    seeds = [
        {
            "context": f"Robins of kind {n} eat worms, sing at dawn and lay {n} eggs.",
            "questions_and_answers": [
                {"question": f"What do robins of kind {n} {verb}?", "answer": f"It is {verb} {n}."}
                for verb in ("eat", "sing", "lay")
            ],
        }
        for n in range(1, 6)
    ]
    leaf = {
        "version": 3,
        "created_by": "ada",
        "domain": "birds",
        "document_outline": "How robins live.",
        "document": {"repo": ".", "commit": "HEAD", "patterns": ["documents/robin.md"]},
        "seed_examples": seeds,
    }
    return {**copy.deepcopy(leaf), **changes}


def write(folder, files):
    """Writes files (text, bytes, or a leaf's value); a leaf gets an `attribution.txt` beside it."""
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    (folder / "documents" / "robin.md").write_text(DOCUMENT)
    for path, value in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, dict):
            value = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
            beside = file.parent / "attribution.txt"
            if beside.relative_to(folder).as_posix() not in files:
                beside.write_text(ATTRIBUTION)
        file.write_bytes(value if isinstance(value, bytes) else value.encode())
    return folder


def read(folder, files=None, only=None, policy=None):
    """The taxonomy of `folder`, and the report on it."""
    report = Report(policy) if policy else Report()
    write(folder, files or {})
    return read_checked(WorkTree(folder), report, only)[1], report


def said(report):
    """The findings as (code, line)."""
    return [(d.code.id, d.span.line) for d in report.diagnostics]


class OneFile:
    """A taxonomy of a single file."""

    revision = ""

    def __init__(self, path, data):
        self.paths = (path,)
        self.unread = {}
        self.data = data

    def size(self, path):
        return len(self.data)

    def blob(self, path):
        return blob_id(self.data)

    def read(self, path):
        return self.data
