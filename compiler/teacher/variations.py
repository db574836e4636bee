"""Seed examples go in; other wordings of them come out, each still with a seed's own answer.

Two rules. Where the questions of a leaf hold their material in quotes or after a colon, the
instruction of one seed takes the material of another: the task is the same, so the answer follows
the material. Otherwise the question is framed anew. No model is involved, and no answer is
invented.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.teacher.facts import content_words

Example = Mapping[str, str]

_FRAMES = (
    "Please help me with this one. {}",
    "{} Keep the answer short and to the point.",
    "Here is something I need from you. {}",
    "I would like your answer to the following. {}",
    "{} Answer in the way an expert would.",
    "Take your time, then reply. {}",
    "One more for you. {}",
    "{} A short reply will do.",
    "Could you look at this for me? {}",
)


@dataclass(frozen=True, slots=True)
class _Parted:
    """A question cut into `before` + material + `after`."""

    before: str
    material: str
    after: str


def questions(seed: Example, examples: Sequence[Example]) -> tuple[str, ...]:
    """Other ways to ask what `seed` asks, in a fixed order; none equals a seed's own question."""
    own = _part(seed["question"])
    found = []
    if own:
        for other in examples:
            parted = _part(other["question"])
            if parted and parted.before + parted.after != own.before + own.after:
                found.append(parted.before + own.material + parted.after)
    found += [frame.format(seed["question"]) for frame in _FRAMES]
    asked = {example["question"] for example in examples}
    return tuple(question for question in dict.fromkeys(found) if question not in asked)


def answer(question: str, context: str, examples: Sequence[Example]) -> str:
    """The answer of the seed that `question` was made from; "" where no seed is near it."""
    same = [e for e in examples if context and e["context"].strip() == context.strip()]
    pool = same or list(examples)
    counts = Counter(word for e in pool for word in content_words(e["question"]))
    asked = content_words(question)

    def weight(words: frozenset[str]) -> float:
        return sum(math.log(1 + len(pool) / counts[word]) for word in words if counts[word])

    def nearness(example: Example) -> float:
        words = content_words(example["question"])
        return weight(words & asked) / (weight(words) or 1.0)

    best = max(pool, key=nearness, default=None)
    if best is None or (not same and nearness(best) < 0.3):
        return ""
    return best["answer"]


def _part(question: str) -> _Parted | None:
    quoted = re.search(r"[\"“](?P<m>[^\"“”]{6,})[\"”]", question)
    if quoted:
        return _Parted(question[: quoted.start()], quoted[0], question[quoted.end() :])
    colon = re.match(r"(?P<i>(?:\S+ ){2,11}\S+): (?P<m>.{12,})$", question, re.DOTALL)
    return _Parted(f"{colon['i']}: ", colon["m"], "") if colon else None
