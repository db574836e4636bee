"""`curriculum.yaml` goes in; typed settings come out, with sound defaults for a taxonomy without
one.

A pass of its own because it is the build file: everything that a maintainer may decide stands here
once, and no other file reads settings from YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from compiler.codes import CATALOGUE, M303, M309, M310, Severity
from compiler.diagnostics import Policy, Report, Span
from compiler.source import SETTINGS_NAME, Source, SourceFile

if TYPE_CHECKING:
    from compiler.leaf import Leaf
    from compiler.tree import Path, Tree

FILE = SETTINGS_NAME


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """Which teacher to ask; `timeout` in seconds, `context` in tokens of prompt and reply."""

    kind: str = "extractive"
    url: str = ""
    model: str = ""
    key_env: str = "OPENAI_API_KEY"
    file: str = ""
    in_flight: int = 64
    timeout: float = 300.0
    context: int = 4096

    @staticmethod
    def named(text: str) -> "TeacherSpec":
        """Reads the command line's short form. Raises ValueError.

        `extractive`, `scripted:FILE`, or the base URL of an endpoint, as `http://HOST:PORT/v1` or
        `http://HOST:PORT/v1#MODEL`.
        """
        kind, _, rest = text.partition(":")
        if text == "extractive":
            return TeacherSpec()
        if kind == "scripted" and rest:
            return TeacherSpec("scripted", file=rest)
        if kind in ("http", "https"):
            url, _, model = text.partition("#")
            return TeacherSpec("openai", url=url.rstrip("/"), model=model)
        raise ValueError(
            f"`{text}` is no teacher: use extractive, scripted:FILE, or http://HOST:PORT/v1#MODEL"
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Sends the leaves that match to a pipeline; an empty field matches every leaf."""

    pipeline: str
    branch: str = ""
    kind: str = ""
    leaves: str = ""
    span: Span = field(default=Span(FILE), compare=False)

    def matches(self, leaf: "Leaf") -> bool:
        return (
            self.branch in ("", leaf.branch)
            and self.kind in ("", leaf.kind)
            and (not self.leaves or fnmatchcase(leaf.path, self.leaves))
        )


@dataclass(frozen=True, slots=True)
class SiftSettings:
    """`near_duplicate` is a Jaccard similarity of word pairs."""

    near_duplicate: float = 0.85
    min_question_words: int = 2
    min_answer_words: int = 1


@dataclass(frozen=True, slots=True)
class MixSettings:
    """`replay` is the share of phase 1 that phase 2 repeats, `validation` that of the synthetic
    samples that no phase gets, because evaluation asks them.
    """

    replay: float = 0.5
    validation: float = 0.08


ROUTES = (
    Route("knowledge-qa", kind="knowledge"),
    Route("skill-grounded", kind="grounded"),
    Route("skill-freeform", kind="freeform"),
)


@dataclass(frozen=True, slots=True)
class Curriculum:
    """All settings of a build."""

    seed: int = 0
    samples_per_leaf: int = 40
    chunk_tokens: int = 250
    teacher: TeacherSpec = TeacherSpec()
    judge: TeacherSpec | None = None
    routes: tuple[Route, ...] = ROUTES
    sift: SiftSettings = SiftSettings()
    mix: MixSettings = MixSettings()
    policy: Policy = field(default_factory=Policy)
    contributor_share: float = 0.25


def read(source: Source, report: Report) -> Curriculum | None:
    """The taxonomy's settings; None where the file has errors."""
    if FILE not in source.paths:
        return Curriculum()
    from compiler.schema import CURRICULUM, validate  # what a taxonomy without the file saves
    from compiler.tree import parse

    tree = parse(SourceFile(FILE, source.read(FILE)), report)
    if tree is None:
        return None if report.errors_at(FILE) else Curriculum()
    if not validate(tree, "curriculum", CURRICULUM, report) or not isinstance(tree.value, Mapping):
        return None
    return _typed(tree, tree.value, report)


def _typed(tree: "Tree", value: Mapping[str, object], report: Report) -> Curriculum | None:
    simple = ("seed", "samples_per_leaf", "chunk_tokens")
    curriculum = replace(Curriculum(), **{k: value[k] for k in simple if k in value})  # type: ignore[arg-type]
    teacher = _teacher(tree, "teacher", report)
    curriculum = replace(curriculum, judge=_teacher(tree, "judge", report))
    if teacher:
        curriculum = replace(curriculum, teacher=teacher)
    if "routes" in value:
        routes = tuple(
            Route(**_strings(route), span=tree.span(("routes", i, "pipeline")))
            for i, route in enumerate(_items(value["routes"]))
        )
        curriculum = replace(curriculum, routes=routes)
    if "sift" in value:
        curriculum = replace(curriculum, sift=SiftSettings(**_mapping(value["sift"])))  # type: ignore[arg-type]
    if "mix" in value:
        curriculum = replace(curriculum, mix=MixSettings(**_mapping(value["mix"])))  # type: ignore[arg-type]
    check = _mapping(value.get("check") or {})
    policy = Policy(
        *(_rules(tree, name, check.get(name) or [], report) for name in ("raise", "allow"))
    )
    curriculum = replace(curriculum, policy=policy)
    if "contributor_share" in check:
        curriculum = replace(curriculum, contributor_share=check["contributor_share"])  # type: ignore[arg-type]
    return None if report.errors_at(FILE) else curriculum


def _teacher(tree: "Tree", key: str, report: Report) -> TeacherSpec | None:
    value = _mapping(tree.value).get(key)
    if value is None:
        return None
    spec = TeacherSpec(**_mapping(value))  # type: ignore[arg-type]
    needed = {"openai": "url", "scripted": "file"}.get(spec.kind)
    if needed and not getattr(spec, needed):
        report.add(
            M310,
            f"a teacher of kind `{spec.kind}` needs `{needed}`",
            tree.span((key,)),
            f"add `{needed}:`",
        )
    return replace(spec, url=spec.url.rstrip("/"))


def _rules(
    tree: "Tree", name: str, items: object, report: Report
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rules = []
    known = set(CATALOGUE) | {code.name for code in CATALOGUE.values()}
    for i, item in enumerate(_items(items)):
        at: Path = ("check", name, i)
        rule = {"code": item} if isinstance(item, str) else _mapping(item)
        code = str(rule["code"])
        if code not in known:
            from compiler.schema import guess

            report.add(
                M309,
                f"there is no code `{code}`",
                tree.span(at),
                guess(code, sorted(known)),
            )
            continue
        found = next(c for c in CATALOGUE.values() if code in (c.id, c.name))
        if found.severity is not Severity.WARNING:
            message = f"`{code}` is not a warning, so it can be neither raised nor allowed"
            report.add(M303, message, tree.span(at), "name warnings only")
        rules.append((code, tuple(str(p) for p in _items(rule.get("paths") or []))))
    return tuple(rules)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> dict[str, str]:
    return {key: str(text) for key, text in _mapping(value).items()}
