"""Answers go in, a batch at a time; those of an earlier, broken evaluation come out.

A file of its own because asking a large model takes hours, and a kill is to cost one batch.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from training.ask import Answer


def read(path: Path) -> dict[int, Answer]:
    """The answers in a file, by the number of the question; a line that is damaged, or torn, is
    passed over, and its question asked again.
    """
    found: dict[int, Answer] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            row = json.loads(line)
            number, text, nll = int(row["i"]), str(row["text"]), float(row["nll"])
            choices = tuple(float(one) for one in row["choices"])
            cut = bool(row.get("cut"))
            found[number] = Answer(text, nll, int(row["tokens"]), choices, cut)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def append(path: Path, answers: Mapping[int, Answer]) -> None:
    """Writes the answers of a batch to the end of a file, each on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(
        json.dumps({"i": number, **asdict(answer)}, ensure_ascii=True) + "\n"
        for number, answer in answers.items()
    )
    with path.open("a+b") as file:
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            if file.read(1) != b"\n":  # a torn line is not to swallow the next
                file.write(b"\n")
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())
