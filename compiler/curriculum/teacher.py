"""The keys of `teacher:` or `judge:` go in; a TeacherSpec comes out: whom to ask, and how.

A file of its own because the command line names teachers too, and machines far from the taxonomy
are handed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compiler.codes import M310
from compiler.curriculum.values import items, mapping, strings
from compiler.diagnostics import Report

if TYPE_CHECKING:
    from compiler.tree import Tree


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


def read_teacher(tree: "Tree", key: str, report: Report) -> TeacherSpec | None:
    """The teacher under a key of the settings; what its kind needs and lacks is reported."""
    value = mapping(tree.value).get(key)
    if value is None:
        return None
    said = dict(mapping(value))
    urls = [said.pop("url")] if "url" in said else []
    urls += items(said.pop("urls", None))
    spec = TeacherSpec(
        **{
            **said,
            "urls": tuple(_weighted(url) for url in urls),
            "headers": tuple(strings(said.get("headers")).items()),
            "tls": Tls(**mapping(said.get("tls"))),  # type: ignore[arg-type]
            "prices": Prices(**mapping(said["prices"])) if "prices" in said else None,  # type: ignore[arg-type]
            "args": tuple(str(arg) for arg in items(said.get("args"))),
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
    said = mapping(url) or {"url": url}
    weight = said.get("weight", 1.0)
    assert isinstance(weight, int | float)
    return str(said["url"]).rstrip("/"), float(weight)
