"""A stage of a run goes in; one model without adapters comes out, in 16 or 32 bits.

A file of its own because every export starts from merged weights, and so does a server. Adapters
are merged in float32 and rounded once. Nothing is ever merged into weights of 4 bits, which rounds
what was learned away (https://github.com/huggingface/peft/issues/2321): what is quantized is
quantized afterwards.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.diagnostics import Report
from training.where import base_of, is_adapted, stage_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: a stage, its folder or name, and the model that its run began with."""

    stage: str
    where: str
    base: str

    @property
    def adapted(self) -> bool:
        """Whether it is adapters and no model."""
        return is_adapted(self.where)

    @property
    def under(self) -> str:
        """The model under its adapters; without them, itself."""
        return base_of(self.where, self.base) if self.adapted else self.where

    def digest(self) -> str:
        """16 hex digits of a hash of all weights in it; of a name where it is one on the hub."""
        known = hashlib.sha256()
        for place in dict.fromkeys((self.where, self.under)):
            files = sorted(Path(place).glob("*.safetensors")) if Path(place).is_dir() else []
            for file in files:
                with file.open("rb") as data:
                    known.update(hashlib.file_digest(data, "sha256").digest())
            if not files:
                known.update(place.encode())
        return known.hexdigest()[:16]


def dtype_of(source: Source) -> str:
    """What the numbers of the base are: "bf16", "fp16", or "fp32" where they are any other.

    A student whose every weight was trained is kept in float32, whatever it began with.
    """
    from transformers import AutoConfig

    base = stage_of(source.base)
    config = AutoConfig.from_pretrained(base_of(base) if is_adapted(base) else base)
    kept = str(config.dtype).removeprefix("torch.")
    return next((name for name, long in DTYPES.items() if long == kept), "fp32")


def load(source: Source, dtype: str, report: Report) -> "PreTrainedModel | None":
    """The stage as one model on the CPU, its adapters merged in; weights are of DTYPES `dtype`.

    F609 where it cannot be loaded. Needs 4 bytes of memory a weight where adapters are merged.
    """
    from training import student

    # A model that is rounded anyway need not be widened first; adapters are added before that.
    narrow = dtype == "bf16" and not source.adapted
    model = student.load_model(source.where, report, base=source.base, bf16=narrow)
    if model is None:
        return None
    if source.adapted:
        model = model.merge_and_unload()
    return as_dtype(model, dtype).eval()


def as_dtype(model: "PreTrainedModel", dtype: str) -> "PreTrainedModel":
    """The model with its weights rounded to DTYPES `dtype`."""
    import torch

    return model.to(getattr(torch, DTYPES[dtype]))


def write(source: Source, dtype: str, folder: Path, report: Report) -> bool:
    """Fills a folder with the merged model, its tokenizer and chat template, how it generates."""
    from training import student

    tokenizer = student.load_tokenizer(source.where, report)
    model = load(source, dtype, report) if tokenizer is not None else None
    if tokenizer is None or model is None:
        return False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return True
