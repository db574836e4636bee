"""A build folder goes in; its samples come out, as training reads them.

A file of its own because a build is made by another command, perhaps elsewhere: every line of it is
looked at, and its digests are held against the manifest.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator

from compiler.codes import F605
from compiler.diagnostics import Report, Span
from compiler.schema import load

Message = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a phase file or of heldout.jsonl; the last message is the assistant's.

    `step` is that of phase 1: 1 for short knowledge, 2 for the rest, 0 elsewhere. `human` is true
    where a person wrote it; `quality` is the mean of its judges' numbers. `context` is what the
    question stands on, `verify` the checker of its answers, where it has one.
    """

    id: str
    messages: tuple[Message, ...]
    branch: str
    leaf: str
    unmask: bool = False
    replay: bool = False
    step: int = 0
    human: bool = False
    quality: float = 0.0
    context: str = ""
    verify: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The last message before the answer."""
        return self.messages[-2]["content"] if len(self.messages) > 1 else ""

    @property
    def answer(self) -> str:
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True)
class Pair(Sample):
    """One line of preferences.jsonl: a sample whose answer is better than the `rejected` one."""

    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """What the compiler left for training; `fingerprint` changes when any of it does."""

    fingerprint: str
    phase1: tuple[Sample, ...]
    phase2: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    heldout: tuple[Sample, ...]
    preferences: tuple[Pair, ...] = ()

    def texts(self) -> list[str]:
        """Every text that may be trained on, in order; held-out questions are not among them."""
        samples = (*self.phase1, *self.phase2)
        return [message["content"] for sample in samples for message in sample.messages]


def read(folder: Path, report: Report) -> Build | None:
    """Reads and checks a build; F605 and None where it is not one."""
    manifest_path = folder / "manifest.json"
    hint = "make one: `trivium compile`, or name its folder with `--data`"
    try:
        manifest = json.loads(manifest_path.read_text("utf-8"))
        fingerprint, files = str(manifest["fingerprint"]), dict(manifest["files"])
    except FileNotFoundError:
        report.add(F605, f"`{folder}` has no `manifest.json`", hint=hint)
        return None
    except (OSError, ValueError, KeyError, TypeError):
        message = f"`{manifest_path}` is not the manifest of a build"
        report.add(F605, message, hint="build it again")
        return None
    parts = [_read(folder / f"{stem}.jsonl", files, _sample, report) for stem in _STEMS]
    path = folder / "preferences.jsonl"
    pairs = _read(path, files, _pair, report) if path.name in files else ()
    if pairs is None or any(part is None for part in parts):
        return None
    return Build(fingerprint, *(part or () for part in parts), pairs)


def read_json(path: Path, schema: str) -> dict[str, Any] | None:
    """The mapping in `path`, {} where there is no file, None where it breaks `schemas/SCHEMA.json`.

    Training wrote it, so a break is damage and no mistake to explain: the schema has no codes.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return found if Draft202012Validator(load(schema)).is_valid(found) else None


_STEMS = ("phase1", "phase2", "validation", "heldout")


One = TypeVar("One", bound=Sample)


def _read(
    path: Path, files: Mapping[str, Any], parse: Callable[[dict[str, Any]], One], report: Report
) -> tuple[One, ...] | None:
    """The lines of a file, parsed; None and F605 where it is not what the manifest describes."""
    try:
        data = path.read_bytes()
    except OSError:
        report.add(F605, f"the build has no `{path.name}`", hint="build it again")
        return None
    entry = files.get(path.name)
    wanted = entry.get("sha256") if isinstance(entry, dict) else None
    if wanted and wanted != hashlib.sha256(data).hexdigest():
        message = f"`{path.name}` is not the file that the manifest describes"
        report.add(F605, message, hint="build it again; do not edit a build by hand")
        return None
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            place, what = Span(str(path), number), "sample" if parse is _sample else "pair"
            report.add(F605, f"the line is not a {what}", place, "build it again")
            return None
    return tuple(found)


def _messages(rows: list[dict[str, Any]]) -> tuple[Message, ...]:
    """Messages, the last of them the assistant's. Raises ValueError."""
    messages = tuple({"role": str(m["role"]), "content": str(m["content"])} for m in rows)
    if not messages or messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not the assistant's")
    return messages


def _sample(row: dict[str, Any]) -> Sample:
    messages = _messages(row["messages"])
    scores = [float(n) for n in row.get("scores", {}).values() if isinstance(n, int | float)]
    return Sample(
        str(row["id"]),
        messages,
        str(row["branch"]),
        str(row["leaf"]),
        bool(row.get("unmask")),
        bool(row.get("replay")),
        int(row.get("step", 0)),
        row.get("origin", {}).get("kind") == "seed",
        sum(scores) / len(scores) if scores else 0.0,
        str(row.get("context", "")),
        dict(row.get("verify", {})),
    )


def _pair(row: dict[str, Any]) -> Pair:
    messages = _messages([*row["prompt"], *row["chosen"]])
    worse = _messages([*row["prompt"], *row["rejected"]])
    if len(messages) != len(row["prompt"]) + 1 or len(worse) != len(messages) or len(worse) < 2:
        raise ValueError("a pair is a prompt and two answers")
    leaf = str(row["leaf"])
    branch = leaf.partition("/")[0]
    return Pair(str(row["id"]), messages, branch, leaf, rejected=worse[-1]["content"])
