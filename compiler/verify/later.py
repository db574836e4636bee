"""A checker that an answer passed goes in; what checks other answers to that question comes out, as
plain values, and again as a checker.

A file of its own because a student is asked long after the compile, where the pipeline, its folder
and the columns of the draft are gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.verify.agreement import Agreement
from compiler.verify.checker import Checker, checker
from compiler.verify.citation import Citation
from compiler.verify.numeric import Numeric
from compiler.verify.said import BrokenChecker, Columns, text_of
from compiler.verify.text import Exact

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Passed:
    """A checker, the answer that it passed, and what it knew: the texts of its other columns."""

    checker: Checker
    answer: str
    known: Mapping[str, str]

    @classmethod
    def of(cls, checker: Checker, columns: Columns) -> "Passed":
        """What a checker that passed some columns saw of them."""
        answer, *others = checker.reads
        known = {name: text_of(columns, name) for name in others}
        return cls(checker, text_of(columns, answer), known)

    def as_json(self) -> Json:
        """What `lasting` reads again; `schemas/sample.json` says its form."""
        said: Json = {"checker": {self.checker.kind: dict(self.checker.said)}}
        if self.known:
            said["columns"] = dict(self.known)
        if self.checker.files:
            said["files"] = dict(self.checker.files)
        return said


@dataclass(frozen=True, slots=True)
class Lasting:
    """Checkers with all that they know, for new answers to one question."""

    checkers: tuple[tuple[Checker, Mapping[str, str]], ...]

    @property
    def obstacle(self) -> str:
        """Why one of them cannot work on this machine, "" where all can."""
        return next((one.obstacle for one, _ in self.checkers if one.obstacle), "")

    async def run(self, answer: str) -> str:
        """Why an answer fails, "" where it passes all of them."""
        for one, known in self.checkers:
            if reason := await one.run({**known, one.reads[0]: answer}):
                return reason
        return ""


async def written(passed: Iterable[Passed], answer: str) -> Json:
    """What checks other answers where `answer` is the sample's; {} where nothing does.

    What the whole answer does not pass is left out, as where a pipeline checks a part of it: a
    student gives whole answers.
    """
    found = []
    for one in passed:
        whole = {**one.known, one.checker.reads[0]: answer}
        if one.answer.strip() == answer.strip() or not await one.checker.run(whole):
            found.append(one.as_json())
    return {"all": found} if found else {}


async def of_people(checkers: Iterable[Checker], question: str, answer: str, context: str) -> Json:
    """What checks answers to a question that a person wrote with its answer; {} where nothing does.

    Such an answer is right, so that an expected number or text is its own. The first of `checkers`
    that passes it counts: what fails a person's answer measures nobody.
    """
    for one in checkers:
        columns = _columns(one, question, answer, context)
        if columns and not one.obstacle and not await one.run(columns):
            return {"all": [Passed.of(one, columns).as_json()]}
    return {}


def _columns(one: Checker, question: str, answer: str, context: str) -> dict[str, str]:
    """What a checker sees of a person's example; {} where it would not know enough."""
    columns = {"question": question, "context": context}
    match one.by:
        case Agreement():
            return {}
        case Numeric() | Exact():
            known = answer
        case Citation():
            known = context
        case _:
            known = ""
    first, *others = one.reads
    columns |= {name: known for name in others if name not in columns}
    return {**columns, first: answer} if all(columns[name] for name in others) else {}


def lasting(said: Mapping[str, object]) -> Lasting:
    """The checkers of a line of a build. Raises BrokenChecker where they are none of ours."""
    found = []
    parts = said.get("all")
    for part in parts if isinstance(parts, Sequence) else ():
        if not isinstance(part, Mapping):
            raise BrokenChecker("a checker must be a mapping")
        files = {name: text.encode() for name, text in _texts(part, "files").items()}
        made = part.get("checker")
        if not isinstance(made, Mapping):
            raise BrokenChecker("a checker must be a mapping")
        found.append((checker(made, files), _texts(part, "columns")))
    if not found or any(isinstance(one.by, Agreement) for one, _ in found):
        raise BrokenChecker("there is no checker of single answers")
    return Lasting(tuple(found))


def _texts(part: Mapping[str, object], key: str) -> dict[str, str]:
    value = part.get(key, {})
    if not isinstance(value, Mapping):
        raise BrokenChecker(f"`{key}` must be a mapping", (key,))
    return {str(name): str(text) for name, text in value.items()}
