"""A recipe and a build go in; a model and its tokenizer come out: made on the spot, or loaded.

A file of its own so that phases, evaluation and chat get a student in one way, whatever it is:
fresh weights, a folder, the folder of a run, a name on the hub, or adapters on any of these.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)

from compiler.codes import F609
from compiler.diagnostics import Report
from training.data import Build
from training.recipe import Embedded, Lora, Recipe
from training.vocabulary import (
    CHAT_TEMPLATE,
    END,
    PAD,
    PLAIN_TEMPLATE,
    ROLES,
    learn,
    tell_plain,
)
from training.where import RUN, base_of, is_adapted, lost_base, stage_of


def make_tokenizer(build: Build, vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocabulary` tokens, learned from the build's texts."""
    return PreTrainedTokenizerFast(
        tokenizer_object=learn(build.texts(), vocabulary),
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def make_model(
    size: Embedded, tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> PreTrainedModel:
    """A Llama with fresh float32 weights, drawn from the recipe's seed."""
    set_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=3 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        # The library's 0.02 suits wide models; at a width of 128 it cost several times the tokens.
        initializer_range=size.hidden**-0.5,
        max_position_embeddings=2 * recipe.max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    stop_at(turn_end(tokenizer), model)
    return model


def load_tokenizer(where: str, report: Report) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a folder or name, with a padding token and a chat template in any case.

    F609 where there is none; F622 where the plain template stands in for a missing one.
    """
    if where.startswith((".", "/", "~")) and not Path(where).expanduser().is_dir():
        report.add(F609, f"there is no folder `{where}`", hint="correct `model` in the recipe")
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(stage_of(where), trust_remote_code=False)
    except (OSError, ValueError) as wrong:
        _cannot_load(where, wrong, report)
        return None
    if tokenizer.pad_token is None:  # it is masked wherever it stands, so any token will do
        first = tokenizer.convert_ids_to_tokens(0)
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or first
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
        tell_plain(where, tokenizer.eos_token is not None, report)
    return tokenizer


def load_model(
    where: str,
    report: Report,
    *,
    base: str = "",
    bf16: bool = False,
    bits: int = 0,
    dtype: str = "",
    trainable: bool = False,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> PreTrainedModel | None:
    """The model of a folder or name, of a run's folder that of its last stage; F609 where it cannot
    be loaded. Adapters are put on the model that they were trained on, or else on `base`. What ends
    a turn of its `tokenizer`, read where it is not given, ends its answers too.

    Weights are float32, or bfloat16 with `bf16`, or of the transformers' `dtype` ("auto": as they
    are stored); with `bits` of 4 they are quantized while they are read, and lie on the GPU.
    """
    stage = stage_of(where)
    if lost := lost_base(stage):
        message = f"`{where}` cannot be loaded: the model under these adapters, `{lost}`, is gone"
        report.add(F609, message, hint="put it back where it was: it belongs to the adapters")
        return None
    under = base_of(stage, base) if is_adapted(stage) else stage
    options: dict[str, Any] = {"dtype": dtype or (torch.bfloat16 if bf16 else torch.float32)}
    if bits == 4:
        options["quantization_config"] = four_bits(bf16)
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    model: PreTrainedModel
    try:
        model = AutoModelForCausalLM.from_pretrained(under, trust_remote_code=False, **options)
        stop_at(turn_end(tokenizer or _tokenizer(stage)), model)
        if under != stage:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, stage, is_trainable=trainable)
            model.peft_config["default"].base_model_name_or_path = under
            if trainable:
                from peft.utils import load_peft_weights, set_peft_model_state_dict

                # What was rounded on its way into narrow copies is read once more.
                set_peft_model_state_dict(_widen(model), load_peft_weights(stage, device="cpu"))
    except (OSError, ValueError, SafetensorError) as wrong:
        _cannot_load(where, wrong, report)
        return None
    return model


def four_bits(bf16: bool) -> BitsAndBytesConfig:
    """NormalFloat of 4 bits, its constants quantized too (QLoRA, arXiv 2305.14314, section 3); the
    products are computed in bfloat16 or float32.
    """
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
    )


def with_adapters(model: PreTrainedModel, lora: Lora, seed: int = 0) -> PreTrainedModel:
    """The model with fresh adapters on it, drawn from the seed; its own weights no longer change.

    With `embeddings` the token embeddings are trained whole, and stay tied to the output head where
    they are.
    """
    from peft import LoraConfig, get_peft_model

    set_seed(seed)
    tied = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        modules_to_save=[embeddings_of(model)] if lora.embeddings else None,
        ensure_weight_tying=lora.embeddings and tied,
    )
    return _widen(get_peft_model(model, config))


def _widen(model: PreTrainedModel) -> PreTrainedModel:
    """What is trained, in float32: PEFT sees to its adapters, not to copies of embeddings.

    The layers around such a copy go on with the numbers that they have.
    """
    from peft.utils import ModulesToSaveWrapper

    narrow = model.get_input_embeddings().weight.dtype
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper) and narrow != torch.float32:
            module.register_forward_pre_hook(_wide)
            module.register_forward_hook(lambda _, given, made: made.to(narrow))
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return model


def _wide(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Hidden states in float32; the numbers of tokens as they are."""
    return tuple(one.float() if one.is_floating_point() else one for one in given)


def embeddings_of(model: PreTrainedModel) -> str:
    """The last part of the name of a model's token embeddings, such as `embed_tokens`."""
    inner = model.get_input_embeddings()
    return next(name for name, one in model.named_modules() if one is inner).rpartition(".")[2]


def turn_end(tokenizer: PreTrainedTokenizerBase | None) -> int | None:
    """The special token with which the chat template closes an assistant's turn, such as
    `<|im_end|>`; None where there is none. Of a base model it is often not the end token.
    """
    if tokenizer is None or not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    try:
        ids = list(tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"])
    except TemplateError:
        return None
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(n for n, one in added.items() if one.special)}
    while ids and ids[-1] not in special and not tokenizer.decode(ids[-1:]).strip():
        ids.pop()
    return ids[-1] if ids and ids[-1] in special else None


def stop_at(token: int | None, model: PreTrainedModel) -> None:
    """Adds a token to those that end the model's answers, here and wherever it is saved."""
    config = model.generation_config
    known = _listed(config.eos_token_id)
    if token is not None and token not in known:
        config.eos_token_id = [*known, token]


def stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer."""
    found = [*_listed(model.generation_config.eos_token_id), *_listed(tokenizer.eos_token_id)]
    return list(dict.fromkeys(found))


def _listed(tokens: int | list[int] | None) -> list[int]:
    return tokens if isinstance(tokens, list) else [] if tokens is None else [tokens]


@contextmanager
def greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, room: int) -> Iterator[None]:
    """In this block the model generates at most `room` tokens, each the likeliest, whatever its
    own settings say: what a call leaves open the library takes from them. They are exchanged in
    place, for a model and adapters around it share them.
    """
    own = vars(model.generation_config)
    kept, ends = dict(own), stops(model, tokenizer)
    asked = GenerationConfig(
        max_new_tokens=room,
        do_sample=False,
        num_beams=1,
        eos_token_id=ends or None,
        pad_token_id=tokenizer.pad_token_id,
    )
    own.clear()
    own.update(vars(asked))
    try:
        yield
    finally:
        own.clear()
        own.update(kept)


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    room: int,
) -> list[str]:
    """Greedy answers of at most `room` tokens.

    Prompts are padded on the left, so that all answers start in one column.
    """
    width, pad = max(map(len, prompts)), tokenizer.pad_token_id
    tokens = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor(
        [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device
    )
    with greedy(model, tokenizer, room):
        made = model.generate(input_ids=tokens, attention_mask=mask)
    return [t.strip() for t in tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)]


def _tokenizer(stage: str) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a folder or name as it is; None where there is none."""
    try:
        return AutoTokenizer.from_pretrained(stage, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def _cannot_load(where: str, wrong: Exception, report: Report) -> None:
    said = str(wrong).strip()
    hint = f"name a folder, or fetch it where there is a network: `hf download {where}`"
    if "trust_remote_code" in said:
        first = "it brings code of its own, which is never run here"
        hint = "take a model that transformers knows by itself"
    elif where.startswith((".", "/", "~")) or Path(where).is_dir():
        first, hint = _first(said, wrong), "name a folder that holds a causal language model"
        if (Path(where).expanduser() / RUN).is_file():
            hint = "train it to the end first, or name one of its stages"
    else:
        first = _first(said, wrong)
    report.add(F609, f"`{where}` cannot be loaded: {first}", hint=hint)


def _first(said: str, wrong: Exception) -> str:
    return said.splitlines()[0][:160] if said else type(wrong).__name__
