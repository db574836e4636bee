"""A pipeline folder goes in; a Pipeline comes out, its templates compiled and its columns checked.

A pass of its own because a pipeline is data that a contributor writes: every mistake in its YAML or
Jinja is found here, with its place, before a token is spent.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jinja2

from compiler.codes import CATALOGUE, P201, P202, P203, P205, P206, P207, P208, S005, Code, Severity
from compiler.diagnostics import Report, Span
from compiler.lower import COLUMNS
from compiler.prompt import TEMPLATE_FAULTS, Template, compile_condition, compile_template, render
from compiler.resources import PIPELINES
from compiler.schema import PIPELINE, guess, validate
from compiler.source import Source, SourceFile
from compiler.tree import Tree, parse

FILE = "pipeline.yaml"


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

    def as_json(self) -> dict[str, object]:
        return {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}


@dataclass(frozen=True, slots=True)
class Generate:
    """Asks the teacher, or the judge, and turns the reply into columns.

    `form` is that of the reply: `tags`, `choice` (the only column's choice alone) or `json`.
    """

    id: str
    prompt: Template
    writes: tuple[Field, ...]
    many: bool
    judge: bool
    sampling: Sampling
    form: str = "tags"


@dataclass(frozen=True, slots=True)
class Keep:
    """Drops the records of which `condition` is false, with `code`."""

    condition: Template
    code: Code


@dataclass(frozen=True, slots=True)
class Say:
    """Makes the sample's messages: (role, template) in order."""

    messages: tuple[tuple[str, Template], ...]


Stage = Generate | Keep | Say


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A declared program; `digest` identifies its folder's texts."""

    name: str
    about: str
    takes: str
    asks: int
    stages: tuple[Stage, ...]
    digest: str
    span: Span = field(compare=False)
    folder: "Folder" = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Callable[["Folder"], "Pipeline"], tuple["Folder"]]:
        """Compiled templates cannot be sent to another process; their texts can."""
        return _reload, (self.folder,)

    @property
    def generates(self) -> tuple[Generate, ...]:
        return tuple(stage for stage in self.stages if isinstance(stage, Generate))


@dataclass(frozen=True, slots=True)
class Folder:
    """A pipeline's files by name; `shown` is the path that diagnostics show."""

    name: str
    shown: str
    files: Mapping[str, bytes]


def folders(source: Source | None = None) -> dict[str, Folder]:
    """The pipelines that there are: the built-in ones, and a taxonomy's own under `pipelines/`.

    A taxonomy's pipeline hides a built-in one of the same name.
    """
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(PIPELINES.glob("*/*")):
        found.setdefault(path.parent.name, {})[path.name] = path.read_bytes()
    made = {name: Folder(name, name, files) for name, files in found.items() if FILE in files}
    if source is None:
        return made
    own: dict[str, dict[str, bytes]] = {}
    for place in source.paths:
        parts = place.split("/")
        if len(parts) == 3 and parts[0] == "pipelines":
            own.setdefault(parts[1], {})[parts[2]] = source.read(place)
    made |= {name: Folder(name, f"pipelines/{name}", f) for name, f in own.items() if FILE in f}
    return dict(sorted(made.items()))


def load(folder: Folder, report: Report) -> Pipeline | None:
    """Reads one pipeline folder; None where it has errors."""
    before = report.errors
    tree = parse(SourceFile(f"{folder.shown}/{FILE}", folder.files[FILE]), report)
    if tree is None:
        if report.errors == before:
            place = Span(f"{folder.shown}/{FILE}")
            report.add(
                P201, "the pipeline is empty", place, "write `version:`, `about:`, `stages:`"
            )
        return None
    if not validate(tree, "pipeline", PIPELINE, report):
        return None
    value = tree.value
    assert isinstance(value, Mapping)
    stages = [_stage(tree, i, item, folder, report) for i, item in enumerate(value["stages"])]
    if report.errors > before:
        return None
    made = tuple(stage for stage in stages if stage is not None)
    _check_columns(tree, str(value["takes"]), made, report)
    if report.errors > before:
        return None
    return Pipeline(
        folder.name,
        str(value["about"]).strip(),
        value["takes"],
        value["asks"],
        made,
        _digest(folder),
        tree.span(()),
        folder,
    )


def _reload(folder: Folder) -> Pipeline:
    """A pipeline that was loaded before."""
    made = load(folder, Report())
    assert made is not None
    return made


def _stage(
    tree: Tree, i: int, item: Mapping[str, object], folder: Folder, report: Report
) -> Stage | None:
    def template(key: str) -> Template | None:
        span = tree.span(("stages", i, key))
        text = str(item[key])
        try:
            return compile_condition(text) if key == "if" else compile_template(key, text)
        except jinja2.TemplateSyntaxError as wrong:
            report.add(P203, str(wrong.message), span, "mend the expression")
            return None

    if item["do"] == "generate":
        return _generate(tree, i, item, folder, report)
    if item["do"] == "keep":
        condition = template("if")
        code = CATALOGUE.get(str(item["else"]))
        if code is None or code.severity is not Severity.DROP:
            report.add(
                P207,
                f"`{item['else']}` is not the number of a D code",
                tree.span(("stages", i, "else")),
                "write one that `trivium explain` lists, such as `D511`",
            )
            return None
        return Keep(condition, code) if condition else None
    parts = [(role, template(role)) for role in ("system", "user", "assistant") if role in item]
    return Say(tuple((role, part) for role, part in parts if part))


