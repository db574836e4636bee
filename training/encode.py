"""Samples and a tokenizer go in; token ids and labels come out.

A file of its own because nothing may be cut or lost on the way: what is too long or empty is left
out, counted per leaf and named. The labels are those that TRL would make of prompt/completion
samples; made here, they also hold for samples with several turns and for those that are learned
whole (`unmask`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.codes import F606, F607
from compiler.diagnostics import Account, Report
from training.data import Message, Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

IGNORED = -100


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
