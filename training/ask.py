"""A student and samples go in; its greedy answers and the loss of the references come out.

A file of its own because checkpoints and finished students are asked in one way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training import student
from training.data import Sample
from training.encode import IGNORED, prompt_tokens, tokens_of

BATCH = 64

Encoded = tuple[list[int], list[int], list[int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One stage's answer to one question; `nll` is the sum over the reference's `tokens` (nats)."""

    text: str
    nll: float
    tokens: int


def ask(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Sample]
) -> list[Answer]:
    """The model's greedy answers, and the loss of the references, in the order of the questions."""
    encoded = [(prompt_tokens(s.messages[:-1], tokenizer), *tokens_of(s, tokenizer)) for s in asked]
    order = sorted(range(len(asked)), key=lambda i: (len(encoded[i][1]), asked[i].id))
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), BATCH):
        picked = order[start : start + BATCH]
        prompts = [encoded[i][0] for i in picked]
        room = max(len(encoded[i][1]) - len(encoded[i][0]) for i in picked) + 8
        texts = student.generate(model, tokenizer, prompts, room)
        losses = _losses(model, tokenizer, [encoded[i] for i in picked])
        for i, text, (nll, tokens) in zip(picked, texts, losses, strict=True):
            answers[i] = Answer(text, nll, tokens)
    return [answers[i] for i in range(len(asked))]


@torch.inference_mode()
def _losses(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: Sequence[Encoded]
) -> list[tuple[float, int]]:
    """For each reference answer the sum of -log p of its tokens, and their number."""
    width = max(len(ids) for _, ids, _ in batch)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([i + [pad] * (width - len(i)) for _, i, _ in batch], device=model.device)
    labels = torch.tensor(
        [answer_labels(p, i) + [IGNORED] * (width - len(i)) for p, i, _ in batch],
        device=model.device,
    )
    mask = torch.tensor(
        [[1] * len(i) + [0] * (width - len(i)) for _, i, _ in batch], device=model.device
    )
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    wanted = labels[:, 1:]
    each = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none"
    )
    sums, counts = each.sum(1).tolist(), (wanted != IGNORED).sum(1).tolist()
    return list(zip(sums, counts, strict=True))


def answer_labels(prompt: list[int], ids: list[int]) -> list[int]:
    """Labels of the last turn only: what comes after the prompt."""
    start = next(
        (i for i, (a, b) in enumerate(zip(prompt, ids, strict=False)) if a != b), len(prompt)
    )
    return [IGNORED] * start + ids[start:]
