"""A student and questions go in; its greedy answers, and how likely it finds given ones, come out.

A file of its own because checkpoints and finished students are asked in one way. Batches are of
like length, the longest first, so that what does not fit is known at once; the same questions make
the same batches. What room an answer has depends on its question alone, not on its batch. Only
where an answer stands are odds of all words computed, and never more of them at once than LOGITS:
with a vocabulary of 150,000 the odds of one long batch are gigabytes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from training import student
from training.data import Sample
from training.encode import prompt_tokens, tokens_of
from training.talk import ROOM

BATCH = 64
TOKENS = 2**14
"""Tokens of a batch, padding and room for answers counted."""
LOGITS = 2**26
"""Numbers that a head may give at once: 256 MB of float32."""
LEAST_ROOM = 32
"""Tokens of the shortest room, and the steps in which rooms grow with the reference."""
WORST = 1e3
"""Nats of a token of which the student says no number."""


@dataclass(frozen=True, slots=True)
class Question:
    """A sample, `options` to choose from (the right answer first, or none), and whether the student
    is to `speak`, or is only measured; `free` is an answer that somebody reads as it is, so that it
    has the room of a chat, as it has where the question has a checker.
    """

    sample: Sample
    options: tuple[str, ...] = ()
    speak: bool = True
    free: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a student said to one question.

    `nll` is the sum of -log p over the `tokens` of the reference, with the one that ends it (nats);
    `choices` is, for each option, that of its text alone, divided by its characters. `cut` is true
    where the answer was not at its end when its room was.
    """

    text: str
    nll: float
    tokens: int
    choices: tuple[float, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Scored:
    """Tokens of a conversation, where its last answer begins, and where the text of it ends."""

    ids: list[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The open conversation of a question; its reference and its options but the first, closed."""

    prompt: list[int]
    told: list[_Scored]
    room: int

    @property
    def length(self) -> int:
        return len(self.prompt) + self.room


def ask(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Sample]
) -> list[Answer]:
    """The model's greedy answers, and the loss of the references, in the order of the questions."""
    found: dict[int, Answer] = {}
    for answers in asking(model, tokenizer, [Question(sample) for sample in asked]):
        found |= answers
    return [found[i] for i in range(len(asked))]


def asking(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Question],
    known: Mapping[int, Answer] | None = None,
) -> Iterator[dict[int, Answer]]:
    """Answers by the number of the question, a batch at a time; of a batch whose answers are all
    `known` nothing is asked, so that what follows does not depend on where another run ended.
    """
    most = _most(model)
    encoded = [_encode(question, tokenizer, most) for question in asked]
    for batch in _batches(encoded, asked):
        if known and all(i in known for i in batch):
            yield {i: known[i] for i in batch}
            continue
        said = _spoken(model, tokenizer, encoded, [i for i in batch if asked[i].speak])
        scored = [(i, one) for i in batch for one in encoded[i].told]
        sums = _sums(model, tokenizer, [one for _, one in scored])
        found: dict[int, list[tuple[_Scored, float, float]]] = {i: [] for i in batch}
        for (i, one), (whole, text) in zip(scored, sums, strict=True):
            found[i].append((one, whole, text))
        yield {i: _answer(asked[i], said.get(i, ("", False)), found[i]) for i in batch}


def _answer(
    question: Question, said: tuple[str, bool], told: Sequence[tuple[_Scored, float, float]]
) -> Answer:
    text, cut = said
    reference, nll, _ = told[0]
    choices = [
        round(alone / max(1, len(option)), 6)
        for option, (_, _, alone) in zip(question.options, told, strict=False)
    ]
    return Answer(text, round(nll, 6), len(reference.ids) - reference.start, tuple(choices), cut)


def _most(model: PreTrainedModel) -> int:
    """Tokens that an answer may have, as in a chat: ROOM, or half of what the model can read."""
    context = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    return min(ROOM, context // 2) if context else ROOM


def _encode(question: Question, tokenizer: PreTrainedTokenizerBase, most: int) -> _Encoded:
    sample = question.sample
    prompt = prompt_tokens(sample.messages[:-1], tokenizer)
    told = [
        _scored(prompt, sample, text, tokenizer) for text in (sample.answer, *question.options[1:])
    ]
    room = 0
    if question.speak:
        room = LEAST_ROOM * math.ceil((len(told[0].ids) - told[0].start + 8) / LEAST_ROOM)
        if question.free or sample.verify:
            room = max(room, most)
    return _Encoded(prompt, told, room)


def _scored(
    prompt: Sequence[int], sample: Sample, text: str, tokenizer: PreTrainedTokenizerBase
) -> _Scored:
    """The conversation of `sample` with `text` as its last answer."""
    messages = (*sample.messages[:-1], {"role": "assistant", "content": text})
    ids, _ = tokens_of(replace(sample, messages=messages, unmask=True), tokenizer)
    start = next(
        (i for i, (a, b) in enumerate(zip(prompt, ids, strict=False)) if a != b),
        min(len(prompt), len(ids)),
    )
    start, end = max(1, start), len(ids)
    special = set(tokenizer.all_special_ids)
    while end > start + 1 and (
        ids[end - 1] in special or not str(tokenizer.decode(ids[end - 1 : end])).strip()
    ):
        end -= 1
    return _Scored(ids, start, end)


def _batches(encoded: Sequence[_Encoded], asked: Sequence[Question]) -> Iterator[list[int]]:
    """The numbers of the questions, in batches; the longest questions come first."""
    order = sorted(range(len(asked)), key=lambda i: (-encoded[i].length, asked[i].sample.id, i))
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) == BATCH or (len(batch) + 1) * encoded[batch[0]].length > TOKENS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@torch.inference_mode()
def _spoken(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: Sequence[_Encoded],
    batch: Sequence[int],
) -> dict[int, tuple[str, bool]]:
    """The text of each answer, and whether its room cut it."""
    if not batch:
        return {}
    # Prompts are padded on the left, so that all answers start in one column.
    width, pad = max(len(encoded[i].prompt) for i in batch), tokenizer.pad_token_id
    empty = [width - len(encoded[i].prompt) for i in batch]
    tokens = [[pad] * n + encoded[i].prompt for n, i in zip(empty, batch, strict=True)]
    mask = [[0] * n + [1] * (width - n) for n in empty]
    rooms = [encoded[i].room for i in batch]
    with student.greedy(model, tokenizer, max(rooms)):
        made = model.generate(
            input_ids=torch.tensor(tokens, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            stopping_criteria=[_Rooms(width, rooms)],
        )
    ends = set(student.stops(model, tokenizer))
    own = [row[:room] for row, room in zip(made[:, width:].tolist(), rooms, strict=True)]
    texts = tokenizer.batch_decode(own, skip_special_tokens=True)
    return {
        i: (text.strip(), ends.isdisjoint(ids))
        for i, text, ids in zip(batch, texts, own, strict=True)
    }


class _Rooms(StoppingCriteria):
    """Ends each answer of a batch where its own room ends, so that none waits for another's."""

    def __init__(self, width: int, rooms: Sequence[int]) -> None:
        self.width, self.rooms = width, torch.tensor(rooms)

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object
    ) -> torch.Tensor:
        full: torch.Tensor = self.rooms <= input_ids.shape[1] - self.width
        return full.to(input_ids.device)


def _sums(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scored: Sequence[_Scored]
) -> list[tuple[float, float]]:
    """For each of `scored` the sum of -log p of the whole answer, and of its text alone."""
    width = len(tokenizer)
    order = sorted(range(len(scored)), key=lambda n: (-len(scored[n].ids), n))
    found: dict[int, tuple[float, float]] = {}
    while order:
        size = 1
        while size < len(order) and _fits([scored[n] for n in order[: size + 1]], width):
            size += 1
        batch, order = order[:size], order[size:]
        found |= zip(batch, _summed(model, width, [scored[n] for n in batch]), strict=True)
    return [found[n] for n in range(len(scored))]


def _fits(batch: Sequence[_Scored], vocabulary: int) -> bool:
    """Whether one pass may take the batch."""
    widest = max(len(one.ids) for one in batch)
    span = widest - min(one.start for one in batch)
    rows = len(batch)
    return rows <= BATCH and rows * widest <= TOKENS and rows * span * vocabulary <= LOGITS


@torch.inference_mode()
def _summed(
    model: PreTrainedModel, vocabulary: int, batch: Sequence[_Scored]
) -> list[tuple[float, float]]:
    """What `_sums` gives, for one batch; a single answer that is too long takes several passes."""
    width = max(len(one.ids) for one in batch)
    # What stands behind a row's end is masked, so it may be any token.
    ids = torch.tensor(
        [one.ids + [0] * (width - len(one.ids)) for one in batch], device=model.device
    )
    mask = torch.tensor(
        [[1] * len(one.ids) + [0] * (width - len(one.ids)) for one in batch], device=model.device
    )
    wanted = sorted({p for one in batch for p in range(one.start - 1, len(one.ids) - 1)})
    each = torch.zeros(len(batch), width, dtype=torch.float64)
    most = max(1, LOGITS // (len(batch) * vocabulary))
    for kept in (wanted[at : at + most] for at in range(0, len(wanted), most)):
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=False,
            logits_to_keep=torch.tensor(kept, device=model.device),
        ).logits
        if logits.shape[1] != len(kept):  # a model that knows no `logits_to_keep`
            logits = logits[:, kept]
        cells = [
            (row, column, position)
            for row, one in enumerate(batch)
            for column, position in enumerate(kept)
            if one.start - 1 <= position < len(one.ids) - 1
        ]
        rows, columns, positions = (torch.tensor(list(part)) for part in zip(*cells, strict=True))
        chosen = logits[rows.to(logits.device), columns.to(logits.device)].float()
        truth = ids.cpu()[rows, positions + 1].to(chosen.device)
        nll = torch.nn.functional.cross_entropy(chosen, truth, reduction="none")
        nll = torch.nan_to_num(nll, nan=WORST, posinf=WORST, neginf=WORST)
        each[rows, positions + 1] = nll.double().cpu()
    return [
        (each[row, one.start :].sum().item(), each[row, one.start : one.end].sum().item())
        for row, one in enumerate(batch)
    ]
