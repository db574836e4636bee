"""A stage and the stage before it go in; the model that the stage begins with comes out.

A file of its own because what "goes on" means depends on the method: the same weights, the same
adapters, or fresh adapters on a base into which the earlier ones were merged. Every weight is
trained in float32, with bfloat16 for the products where the hardware has it: steps of 1e-5 are
rounded away in bfloat16 weights. Weights that adapters keep as they are need only be bfloat16, or 4
bits.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compiler.codes import F620
from compiler.diagnostics import Report
from training import fit, together
from training.machine import Hardware, whole_folder
from training.mistakes import ALL_LINEAR
from training.recipe import BASE, Lora, Phase, Recipe
from training.student import load_model, with_adapters
from training.where import ADAPTER, base_of, is_adapted, merged_base, stage_of


def model_of(
    phase: Phase,
    after: str,
    recipe: Recipe,
    base: str,
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    hardware: Hardware,
    report: Report,
) -> PreTrainedModel | None:
    """The model with which `phase` begins, after the stage `after` of the run in `out`, whose base
    stage is `base`; F609 or F620 where there is none.

    Where the stage before has adapters, they are trained on, or merged into a base that is written
    into `out` once (`adapter: new`), or merged here where every weight is trained.
    """
    before = stage_of(base) if after == BASE else str(out / after)
    if recipe.lora is None:
        model = load_model(before, report, base=base, tokenizer=tokenizer)
        if model is not None and is_adapted(before):
            model = merged(model).requires_grad_(True)
        return model
    if is_adapted(before) and phase.adapter == "continue":
        if not _same(before, base, recipe.lora, report):
            return None
        return load_model(
            before,
            report,
            base=base,
            bf16=hardware.bf16,
            bits=recipe.bits,
            trainable=True,
            tokenizer=tokenizer,
        )
    if is_adapted(before):
        place = merged_base(out, after)
        together.told(lambda: place.is_dir() or merge(before, base, place, tokenizer, report))
        before = str(place)
    model = load_model(before, report, bf16=hardware.bf16, bits=recipe.bits, tokenizer=tokenizer)
    return with_adapters(model, recipe.lora, recipe.seed) if model is not None else None


def merge(
    where: str, base: str, out: Path, tokenizer: PreTrainedTokenizerBase, report: Report
) -> bool:
    """Writes the model of a stage with its adapters merged in to the folder `out`; False where the
    stage cannot be loaded.

    The numbers are those of its base, in 16 or 32 bits, whatever it was trained on: each weight is
    rounded once.
    """
    model = load_model(where, report, base=base, dtype="auto", tokenizer=tokenizer)
    if model is None:
        return False
    with whole_folder(out) as part:
        merged(model).save_pretrained(part)
        tokenizer.save_pretrained(part)
    return True


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its adapters merged in, in the numbers that it has."""
    whole: PreTrainedModel = model.merge_and_unload()
    return whole.to(whole.config.dtype)


def _same(where: str, base: str, lora: Lora, report: Report) -> bool:
    """Whether the adapters in a folder are those that a recipe describes; F620 where not."""
    kept = json.loads((Path(where) / ADAPTER).read_text("utf-8"))
    found = {name: kept.get(key) for name, key in _KEYS.items()}
    asked = {name: getattr(lora, name) for name in _KEYS}
    found["embeddings"], asked["embeddings"] = bool(kept.get("modules_to_save")), lora.embeddings
    model = fit.outline(base_of(where, base))
    if model is not None:  # else it is told where it is loaded
        found["targets"] = _layers(model, kept["target_modules"])
        asked["targets"] = _layers(model, lora.targets)
    other = [name for name in found if found[name] != asked[name]]
    for name in other:
        has, wants = json.dumps(found[name]), json.dumps(asked[name])
        message = f"`{name}` of the adapters in `{where}` is {has}, not {wants}"
        report.add(F620, message, hint=f"write `{name}: {has}`, or `adapter: new`")
    return not other


def _layers(model: PreTrainedModel, targets: str | Sequence[str]) -> list[str]:
    """The last parts of the names of the layers that adapters are for; PEFT takes any other text
    for a regular expression.
    """
    names, head = targets, model.get_output_embeddings()
    if targets == ALL_LINEAR:
        known = [(name, one) for name, one in model.named_modules() if one is not head]
        names = [name for name, one in known if isinstance(one, fit.LAYERS[:2])]
    elif isinstance(targets, str):
        names = [name for name, _ in model.named_modules() if re.fullmatch(targets, name)]
    return sorted({name.rpartition(".")[2] for name in names})


_KEYS = {
    "rank": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "rslora": "use_rslora",
    "dora": "use_dora",
}
