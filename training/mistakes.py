"""The tree of a recipe goes in; findings of what its schema cannot say come out.

A file of its own because settings that are each allowed can contradict each other. What surely is a
mistake is an error; what has no effect, or leaves a part of the build out, is a warning. Parts that
the schema already found broken are passed over here, so that all is said at once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from compiler.codes import F601, F603, F620
from compiler.diagnostics import Note, Report
from compiler.schema import guess
from compiler.tree import Tree

ALL_LINEAR = "all-linear"
PREFERENCES = "preferences"
PARTS = {
    "phase1-short": {"short"},
    "phase1-long": {"long"},
    "phase1": {"short", "long"},
    "phase2": {"phase2"},
    "stacked": {"short", "long", "phase2"},
}
"""What each kind of `data` holds of a build."""

Part = Mapping[str, Any]


def tell(tree: Tree, reserved: Collection[str], report: Report) -> None:
    """Reports every mistake; names in `reserved` are taken by other folders of a run."""
    assert isinstance(tree.value, dict)
    value = dict(tree.value)
    for key in ("student", "lora"):
        if not isinstance(value.get(key, {}), dict):
            value[key] = {}
    phases = value.get("phases")
    value["phases"] = [p if isinstance(p, dict) else {} for p in _list(phases)]
    for check in CHECKS:
        check(tree, value, report)
    _names(tree, value["phases"], reserved, report)


def _student(tree: Tree, value: Part, report: Report) -> None:
    student = value.get("student", {})
    hidden: Any = student.get("hidden")
    heads: Any = student.get("heads")
    if _whole(hidden) and _whole(heads) and heads > 0 and hidden % (2 * heads):
        message = f"`hidden` is {hidden}, not a multiple of twice `heads`"
        hint = f"use {max(1, hidden // (2 * heads)) * 2 * heads}"
        report.add(F603, message, tree.span(("student", "hidden")), hint)


def _method(tree: Tree, value: Part, report: Report) -> None:
    method = value.get("method")
    if method not in ("lora", "qlora"):
        return
    place = tree.span(("method",))
    if "lora" not in value:
        report.add(F601, "the file has no `lora`", place, "add `lora:` with its `rank`")
    if value.get("student", {}).get("kind") == "embedded":
        message = f"`{method}` keeps the weights of the embedded student, which are fresh"
        hint = "write `method: full`, or name a student: `student: {model: NAME}`"
        report.add(F603, message, place, hint, soft=method == "lora")


def _without_adapters(tree: Tree, value: Part, report: Report) -> None:
    """What is said of adapters where there are none."""
    if value.get("method") != "full":
        return
    hint = "remove it, or write `method: lora`"
    if "lora" in value:
        message = "`lora` is not read, because `method` is `full`"
        report.add(F603, message, tree.key_span(("lora",)), hint, soft=True)
    if value.get("merge") is True:
        message = "`merge` has no effect, because `method` is `full`"
        report.add(F603, message, tree.key_span(("merge",)), hint, soft=True)
    for i, phase in enumerate(value["phases"]):
        if "adapter" in phase:
            message = f"`adapter` of phase {i + 1} has no effect, because `method` is `full`"
            report.add(F603, message, tree.key_span(("phases", i, "adapter")), hint, soft=True)


def _targets(tree: Tree, value: Part, report: Report) -> None:
    lora = value.get("lora", {})
    targets = lora.get("targets", ALL_LINEAR)
    if isinstance(targets, str) and targets and targets != ALL_LINEAR:
        hint = guess(targets, [ALL_LINEAR])
        if "did you mean" not in hint:
            hint = f"write a list, `[{targets}]`, or `{ALL_LINEAR}`"
        message = f"`targets` is the text `{targets}`"
        report.add(F603, message, tree.span(("lora", "targets")), hint)
    for i, target in enumerate(_list(targets)):
        place = tree.span(("lora", "targets", i))
        if target == "lm_head":
            message = "`lm_head` cannot have an adapter: it is often the embeddings once more"
            report.add(F620, message, place, "remove it; `embeddings: true` trains both")
        elif target == "embed_tokens" and lora.get("embeddings") is True:
            message = "`embed_tokens` is among `targets`, and `embeddings` trains it whole"
            report.add(F620, message, place, "remove one of the two")


def _replays(tree: Tree, value: Part, report: Report) -> None:
    """Replay in a phase before which nothing else was trained on."""
    if value.get("replay") is False:
        return
    before: set[str] = set()
    for i, phase in enumerate(value["phases"]):
        own = PARTS.get(str(phase.get("data")), set())
        share: Any = _dict(phase.get("replay")).get("share")
        if own and _number(share) and share > 0 and not before - own:
            said = "no phase is before it" if not before else "no phase before it has other samples"
            message = f"phase {i + 1} has nothing to replay: {said}"
            hint = "remove `replay`, or train on other samples before this phase"
            if phase.get("data") == "phase2":
                hint = "remove `replay`: phase 2 then has the replay that the build holds"
            report.add(F603, message, tree.key_span(("phases", i, "replay")), hint)
        before |= own


def _preferences(tree: Tree, value: Part, report: Report) -> None:
    for i, phase in enumerate(value["phases"]):
        if phase.get("data") != PREFERENCES:
            if "beta" in phase and phase.get("data") in PARTS:
                message = f"`beta` has no effect in phase {i + 1}: it compares no answers"
                hint = f"remove it, or write `data: {PREFERENCES}`"
                report.add(F603, message, tree.key_span(("phases", i, "beta")), hint, soft=True)
            continue
        for key, why in _NOT_PREFERENCES.items():
            if key in phase:
                message = f"`{key}` has no place in phase {i + 1}: {why}"
                report.add(F603, message, tree.key_span(("phases", i, key)), "remove it")
        if i == 0 and value.get("student", {}).get("kind") == "embedded":
            message = "phase 1 compares answers of a student that can say nothing yet"
            hint = "train it on samples in a phase before this one"
            report.add(F603, message, tree.span(("phases", i, "data")), hint)


_NOT_PREFERENCES = {
    "replay": "pairs of answers are not mixed with samples",
    "choose": "pairs of answers teach nothing that could be asked",
    "stop_at_loss": "the loss of preferences begins at 0.69 and is no measure of what was learned",
}


def _idle(tree: Tree, value: Part, report: Report) -> None:
    """Settings of the whole recipe that have no effect beside others, or leave nothing."""
    phases = value["phases"]
    if value.get("by_length") is True and value.get("packing", True) is True:
        message = "`by_length` has no effect, because samples are packed"
        hint = "remove it, or write `packing: false`"
        report.add(F603, message, tree.key_span(("by_length",)), hint, soft=True)
    last = phases[-1] if phases else {}
    share = _dict(last.get("replay")).get("share", 1 if last.get("data") == "phase2" else 0)
    if value.get("control") is True and (value.get("replay") is False or share == 0):
        message = "`control` has no effect: the last phase has no replay that it could leave out"
        hint = "remove it, or give the last phase a `replay`"
        report.add(F603, message, tree.key_span(("control",)), hint, soft=True)
    least, most = value.get("min_tokens", 1), value.get("max_length", 1024)
    if _whole(least) and _whole(most) and least > most:
        message = f"`min_tokens` is {least:,}, above `max_length`, which is {most:,}"
        report.add(F603, message, tree.span(("min_tokens",)), f"use {most} or less")


def _left_out(tree: Tree, value: Part, report: Report) -> None:
    """A half of phase 1 that no phase trains on, where the other half is named."""
    kinds = [phase.get("data") for phase in value["phases"]]
    for one, other in (("phase1-short", "phase1-long"), ("phase1-long", "phase1-short")):
        if one in kinds and not {other, "phase1", "stacked"} & {str(kind) for kind in kinds}:
            place = tree.span(("phases", kinds.index(one), "data"))
            message = f"a phase trains on `{one}`, and none on `{other}`"
            hint = f"add a phase with `data: {other}`, or write `data: phase1`"
            report.add(F603, message, place, hint, soft=True)


CHECKS: tuple[Callable[[Tree, Part, Report], None], ...] = (
    _student,
    _method,
    _without_adapters,
    _targets,
    _replays,
    _preferences,
    _idle,
    _left_out,
)


def _names(tree: Tree, phases: Sequence[Part], reserved: Collection[str], report: Report) -> None:
    first: dict[str, int] = {}
    for i, phase in enumerate(phases):
        name = phase.get("name")
        if not isinstance(name, str):
            continue
        span = tree.span(("phases", i, "name"))
        if name in reserved:
            hint = f"use another name: {', '.join(reserved)} are taken"
            report.add(F603, f"a phase cannot be named `{name}`", span, hint)
        if name in first:
            note = [Note("first here", tree.span(("phases", first[name], "name")))]
            message = f"two phases are named `{name}`"
            report.add(F603, message, span, "rename one of the two", note)
        first.setdefault(name, i)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