def _generate(
    tree: Tree, i: int, item: Mapping[str, object], folder: Folder, report: Report
) -> Generate | None:
    name = str(item["prompt"])
    if name not in folder.files:
        report.add(
            P206,
            f"there is no `{name}` in the folder",
            tree.span(("stages", i, "prompt")),
            "name a template file that lies beside `pipeline.yaml`",
        )
        return None
    shown = f"{folder.shown}/{name}"
    try:
        text = folder.files[name].decode("utf-8")
    except UnicodeDecodeError as wrong:
        report.add(
            S005, f"the template is not UTF-8: {wrong.reason}", Span(shown), "save it as UTF-8"
        )
        return None
    report.texts[shown] = text
    writes = item["writes"]
    assert isinstance(writes, Mapping)
    try:
        prompt = compile_template(shown, text, map(str, writes))
    except jinja2.TemplateSyntaxError as wrong:
        hint = f"mend line {wrong.lineno} of the template"
        report.add(P203, str(wrong.message), _line(shown, text, wrong.lineno), hint)
        return None
    sampling = item.get("sampling") or {}
    assert isinstance(sampling, Mapping)
    fields = tuple(
        Field(str(name), tuple(kind) if isinstance(kind, list) else ())
        for name, kind in writes.items()
    )
    form = str(item.get("reply", "tags"))
    if form == "choice" and (item.get("many") or [bool(f.choices) for f in fields] != [True]):
        report.add(
            P205,
            "a reply that is a choice fills one column with choices",
            tree.span(("stages", i, "reply")),
            "write one column with a list of choices, or take `reply: tags`",
        )
        return None
    return Generate(
        str(item["id"]),
        prompt,
        fields,
        bool(item.get("many")),
        bool(item.get("judge")),
        Sampling(**sampling),
        form,
    )


def _line(path: str, text: str, number: int) -> Span:
    """A whole line of a template, without its indent."""
    line = (text.splitlines() or [""])[min(number, len(text.splitlines()) or 1) - 1]
    start = len(line) - len(line.lstrip()) + 1
    return Span(path, number, start, number, max(start, len(line)) + 1)


def _check_columns(tree: Tree, takes: str, stages: tuple[Stage, ...], report: Report) -> None:
    """Walks the stages with stand-in columns: every template reads what is there, and renders."""
    columns = {column: _STAND_INS.get(column, "some text") for column in COLUMNS[takes]}
    choices: dict[str, tuple[str | int, ...]] = {}
    for i, stage in enumerate(stages):
        if isinstance(stage, Generate):
            _check_template(stage.prompt, columns, choices, Span(stage.prompt.name), report)
            for written in stage.writes:
                columns[written.name] = written.choices[-1] if written.choices else "some text"
                choices[written.name] = written.choices
        elif isinstance(stage, Keep):
            place = tree.span(("stages", i, "if"))
            _check_template(stage.condition, columns, choices, place, report)
        else:
            for role, template in stage.messages:
                _check_template(template, columns, choices, tree.span(("stages", i, role)), report)


_EXAMPLE = {"context": "some text", "question": "some text", "answer": "some text"}
_STAND_INS: Mapping[str, object] = {"examples": [_EXAMPLE], "seed": _EXAMPLE, "count": 2}


def _check_template(
    template: Template,
    columns: Mapping[str, object],
    choices: Mapping[str, tuple[str | int, ...]],
    place: Span,
    report: Report,
) -> None:
    """Renders a template with every choice of each column that it reads."""
    unknown = [(column, line) for column, line in template.reads.items() if column not in columns]
    for column, line in unknown:
        span = place
        if place.path == template.name:
            text = report.texts[place.path].splitlines()[line - 1]
            start = max(text.find(column), 0) + 1
            span = Span(place.path, line, start, line, start + len(column))
        report.add(
            P202,
            f"no stage before this writes the column `{column}`",
            span,
            guess(column, sorted(columns)),
        )
    if unknown:
        return
    tried = [columns]
    for column in template.reads:
        tried += [{**columns, column: choice} for choice in choices.get(column, ())]
    try:
        for each in tried:
            render(template, each)
    except TEMPLATE_FAULTS as wrong:
        hint = "mend it; a column holds a text, or one of the choices that its stage lists"
        report.add(P208, f"it fails when it is rendered: {wrong}", place, hint)


def _digest(folder: Folder) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(folder.files.items()):
        if name == FILE or name.endswith(".j2"):
            digest.update(f"{name}\0".encode() + data + b"\0")
    return digest.hexdigest()[:16]
