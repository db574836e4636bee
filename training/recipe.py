"""The name of a recipe or a YAML file goes in; a typed Recipe comes out.

A file of its own because a recipe is data that people write, and its mistakes deserve places and
codes.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import process

from compiler import schema
from compiler.codes import F601, F603, F604, S006, S007
from compiler.diagnostics import Note, Report
from compiler.source import SourceFile
from compiler.tree import Tree, parse

RECIPES = Path(__file__).parent / "recipes"
BASE = "base"
CONTROL = "control"
RESERVED = (BASE, CONTROL, "merged", "work")


@dataclass(frozen=True, slots=True)
class Embedded:
    """The student that is made on the spot: a Llama with fresh weights."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Named:
    """A student that exists: a name on the hub, or a folder."""

    model: str


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters; `targets` is "all-linear" or module names.

    The adapter's output is multiplied by alpha / rank, with `rslora` by alpha / sqrt(rank)
    (Kalajdzievski, arXiv 2312.03732); `dora` trains direction and length apart (Liu et al., arXiv
    2402.09353).
    """

    rank: int
    alpha: float
    targets: str | tuple[str, ...] = "all-linear"
    dropout: float = 0.0
    embeddings: bool = False
    rslora: bool = False
    dora: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """Samples of earlier phases that a phase repeats: `share` of its own samples, so 1.0 is as
    many again.

    `source` is `balanced` (over leaves), `all` (any samples) or `top` (of every leaf the best by
    their judges); `min_human` the least share of them that people wrote.
    """

    share: float
    source: str = "balanced"
    min_human: float = 0.0


@dataclass(frozen=True, slots=True)
class Choose:
    """Which checkpoint of a phase is kept: of `checkpoints` spread over the phase, among those that
    lost at most `tolerance` of retention against the best of them, the one best at what is new; of
    equals the earlier.
    """

    checkpoints: int
    tolerance: float = 0.02


@dataclass(frozen=True, slots=True)
class Phase:
    """One run of the trainer; a step is `batch` x `accumulation` sequences, on all processes
    together.

    `data` is `phase1`, its `phase1-short` or `phase1-long`, `phase2`, `stacked` or `preferences`.
    `replay` of None takes what the build holds. `adapter` is `continue` or `new`, which merges the
    earlier one first. `beta` holds a preference phase to the student before it.
    """

    name: str
    data: str
    learning_rate: float
    epochs: int
    warmup_steps: int = 0
    batch: int = 1
    accumulation: int = 1
    stop_at_loss: float | None = None
    max_seconds: float | None = None
    replay: Replay | None = None
    choose: Choose | None = None
    adapter: str = "continue"
    beta: float = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a student is trained; `lora` is None where every weight is.

    `bits` is 4 where the frozen weights under the adapters are quantized (QLoRA, arXiv 2305.14314).
    `by_length` puts samples of like length in one batch where nothing is packed. `min_characters`
    and `min_tokens` leave shorter samples out. `precision` is `auto`, `bf16` or `fp32`;
    `checkpointing` (of activations) is `auto`, `on` or `off`. `trackers` are names such as
    `tensorboard`.
    """

    student: Embedded | Named
    lora: Lora | None
    phases: tuple[Phase, ...]
    bits: int = 0
    max_length: int = 1024
    min_characters: int = 1
    min_tokens: int = 1
    packing: bool = True
    by_length: bool = True
    precision: str = "auto"
    checkpointing: str = "auto"
    trackers: tuple[str, ...] = ()
    replay: bool = True
    control: bool = False
    merge: bool = False
    seed: int = 0
    threads: int = 0
    checkpoint_seconds: float = 15.0

    @property
    def model(self) -> str:
        """The named student's name or folder; "" for the embedded one."""
        return self.student.model if isinstance(self.student, Named) else ""

    def as_json(self) -> dict[str, object]:
        """The recipe as plain values, for run.json."""
        return asdict(self)


