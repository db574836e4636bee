"""A recipe and a build go in; a model and its tokenizer come out: made on the spot, or loaded.

A file of its own so that phases, evaluation and chat get a student in one way, whatever it is:
fresh weights, a folder, a name on the hub, or adapters on any of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
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
from training.encode import prompt_tokens
from training.recipe import Embedded, Lora, Recipe

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- message['content'] + '<|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- message['content'] + '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
PLAIN_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- message['role'] + ':\n' + message['content'] -}}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}{{- '\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'assistant:\n' -}}{%- endif -%}"
)


def make_tokenizer(build: Build, vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocabulary` tokens, learned from the build's texts."""
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learned.train_from_iterator(build.texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=learned,
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
    return model


def load_tokenizer(where: str, report: Report) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a folder or name, with a padding token and a chat template in any case."""
    if where.startswith((".", "/", "~")) and not Path(where).is_dir():
        report.add(F609, f"there is no folder `{where}`", hint="correct `model` in the recipe")
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
    except (OSError, ValueError) as wrong:
        _cannot_load(where, wrong, report)
        return None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def load_model(
    where: str, report: Report, *, base: str = "", bf16: bool = False, trainable: bool = False
) -> PreTrainedModel | None:
    """The model of a folder or name; where it is a folder of adapters, they are put on `base`."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    adapters = (Path(where) / "adapter_config.json").is_file()
    try:
        model = AutoModelForCausalLM.from_pretrained(base if adapters else where, dtype=dtype)
        if adapters:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, where, is_trainable=trainable)
    except (OSError, ValueError) as wrong:
        _cannot_load(where, wrong, report)
        return None
    return model


def with_adapters(model: PreTrainedModel, lora: Lora) -> PreTrainedModel:
    """The model with fresh adapters on it; its own weights no longer change."""
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=["embed_tokens"] if lora.embeddings else None,
        ensure_weight_tying=lora.embeddings,
    )
    return get_peft_model(model, config)


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
    made = model.generate(
        input_ids=tokens,
        attention_mask=mask,
        max_new_tokens=room,
        do_sample=False,
        num_beams=1,
        pad_token_id=pad,
    )
    return [t.strip() for t in tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A student that answers single questions."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(cls, where: str, base: str, report: Report) -> "Speaker | None":
        """The student of a folder or name; adapters are put on `base`."""
        tokenizer, model = load_tokenizer(where, report), load_model(where, report, base=base)
        return cls(model.eval(), tokenizer) if tokenizer and model else None

    def answer(self, question: str, room: int = 200) -> str:
        """The greedy answer, of at most `room` tokens."""
        prompt = prompt_tokens([{"role": "user", "content": question}], self.tokenizer)
        return generate(self.model, self.tokenizer, [prompt], room)[0]


def _cannot_load(where: str, wrong: Exception, report: Report) -> None:
    first = str(wrong).strip().splitlines()[0][:160] if str(wrong).strip() else type(wrong).__name__
    report.add(
        F609,
        f"`{where}` cannot be loaded: {first}",
        hint=f"name a folder, or fetch it where there is a network: `hf download {where}`",
    )
