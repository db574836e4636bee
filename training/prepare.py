"""A stage and the stage before it go in; the model that the stage begins with comes out.

A file of its own because what "goes on" means depends on the method: the same weights, the same
adapters, or fresh adapters on a base into which the earlier ones were merged. Every weight is
trained in float32, with bfloat16 for the products where the hardware has it: steps of 1e-5 are
rounded away in bfloat16 weights. Weights that adapters keep as they are need only be bfloat16, or 4
bits.
"""

import json
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compiler.codes import F620
from compiler.diagnostics import Report
from training import together
from training.machine import Hardware, whole_folder
from training.recipe import BASE, Lora, Phase, Recipe
from training.student import load_model, with_adapters
from training.where import ADAPTER, is_adapted, merged_base, stage_of


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
        model = load_model(before, report, base=base)
        if model is not None and is_adapted(before):
            model = merged(model).requires_grad_(True)
        return model
    if is_adapted(before) and phase.adapter == "continue":
        if not _same(before, recipe.lora, report):
            return None
        return load_model(
            before, report, base=base, bf16=hardware.bf16, bits=recipe.bits, trainable=True
        )
    if is_adapted(before):
        place = merged_base(out, after)
        together.told(lambda: place.is_dir() or merge(before, base, place, tokenizer, report))
        before = str(place)
    model = load_model(before, report, bf16=hardware.bf16, bits=recipe.bits)
    return with_adapters(model, recipe.lora, recipe.seed) if model is not None else None


def merge(
    where: str, base: str, out: Path, tokenizer: PreTrainedTokenizerBase, report: Report
) -> bool:
    """Writes the model of a stage with its adapters merged in to the folder `out`; False where the
    stage cannot be loaded.

    The numbers are those of its base, in 16 or 32 bits, whatever it was trained on: each weight is
    rounded once.
    """
    model = load_model(where, report, base=base, dtype="auto")
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


def _same(where: str, lora: Lora, report: Report) -> bool:
    """Whether the adapters in a folder are those that a recipe describes; F620 where not."""
    kept = json.loads((Path(where) / ADAPTER).read_text("utf-8"))
    found = {name: kept.get(key) for name, key in _KEYS.items()}
    asked = {name: getattr(lora, name) for name in _KEYS}
    other = [name for name in _KEYS if found[name] != asked[name]]
    for name in other:
        message = f"`{name}` of the adapters in `{where}` is {found[name]}, not {asked[name]}"
        report.add(F620, message, hint=f"write `{name}: {found[name]}`, or `adapter: new`")
    return not other


_KEYS = {"rank": "r", "alpha": "lora_alpha", "rslora": "use_rslora", "dora": "use_dora"}
