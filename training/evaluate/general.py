"""A file of general questions goes in; questions with options come out.

A file of its own because these questions are of no build: they are the fixed measure of what a
student knew before, and people may bring their own.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.codes import E712
from compiler.diagnostics import Report, Span
from training.ask import Question
from training.data import Sample
from training.seen import mark, plain

SHIPPED = Path(__file__).parent / "general.jsonl"


_HINT = "a line is an object of `question`, `answer`, `distractors` and, where you like, `topic`"


def read(path: Path, report: Report) -> tuple[Question, ...] | None:
    """The questions of a file; E712 for each line that is none, and None where there is one.

    A line is an object of `question`, `answer`, `distractors` (three to seven wrong answers) and,
    as one likes, `topic`.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as wrong:
        why = "it is not UTF-8" if isinstance(wrong, ValueError) else "there is no such file"
        if isinstance(wrong, OSError) and path.exists():
            why = "it cannot be read"
        report.add(E712, f"`{path}`: {why}", hint="name a file of questions with `--general`")
        return None
    before, found, places = report.errors, [], dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = Span(str(path), number, 1, number, 2)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            report.add(E712, "the line is no JSON", place, _HINT)
            continue
        if why := _wrong(row):
            report.add(E712, why, place, _HINT)
            continue
        key = mark(row["question"])
        if key in places:
            message = f"the question stands in line {places[key]} already"
            report.add(E712, message, place, "leave one of the two out")
        places.setdefault(key, number)
        found.append(_question(row))
    if not found and report.errors == before:
        report.add(E712, "the file has no questions", Span(str(path)), _HINT)
    return tuple(found) if report.errors == before else None


def _wrong(row: object) -> str:
    """Why a line is no question; "" where it is one."""
    if not isinstance(row, dict):
        return "the line is no object"
    for key in ("question", "answer"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            return f"`{key}` is no text"
    if not isinstance(row.get("topic", ""), str):
        return "`topic` is no text"
    others = row.get("distractors")
    if not isinstance(others, list) or not all(isinstance(o, str) and o.strip() for o in others):
        return "`distractors` is no list of texts"
    if not 3 <= len(others) <= 7:
        return f"there are {len(others)} distractors"
    if len({plain(one) for one in (row["answer"], *others)}) <= len(others):
        return "two of the answer and the distractors are equal"
    return ""


def _question(row: Mapping[str, Any]) -> Question:
    topic = " ".join(str(row.get("topic", "")).split()) or "general"
    answer = row["answer"].strip()
    key = hashlib.sha256(f"{row['question']}\0{answer}".encode()).hexdigest()[:16]
    messages = (
        {"role": "user", "content": row["question"]},
        {"role": "assistant", "content": answer},
    )
    options = (answer, *(one.strip() for one in row["distractors"]))
    return Question(Sample(key, messages, topic, f"general/{topic}"), options, speak=False)
