"""The name of a recipe or a YAML file goes in; a typed Recipe comes out.

A file of its own because a recipe is data that people write, and its mistakes deserve places and
codes.
"""

from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rapidfuzz import process

from compiler import schema
from compiler.codes import F601, F603, F604, F613, F617, S006, S007
from compiler.diagnostics import Report
from compiler.source import SourceFile
from compiler.tree import Tree, parse
from training import mistakes
from training.machine import Hardware

RECIPES = Path(__file__).parent / "recipes"
BASE = "base"
CONTROL = "control"
RESERVED = (BASE, CONTROL, "merged", "work", "evaluated")


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


def read(name: str, report: Report, model: str = "") -> Recipe | None:
    """The built-in recipe `name`, or that of the file `name`; None where the report has errors.

    `model` is trained in place of the student that the recipe names; F603 where it names none.
    """
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
    tree, before = _parsed(SourceFile(shown, path.read_bytes()), report), report.errors
    if tree is None:
        return None
    schema.validate(tree, "recipe", schema.RECIPE, report)
    mistakes.tell(tree, RESERVED, report)
    if model:
        _test_model(tree, model, report)
    if report.errors > before:
        return None
    assert isinstance(tree.value, dict)
    found = _typed(tree.value)
    return replace(found, student=Named(model)) if model else found


def _test_model(tree: Tree, model: str, report: Report) -> None:
    """F603 where the student is made on the spot: its learning rates are not for `model`."""
    student = tree.value.get("student") if isinstance(tree.value, dict) else None
    if isinstance(student, dict) and student.get("kind") == "embedded":
        message = f"the recipe makes its own student, so `{model}` has no place in it"
        hint = "take a recipe of a named student, such as `--recipe lora`"
        report.add(F603, message, tree.key_span(("student",)), hint)


def _parsed(file: SourceFile, report: Report) -> Tree | None:
    """The tree of a recipe; what `parse` would say of a leaf's keys is said of a recipe's."""
    found = Report(texts=report.texts)
    tree = parse(file, found)
    for one in found.diagnostics:
        code = {S006: F601, S007: F603}.get(one.code)
        hint = "start it with `student:`, `method:` and `phases:`" if code else one.hint
        report.add(code or one.code, one.message, one.span, hint, one.notes)
    return None if found.errors else tree


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


def test_trackers(recipe: Recipe, report: Report) -> None:
    """F617 for every tracker whose package is not installed; imports none of them."""
    for name in recipe.trackers:
        if find_spec(name) is None:
            hint = f"pip install {name}, or remove it from `trackers`"
            report.add(F617, f"the package `{name}` is not installed", hint=hint)


def test_hardware(recipe: Recipe, hardware: Hardware, report: Report) -> None:
    """F613 where the recipe cannot be trained on this machine: its device, or a package for it."""
    test_device(recipe, hardware.device, report)
    if recipe.bits and hardware.device == "cuda" and find_spec("bitsandbytes") is None:
        message = f"weights in {recipe.bits} bits need the package `bitsandbytes`"
        report.add(F613, message, hint="pip install bitsandbytes")


def test_device(recipe: Recipe, device: str, report: Report) -> None:
    """F613 where the recipe cannot be trained on a device of this kind."""
    if recipe.bits and device != "cuda":
        needs = f"weights in {recipe.bits} bits need a CUDA device"
        hint = "take `method: lora`, or train where there is one"
        report.add(F613, f"{needs}, and there is `{device}`", hint=hint)
