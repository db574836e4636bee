"""What a pipeline is made of: its stages, each a value that the walk of the expansion reads.

A file of its own because teachers, plans and walks share these words, and none of them reads YAML.
"""

from dataclasses import dataclass, field
from enum import Enum

from compiler.codes import D501, D503, D515, Code
from compiler.draw import Drawn
from compiler.prompt import Template
from compiler.verify import Checker


@dataclass(frozen=True, slots=True)
class Field:
    """One column that a reply fills; `choices` is empty for free text."""

    name: str
    choices: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the teacher decodes; `max_tokens` bounds one reply."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    presence_penalty: float = 0.0

    def as_json(self) -> dict[str, object]:
        said: dict[str, object] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
        }
        if self.presence_penalty:
            said["presence_penalty"] = self.presence_penalty
        return said


Number = int | float | str
"""A number, or the name of the column that holds it."""


class Bound(Enum):
    """What a number may be, in words."""

    COUNT = "a whole number from 1 to 1000"
    DRAWN = "a whole number from 0 to 1000"
    SHARE = "a number above 0 and at most 1"

    def holds(self, value: object, most: float = 1000) -> bool:
        """Whether a value is such a number; true and false are none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self is Bound.SHARE:
            return 0 < value <= 1
        least = 1 if self is Bound.COUNT else 0
        return least <= value <= most and (isinstance(value, int) or value.is_integer())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """`when` is None for a stage that is never left out."""

    when: Template | None = None


@dataclass(frozen=True, slots=True)
class Draw(_Stage):
    """Adds columns by draws that are always the same for the same draft."""

    draws: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class Generate(_Stage):
    """Asks the teacher, or the judge, and turns the reply into columns.

    `form` is that of the reply: `tags`, `choice` (the only column's choice alone) or `json`.
    `packs` are the prompts of other languages by their code. `most` is how many records of a reply
    count where there may be many, 0 for all.
    """

    id: str
    prompt: Template
    writes: tuple[Field, ...]
    many: bool
    judge: bool
    sampling: Sampling
    form: str = "tags"
    packs: tuple[tuple[str, Template], ...] = ()
    most: Number = 0

    def prompt_in(self, language: str) -> Template:
        """The prompt for leaves of a language, given by its code."""
        return dict(self.packs).get(language, self.prompt)


@dataclass(frozen=True, slots=True)
class Verify(_Stage):
    """Asks a checker, by default the one that the leaf's route names. It drops with `code`, or
    writes 1 or 0 into the column `writes`.
    """

    checker: Checker | None = None
    code: Code = D515
    writes: str = ""


@dataclass(frozen=True, slots=True)
class Keep(_Stage):
    """Drops the drafts of which `condition` is false, with `code`; `because` is the detail."""

    condition: Template
    code: Code
    because: Template | None = None


@dataclass(frozen=True, slots=True)
class Best(_Stage):
    """Walks `stages` `of` times with the same draft; the one for which `by` is highest goes on."""

    of: Number
    by: Template
    stages: "tuple[Stage, ...]"
    pair: bool = False


@dataclass(frozen=True, slots=True)
class Unique(_Stage):
    """Waits for all drafts of the unit, and drops those that repeat another, a seed or what is held
    out.

    `by` is `exact` (the same words), `text` (the same characters but for white space), `near`
    (Jaccard of word pairs) or `rouge-l`; from a similarity of `below` two are the same. With
    `differs`, drafts that are the same but for that column contradict each other: all that share
    the column `within` go.
    """

    of: tuple[str, ...]
    by: str = "exact"
    below: Number = 1.0
    against: tuple[str, ...] = ("leaf", "siblings", "held-out")
    differs: str = ""
    within: str = ""
    code: Code = D503


@dataclass(frozen=True, slots=True)
class Spread(_Stage):
    """Makes a draft of each line, or list item, of a column."""

    column: str
    writes: str
    most: int = 1000
    code: Code = D501


@dataclass(frozen=True, slots=True)
class Rounds(_Stage):
    """Walks `stages` again and again.

    Over `pool`, each round begins `calls` drafts anew, which can draw from what the earlier rounds
    accepted, until the unit has what it wants; over `rows`, a round goes on from what the last one
    made. `each` is the column `count` within a round.
    """

    number: Number
    over: str
    stages: "tuple[Stage, ...]"
    calls: Number = 1
    each: Number = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a sample; it is left out where `when` is false."""

    role: str
    text: Template
    when: Template | None = None


@dataclass(frozen=True, slots=True)
class Say(_Stage):
    """Makes the sample's messages, in order; the last is the assistant's."""

    turns: tuple[Turn, ...]
    unmask: bool = False


Stage = Draw | Generate | Verify | Keep | Best | Unique | Spread | Rounds | Say


def numbers(stage: Stage) -> list[tuple[tuple[str, ...], Number, Bound]]:
    """The numbers of a stage that may name a column, each with its keys and what it may be."""
    match stage:
        case Draw():
            return [
                (("writes", drawn.name, "number"), drawn.number, Bound.DRAWN)
                for drawn in stage.draws
                if drawn.number is not None
            ]
        case Generate():
            return [(("most",), stage.most, Bound.COUNT)]
        case Best():
            return [(("of",), stage.of, Bound.COUNT)]
        case Unique():
            return [(("below",), stage.below, Bound.SHARE)]
        case Rounds():
            said = {"number": stage.number, "calls": stage.calls, "each": stage.each}
            return [((key,), value, Bound.COUNT) for key, value in said.items()]
    return []


@dataclass(frozen=True, slots=True)
class Settings:
    """What a route may set: defaults, and the choices of those that have some."""

    defaults: dict[str, object] = field(default_factory=dict)
    choices: dict[str, tuple[object, ...]] = field(default_factory=dict)
