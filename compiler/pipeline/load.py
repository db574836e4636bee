"""A pipeline folder goes in; a Pipeline comes out.

A file of its own because it is the only one that reads the YAML of pipelines.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from compiler.codes import P201, P209, P214, P215
from compiler.diagnostics import Report, Span
from compiler.pipeline.columns import check_columns
from compiler.pipeline.folder import FILE, Folder
from compiler.pipeline.read import Reader
from compiler.pipeline.stages import Best, Draw, Generate, Rounds, Say, Settings, Stage, Unique
from compiler.schema import PIPELINE, guess, validate
from compiler.source import SourceFile
from compiler.tree import Path, Tree, parse


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A declared program; `digest` identifies its folder's texts.

    `asks` is how many samples one unit should yield, 0 for all of a leaf's in one unit. With
    `grounding` the sift holds its answers to their document.
    """

    name: str
    about: str
    takes: tuple[str, ...]
    asks: int
    stages: tuple[Stage, ...]
    settings: Settings
    digest: str
    grounding: bool
    span: Span = field(compare=False)
    folder: Folder = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Callable[[Folder], "Pipeline"], tuple[Folder]]:
        """Compiled templates cannot be sent to another process; their texts can."""
        return _reload, (self.folder,)

    def every(self) -> Iterator[Stage]:
        """All stages, those inside of others too, in their order."""
        return _every(self.stages)

    @property
    def generates(self) -> tuple[Generate, ...]:
        return tuple(stage for stage in self.every() if isinstance(stage, Generate))

    @property
    def says(self) -> Say:
        """The last stage."""
        last = self.stages[-1]
        assert isinstance(last, Say)
        return last

    @property
    def draws_from(self) -> frozenset[str]:
        """The sources that its draws need, such as `words`."""
        draws = (stage for stage in self.every() if isinstance(stage, Draw))
        return frozenset(drawn.source for draw in draws for drawn in draw.draws)

    @property
    def compares(self) -> bool:
        """Whether it looks at the seeds of other leaves."""
        return any(isinstance(stage, Unique) for stage in self.every())


def _every(stages: Iterable[Stage]) -> Iterator[Stage]:
    for stage in stages:
        yield stage
        if isinstance(stage, Best | Rounds):
            yield from _every(stage.stages)


def _reload(folder: Folder) -> Pipeline:
    """A pipeline that was loaded before."""
    made = load(folder, Report())
    assert made is not None
    return made


def load(folder: Folder, report: Report) -> Pipeline | None:
    """Reads one pipeline folder; None where it has errors.

    A child's templates and settings come before those of its parent; it has its own stages or the
    parent's.
    """
    inner = Report(texts=report.texts)
    made = _load(folder, inner)
    for found in inner.diagnostics:
        if found.span and not found.span.path.startswith(f"{folder.shown}/"):  # a parent's file
            found = replace(found, message=f"{found.message}, in `{folder.name}`")
        report.take([found])
    return made


def _load(folder: Folder, report: Report) -> Pipeline | None:
    tree = _parsed(folder, report)
    if tree is None:
        return None
    assert isinstance(tree.value, Mapping)
    value: Mapping[str, object] = tree.value
    child, folder = folder, replace(folder, others={})
    stages_of, whole = tree, folder
    if "extends" in value:
        parent = _parent(tree, str(value["extends"]), child, report)
        if parent is None:
            return None
        (above, above_tree) = parent
        assert isinstance(above_tree.value, Mapping)
        settings = {**_mapping(above_tree.value, "settings"), **_mapping(value, "settings")}
        if "stages" not in value:
            stages_of = above_tree
        value = {**above_tree.value, **value, "settings": settings}
        files = {**above.files, **folder.files}
        inherited = dict.fromkeys(set(above.files) - set(folder.files), above.shown)
        whole = replace(folder, files=files, inherited=inherited)
        folder = replace(folder, others={above.name: above})
    stages = Reader(stages_of, whole, report).stages(value["stages"], ("stages",))
    if not report.errors:  # else some are left out
        _check_places(stages_of, stages, report)
    if report.errors:
        return None
    settings_ = _settings(_mapping(value, "settings"))
    takes = value["takes"]
    kinds = tuple(map(str, takes)) if isinstance(takes, list) else (str(takes),)
    check_columns(stages_of, kinds, settings_, stages, report)
    if report.errors:
        return None
    asks = value["asks"]
    return Pipeline(
        folder.name,
        str(value["about"]).strip(),
        kinds,
        asks if isinstance(asks, int) else 0,
        stages,
        settings_,
        folder.digest,
        bool(value.get("grounding", True)),
        tree.span(()),
        folder,
    )


def _parsed(folder: Folder, report: Report) -> Tree | None:
    before = report.errors
    tree = parse(SourceFile(f"{folder.shown}/{FILE}", folder.files[FILE]), report)
    if tree is None:
        if report.errors == before:
            place = Span(f"{folder.shown}/{FILE}")
            report.add(
                P201, "the pipeline is empty", place, "write `version:`, `about:`, `stages:`"
            )
        return None
    return tree if validate(tree, "pipeline", PIPELINE, report) else None


def _parent(tree: Tree, name: str, folder: Folder, report: Report) -> tuple[Folder, Tree] | None:
    """The folder that is extended, and its tree."""
    others = {known: other for known, other in folder.others.items() if other != folder}
    place = tree.span(("extends",))
    if name not in others and name == folder.name:
        report.add(P214, f"`{name}` extends itself", place, "name another pipeline")
        return None
    if name not in others:
        report.add(
            P214, f"there is no pipeline `{name}` to extend", place, guess(name, sorted(others))
        )
        return None
    found = _parsed(others[name], report)
    if found is not None and isinstance(found.value, Mapping) and "extends" in found.value:
        report.add(P214, f"`{name}` extends another", place, "extend that one: one level is enough")
        return None
    return (replace(others[name], others={}), found) if found else None


def _mapping(value: Mapping[str, object], key: str) -> dict[str, object]:
    found = value.get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def _settings(said: Mapping[str, object]) -> Settings:
    """Defaults and choices; of a list the first is the default."""
    return Settings(
        {name: one[0] if isinstance(one, list) else one for name, one in said.items()},
        {name: tuple(one) for name, one in said.items() if isinstance(one, list)},
    )


def _check_places(tree: Tree, stages: tuple[Stage, ...], report: Report) -> None:
    """`say` is the last stage and stands nowhere else; every `id` is there once."""
    every = list(_placed(stages, ("stages",)))
    last = ("stages", len(stages) - 1)
    if not any(isinstance(stage, Say) for _, stage in every):
        report.add(P209, "no `say` at the end", tree.span(last), "end with `do: say`")
    seen: set[str] = set()
    for path, stage in every:
        if isinstance(stage, Say) and path != last:
            hint = "put it behind all other stages, once"
            report.add(P209, "`say` is not the last stage", tree.span(path), hint)
        if isinstance(stage, Generate):
            if stage.id in seen:
                place = tree.span((*path, "id"))
                report.add(P215, f"another stage is `{stage.id}` too", place, "rename one")
            seen.add(stage.id)


def _placed(stages: Iterable[Stage], path: Path) -> Iterator[tuple[Path, Stage]]:
    for i, stage in enumerate(stages):
        yield (*path, i), stage
        if isinstance(stage, Best | Rounds):
            yield from _placed(stage.stages, (*path, i, "stages"))
