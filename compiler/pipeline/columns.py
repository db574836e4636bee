"""The stages of a pipeline go in; what is wrong with their columns comes out as findings.

A file of its own because it is a walk without a teacher: with stand-ins in the columns, every
template reads what is there, and renders.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compiler.codes import P202, P208, P213
from compiler.diagnostics import Report, Span
from compiler.draw import Pool, Text
from compiler.lower import COLUMNS
from compiler.pipeline.stages import (
    Best,
    Draw,
    Generate,
    Keep,
    Number,
    Rounds,
    Say,
    Settings,
    Spread,
    Stage,
    Unique,
    Verify,
)
from compiler.prompt import TEMPLATE_FAULTS, Template, render
from compiler.schema import guess
from compiler.tree import Path, Tree

_EXAMPLE = {"context": "some text", "question": "some text", "answer": "some text"}
_STAND_INS: Mapping[str, object] = {"examples": [_EXAMPLE], "seed": _EXAMPLE, "count": 2}
_POOL = Pool((_EXAMPLE,), (_EXAMPLE,), ("word",), (Text("a.md", "", "some text\n"),))
_OUR_OWN = ("question", "answer", "context")  # what a sample shows, whoever reads it


def check_columns(
    tree: Tree, takes: Iterable[str], settings: Settings, stages: tuple[Stage, ...], report: Report
) -> None:
    """Reports columns that are read and not there, and those that are written and not read."""
    given = set.intersection(*(set(COLUMNS[kind]) for kind in takes))
    columns = {column: _STAND_INS.get(column, "some text") for column in sorted(given)}
    walk = _Walk(tree, report, {**columns, **settings.defaults}, dict(settings.choices))
    walk.stages(stages, ("stages",))
    for name, place in walk.written.items():
        if name not in walk.read and name not in _OUR_OWN:
            hint = "read it in a later stage, or leave it out"
            report.add(P213, f"nothing reads the column `{name}`", place, hint)


@dataclass(slots=True)
class _Walk:
    """What the columns hold so far, and which were written and read."""

    tree: Tree
    report: Report
    columns: dict[str, object]
    choices: dict[str, tuple[object, ...]]
    written: dict[str, Span] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def stages(self, stages: Iterable[Stage], path: Path) -> None:
        """Walks the stages of a list."""
        for i, stage in enumerate(stages):
            self._stage(stage, (*path, i))

    def _stage(self, stage: Stage, path: Path) -> None:
        if stage.when:
            self._check(stage.when, self.tree.span((*path, "when")))
        match stage:
            case Generate():
                self._number(stage.most, (*path, "most"))
                for template in (stage.prompt, *(pack for _, pack in stage.packs)):
                    self._check(template, Span(template.name))
                for filled in stage.writes:
                    value: object = filled.choices[-1] if filled.choices else "some text"
                    self._write(filled.name, value, (*path, "writes", filled.name), stage.judge)
                    self.choices[filled.name] = filled.choices
            case Draw():
                for drawn in stage.draws:
                    if isinstance(drawn.number, str):
                        self._number(drawn.number, (*path, "writes", drawn.name, "number"))
                        drawn = replace(drawn, number=1)
                    value = drawn.draw(_POOL, b"")
                    self._write(drawn.name, value, (*path, "writes", drawn.name))
            case Keep():
                self._check(stage.condition, self.tree.span((*path, "if")))
                if stage.because:
                    self._check(stage.because, self.tree.span((*path, "because")))
            case Verify():
                for name in stage.checker.reads if stage.checker else ():
                    self._need(name, path)
                if stage.writes:
                    self._write(stage.writes, 1, (*path, "writes"), is_score=True)
            case Best():
                self._number(stage.of, (*path, "of"))
                self.stages(stage.stages, (*path, "stages"))
                self._check(stage.by, self.tree.span((*path, "by")))
            case Unique():
                for name in (*stage.of, stage.differs, stage.within):
                    if name:
                        self._need(name, path)
                self._number(stage.below, (*path, "below"))
            case Spread():
                self._need(stage.column, (*path, "column"))
                self._write(stage.writes, "some text", (*path, "writes"))
            case Rounds():
                self._rounds(stage, path)
            case Say():
                for i, turn in enumerate(stage.turns):
                    told = ("messages", i, "text"), (turn.role,)
                    at = next((t for t in told if self._is_there((*path, *t))), ())
                    self._check(turn.text, self.tree.span((*path, *at)))
                    if turn.when:
                        place = self.tree.span((*path, "messages", i, "when"))
                        self._check(turn.when, place)

    def _rounds(self, stage: Rounds, path: Path) -> None:
        for name in ("number", "calls", "each"):
            self._number(getattr(stage, name), (*path, name))
        outer = dict(self.columns)
        self.columns["round"] = 1
        if stage.over == "rows":
            self.columns["parent"] = _EXAMPLE
            for name in _OUR_OWN:
                self.columns.setdefault(name, "some text")
        self.stages(stage.stages, (*path, "stages"))
        if stage.over == "pool":
            self.columns["count"] = outer.get("count", 2)

    def _is_there(self, path: Path) -> bool:
        value: object = self.tree.value
        for key in path:
            if isinstance(value, Mapping) and key in value:
                value = value[str(key)]
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return False
        return True

    def _write(self, name: str, value: object, path: Path, is_score: bool = False) -> None:
        self.columns[name] = value
        self.choices.pop(name, None)
        if not is_score:
            self.written.setdefault(name, self.tree.span(path))

    def _number(self, number: Number, path: Path) -> None:
        if isinstance(number, str):
            self._need(number, path)

    def _need(self, name: str, path: Path) -> None:
        self.read.add(name)
        if name not in self.columns:
            self._unknown(name, self.tree.span(path))

    def _unknown(self, name: str, place: Span) -> None:
        message = f"no stage before this writes the column `{name}`"
        self.report.add(P202, message, place, guess(name, sorted(self.columns)))

    def _check(self, template: Template, place: Span) -> None:
        """Renders a template with every choice of each column that it reads."""
        self.read |= set(template.reads)
        unknown = [
            (name, line) for name, line in template.reads.items() if name not in self.columns
        ]
        for name, line in unknown:
            span = place
            if place.path == template.name:
                text = self.report.texts[place.path].splitlines()[line - 1]
                start = max(text.find(name), 0) + 1
                span = Span(place.path, line, start, line, start + len(name))
            self._unknown(name, span)
        if unknown:
            return
        tried = [self.columns]
        for name in template.reads:
            tried += [{**self.columns, name: choice} for choice in self.choices.get(name, ())]
        try:
            for each in tried:
                render(template, each)
        except TEMPLATE_FAULTS as wrong:
            hint = "mend it; a column holds a text, or one of the choices that its stage lists"
            self.report.add(P208, f"it fails when it is rendered: {wrong}", place, hint)