def known() -> tuple[str, ...]:
    """The names of the built-in recipes."""
    return tuple(sorted(file.stem for file in RECIPES.glob("*.yaml")))


def read(name: str, report: Report) -> Recipe | None:
    """The built-in recipe `name`, or that of the file `name`; None where the report has errors."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name:
        shown = name
    else:
        path, shown = RECIPES / f"{name}.yaml", f"{name}.yaml"
    if not path.is_file():
        near = process.extractOne(name, known(), score_cutoff=60)
        guess = f"did you mean `{near[0]}`? " if near else ""
        listed = ", ".join(f"`{one}`" for one in known())
        hint = f"{guess}built-in recipes: {listed}; or give the path of a YAML file"
        report.add(F604, f"no recipe is named `{name}`", hint=hint)
        return None
    tree = _parsed(SourceFile(shown, path.read_bytes()), report)
    if tree is None or not schema.validate(tree, "recipe", schema.RECIPE, report):
        return None
    assert isinstance(tree.value, dict)
    return _typed(tree.value) if _sound(tree, tree.value, report) else None


def _parsed(file: SourceFile, report: Report) -> Tree | None:
    """The tree of a recipe; what `parse` would say of a leaf's keys is said of a recipe's."""
    found = Report(texts=report.texts)
    tree = parse(file, found)
    for one in found.diagnostics:
        code = {S006: F601, S007: F603}.get(one.code)
        hint = "start it with `student:`, `method:` and `phases:`" if code else one.hint
        report.add(code or one.code, one.message, one.span, hint, one.notes)
    return None if found.errors else tree


def _sound(tree: Tree, value: dict[str, Any], report: Report) -> bool:
    """What the schema cannot say; True where nothing is wrong."""
    before = report.errors
    student = value["student"]
    if "heads" in student and student["hidden"] % (2 * student["heads"]):
        report.add(
            F603,
            f"`hidden` is {student['hidden']}, not a multiple of twice `heads`",
            tree.span(("student", "hidden")),
            f"use {max(1, student['hidden'] // (2 * student['heads'])) * 2 * student['heads']}",
        )
    if value["method"] != "full" and "lora" not in value:
        report.add(
            F601, "the file has no `lora`", tree.span(("method",)), "add `lora:` with its `rank`"
        )
    first: dict[str, int] = {}
    for i, phase in enumerate(value["phases"]):
        span = tree.span(("phases", i, "name"))
        if phase["name"] in RESERVED:
            hint = f"use another name: {', '.join(RESERVED)} are taken"
            report.add(F603, f"a phase cannot be named `{phase['name']}`", span, hint)
        if phase["name"] in first:
            earlier = tree.span(("phases", first[phase["name"]], "name"))
            note = [Note("first here", earlier)]
            message = f"two phases are named `{phase['name']}`"
            report.add(F603, message, span, "rename one of the two", note)
        first.setdefault(phase["name"], i)
    return report.errors == before


def _typed(checked: dict[str, Any]) -> Recipe:
    value = dict(checked)
    method = value.pop("method")
    student = dict(value.pop("student"))
    student.pop("kind", None)
    lora = dict(value.pop("lora", {}))
    if isinstance(lora.get("targets"), list):
        lora["targets"] = tuple(lora["targets"])
    return Recipe(
        student=Named(**student) if "model" in student else Embedded(**student),
        lora=None if method == "full" else Lora(**lora),
        phases=tuple(_phase(phase) for phase in value.pop("phases")),
        bits=4 if method == "qlora" else 0,
        trackers=tuple(value.pop("trackers", ())),
        **value,
    )


def _phase(checked: dict[str, Any]) -> Phase:
    value = dict(checked)
    replay, choose = value.pop("replay", None), value.pop("choose", None)
    return Phase(
        **value,
        replay=Replay(**replay) if replay else None,
        choose=Choose(**choose) if choose else None,
    )
