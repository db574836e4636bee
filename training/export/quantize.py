"""A merged model goes in; the same model with its linear layers in 8, 4 or 2 bits comes out.

A file of its own because the format is another project's: `compressed-tensors`, which transformers
and vLLM load. Weights are rounded to the nearest of 2**bits levels, even around zero, with a scale
for each row or each group of a row; embeddings and the output head stay in 16 bits.
"""

import contextlib
import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BITS = {"int8": 8, "int4": 4, "int2": 2}
PACKAGE = "compressed_tensors"
GROUPS = (128, 64, 32)  # those for which vLLM has kernels


class UnfitGroupError(ValueError):
    """A group of weights that share a scale does not divide the rows of a layer."""


def missing() -> str:
    """The package that quantization needs and that is not installed, or ""."""
    return "" if find_spec(PACKAGE) else PACKAGE


def group_for(model: "PreTrainedModel", bits: int) -> int:
    """How many weights share a scale: 0 is a whole row, as for 8 bits; else the largest group that
    divides the rows of every layer that is quantized.
    """
    fits = (group for group in GROUPS if not any(row % group for row in _rows(model)))
    return 0 if bits == 8 else next(fits, 0)


def _rows(model: "PreTrainedModel") -> list[int]:
    """How long the rows of each layer are that is quantized."""
    import torch

    head = model.get_output_embeddings()
    return [
        layer.in_features
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and layer is not head
    ]


def write(model: "PreTrainedModel", bits: int, group: int, folder: Path) -> None:
    """Rounds the model's linear layers, in place, and writes it with the account of how it is read.

    Raises UnfitGroupError where a layer's rows cannot be cut into groups of `group`.
    """
    if odd := [row for row in _rows(model) if group and row % group]:
        raise UnfitGroupError(f"rows of {odd[0]} weights cannot be cut into groups of {group}")
    with quiet():
        from compressed_tensors.compressors import ModelCompressor
        from compressed_tensors.quantization import (
            QuantizationArgs,
            QuantizationConfig,
            QuantizationScheme,
            apply_quantization_config,
        )
        from compressed_tensors.quantization.utils import calculate_qparams, is_module_quantized

        args = QuantizationArgs(
            num_bits=bits,
            type="int",
            symmetric=True,
            strategy="group" if group else "channel",
            group_size=group or None,
        )
        scheme = QuantizationScheme(targets=["Linear"], weights=args)
        head = model.get_output_embeddings()
        ignored = [name for name, layer in model.named_modules() if layer is head]
        config = QuantizationConfig(config_groups={"linear": scheme}, ignore=ignored)
        apply_quantization_config(model, config, show_progress=False)
        for layer in filter(is_module_quantized, model.modules()):
            weight = layer.weight.detach().float()
            cut = weight.unflatten(-1, (-1, group or weight.shape[-1]))
            scale, _ = calculate_qparams(cut.amin(-1), cut.amax(-1), args)
            layer.weight_scale.data.copy_(scale)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(folder)
        compressor.update_config(str(folder))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library's progress bars to itself; it has no setting for that."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
