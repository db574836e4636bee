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
    """Low-rank adapters; `targets` is "all-linear" or module names."""

    rank: int
    alpha: float
    targets: str | tuple[str, ...] = "all-linear"
    dropout: float = 0.0
    embeddings: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """One run of the trainer; a step is `batch` x `accumulation` sequences."""

    name: str
    data: str
    learning_rate: float
    epochs: int
    warmup_steps: int = 0
    batch: int = 1
    accumulation: int = 1
    stop_at_loss: float | None = None
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a student is trained; `lora` is None where every weight is."""

    student: Embedded | Named
    lora: Lora | None
    phases: tuple[Phase, ...]
    max_length: int = 1024
    packing: bool = True
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
    if value["method"] == "lora" and "lora" not in value:
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
        lora=Lora(**lora) if method == "lora" else None,
        phases=tuple(Phase(**phase) for phase in value.pop("phases")),
        **value,
    )
