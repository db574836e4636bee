"""The leaves of a taxonomy go in; what the units of one leaf stand on in one pipeline comes out.

A file of its own because it looks at other leaves: the questions beside a leaf, the words that only
it has. Whatever a pipeline does not ask for is not made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from compiler.codes import M318, M320
from compiler.curriculum import Route
from compiler.diagnostics import Report
from compiler.documents.fetch import Document
from compiler.draw import Background, Text, background, vocabulary
from compiler.language import NAMES, code_of, language
from compiler.leaf import KnowledgeLeaf, Leaf
from compiler.lower import COLUMNS, Ground
from compiler.pipeline import Draw, Pipeline, Spread, Verify, numbers
from compiler.schema import guess
from compiler.verify import BrokenChecker, Checker, checker
from compiler.verify.agreement import Agreement


class Grounds:
    """What is known of all leaves; made once for a build."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self._leaves = leaves
        self._beside: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            self._beside.setdefault(_folder(leaf), []).append(leaf)
        self._background: Background | None = None
        self._held_out: tuple[str, ...] | None = None

    def of(
        self,
        leaf: Leaf,
        route: Route,
        pipeline: Pipeline,
        documents: Sequence[Document],
        snippets: Sequence[Document],
    ) -> Ground:
        """The ground of a leaf in a pipeline; its route was checked before. `snippets` are what
        lines are drawn from.
        """
        sources = pipeline.draws_from
        texts: tuple[Text, ...] = ()
        if "lines" in sources:
            texts = tuple(Text(d.path, d.blob, d.text) for d in snippets)
        words: tuple[str, ...] = ()
        if "words" in sources:
            words = vocabulary([*_texts(leaf), *(d.text for d in documents)], self._elsewhere())
        siblings: tuple[str, ...] = ()
        held_out: tuple[str, ...] = ()
        if pipeline.compares:
            others = (one for one in self._beside[_folder(leaf)] if one.path != leaf.path)
            siblings = tuple(seed.question for one in others for seed in one.seeds)
            held_out = self._asked()
        known = pipeline.settings.defaults
        own = {name: value for name, value in route.settings.items() if name in known}
        made = checker(route.verify, {}) if route.verify else None
        return Ground(own, language_of(leaf, route), made, words, texts, siblings, held_out)

    def _elsewhere(self) -> Background:
        if self._background is None:
            self._background = background(_texts(leaf) for leaf in self._leaves)
        return self._background

    def _asked(self) -> tuple[str, ...]:
        if self._held_out is None:
            seeds = (seed for leaf in self._leaves for seed in leaf.seeds)
            self._held_out = tuple(seed.question for seed in seeds if seed.held_out)
        return self._held_out


def check_route(route: Route, pipelines: Mapping[str, Pipeline], report: Report) -> None:
    """Reports a checker that cannot work or is not used, and settings that no pipeline has."""
    mine = [pipelines[name] for name, _ in route.pipelines if name in pipelines]
    made: Checker | None = None
    if route.verify:
        try:
            made = checker(route.verify, {})
        except BrokenChecker as wrong:
            message = f"the checker of the route cannot work: {wrong}"
            report.add(M318, message, route.place("verify"), "see docs/verify.md")
        if made and made.obstacle:
            message = f"the checker of the route cannot work here: {made.obstacle}"
            report.add(M318, message, route.place("verify"), "see docs/verify.md")
    for pipeline in mine:
        lacking = _unwritten(made, pipeline) if made else ""
        if lacking:
            message = f"the route's checker reads `{lacking}`, which `{pipeline.name}` never writes"
            report.add(M318, message, route.place("verify"), "name a column that it writes")
        if made and not any(isinstance(s, Verify) and not s.checker for s in pipeline.every()):
            message = f"`{pipeline.name}` never asks the route's checker"
            hint = "add a stage `do: verify` without a checker to it, or take another pipeline"
            report.add(M318, message, route.place("verify"), hint)
    known = {name for pipeline in mine for name in pipeline.settings.defaults}
    for name, value in route.settings.items():
        if name not in known:
            message = f"no pipeline of the route has the setting `{name}`"
            report.add(M320, message, route.place(name), guess(name, sorted(known)))
            continue
        for pipeline in mine:
            _check_setting(route, pipeline, name, value, report)


def _unwritten(made: Checker, pipeline: Pipeline) -> str:
    """A column that a checker reads and the pipeline does not have; "" for none."""
    known = {field.name for stage in pipeline.generates for field in stage.writes}
    if isinstance(made.by, Agreement):
        return next((name for name in made.reads if name not in known), "")
    known |= {name for kind in pipeline.takes for name in COLUMNS[kind]}
    known |= {drawn.name for s in pipeline.every() if isinstance(s, Draw) for drawn in s.draws}
    known |= {stage.writes for stage in pipeline.every() if isinstance(stage, Spread | Verify)}
    known |= set(pipeline.settings.defaults)
    return next((name for name in made.reads if name not in known), "")


def _check_setting(
    route: Route, pipeline: Pipeline, name: str, value: object, report: Report
) -> None:
    """One setting against its choices, the bounds of what it is used as, and the kind of its
    default.
    """
    if name not in pipeline.settings.defaults:
        return
    choices = pipeline.settings.choices.get(name)
    default = pipeline.settings.defaults[name]
    kind = _kind(default)
    used = (bound for s in pipeline.every() for _, number, bound in numbers(s) if number == name)
    unfit = next((bound.value for bound in used if not bound.holds(value)), "")
    if choices and (value not in choices or isinstance(value, bool)):
        said = ", ".join(map(str, choices))
        message = f"`{name}` of `{pipeline.name}` is none of {said}"
        report.add(M320, message, route.place(name), guess(str(value), list(map(str, choices))))
    elif unfit:
        message = f"`{name}` of `{pipeline.name}` must be {unfit}"
        report.add(M320, message, route.place(name), f"write {unfit}")
    elif not choices and kind != _kind(value):
        such = "" if isinstance(default, bool) else f", such as `{default}`"
        message = f"`{name}` of `{pipeline.name}` is {kind}{such}"
        report.add(M320, message, route.place(name), f"write {kind}")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a text" if isinstance(value, str) else "a number"


def language_of(leaf: Leaf, route: Route) -> str:
    """The code of the language that a leaf's samples should be in: the route's, else that of most
    of its texts; "" where nobody knows.
    """
    if route.language:
        return route.language
    told = Counter(name for text in _texts(leaf) if (name := language(text)))
    if not told:
        return ""
    name, number = told.most_common(1)[0]
    return code_of(name) if number > sum(told.values()) / 2 and code_of(name) in NAMES else ""


def _texts(leaf: Leaf) -> list[str]:
    """What people wrote for a leaf, without what is held out."""
    seeds = [f"{seed.context}\n{seed.question}\n{seed.answer}".strip() for seed in leaf.shown]
    return [leaf.outline if isinstance(leaf, KnowledgeLeaf) else leaf.task, *seeds]


def _folder(leaf: Leaf) -> str:
    return PurePosixPath(leaf.path).parent.as_posix()
