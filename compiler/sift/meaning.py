"""Samples go in, and a model that embeds texts; the kept sample that means the same comes out.

A file of its own because it alone needs a model. Vectors are kept at half precision in blocks, 2
bytes a number: a million of 384 numbers are 768 MB. Each is compared with all that were kept, a
batch at a time, so that time grows with the square of the samples.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from compiler.codes import D506, D532, Code
from compiler.expand import Sample
from compiler.sift.look import Verdict, is_human

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts to vectors of length 1, a row each."""

BATCH = 64
_BLOCK = 8192
_MOST_TOKENS = 512


class NoModelError(Exception):
    """Why a model cannot embed; `package` is the one that is not installed, "" where all are."""

    def __init__(self, message: str, package: str = "") -> None:
        super().__init__(message)
        self.package = package


def load_model(name: str) -> Embed:
    """A model by its folder or its name on the Hugging Face hub: a text's vector is the mean of its
    tokens' last hidden states (Reimers, Gurevych, "Sentence-BERT", 2019, section 3). Raises
    NoModelError.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as missing:
        package = (missing.name or "transformers").split(".")[0]
        raise NoModelError(f"the package `{package}` is not installed", package) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as wrong:
        first = (str(wrong).splitlines() or [type(wrong).__name__])[0]
        raise NoModelError(f"it is no model that can be loaded: {first}") from None
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    most = min(_MOST_TOKENS, getattr(model.config, "max_position_embeddings", _MOST_TOKENS))

    def embed(texts: Sequence[str]) -> Vectors:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model.to(device)
        batch = tokenizer(
            list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt"
        ).to(device)
        with torch.inference_mode():
            states = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        made: Vectors = torch.nn.functional.normalize(mean).cpu().numpy()
        return made

    return embed


class Meanings:
    """What was kept so far, by what it means: its context and question."""

    def __init__(self, embed: Embed, above: float, held_out: Iterable[Sample]) -> None:
        self._embed = embed
        self._above = above
        self._blocks: list[NDArray[np.float16]] = []
        self._size = 0
        self._names: list[tuple[str, Code]] = []
        self._batch: Vectors = np.zeros((0, 1), np.float32)
        self._best: list[tuple[float, int]] = []
        self._before = 0
        self._row = -1
        for sample in self.ahead(held_out):
            self._add(sample, D506)

    def ahead(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples themselves, embedded a batch ahead; `verdict` and `keep` are about the one
        that came last.
        """
        rest = iter(samples)
        while batch := list(islice(rest, BATCH)):
            texts = [f"{sample.context}\n{sample.question}".strip() for sample in batch]
            # As they are kept, so that a text is as near to itself as can be.
            self._batch = self._embed(texts).astype(np.float16).astype(np.float32)
            self._best = self._compared(self._batch)
            self._before = self._size
            for self._row, sample in enumerate(batch):
                yield sample

    def verdict(self, number: int, sample: Sample) -> Verdict | None:
        """The kept sample that is nearest to a synthetic one, where that is near enough."""
        if is_human(sample):
            return None
        similarity, nearest = self._best[self._row]
        for i in range(self._before, self._size):
            here = float(self._vector(i) @ self._batch[self._row])
            if here > similarity:
                similarity, nearest = here, i
        if nearest < 0 or similarity < self._above:
            return None
        other, code = self._names[nearest]
        return Verdict(sample, code, f"cosine {similarity:.2f}", other)

    def keep(self, number: int, sample: Sample) -> None:
        """Others that mean the same are dropped."""
        self._add(sample, D532)

    def _add(self, sample: Sample, code: Code) -> None:
        block, row = divmod(self._size, _BLOCK)
        if block == len(self._blocks):
            self._blocks.append(np.zeros((_BLOCK, self._batch.shape[1]), np.float16))
        self._blocks[block][row] = self._batch[self._row]
        self._names.append((sample.id, code))
        self._size += 1

    def _vector(self, number: int) -> Vectors:
        block, row = divmod(number, _BLOCK)
        vector: Vectors = self._blocks[block][row].astype(np.float32)
        return vector

    def _compared(self, batch: Vectors) -> list[tuple[float, int]]:
        """The highest cosine of each row to what was kept, and the first that has it."""
        best = [(0.0, -1)] * len(batch)
        for number, block in enumerate(self._blocks):
            rows = min(_BLOCK, self._size - number * _BLOCK)
            cosines = batch @ block[:rows].astype(np.float32).T
            for i, at in enumerate(cosines.argmax(1)):
                if cosines[i, at] > best[i][0]:
                    best[i] = float(cosines[i, at]), number * _BLOCK + int(at)
        return best
