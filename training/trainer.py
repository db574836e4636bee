"""Sequences in their order go in; batches for TRL's trainer, and the loss of a batch, come out.

A file of its own because it is all that we add to TRL's SFTTrainer: it trains on sequences in the
order that is given, and computes logits only where a token has a label, which is exact and on a CPU
two to three times as fast.
"""

import inspect
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from trl import SFTConfig, SFTTrainer

from training.encode import IGNORED, Sequences
from training.order import Order

ROW = "row"


class Batches:
    """Makes tensors of rows of an order, as the trainer's collator.

    A batch has `input_ids`, `labels` and `position_ids`, (rows, tokens) each, or (1, tokens) with
    `flat`; positions begin anew with each sample, by which attention keeps samples apart. `rows`
    are the numbers of the rows.
    """

    def __init__(self, sequences: Sequences, order: Order, pad: int, flat: bool = False) -> None:
        self.sequences, self.order, self.pad, self.flat = sequences, order, pad, flat

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, torch.Tensor]:
        numbers = [row[ROW] for row in rows]
        filled = [self._row(number) for number in numbers]
        if self.flat:
            filled = [tuple(list(chain(*parts)) for parts in zip(*filled, strict=True))]
        width = max(len(ids) for ids, _, _ in filled)
        ids, labels, places = zip(*(self._padded(one, width) for one in filled), strict=True)
        return {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor(labels),
            "position_ids": torch.tensor(places),
            "rows": torch.tensor(numbers),
        }

    def _row(self, number: int) -> tuple[list[int], list[int], list[int]]:
        """Ids, labels and positions of a sequence; one token that teaches nothing where it is
        empty.
        """
        ids: list[int] = []
        labels: list[int] = []
        places: list[int] = []
        for sample in self.order[number]:
            of, learned = self.sequences[sample]
            ids.extend(of)
            labels.append(IGNORED)  # nothing before it foretells a sample's first token
            labels.extend(learned[1:])
            places.extend(range(len(of)))
        return (ids, labels, places) if ids else ([self.pad], [IGNORED], [0])

    def _padded(
        self, row: tuple[list[int], list[int], list[int]], width: int
    ) -> tuple[list[int], list[int], list[int]]:
        ids, labels, places = row
        more = width - len(ids)
        return ids + [self.pad] * more, labels + [IGNORED] * more, places + list(range(more))


class Trainer(SFTTrainer):
    """TRL's trainer on our batches, without its model cards; `seen` are the rows that it trained on
    since they were last taken away.
    """

    def __init__(self, model: PreTrainedModel, arguments: SFTConfig, batches: Batches) -> None:
        arguments.dataset_kwargs = {"skip_prepare_dataset": True}
        arguments.remove_unused_columns = False
        arguments.train_sampling_strategy = "sequential"
        super().__init__(
            model,
            arguments,
            data_collator=batches,
            train_dataset=Dataset.from_dict({ROW: range(len(batches.order))}),
            processing_class=batches.sequences.tokenizer,
        )
        self.seen: list[int] = []
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        keeps = "logits_to_keep" in inspect.signature(inner.forward).parameters
        # With Triton, TRL's own loss builds no logits at all.
        self.sparse = keeps and not self.aux_loss_enabled and self.args.device.type != "cuda"

    def create_model_card(self, *args: object, **options: object) -> None:
        """A checkpoint is no model to publish."""

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The mean of -log p over the tokens with a label, of all batches of the step (nats)."""
        self.seen += inputs.pop("rows").tolist()
        if not self.sparse:
            return super().compute_loss(
                model, inputs, return_outputs, num_items_in_batch=num_items_in_batch
            )
        wanted = inputs.pop("labels")[:, 1:]
        if not wanted.shape[1]:  # rows of one token, which teach nothing
            wanted = wanted.new_full((len(wanted), 1), IGNORED)
        places = (wanted != IGNORED).any(0).nonzero()[:, 0]
        if not len(places):
            places = torch.zeros(1, dtype=torch.long, device=wanted.device)
        logits = model(**inputs, logits_to_keep=places, use_cache=False).logits.float()
        wanted = wanted[:, places]
        loss = cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        count = num_items_in_batch
        if count is None:
            count = (wanted != IGNORED).sum()
        elif self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over them
        return loss / torch.as_tensor(count).clamp(min=1)
