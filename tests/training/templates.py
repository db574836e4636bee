"""Chat templates of the common families: how a turn is written, and what of it is learned."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """`end` closes a turn of the assistant; `after` follows it and teaches nothing."""

    name: str
    template: str
    special: tuple[str, ...]
    eos: str
    end: str
    after: str = ""
    system: bool = True
    bos: str | None = None


def loop(body: str, opened: str) -> str:
    return (
        "{%- for m in messages -%}" + body + "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- " + opened + " -}}{%- endif -%}"
    )


CHATML = Family(
    "chatml",
    loop(
        "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}",
        "'<|im_start|>assistant\\n'",
    ),
    ("<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    "<|im_end|>",
    "\n",
)
THINKING = Family(
    "chatml that drops the thoughts of earlier turns",
    loop(
        "{%- if m.role == 'assistant' and loop.last -%}"
        "{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' -}}"
        "{{- m.content + '<|im_end|>\\n' -}}"
        "{%- else -%}"
        "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}"
        "{%- endif -%}",
        "'<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n'",
    ),
    ("<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    "<|im_end|>",
    "\n",
)
LLAMA3 = Family(
    "llama 3",
    "{{- bos_token -}}"
    + loop(
        "{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + (m.content | trim)"
        " + '<|eot_id|>' -}}",
        "'<|start_header_id|>assistant<|end_header_id|>\\n\\n'",
    ),
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    "<|eot_id|>",
    bos="<|begin_of_text|>",
)
GRANITE = Family(
    "granite",
    loop(
        "{{- '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content"
        " + '<|end_of_text|>\\n' -}}",
        "'<|start_of_role|>assistant<|end_of_role|>'",
    ),
    ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
    "<|end_of_text|>",
    "<|end_of_text|>",
    "\n",
)
MISTRAL = Family(
    "mistral",
    "{{- bos_token -}}"
    "{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}{{- ' ' + m.content + eos_token -}}"
    "{%- elif m.role == 'system' -%}{{- '[INST] ' + m.content + '\\n\\n' -}}"
    "{%- else -%}{{- ('' if loop.previtem and loop.previtem.role == 'system' else '[INST] ')"
    " + m.content + ' [/INST]' -}}{%- endif -%}"
    "{%- endfor -%}",
    ("<s>", "</s>", "[INST]", "[/INST]"),
    "</s>",
    "</s>",
    bos="<s>",
)
GEMMA = Family(
    "gemma",
    "{{- bos_token -}}"
    "{%- if messages[0].role == 'system' -%}{{- raise_exception('no system') -}}{%- endif -%}"
    + loop(
        "{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n'"
        " + (m.content | trim) + '<end_of_turn>\\n' -}}",
        "'<start_of_turn>model\\n'",
    ),
    ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "<eos>",
    "<end_of_turn>",
    "\n",
    system=False,
    bos="<bos>",
)
MISTRAL_LAST = Family(
    "mistral that writes the system message before a last message of the user only",
    "{{- bos_token -}}"
    "{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}{{- ' ' + m.content + eos_token -}}"
    "{%- elif m.role == 'user' -%}{{- '[INST] ' -}}"
    "{%- if loop.last and messages[0].role == 'system' -%}"
    "{{- messages[0].content + '\\n\\n' -}}{%- endif -%}"
    "{{- m.content + ' [/INST]' -}}{%- endif -%}"
    "{%- endfor -%}",
    ("<s>", "</s>", "[INST]", "[/INST]"),
    "</s>",
    "</s>",
    system=False,
    bos="<s>",
)
REFUSED = (GEMMA, MISTRAL_LAST)
"""Those that cannot be trained on a system message."""
FAMILIES = (CHATML, THINKING, LLAMA3, GRANITE, MISTRAL, GEMMA, MISTRAL_LAST)


def tokenizer_of(family: Family, texts: list[str]):
    """A byte-level tokenizer learned from `texts`, that talks as the family does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<pad>", *family.special],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    learned.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=learned,
        pad_token="<pad>",
        eos_token=family.eos,
        bos_token=family.bos,
        extra_special_tokens=list(family.special),
        chat_template=family.template,
        clean_up_tokenization_spaces=False,
    )
