"""The stages of a pipeline go in; what is wrong with their columns comes out as findings.

A file of its own because it is a walk without a teacher: with stand-ins in the columns, every
template reads what is there, and renders.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compiler.codes import P202, P205, P208, P209, P213
from compiler.diagnostics import Report, Span
from compiler.draw import Pool, Text
from compiler.lower import COLUMNS
from compiler.pipeline.stages import (
    Best,
    Bound,
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
    numbers,
)
from compiler.prompt import TEMPLATE_FAULTS, Template, render
from compiler.schema import guess
from compiler.tree import Path, Tree
from compiler.verify.agreement import Agreement

_EXAMPLE = {"context": "some text", "question": "some text", "answer": "some text"}
_STAND_INS: Mapping[str, object] = {"examples": [_EXAMPLE], "seed": _EXAMPLE, "count": 2}
_POOL = Pool((_EXAMPLE,), (_EXAMPLE,), ("word",), (Text("a.md", "", "some text\n"),))
_OUR_OWN = ("question", "answer", "context")  # what a sample shows, whoever reads it
_OF_ROUNDS = ("round", "parent")


def check_columns(
    tree: Tree, takes: Iterable[str], settings: Settings, stages: tuple[Stage, ...], report: Report
) -> None:
    """Reports columns that are read and not there, and those that are written and not read."""
    kinds = [set(COLUMNS[kind]) for kind in takes]
    given = set.intersection(*kinds)
    for name in sorted(set.union(*kinds, _OUR_OWN, _OF_ROUNDS) & set(settings.defaults)):
        message = f"the setting `{name}` has the name of a column that is filled anyway"
        report.add(P205, message, tree.span(("settings", name)), "give it another name")
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
    generated: set[str] = field(default_factory=set)
    in_best: bool = False

    def stages(self, stages: Iterable[Stage], path: Path) -> None:
        """Walks the stages of a list."""
        for i, stage in enumerate(stages):
            self._stage(stage, (*path, i))

    def _stage(self, stage: Stage, path: Path) -> None:
        if stage.when:
            self._check(stage.when, self.tree.span((*path, "when")))
        for keys, number, bound in numbers(stage):
            self._number(number, bound, (*path, *keys))
        match stage:
            case Generate():
                for template in (stage.prompt, *(pack for _, pack in stage.packs)):
                    self._check(template, Span(template.name))
                for filled in stage.writes:
                    value: object = filled.choices[-1] if filled.choices else "some text"
                    self._write(filled.name, value, (*path, "writes", filled.name), stage.judge)
                    self.choices[filled.name] = filled.choices
                    self.generated.add(filled.name)
            case Draw():
                for drawn in stage.draws:
                    if isinstance(drawn.number, str):
                        drawn = replace(drawn, number=1)
                    value = drawn.draw(_POOL, b"")
                    self._write(drawn.name, value, (*path, "writes", drawn.name))
            case Keep():
                self._check(stage.condition, self.tree.span((*path, "if")))
                if stage.because:
                    self._check(stage.because, self.tree.span((*path, "because")))
            case Verify():
                self._verify(stage, path)
                if stage.writes:
                    self._write(stage.writes, 1, (*path, "writes"), is_score=True)
            case Best():
                outside, self.in_best = self.in_best, True
                self.stages(stage.stages, (*path, "stages"))
                self.in_best = outside
                self._check(stage.by, self.tree.span((*path, "by")))
            case Unique():
                if self.in_best:
                    hint = "put it before or behind `best`: the tries are walked side by side"
                    self.report.add(P209, "`unique` inside `best`", self.tree.span(path), hint)
                for name in (*stage.of, stage.differs, stage.within):
                    if name:
                        self._need(name, path)
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

    def _verify(self, stage: Verify, path: Path) -> None:
        asked_again = stage.checker is not None and isinstance(stage.checker.by, Agreement)
        for name in stage.checker.reads if stage.checker else ():
            if asked_again and name not in self.generated:
                message = f"no `generate` before this writes the column `{name}`"
                place = self.tree.span((*path, "agreement", "column"))
                self.report.add(P202, message, place, guess(name, sorted(self.generated)))
                continue
            self._need(name, path)

    def _rounds(self, stage: Rounds, path: Path) -> None:
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

    def _number(self, number: Number, bound: Bound, path: Path) -> None:
        """A column that stands for a number has to hold one, whatever choice is taken."""
        if not isinstance(number, str):
            return
        self._need(number, path)
        if number not in self.columns:
            return
        for value in (self.columns[number], *self.choices.get(number, ())):
            if not bound.holds(value):
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                shown = f"is {value}" if is_number else "holds no number"
                message = f"`{path[-1]}` must be {bound.value}, and `{number}` {shown}"
                hint = "name a setting, or a column, that holds such a number"
                code = P205 if is_number else P208
                self.report.add(code, message, self.tree.span(path), hint)
                return

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
