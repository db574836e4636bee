"""A model and a phase's pairs of answers go in; a model that prefers the better ones comes out.

A file of its own because a phase of preferences is one run of TRL's DPOTrainer (Rafailov et al.,
arXiv 2305.18290), with the checkpoints, log and order of every other phase (`phase`). What the
student thought of the pairs before the phase is computed once, by the student itself: no second
model is kept, whether all weights are trained, fresh adapters or those of an earlier phase.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from training.choose import Choice
from training.encode import IGNORED
from training.order import Order
from training.pairs import Pairs
from training.phase import PhaseRun
from training.trainer import ROW, Trainer
from training.watch import Outcome

REFERENCE = "ref"
"""TRL's name for the copy of the adapters that it would keep as the reference."""


class PreferenceRun(PhaseRun):
    """One phase of preferences on its way. `told` gets how many of its pairs the student ranks
    rightly, and by how many nats, before and after.
    """

    sequences: Pairs
    trainer: "PreferenceTrainer"

    def train(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> tuple[PreTrainedModel, Outcome, Choice | None]:
        """As of every phase; there is no choice of checkpoints."""
        done = super().train(model, tokenizer)
        before, after = self.trainer.batches.reference, self.trainer.log_probabilities()
        self.told["preferences"] = {
            "beta": self.phase.beta,
            "before": ranking(before),
            "after": ranking(after),
        }
        return done

    def _trainer(self, model: PreTrainedModel) -> Trainer:
        arguments = DPOConfig(
            **self.settings(packing=False),
            beta=self.phase.beta,
            precompute_ref_log_probs=True,
        )
        batches = PairBatches(self.sequences, self.order)
        self.trainer = PreferenceTrainer(model, arguments, batches)
        self.trainer.remove_callback(PrinterCallback)
        return cast(Trainer, self.trainer)


def ranking(scores: torch.Tensor) -> dict[str, float]:
    """How a student ranks pairs, of whose answers it gives the (pairs, 2) log-probabilities: the
    mean `margin` of the better over the worse one (nats), and the share where it is above 0.
    """
    margins = scores[:, 0] - scores[:, 1]
    share = (margins > 0).double().mean()
    return {"margin": round(margins.mean().item(), 4), "accuracy": round(share.item(), 4)}


class PairBatches:
    """Makes tensors of rows of an order, as the trainer's collator: of all better answers, then of
    all worse ones, each after its prompt.

    `reference` are the (pairs, 2) log-probabilities of both answers of each pair before the phase.
    A row without a pair teaches nothing: its sums are over no token.
    """

    def __init__(self, pairs: Pairs, order: Order) -> None:
        self.pairs, self.order = pairs, order
        self.collate = DataCollatorForPreference(pairs.tokenizer.pad_token_id)
        self.reference = torch.zeros(len(pairs), 2, dtype=torch.float64)

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, torch.Tensor]:
        numbers = [row[ROW] for row in rows]
        made = self.of([next(iter(self.order[number]), None) for number in numbers])
        return {**made, "rows": torch.tensor(numbers)}

    def of(self, numbers: Sequence[int | None]) -> dict[str, torch.Tensor]:
        """The batch of some pairs; None stands for a row without one."""
        made: dict[str, torch.Tensor] = self.collate([self._example(one) for one in numbers])
        return made

    def _example(self, number: int | None) -> dict[str, Any]:
        if number is None:
            prompt, chosen, rejected = [self.collate.pad_token_id], [], []
            before = [0.0, 0.0]
        else:
            prompt, chosen, rejected = self.pairs.parts(number)
            before = self.reference[number].tolist()
        return {
            "prompt_ids": prompt,
            "chosen_ids": chosen,
            "rejected_ids": rejected,
            "ref_chosen_logps": before[0],
            "ref_rejected_logps": before[1],
        }


class PreferenceTrainer(DPOTrainer):
    """TRL's trainer on our batches, without its model cards and without a second set of adapters;
    `seen` are the rows that it trained on since they were last taken away.
    """

    def __init__(self, model: PreTrainedModel, arguments: DPOConfig, batches: PairBatches) -> None:
        arguments.remove_unused_columns = False
        arguments.train_sampling_strategy = "sequential"
        self.batches = batches
        self.seen: list[int] = []
        super().__init__(
            model,
            args=arguments,
            data_collator=batches,
            train_dataset=Dataset.from_dict({ROW: range(len(batches.order))}),
            processing_class=batches.pairs.tokenizer,
        )

    def create_model_card(self, *args: object, **options: object) -> None:
        """A checkpoint is no model to publish."""

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        return dataset  # our batches turn texts into tokens

    def _precompute_ref_logps(self, dataset: Dataset, *_: object) -> Dataset:
        """What TRL asks for before the first step: nothing was trained, so the student answers for
        itself.
        """
        if REFERENCE in getattr(self.model, "peft_config", {}):
            self.model.delete_adapter(REFERENCE)
        self.batches.reference = self.log_probabilities()
        return dataset

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The mean of -log sigmoid(beta x what the margin has grown by) over the pairs."""
        self.seen += inputs.pop("rows").tolist()
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs a step; rows without a pair, which fill up the last one, count in no mean."""
        order = self.batches.order
        rows = order.tokens[(self.state.global_step - 1) * order.step :][: order.step]
        share = sum(tokens > 0 for tokens in rows) / order.step
        if "loss" in logs and 0 < share < 1:
            logs["loss"] = (logs["loss"] - (1 - share) * math.log(2)) / share
            for name, values in self._metrics["train"].items():
                if name.startswith(("rewards/", "logps/")):
                    values[:] = [value / share for value in values]
        super().log(logs, start_time)

    @torch.no_grad()
    def log_probabilities(self) -> torch.Tensor:
        """Log-probabilities of both answers of each pair, as the student is now: (pairs, 2), on the
        CPU. Processes share the pairs.
        """
        count, size = len(self.batches.pairs), self.args.per_device_train_batch_size
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        rounds = -(-count // processes)
        mine = [(process + i * processes) % count for i in range(rounds)]
        device, training = self.model.device, self.model.training
        self.model.eval()
        sums = []
        for start in range(0, rounds, size):
            made = self.batches.of(mine[start : start + size])
            ids, answers = made["input_ids"].to(device), made["completion_mask"].to(device)
            with self.accelerator.autocast():
                found = self.model(
                    input_ids=ids,
                    attention_mask=made["attention_mask"].to(device),
                    use_cache=False,
                    labels=ids.masked_fill(answers == 0, IGNORED),
                    fused_lm_head=True,
                ).log_probs.sum(1)
            sums.append(torch.stack(found.chunk(2), 1))
        self.model.train(training)
        told = self.accelerator.gather(torch.cat(sums).float().to(self.accelerator.device))
        numbers = self.accelerator.gather(torch.tensor(mine, device=self.accelerator.device))
        whole = torch.zeros(count, 2, dtype=torch.float64)
        whole[numbers.cpu()] = told.double().cpu()
        return whole
