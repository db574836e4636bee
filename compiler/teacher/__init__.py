"""A Request goes in; a Reply, or a coded Failure, comes out: what every kind of teacher has in
common.

A pass of its own because the rest of the compiler must not know who answers. The kinds lie beside
this file; a judge is a teacher too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compiler.codes import Code
from compiler.pipeline import Field, Sampling
from compiler.prompt import Message


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a teacher. `index` tells repeats of the same messages apart.

    `form`, `writes` and `many` say what the reply looks like: `tags` is free text with a tag for
    each field, `choice` one of the only field's choices and nothing else, `json` an object of the
    fields (see `compiler.teacher.wire`).
    `rank` orders what waits: the lowest is sent first, and requests of one prefix have neighbouring
    ranks. `stage` and `columns` are for teachers that work by rule.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    index: int = 0
    stage: str = ""
    writes: tuple[Field, ...] = ()
    many: bool = False
    columns: Mapping[str, object] = field(default_factory=dict, compare=False)
    form: str = "tags"
    rank: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A teacher's answer.

    `finish` is "stop" or "length"; token counts are the teacher's own, 0 if unknown, and `cached`
    are those prompt tokens that its prefix cache held. `odds` are the probabilities (0 to 1) of the
    tokens that could have come first, where a choice was asked for and the teacher told them.
    `seconds` is how long the answer took, waiting and retries not counted.
    """

    text: str
    finish: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: int = 0
    odds: Mapping[str, float] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no answer, after every retry."""

    code: Code
    detail: str


class Teacher(Protocol):
    """Anything that answers requests. `model` names it in the journal and in every sample."""

    @property
    def model(self) -> str: ...

    @property
    def by_rule(self) -> bool:
        """Whether it answers from columns, not from prose; such an answer is always the same."""

    @property
    def extra(self) -> Mapping[str, object]:
        """What it adds to the body of every request: an answer depends on it too."""

    @property
    def in_flight(self) -> int:
        """How many requests it can use at once; it keeps those above its limit waiting itself."""

    async def open(self) -> Failure | None:
        """Connects; a Failure where no request could succeed."""

    async def ask(self, request: Request) -> Reply | Failure: ...

    def flush(self) -> None:
        """Told that nothing more will be asked before some request is answered."""

    async def close(self) -> None: ...


class Unconnected:
    """What teachers without a connection have in common: nothing to open, to flush or to close."""

    extra: Mapping[str, object] = {}

    async def open(self) -> Failure | None:
        return None

    def flush(self) -> None:
        return None

    async def close(self) -> None:
        return None
