"""A student's configuration and tokenizer and a recipe go in; what does not fit comes out.

A file of its own because it is told before the first sample is read: the model is built without
memory for its weights, so that names and sizes are known in a moment.
"""

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from compiler.codes import F609, F620
from compiler.diagnostics import Report
from compiler.schema import guess
from training.recipe import Lora, Recipe
from training.student import embeddings_of
from training.where import base_of, is_adapted, stage_of

LAYERS = (torch.nn.Linear, Conv1D, torch.nn.Embedding)
"""What adapters are made for here, of the kinds that PEFT knows."""
PROBED = 16
"""Tokens of the samples that are laid behind each other to see whether they mix."""
MIXED = 1e-3
"""The change of a token's logits, relative to them, from which on samples mix."""


def test(where: str, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, report: Report) -> None:
    """F609 where the tokenizer has tokens that the model of `where` does not know, F620 where the
    recipe's adapters have no place in it.
    """
    stage = stage_of(where)
    model = outline(base_of(stage) if is_adapted(stage) else stage)
    if model is None:  # what is wrong is told where it is loaded
        return
    highest, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().weight
    if highest > len(rows):
        message = f"the tokenizer of `{where}` has {highest:,} tokens, and its model {len(rows):,}"
        report.add(F609, message, hint="take the tokenizer that the model was trained with")
    if recipe.lora:
        test_targets(model, recipe.lora, report)


@torch.no_grad()
def mixes(model: PreTrainedModel, bf16: bool) -> bool:
    """Whether a sample that is packed behind another sees it: positions that begin anew keep them
    apart in attention with a mask that is made of them, and in nothing else.

    The sample is laid behind two others, so that it is computed in the same way each time.
    """
    training, device = model.training, model.device
    rows = min(200, len(model.get_input_embeddings().weight)) - PROBED // 2
    numbers = torch.arange(PROBED, device=device)
    told = []
    model.eval()
    for before in (numbers * 7, numbers * 11 + 5):
        ids = torch.cat((before, numbers * 13 + 3)) % rows + PROBED // 2
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = model(
                input_ids=ids[None], position_ids=numbers.repeat(2)[None], use_cache=False
            )
        told.append(found.logits[0, PROBED:].float())
    model.train(training)
    one, other = told
    return bool(((one - other).norm(dim=-1) > MIXED * one.norm(dim=-1)).any())


def outline(where: str) -> PreTrainedModel | None:
    """The model of a folder or name with weights that have shapes and nothing else; None where it
    cannot be made.
    """
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def test_targets(model: PreTrainedModel, lora: Lora, report: Report) -> None:
    """F620 for every target that matches no layer, one of another kind, or the output head."""
    modules = dict(model.named_modules())
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head is not None and head.weight is embeddings.weight
    linear = sorted(
        {
            name.rpartition(".")[2]
            for name, one in modules.items()
            if isinstance(one, LAYERS[:2]) and one is not head
        }
    )
    targets = () if isinstance(lora.targets, str) else lora.targets
    for target in targets:
        found = [
            one for name, one in modules.items() if name == target or name.endswith(f".{target}")
        ]
        if any(one is head for one in found):
            message = f"`{target}` is the output head, which cannot have an adapter"
            report.add(F620, message, hint="remove it from `targets`")
        elif tied and any(one is embeddings for one in found):
            message = f"`{target}` is the output head once more: an adapter would reach one of both"
            report.add(F620, message, hint="remove it; `embeddings: true` trains both")
        elif not found or not all(isinstance(one, LAYERS) for one in found):
            message = f"the student has no linear layer `{target}`"
            report.add(F620, message, hint=guess(target, linear))
    if lora.embeddings and embeddings_of(model) in targets and not tied:
        message = f"`{embeddings_of(model)}` is among `targets`, and `embeddings` trains it whole"
        report.add(F620, message, hint="remove one of the two")
