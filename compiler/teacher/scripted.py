"""A file of lines goes in; a teacher that answers with them comes out: for examples, tests and
demonstrations.

Each line names a stage and, optionally, a text that the prompt must contain; the first line that
fits answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from compiler.codes import R402, R405
from compiler.teacher import Failure, Reply, Request, Unconnected


@dataclass(frozen=True, slots=True)
class Line:
    """One scripted answer; `refuse` makes the request fail instead.

    Of several texts each sample of a question gets its own, and after the last the first again.
    """

    stage: str
    text: str | Sequence[str] = ""
    contains: str = ""
    finish: str = "stop"
    refuse: bool = False

    def fits(self, request: Request) -> bool:
        return self.stage in ("", request.stage) and any(
            self.contains in message.content for message in request.messages
        )

    def said(self, index: int) -> str:
        """The text for the sample `index` of a question."""
        return self.text if isinstance(self.text, str) else self.text[index % len(self.text)]


class Scripted(Unconnected):
    """Answers by the first line that fits."""

    in_flight = 8
    by_rule = True

    def __init__(self, lines: Sequence[Line], name: str = "scripted") -> None:
        self.lines = tuple(lines)
        self.model = name
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Reply | Failure:
        self.asked.append(request)
        for line in self.lines:
            if line.fits(request):
                if line.refuse:
                    return Failure(R402, "the script refuses this request")
                return Reply(line.said(request.index), line.finish)
        return Failure(R405, f"no line for stage `{request.stage}`")


def lines_of(items: object) -> tuple[Line, ...]:
    """Lines from parsed YAML: a list of mappings. Raises TypeError or ValueError where it is not
    one.
    """
    if not isinstance(items, list):
        raise ValueError("a script is a list of lines, each with `stage:` and `text:`")
    lines = tuple(Line(**item) for item in items)
    for line in lines:
        texts = line.text if isinstance(line.text, list) and line.text else [line.text]
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"`text: {text}` is no text in YAML: put it in quotes")
    return lines


def read_script(path: Path) -> tuple[Line, ...]:
    """The lines of a script file: YAML with a list under `teacher`. Raises OSError, TypeError,
    ValueError.
    """
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as wrong:
        raise ValueError(str(wrong)) from wrong
    return lines_of(value.get("teacher") if isinstance(value, dict) else value)
