"""Samples and a tokenizer go in; token ids and labels come out, when a batch wants them.

A file of its own because nothing may be cut or lost on the way: what is too long, too short or
empty is left out, counted per leaf and named. Only numbers are kept of the others, and their texts
are turned into tokens when they are needed, so the tokenizer is a choice of the run and not of the
data (OpenELM, arXiv 2404.14619, section 2.2).
"""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from compiler.codes import F606, F607
from compiler.diagnostics import Account, Report
from training.data import Message, Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

IGNORED = -100
CACHED = 8_000_000
"""Tokens of texts that were asked for before and are kept: 64 MB with their labels."""

Encoded = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The shortest answer in characters (lower case, no punctuation, single spaces), the shortest
    and the longest sample in tokens.
    """

    min_characters: int = 1
    min_tokens: int = 1
    max_length: int = 1024


@dataclass(slots=True)
class Sequences:
    """The samples of a phase that are trained on; `account` says what was left out.

    `lengths` and `taught` are, for each sample, its tokens and those that it has a label for.
    """

    samples: Sequence[Sample]
    lengths: Sequence[int]
    taught: Sequence[int]
    account: Account
    tokenizer: "Tokenizer"
    _cache: dict[int, Encoded] = field(default_factory=dict)
    _cached: int = 0

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def tokens(self) -> int:
        """Tokens of one epoch, before packing."""
        return sum(self.lengths)

    def __iter__(self) -> Iterator[Encoded]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Encoded:
        """Token ids and labels of a sample."""
        if (found := self._cache.get(number)) is not None:
            return found
        ids, labels = tokens_of(self.samples[number], self.tokenizer)
        made = array("i", ids), array("i", labels)
        if self._cached + len(ids) <= CACHED:
            self._cache[number] = made
            self._cached += len(ids)
        return made


def encode(
    name: str,
    samples: Sequence[Sample],
    tokenizer: "Tokenizer",
    limits: Limits,
    report: Report,
    step: Callable[[], None] = lambda: None,
) -> Sequences:
    """The sequences of a phase; F606 for those left out, F607 where none is left.

    `step` is called after each sample.
    """
    kept: list[Sample] = []
    lengths, taught = array("i"), array("i")
    first: list[Encoded] = []
    total: Counter[str] = Counter()
    left: dict[str, Counter[str]] = {why: Counter() for why in _WHY}
    cached = 0
    for sample in samples:
        step()
        total[sample.leaf] += 1
        try:
            ids, labels = tokens_of(sample, tokenizer)
        except TemplateError:  # such as a template that knows no system message
            left["refused"][sample.leaf] += 1
            continue
        learned = sum(label != IGNORED for label in labels[1:])
        if why := _left_out(sample, len(ids), learned, limits):
            left[why][sample.leaf] += 1
            continue
        if cached + len(ids) <= CACHED:
            first.append((array("i", ids), array("i", labels)))
            cached += len(ids)
        kept.append(sample)
        lengths.append(len(ids))
        taught.append(learned)
    for why, counts in left.items():
        said, hint = _WHY[why]
        for leaf, n in sorted(counts.items()):
            words = said.format(limits)
            message = f"{name}: {n} of {total[leaf]} samples of `{leaf}` {words}"
            report.add(F606, f"{message} and were left out", hint=hint)
    if not kept:
        message = f"{name}: no sample is left to train on"
        report.add(F607, message, hint="look at the samples of the build, and at `max_length`")
    lost = sum(counts.total() for counts in left.values())
    account = Account(name, len(samples), len(kept), {F606.id: lost} if lost else {})
    cache = dict(enumerate(first)) if len(first) == len(kept) else {}
    return Sequences(kept, lengths, taught, account, tokenizer, cache, cached if cache else 0)


_WHY = {
    "refused": ("are refused by the chat template", "name a student whose template takes them"),
    "long": ("are over {0.max_length} tokens", "raise `max_length` in the recipe"),
    "empty": ("have an empty answer", "build it again"),
    "short": (
        "are under {0.min_characters} characters or {0.min_tokens} tokens",
        "lower `min_characters` or `min_tokens` in the recipe",
    ),
}


def _left_out(sample: Sample, length: int, learned: int, limits: Limits) -> str:
    """Why a sample is left out; "" where it is not."""
    if not sample.answer.strip() or not learned:
        return "empty"
    if length < limits.min_tokens or characters(sample.answer) < limits.min_characters:
        return "short"
    return "long" if length > limits.max_length else ""


def fits(sample: Sample, tokenizer: "Tokenizer", limits: Limits) -> bool:
    """Whether a student can be asked for the last message of a sample: by the rules for samples
    that are trained on, as if only answers were learned.
    """
    try:
        ids, labels = tokens_of(replace(sample, unmask=False), tokenizer)
    except TemplateError:
        return False
    learned = sum(label != IGNORED for label in labels[1:])
    return not _left_out(sample, len(ids), learned, limits)


def characters(text: str) -> int:
    """Characters of a text in lower case, without punctuation and with single spaces, but 1 for one
    of nothing else: a mark can be an answer.
    """
    return max(1, len(" ".join(re.sub(r"[^\w\s]|_", "", text.lower()).split())))


def tokens_of(sample: Sample, tokenizer: "Tokenizer") -> tuple[list[int], list[int]]:
    """A sample's token ids, and its labels: an id where the student learns, -100 elsewhere.

    Learned are the assistant's turns, each with the token that ends it and nothing after, or
    everything with `unmask`. Raises jinja2's TemplateError where the template refuses, or writes
    an open conversation so unlike a closed one that nothing says where a turn starts.
    """
    messages = list(sample.messages)
    ids = _tokens(messages, tokenizer)
    if sample.unmask:
        return ids, list(ids)
    labels = [IGNORED] * len(ids)
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            start = start_of(messages, i, ids, tokenizer)
            end = _closed(ids, start, _end(messages, i, ids, start, tokenizer), tokenizer)
            labels[start:end] = ids[start:end]
    return ids, labels


def start_of(
    messages: Sequence[Message], turn: int, ids: Sequence[int], tokenizer: "Tokenizer"
) -> int:
    """Where a turn starts, counted in `ids`, those of the whole conversation: where that before it,
    opened for an answer, stops being a prefix. Raises TemplateError where this is no place after
    the message before the turn.
    """
    if not turn:
        return 0
    opened = prompt_tokens(messages[:turn], tokenizer)
    start = _common(opened, ids)
    if start < len(opened):  # proved by changing that message: no token of the turn may move
        moved = _tokens(_changed(messages, turn - 1), tokenizer)
        if len(ids) - _common(moved[::-1], ids[::-1]) > start:
            raise TemplateError("an open conversation is written unlike a closed one")
    return start


def _changed(messages: Sequence[Message], number: int) -> list[Message]:
    """The conversation with a longer text of one message."""
    changed = list(messages)
    changed[number] = {**messages[number], "content": messages[number]["content"] + " ."}
    return changed


def _end(
    messages: list[Message], turn: int, ids: list[int], start: int, tokenizer: "Tokenizer"
) -> int:
    """Where a turn stops, counted in `ids`; what closes it may be part of it or not."""
    if turn + 1 == len(messages):
        return len(ids)
    end = _common(_tokens(messages[: turn + 1], tokenizer), ids)
    if end > start:
        return end
    # A template that writes the last turn unlike earlier ones: see what the turn's text moves.
    moved = _tokens(_changed(messages, turn), tokenizer)
    end = len(ids) - _common(moved[::-1], ids[::-1])
    return end + (ids[end] in _special(tokenizer))  # the token that closes it did not move


def _closed(ids: list[int], start: int, end: int, tokenizer: "Tokenizer") -> int:
    """`end`, moved back over blanks to the token that closes the turn, where there is one."""
    special = _special(tokenizer)
    last = end
    while last > start and ids[last - 1] not in special:
        if tokenizer.decode([ids[last - 1]]).strip():
            return end
        last -= 1
    return last if last > start else end


@lru_cache(4)
def _special(tokenizer: "Tokenizer") -> frozenset[int]:
    added = tokenizer.added_tokens_decoder
    return frozenset(tokenizer.all_special_ids) | {n for n, one in added.items() if one.special}


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
