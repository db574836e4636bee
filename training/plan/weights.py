"""A recipe goes in; the weights of its student come out, as names and shapes.

A file of its own because all that a run costs begins with how many weights there are, and which of
them learn. Nothing is loaded: a model's files say it, or its `config.json` does.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compiler.codes import F620
from compiler.diagnostics import Report
from compiler.schema import guess
from training.mistakes import ALL_LINEAR
from training.plan.files import config_of, shapes_of
from training.recipe import Lora, Named, Recipe
from training.where import base_of, is_adapted, stage_of

Shapes = Mapping[str, tuple[int, ...]]
_LAYER = re.compile(r"\.\d+\.")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
_HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True, slots=True)
class Weights:
    """A student's weights: (out, in) of every linear layer, and what else it has.

    `exact` is false where the shapes were worked out from `config.json`. `query` and `inner` are
    the widths of the queries and of the MLP; `positions` is the longest text it was made for, 0
    where it does not say.
    """

    shapes: Shapes
    exact: bool
    layers: int
    hidden: int
    query: int
    inner: int
    vocabulary: int
    positions: int = 0

    @property
    def count(self) -> int:
        """All weights."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def embeddings(self) -> int:
        """The weights of the token embeddings."""
        return sum(math.prod(s) for n, s in self.shapes.items() if n.endswith(_EMBEDDINGS))

    @property
    def matrices(self) -> dict[str, tuple[int, ...]]:
        """What can have an adapter, by the names of the modules: linear layers and embeddings."""
        return {
            name.removesuffix(".weight"): shape
            for name, shape in self.shapes.items()
            if len(shape) == 2 and name.endswith(".weight") and not name.endswith(_HEADS)
        }

    @property
    def linear(self) -> dict[str, tuple[int, ...]]:
        """The linear layers inside the student."""
        return {name: shape for name, shape in self.matrices.items() if _LAYER.search(f"{name}.")}

    @property
    def multiplied(self) -> int:
        """The weights that every token is multiplied with: all but embeddings, which are looked up,
        and with them where they are the output layer too.
        """
        tied = not any(name.endswith(_HEADS) for name in self.shapes)
        return self.count - (0 if tied else self.embeddings)

    def trained(self, lora: Lora | None) -> int:
        """How many weights learn: all, or those of the adapters.

        An adapter of a layer has rank x (in + out) weights, with `dora` also a length for each
        output; `embeddings` are trained whole.
        """
        if lora is None:
            return self.count
        known = self.linear if lora.targets == ALL_LINEAR else self.matrices
        chosen = [shape for name, shape in known.items() if fits(name, lora.targets)]
        adapters = sum(lora.rank * sum(shape) for shape in chosen)
        if lora.dora:
            adapters += sum(shape[0] for shape in chosen)
        return adapters + (self.embeddings if lora.embeddings else 0)


def fits(module: str, targets: str | tuple[str, ...]) -> bool:
    """Whether a module is one of `targets`: by its whole name, or by the end of it."""
    if targets == ALL_LINEAR:
        return True
    return any(module == one or module.endswith(f".{one}") for one in targets)


def weights_of(recipe: Recipe, vocabulary: int, report: Report) -> Weights | None:
    """The weights of a recipe's student; `vocabulary` is that of the embedded one's tokenizer.

    F609 where there is no such student, F620 where adapters are meant for layers that it lacks.
    """
    size = recipe.student
    if isinstance(size, Named):
        stage = stage_of(size.model)
        model = base_of(stage) if is_adapted(stage) else stage
        config = config_of(model, report)
        if not config:
            return None
        made = _of_config(config, shapes_of(model))
    else:
        made = _of_config(
            {
                "hidden_size": size.hidden,
                "intermediate_size": 3 * size.hidden,
                "num_hidden_layers": size.layers,
                "num_attention_heads": size.heads,
                "vocab_size": vocabulary,
                "max_position_embeddings": 2 * recipe.max_length,
                "tie_word_embeddings": True,
            },
            {},
            exact=True,
        )
    if recipe.lora and made.linear:
        _test_targets(recipe.lora, made, report)
    return made


def _test_targets(lora: Lora, weights: Weights, report: Report) -> None:
    if isinstance(lora.targets, str):
        return
    known = sorted({name.rpartition(".")[2] for name in weights.linear})
    for target in lora.targets:
        if not any(fits(name, (target,)) for name in weights.matrices):
            message = f"the student has no linear layer `{target}`"
            report.add(F620, message, hint=guess(target, known))


def _of_config(config: Mapping[str, Any], shapes: Shapes, exact: bool = False) -> Weights:
    """The weights that a config describes: `shapes` where they are known, else those of a Llama of
    its sizes (gated MLP, grouped queries), with experts where it has them.
    """

    def number(*keys: str, default: int = 0) -> int:
        found = next((config[key] for key in keys if config.get(key)), default)
        return int(found) if isinstance(found, int | float) else default

    hidden = number("hidden_size", "n_embd", "d_model")
    layers = number("num_hidden_layers", "n_layer", "num_layers")
    heads = number("num_attention_heads", "n_head", default=1)
    width = number("head_dim", default=hidden // heads)
    inner = number("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    vocabulary = number("vocab_size")
    query = heads * width
    made = dict(
        _llama(
            hidden,
            layers,
            query,
            number("num_key_value_heads", default=heads) * width,
            number("moe_intermediate_size", default=inner),
            number("num_local_experts", "num_experts", "n_routed_experts", default=1),
            vocabulary,
            config.get("tie_word_embeddings") is True,
        )
    )
    if config.get("tie_word_embeddings") is True:
        shapes = {name: s for name, s in shapes.items() if not name.endswith(_HEADS)}
    positions = number("max_position_embeddings", "n_positions")
    return Weights(
        shapes or made, bool(shapes) or exact, layers, hidden, query, inner, vocabulary, positions
    )


def _llama(
    hidden: int,
    layers: int,
    query: int,
    key: int,
    inner: int,
    experts: int,
    vocabulary: int,
    tied: bool,
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for i in range(layers):
        at = f"model.layers.{i}"
        yield f"{at}.self_attn.q_proj.weight", (query, hidden)
        yield f"{at}.self_attn.k_proj.weight", (key, hidden)
        yield f"{at}.self_attn.v_proj.weight", (key, hidden)
        yield f"{at}.self_attn.o_proj.weight", (hidden, query)
        for expert in range(experts):
            mlp = f"{at}.mlp.experts.{expert}" if experts > 1 else f"{at}.mlp"
            yield f"{mlp}.gate_proj.weight", (inner, hidden)
            yield f"{mlp}.up_proj.weight", (inner, hidden)
            yield f"{mlp}.down_proj.weight", (hidden, inner)
        yield f"{at}.input_layernorm.weight", (hidden,)
        yield f"{at}.post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not tied:
        yield "lm_head.weight", (vocabulary, hidden)
