"""The words of a fault go in; typed options of a mock teacher come out.

A file of its own because the command, the server and the faults agree on it.
"""

from dataclasses import dataclass
from pathlib import Path

FAULTS = {
    "429": "too many requests, with no word on when to come again",
    "429-retry-after": "too many requests, to come again in 1 second",
    "500": "an error of the server",
    "reset": "the connection is reset in the middle of the body",
    "hang": "no answer ever",
    "drip": "an answer of twenty bytes a second",
    "truncated": "JSON that ends in the middle",
    "html": "a web page, with status 200",
    "html-502": "a web page, with status 502",
    "empty": "an answer without choices",
    "length": "a reply cut at its token limit",
    "refuse": "status 400: the request is refused",
    "wrong-model": "status 404: no such model",
    "huge": "a reply of 10 MB",
    "duplicate": "the same id as every other such answer",
    "refusal": "a message that holds a refusal in place of text",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: for a `share` of the tries (0 to 1), or always where `text` is in the
    messages.
    """

    name: str
    share: float = 0.0
    text: str = ""

    @staticmethod
    def named(words: str) -> "Fault":
        """Reads `NAME:SHARE` or `NAME:always:TEXT`. Raises ValueError."""
        name, _, rest = words.partition(":")
        if name not in FAULTS:
            raise ValueError(f"`{name}` is no fault: use one of {', '.join(FAULTS)}")
        how, _, text = rest.partition(":")
        if how == "always" and text:
            return Fault(name, text=text)
        return Fault(name, share_of(how, words))


def share_of(text: str, words: str) -> float:
    """A share from 0 to 1. Raises ValueError, which names `words`."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"`{words}` needs a share from 0 to 1 after the colon")
    return share


@dataclass(frozen=True, slots=True)
class Straggle:
    """A `share` of the tries that takes `seconds`, in place of the latency."""

    share: float = 0.0
    seconds: float = 0.0

    @staticmethod
    def named(words: str) -> "Straggle":
        """Reads `SHARE:SECONDS`. Raises ValueError."""
        share, _, seconds = words.partition(":")
        try:
            return Straggle(share_of(share, words), float(seconds))
        except ValueError:
            raise ValueError(f"`{words}` is not SHARE:SECONDS, such as 0.02:1") from None


@dataclass(frozen=True, slots=True)
class Options:
    """How a mock teacher answers.

    `latency` counts seconds, `slots` requests at once (0: any number), `tokens_per_second` those of
    a reply (0: at once), `best` is the share of judgements that take the best choice, `die_after`
    answers (0: never), `record` a file for every request and what became of it.
    """

    model: str = "mock"
    latency: float = 0.0
    straggle: Straggle = Straggle()
    slots: int = 0
    tokens_per_second: float = 0.0
    seed: int = 0
    best: float = 1.0
    faults: tuple[Fault, ...] = ()
    die_after: int = 0
    record: Path | None = None
