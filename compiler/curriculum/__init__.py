"""`curriculum.yaml` goes in; typed settings come out, with sound defaults for a taxonomy without
one.

A pass of its own because it is the build file: everything that a maintainer may decide stands here
once, and no other file reads settings from YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from compiler.codes import CATALOGUE, M303, M309, Severity
from compiler.curriculum.settings import (
    ROUTES,
    DataSource,
    GateSettings,
    LicenceSettings,
    MeaningSettings,
    MixSettings,
    Route,
    SelectSettings,
    SiftSettings,
    Snippets,
    ValueSettings,
)
from compiler.curriculum.teacher import Prices, TeacherSpec, Tls, read_teacher
from compiler.curriculum.values import items, mapping, section
from compiler.diagnostics import Policy, Report
from compiler.source import SETTINGS_NAME, Source, SourceFile

if TYPE_CHECKING:
    from compiler.tree import Path, Tree

__all__ = [
    "FILE",
    "Curriculum",
    "DataSource",
    "GateSettings",
    "LicenceSettings",
    "MeaningSettings",
    "MixSettings",
    "Prices",
    "Route",
    "SelectSettings",
    "SiftSettings",
    "Snippets",
    "TeacherSpec",
    "Tls",
    "ValueSettings",
    "read",
]

FILE = SETTINGS_NAME


@dataclass(frozen=True, slots=True)
class Curriculum:
    """All settings of a build."""

    seed: int = 0
    samples_per_leaf: int = 40
    chunk_tokens: int = 250
    teacher: TeacherSpec = field(default_factory=TeacherSpec)
    judge: TeacherSpec | None = None
    routes: tuple[Route, ...] = ROUTES
    sift: SiftSettings = field(default_factory=SiftSettings)
    select: SelectSettings = field(default_factory=SelectSettings)
    mix: MixSettings = field(default_factory=MixSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    licences: LicenceSettings = field(default_factory=LicenceSettings)
    policy: Policy = field(default_factory=Policy)
    contributor_share: float = 0.25


_SECTIONS = {
    "sift": SiftSettings,
    "select": SelectSettings,
    "mix": MixSettings,
    "gate": GateSettings,
    "licences": LicenceSettings,
}


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
    teacher = read_teacher(tree, "teacher", report)
    curriculum = replace(curriculum, judge=read_teacher(tree, "judge", report))
    if teacher:
        curriculum = replace(curriculum, teacher=teacher)
    if "routes" in value:
        routes = tuple(_route(tree, i, one) for i, one in enumerate(items(value["routes"])))
        curriculum = replace(curriculum, routes=routes)
    for name, kind in _SECTIONS.items():
        if name in value:
            curriculum = replace(curriculum, **{name: section(kind, value[name])})
    check = mapping(value.get("check") or {})
    policy = Policy(
        *(_rules(tree, name, check.get(name) or [], report) for name in ("raise", "allow"))
    )
    curriculum = replace(curriculum, policy=policy)
    if "contributor_share" in check:
        curriculum = replace(curriculum, contributor_share=check["contributor_share"])  # type: ignore[arg-type]
    return None if report.errors_at(FILE) else curriculum


def _route(tree: "Tree", place: int, item: object) -> Route:
    """One of the routes; `pipelines` is a list, or a mapping of names to shares."""
    said = mapping(item)
    names = said.get("pipelines", [said.get("pipeline")])
    shares = (
        mapping(names) if isinstance(names, Mapping) else dict.fromkeys(map(str, items(names)), 1)
    )
    key = "pipeline" if "pipeline" in said else "pipelines"
    at: Path = ("routes", place)
    route = section(Route, {k: v for k, v in said.items() if k not in ("with", "pipelines")})
    return replace(
        route,
        pipelines=tuple((name, float(str(share))) for name, share in shares.items()),
        settings=mapping(said.get("with")),
        places={
            **{key: tree.key_span((*at, key)) for key in ("verify", "snippets") if key in said},
            **{key: tree.key_span((*at, "with", key)) for key in mapping(said.get("with"))},
        },
        span=tree.span((*at, key)),
    )


def _rules(
    tree: "Tree", name: str, said: object, report: Report
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rules = []
    known = set(CATALOGUE) | {code.name for code in CATALOGUE.values()}
    for i, item in enumerate(items(said)):
        at: Path = ("check", name, i)
        rule = {"code": item} if isinstance(item, str) else mapping(item)
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
        rules.append((code, tuple(str(p) for p in items(rule.get("paths") or []))))
    return tuple(rules)
