"""Texts go in; a tokenizer learned from them comes out, and templates for students without one.

A file of its own because a plan counts tokens as training does, and must not wait for the libraries
of models; `tokenizers` alone is quick.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from compiler.codes import F622
from compiler.diagnostics import Report

if TYPE_CHECKING:
    from tokenizers import Tokenizer

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
    "{{- bos_token -}}"  # nothing where there is none, as with eos_token
    "{%- for message in messages -%}"
    "{{- message['role'] + ':\n' + message['content'] -}}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}{{- '\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'assistant:\n' -}}{%- endif -%}"
)


def learn(texts: Iterable[str], size: int) -> "Tokenizer":
    """A byte-level BPE tokenizer of at most `size` tokens; the special ones come first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learned.train_from_iterator(texts, trainer)
    return learned


def tell_plain(student: str, ends: bool, report: Report) -> None:
    """F622, once: a student has no chat template; `ends` is whether it has an end token."""
    message = f"`{student}` has no chat template, so a plain one is used, and kept with the student"
    if not ends:
        message += "; it has no end token either, and will not learn to stop"
    if not any(one.code is F622 and one.message == message for one in report.diagnostics):
        hint = "take the model's sibling that was taught to chat, or give it a template"
        report.add(F622, message, hint=hint)
