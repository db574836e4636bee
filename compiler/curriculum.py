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
class Prices:
    """Money for a million tokens, in any currency; `batch` is what a batch costs of the list price
    (0.5: half of it).
    """

    prompt: float = 0.0
    completion: float = 0.0
    batch: float = 1.0


@dataclass(frozen=True, slots=True)
class Tls:
    """`ca`, `cert` and `key` are PEM files; `verify: false` trusts any certificate."""

    verify: bool = True
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """Which teacher to ask.

    `urls` are base URLs with their weights; `model` of kind `vllm` may be a folder. `in_flight` is
    the most requests at once at each endpoint, to which a limit that adapts may grow. `timeout` is
    the seconds of one try, `deadline` those of a request with all its tries. `context` counts
    tokens of prompt and reply. `requests_per_minute` and `tokens_per_minute` of 0 are no limits.
    `structured` says how the endpoint is asked for choices and JSON: `vllm`, `openai`, `none`, or
    `auto`, which finds out. `extra` goes into the body of every request. `folder` is that of a
    batch teacher, `args` are more flags for a vLLM that is started.
    """

    kind: str = "extractive"
    urls: tuple[tuple[str, float], ...] = ()
    model: str = ""
    key_env: str = "OPENAI_API_KEY"
    file: str = ""
    folder: str = ""
    in_flight: int = 256
    timeout: float = 300.0
    deadline: float = 1800.0
    context: int = 4096
    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    structured: str = "auto"
    headers: tuple[tuple[str, str], ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    tls: Tls = Tls()
    prices: Prices | None = None
    args: tuple[str, ...] = ()

    @staticmethod
    def named(text: str) -> "TeacherSpec":
        """Reads the command line's short form. Raises ValueError.

        `extractive`, `scripted:FILE`, `vllm:MODEL`, `batch:DIR#MODEL`, `run-batch:MODEL`, or base
        URLs of endpoints, as `http://HOST:PORT/v1`, with `,` between several and `#MODEL` at the
        end.
        """
        kind, _, rest = text.partition(":")
        rest, _, model = rest.partition("#")
        if text == "extractive":
            return TeacherSpec()
        if kind == "scripted" and rest:
            return TeacherSpec("scripted", file=rest)
        if kind in ("vllm", "run-batch") and rest:
            return TeacherSpec(kind, model=rest)
        if kind == "batch" and rest and model:
            return TeacherSpec("batch", folder=rest, model=model)
        if kind in ("http", "https"):
            urls = text.partition("#")[0].split(",")
            if all(url.startswith(("http://", "https://")) for url in urls):
                return TeacherSpec(
                    "openai", tuple((url.rstrip("/"), 1.0) for url in urls), model=model
                )
        raise ValueError(
            f"`{text}` is no teacher: use extractive, scripted:FILE, vllm:MODEL, batch:DIR#MODEL, "
            "run-batch:MODEL, or http://HOST:PORT/v1#MODEL"
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
    said = dict(_mapping(value))
    urls = [said.pop("url")] if "url" in said else []
    urls += _items(said.pop("urls", None))
    spec = TeacherSpec(
        **{
            **said,
            "urls": tuple(_weighted(url) for url in urls),
            "headers": tuple(_strings(said.get("headers")).items()),
            "tls": Tls(**_mapping(said.get("tls"))),  # type: ignore[arg-type]
            "prices": Prices(**_mapping(said["prices"])) if "prices" in said else None,  # type: ignore[arg-type]
            "args": tuple(str(arg) for arg in _items(said.get("args"))),
        }
    )
    for needed in _NEEDED.get(spec.kind, ()):
        if not getattr(spec, needed):
            name = "url" if needed == "urls" else needed
            report.add(
                M310,
                f"a teacher of kind `{spec.kind}` needs `{name}`",
                tree.span((key,)),
                f"add `{name}:`",
            )
    return spec


_NEEDED = {
    "openai": ("urls",),
    "scripted": ("file",),
    "vllm": ("model",),
    "run-batch": ("model",),
    "batch": ("folder", "model"),
}


def _weighted(url: object) -> tuple[str, float]:
    """One of `urls`: a text, or a mapping with its weight."""
    said = _mapping(url) or {"url": url}
    weight = said.get("weight", 1.0)
    assert isinstance(weight, int | float)
    return str(said["url"]).rstrip("/"), float(weight)


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
