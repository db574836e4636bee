"""A build folder and a tokenizer go in; the token sequences of each phase come out.

A file of its own because nothing may be cut or lost on the way: what is too long or empty is left
out, counted per leaf and named. The labels are those that TRL would make of prompt/completion
samples; made here, they also hold for samples with several turns and for those that are learned
whole (`unmask`).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from compiler.codes import F605, F606, F607
from compiler.diagnostics import Account, Report, Span
from compiler.schema import load

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

IGNORED = -100
Message = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a phase file or of heldout.jsonl; the last message is the assistant's."""

    id: str
    messages: tuple[Message, ...]
    branch: str
    leaf: str
    unmask: bool = False
    replay: bool = False

    @property
    def question(self) -> str:
        """The last message before the answer."""
        return self.messages[-2]["content"] if len(self.messages) > 1 else ""

    @property
    def answer(self) -> str:
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True)
class Build:
    """What the compiler left for training; `fingerprint` changes when any of it does."""

    fingerprint: str
    phase1: tuple[Sample, ...]
    phase2: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    heldout: tuple[Sample, ...]

    def texts(self) -> list[str]:
        """Every text that may be trained on, in order; held-out questions are not among them."""
        samples = (*self.phase1, *self.phase2)
        return [message["content"] for sample in samples for message in sample.messages]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token ids and labels of a phase, one list per sample; `account` says what was left out."""

    input_ids: list[list[int]]
    labels: list[list[int]]
    account: Account

    @property
    def tokens(self) -> int:
        """Tokens of one epoch, before packing."""
        return sum(map(len, self.input_ids))


def read(folder: Path, report: Report) -> Build | None:
    """Reads and checks a build; F605 and None where it is not one."""
    manifest_path = folder / "manifest.json"
    hint = "make one: `trivium compile`, or name its folder with `--data`"
    try:
        manifest = json.loads(manifest_path.read_text("utf-8"))
        fingerprint, files = str(manifest["fingerprint"]), manifest["files"]
    except FileNotFoundError:
        report.add(F605, f"`{folder}` has no `manifest.json`", hint=hint)
        return None
    except (OSError, ValueError, KeyError, TypeError):
        message = f"`{manifest_path}` is not the manifest of a build"
        report.add(F605, message, hint="build it again")
        return None
    parts = [_samples(folder / f"{stem}.jsonl", files, report) for stem in _STEMS]
    if any(part is None for part in parts):
        return None
    return Build(fingerprint, *(part or () for part in parts))


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


def _samples(path: Path, files: object, report: Report) -> tuple[Sample, ...] | None:
    try:
        data = path.read_bytes()
    except OSError:
        report.add(F605, f"the build has no `{path.name}`", hint="build it again")
        return None
    entry = files.get(path.name) if isinstance(files, dict) else None
    wanted = entry.get("sha256") if isinstance(entry, dict) else None
    if wanted and wanted != hashlib.sha256(data).hexdigest():
        message = f"`{path.name}` is not the file that the manifest describes"
        report.add(F605, message, hint="build it again; do not edit a build by hand")
        return None
    samples = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            samples.append(_sample(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            place = Span(str(path), number)
            report.add(F605, "the line is not a sample", place, "build it again")
            return None
    return tuple(samples)


def _sample(row: dict[str, Any]) -> Sample:
    messages = tuple(
        {"role": str(m["role"]), "content": str(m["content"])} for m in row["messages"]
    )
    if messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not the assistant's")
    return Sample(
        str(row["id"]),
        messages,
        str(row["branch"]),
        str(row["leaf"]),
        bool(row.get("unmask")),
        bool(row.get("replay")),
    )


def select(build: Build, data: str, *, replay: bool) -> tuple[Sample, ...]:
    """The samples of `data` (phase1, phase2, or stacked: both), in the build's order."""
    own = tuple(sample for sample in build.phase2 if not sample.replay)
    match data:
        case "phase1":
            return build.phase1
        case "phase2":
            return build.phase2 if replay else own
        case _:
            return build.phase1 + own


def encode(
    name: str, samples: Sequence[Sample], tokenizer: "Tokenizer", max_length: int, report: Report
) -> Sequences:
    """Tokens and labels of a phase's samples; F606 for those left out, F607 where none is left."""
    input_ids: list[list[int]] = []
    labels: list[list[int]] = []
    total, long, empty = Counter[str](), Counter[str](), Counter[str]()
    for sample in samples:
        total[sample.leaf] += 1
        ids, learned = tokens_of(sample, tokenizer)
        if not sample.answer.strip() or all(label == IGNORED for label in learned[1:]):
            empty[sample.leaf] += 1
        elif len(ids) > max_length:
            long[sample.leaf] += 1
        else:
            input_ids.append(ids)
            labels.append(learned)
    for leaf, n in sorted(long.items()):
        message = f"{name}: {n} of {total[leaf]} samples of `{leaf}` are over {max_length} tokens"
        report.add(F606, f"{message} and were left out", hint="raise `max_length` in the recipe")
    for leaf, n in sorted(empty.items()):
        message = f"{name}: {n} of {total[leaf]} samples of `{leaf}` have an empty answer"
        report.add(F606, f"{message} and were left out", hint="build it again")
    if not input_ids:
        message = f"{name}: no sample is left to train on"
        report.add(F607, message, hint="look at the samples of the build, and at `max_length`")
    lost = long.total() + empty.total()
    account = Account(name, len(samples), len(input_ids), {F606.id: lost} if lost else {})
    return Sequences(input_ids, labels, account)


def tokens_of(sample: Sample, tokenizer: "Tokenizer") -> tuple[list[int], list[int]]:
    """A sample's token ids, and its labels: an id where the student learns, -100 elsewhere.

    Learned are the assistant's turns, with the token that ends them, or everything with `unmask`.
    A turn starts where the conversation before it, opened for an answer, stops being a prefix of
    the whole.
    """
    messages = list(sample.messages)
    ids = _tokens(messages, tokenizer)
    if sample.unmask:
        return ids, list(ids)
    labels = [IGNORED] * len(ids)
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        start = _common(prompt_tokens(messages[:i], tokenizer), ids) if i else 0
        end = len(ids)
        if i + 1 < len(messages):
            end = _common(_tokens(messages[: i + 1], tokenizer), ids)
        labels[start:end] = ids[start:end]
    return ids, labels


def prompt_tokens(messages: Sequence[Message], tokenizer: "Tokenizer") -> list[int]:
    """The tokens of a conversation that is open for the assistant's answer."""
    return _tokens(list(messages), tokenizer, add_generation_prompt=True)


def _tokens(messages: list[Message], tokenizer: "Tokenizer", **options: object) -> list[int]:
    encoded = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    return list(encoded["input_ids"])


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens the two have in common at their start."""
    for i, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return i
    return min(len(left), len(right))
