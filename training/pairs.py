"""Pairs of a better and a worse answer and a tokenizer go in; their token ids come out.

A file of its own because a pair is two conversations that begin alike: it is trained on whole or
not at all, and what is left out is counted as of samples (`encode`).
"""

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from compiler.codes import F606, F607
from compiler.diagnostics import Account, Report
from training.data import Pair
from training.encode import Limits, Sequences, characters, start_of, tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

Parts = tuple[list[int], list[int], list[int]]
"""Token ids of the prompt, of the better answer, and of the worse one."""


@dataclass(slots=True)
class Pairs(Sequences):
    """The pairs of a phase. `lengths` are the tokens of both conversations, `taught` those of both
    answers.
    """

    def parts(self, number: int) -> Parts:
        """Token ids of a pair."""
        pair = self.samples[number]
        assert isinstance(pair, Pair)
        return parts_of(pair, self.tokenizer)


def parts_of(pair: Pair, tokenizer: "Tokenizer") -> Parts:
    """A pair's token ids; the answers begin where the two conversations, or either and the open
    prompt, begin to differ, so that the prompt is the same for both.
    """
    *prompt, last = pair.messages
    better = replace(pair, unmask=True)
    worse = replace(better, messages=(*prompt, {**last, "content": pair.rejected}))
    chosen, _ = tokens_of(better, tokenizer)
    rejected, _ = tokens_of(worse, tokenizer)
    told = ((better, chosen), (worse, rejected))
    start = min(start_of(one.messages, len(prompt), ids, tokenizer) for one, ids in told)
    return chosen[:start], chosen[start:], rejected[start:]


def encode_pairs(
    name: str,
    samples: Sequence[Pair],
    tokenizer: "Tokenizer",
    limits: Limits,
    report: Report,
    step: Callable[[], None] = lambda: None,
) -> Pairs:
    """The pairs of a phase; F606 for those left out, F607 where none is left.

    `step` is called after each pair.
    """
    kept: list[Pair] = []
    lengths, taught = array("i"), array("i")
    total: Counter[str] = Counter()
    left: dict[str, Counter[str]] = {why: Counter() for why in _WHY}
    for pair in samples:
        step()
        total[pair.leaf] += 1
        try:
            prompt, chosen, rejected = parts_of(pair, tokenizer)
        except TemplateError:
            left["refused"][pair.leaf] += 1
            continue
        longest = len(prompt) + max(len(chosen), len(rejected))
        if why := _left_out(pair, prompt, longest, limits):
            left[why][pair.leaf] += 1
            continue
        kept.append(pair)
        lengths.append(2 * len(prompt) + len(chosen) + len(rejected))
        taught.append(len(chosen) + len(rejected))
    for why, counts in left.items():
        said, hint = _WHY[why]
        for leaf, n in sorted(counts.items()):
            message = f"{name}: {n} of {total[leaf]} pairs of `{leaf}` {said.format(limits)}"
            report.add(F606, f"{message} and were left out", hint=hint)
    if not samples:
        hint = "build with a pipeline that keeps the `best` of several answers and their `pair`"
        report.add(F607, f"{name}: the build has no pairs of answers", hint=hint)
    elif not kept:
        hint = "look at preferences.jsonl of the build, and at `max_length`"
        report.add(F607, f"{name}: no pair is left to train on", hint=hint)
    lost = sum(counts.total() for counts in left.values())
    account = Account(name, len(samples), len(kept), {F606.id: lost} if lost else {})
    return Pairs(kept, lengths, taught, account, tokenizer)


_WHY = {
    "long": ("are over {0.max_length} tokens", "raise `max_length` in the recipe"),
    "empty": ("have an empty answer or prompt", "build it again"),
    "equal": ("have two equal answers", "build it again"),
    "short": (
        "are under {0.min_tokens} tokens, or the better answer under {0.min_characters} characters",
        "lower `min_characters` or `min_tokens` in the recipe",
    ),
    "refused": ("are refused by the chat template", "name a student whose template takes them"),
}


def _left_out(pair: Pair, prompt: Sequence[int], longest: int, limits: Limits) -> str:
    """Why a pair is left out; "" where it is not."""
    if not pair.answer.strip() or not pair.rejected.strip() or not prompt:
        return "empty"
    if pair.answer.strip() == pair.rejected.strip():
        return "equal"
    if longest < limits.min_tokens or characters(pair.answer) < limits.min_characters:
        return "short"
    return "long" if longest > limits.max_length else ""
