"""A student and what was said go in; its next answer comes out, piece by piece.

A file of its own because a conversation is more than a question: what was said before belongs to
the prompt, has to fit into what the model can read, and an answer can be stopped in the middle.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextStreamer

from compiler.diagnostics import Report
from training.data import Message
from training.encode import prompt_tokens
from training.machine import Hardware
from training.student import greedy, load_model, load_tokenizer, stops

ROOM = 400

Hear = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a student said to one question.

    `cut` is the number of tokens at which the answer was cut, 0 where it ended by itself; `stopped`
    is true where somebody interrupted it. `forgot` is how many of the oldest questions no longer
    fit; `limit` the tokens that a question may have, where this one has more and was not asked,
    else 0.
    """

    text: str
    cut: int = 0
    stopped: bool = False
    forgot: int = 0
    limit: int = 0


@dataclass(slots=True)
class Talk:
    """A conversation with one student, whose answers have at most `room` tokens."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    room: int = ROOM
    said: list[Message] = field(default_factory=list)

    @classmethod
    def of(
        cls, where: str, base: str, hardware: Hardware, report: Report, room: int = ROOM
    ) -> "Talk | None":
        """With the student of a folder or name; adapters that do not know their base are put on
        `base`. F609 where there is none.
        """
        tokenizer = load_tokenizer(where, report)
        if tokenizer is None:
            return None
        model = load_model(where, report, base=base, bf16=hardware.bf16, tokenizer=tokenizer)
        if model is None:
            return None
        if not getattr(model, "is_quantized", False):  # quantized weights are where they belong
            torch.nn.Module.to(model, hardware.device)
        return cls(model.eval(), tokenizer, room)

    def forget(self) -> None:
        """Begins a new conversation."""
        self.said.clear()

    def ask(self, question: str, hear: Hear = lambda text: None) -> Reply:
        """The greedy answer to `question` after all that was said; `hear` is given its pieces.

        A KeyboardInterrupt ends the answer, and what was said by then is kept. Questions and
        answers from the oldest on are left out of the prompt where it would be too long; they
        stay forgotten.
        """
        asked: Message = {"role": "user", "content": question}
        room, limit = self._limits()
        prompt = prompt_tokens([*self.said, asked], self.tokenizer)
        before = len(self.said)
        while limit and len(prompt) > limit and self.said:
            del self.said[:2]
            prompt = prompt_tokens([*self.said, asked], self.tokenizer)
        forgot = (before - len(self.said)) // 2
        if limit and len(prompt) > limit:
            return Reply("", forgot=forgot, limit=limit)
        heard, stopped = _Pieces(self.tokenizer, hear), False
        try:
            self._generate(prompt, room, heard)
        except KeyboardInterrupt:
            stopped = True
        text = heard.text()
        if text or not stopped:
            self.said += [asked, {"role": "assistant", "content": text}]
        ends = stops(self.model, self.tokenizer)
        ended = stopped or not set(ends).isdisjoint(heard.tokens[-1:])
        return Reply(text, 0 if ended else room, stopped, forgot)

    @torch.inference_mode()
    def _generate(self, prompt: list[int], room: int, heard: "_Pieces") -> None:
        tokens = torch.tensor([prompt], device=self.model.device)
        with greedy(self.model, self.tokenizer, room):
            mask = torch.ones_like(tokens)
            self.model.generate(input_ids=tokens, attention_mask=mask, streamer=heard)

    def _limits(self) -> tuple[int, int]:
        """Tokens of an answer, and of a prompt at most; 0 for any number.

        An answer takes no more than half of what the model can read.
        """
        context = int(getattr(self.model.config, "max_position_embeddings", 0) or 0)
        room = min(self.room, context // 2) if context else self.room
        return room, max(0, context - room)


class _Pieces(TextStreamer):
    """Hands on an answer's text word by word, and keeps its tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, hear: Hear) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.tokens: list[int] = []
        self._hear = hear

    def put(self, value: torch.Tensor) -> None:
        if not self.next_tokens_are_prompt:
            self.tokens += value.flatten().tolist()
        super().put(value)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._hear(text)

    def text(self) -> str:
        """The whole answer so far."""
        said = self.tokenizer.decode(self.tokens, skip_special_tokens=True)
        return str(said).strip()
