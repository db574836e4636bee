"""Recipes: the built-in ones hold, and every mistake gets its code and its place."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.diagnostics import Report
from tests.training.builds import TINY
from training import recipe as recipes
from training.machine import Hardware
from training.recipe import Embedded, Lora, Named

EMBEDDED = "{kind: embedded, layers: 1, hidden: 32, heads: 2, vocabulary: 400}"


def findings(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    report = Report()
    found = recipes.read(str(path), report)
    assert (found is None) == bool(report.errors)
    return [(d.code.id, d.span.line, d.message) for d in report.diagnostics]


BUILT_IN = ("dpo", "full", "lab", "lora", "qlora", "stacked", "tiny-cpu")


def test_all_built_in_recipes_are_known():
    files = [path.stem for path in recipes.RECIPES.rglob("*.yaml")]
    assert recipes.known() == tuple(sorted(files)) == BUILT_IN
    assert len(files) == 7


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_recipe_is_sound(name):
    report = Report()
    assert recipes.read(name, report) is not None, report.diagnostics
    assert not report.diagnostics


def test_the_steps_of_lab():
    """Methods 1.5: each of three steps on its own samples, replay of all before, no decay."""
    lab = recipes.read("lab", Report())
    assert [p.data for p in lab.phases] == ["phase1-short", "phase1-long", "phase2"]
    assert [bool(p.replay and p.replay.share > 0) for p in lab.phases] == [False, True, True]
    assert all(p.choose and p.warmup_steps > 0 for p in lab.phases)
    stacked = recipes.read("stacked", Report())
    assert [p.data for p in stacked.phases] == ["stacked"]
    only = ("phases",)
    same = {k: v for k, v in lab.as_json().items() if k not in only}
    assert same == {k: v for k, v in stacked.as_json().items() if k not in only}


def test_the_recipes_of_the_documentation_are_sound(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert findings(tmp_path, block) == []
    assert [name for name in BUILT_IN if f"| `{name}` |" not in text] == []


def test_a_student_by_name(tmp_path):
    report = Report()
    for name in BUILT_IN[:-1]:
        assert recipes.read(name, report, "some/model").student == Named("some/model")
    assert not report.diagnostics
    assert recipes.read("tiny-cpu", report, "some/model") is None
    (found,) = report.diagnostics
    assert (found.code.id, found.span.line) == ("F603", 2)
    assert "makes its own student" in found.message


def test_types(tmp_path):
    tiny = recipes.read("tiny-cpu", Report())
    assert isinstance(tiny.student, Embedded)
    assert tiny.lora is None
    assert tiny.model == ""
    lora = recipes.read("lora", Report())
    assert isinstance(lora.student, Named)
    assert isinstance(lora.lora, Lora)
    assert lora.lora.targets == "all-linear"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("method: full\n", "", ("F601", 1, "the file has no `method`")),
        ("method: full", "method: lora", ("F601", 2, "the file has no `lora`")),
        ("layers: 1, ", "", ("F601", 1, "`student` has no `layers`")),
        ("threads: 1", "thread: 1", ("F602", 4, "the file has the unknown key `thread`")),
        ("epochs: 1, acc", "epoch: 1, acc", None),
        ("method: full", "method: half", ("F603", 2, None)),
        ("max_length: 64", "max_length: 3", ("F603", 3, "`max_length` is 3, below 16")),
        ("learning_rate: 0.003", "learning_rate: 3e-3", ("F603", 6, None)),
        ("name: phase1", "name: base", ("F603", 6, "a phase cannot be named `base`")),
        ("name: phase1", "name: evaluated", ("F603", 6, "a phase cannot be named `evaluated`")),
        ("name: phase2", "name: phase1", ("F603", 7, "two phases are named `phase1`")),
        ("name: phase1", "name: ../x", ("F603", 6, None)),
        ("hidden: 32", "hidden: 30", ("F603", 1, None)),
        ("threads: 1", "trackers: [tensorbord]", ("F617", 4, None)),
        ("threads: 1", "min_tokens: 65", ("F603", 4, None)),
        ("data: phase1,", "data: preferences,", ("F603", 6, None)),
    ],
)
def test_mistakes(tmp_path, old, new, expected):
    assert old in TINY
    found = findings(tmp_path, TINY.replace(old, new, 1))
    assert found
    if expected is None:
        assert {code for code, _, _ in found} == {"F601", "F602"}
        return
    code, line, message = expected
    assert (code, line) == found[0][:2]
    assert message in (None, found[0][2])


NAMED = """\
student: {model: ./m}
method: lora
lora: {rank: 4, alpha: 8}
phases:
  - {name: a, data: phase1, learning_rate: 0.003, epochs: 1}
  - {name: b, data: phase2, learning_rate: 0.003, epochs: 1}
"""


def test_the_control_of_mistakes_is_sound(tmp_path):
    assert findings(tmp_path, NAMED) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a, data", "a, replay: {share: 0.5}, data", "F603 5 phase 1 has nothing to replay"),
        (
            "a, data: phase1",
            "a, data: phase1-short",
            "F603 5 a phase trains on `phase1-short`, and none on `phase1-long`",
        ),
        ("a, data", "a, beta: 0.1, data", "F603 5 `beta` has no effect in phase 1"),
        ("data: phase2", "data: preferences, stop_at_loss: 0.1", "F603 6 `stop_at_loss` has no"),
        ("data: phase2", "data: preferences, replay: {share: 1}", "F603 6 `replay` has no place"),
        ("data: phase2", "data: preferences, choose: {checkpoints: 2}", "F603 6 `choose` has no"),
        ("alpha: 8", "alpha: 8, targets: [q_proj, lm_head]", "F620 3 `lm_head` cannot have an"),
        (
            "alpha: 8",
            "alpha: 8, embeddings: true, targets: [embed_tokens]",
            "F620 3 `embed_tokens` is among `targets`",
        ),
        ("alpha: 8", "alpha: 8, targets: q_proj", "F603 3 `targets` is the text `q_proj`"),
        ("alpha: 8", "alpha: 8, targets: all-liner", "F603 3 `targets` is the text `all-liner`"),
        ("method: lora", "method: full", "F603 3 `lora` is not read"),
        ("phases:", "by_length: true\nphases:", "F603 4 `by_length` has no effect"),
        ("phases:", "control: true\nreplay: false\nphases:", "F603 4 `control` has no effect"),
        ("{model: ./m}", EMBEDDED, "F603 2 `lora` keeps the weights of the embedded student"),
    ],
)
def test_contradictions(tmp_path, old, new, expected):
    assert old in NAMED
    code, line, message = findings(tmp_path, NAMED.replace(old, new, 1))[0]
    assert f"{code} {line} {message}".startswith(expected)


def test_replay_needs_other_samples_before(tmp_path):
    stacked = NAMED.replace("data: phase2", "data: stacked, replay: {share: 0.5}")
    (found,) = findings(tmp_path, stacked)
    assert found[2].endswith("no phase before it has other samples")
    assert findings(tmp_path, NAMED.replace("b, data", "b, replay: {share: 0.5}, data")) == []
    assert findings(tmp_path, stacked.replace("method", "replay: false\nmethod")) == []


def test_weights_in_4_bits_must_be_worth_keeping(tmp_path):
    path = tmp_path / "recipe.yaml"
    text = NAMED.replace("{model: ./m}", EMBEDDED).replace("method: lora", "method: qlora")
    path.write_text(text, "utf-8")
    report = Report()
    assert recipes.read(str(path), report) is None
    assert [d.code.id for d in report.diagnostics] == ["F603"]


def test_everything_is_said_at_once(tmp_path):
    text = NAMED.replace("rank: 4", "rnk: 4").replace("method: lora", "method: lra")
    text = text.replace("a, data", "base, replay: {share: 1}, data")
    text = text.replace("learning_rate: 0.003", "learning_rate: 2e-4", 1)
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    report = Report()
    recipes.read(str(path), report)
    assert [(d.code.id, d.span.line) for d in report.diagnostics] == [
        ("F603", 2),
        ("F601", 3),
        ("F602", 3),
        ("F603", 5),
        ("F603", 5),
        ("F603", 5),
    ]
    hints = " ".join(d.hint for d in report.diagnostics)
    for words in ("did you mean `lora`?", "rename `rnk` to `rank`", "with a dot as `2.0e-4`"):
        assert words in hints


def test_trackers_are_looked_for(monkeypatch):
    recipe = replace(recipes.read("tiny-cpu", Report()), trackers=("tensorboard", "wandb"))
    here = {"wandb"}
    monkeypatch.setattr(recipes, "find_spec", lambda name: name in here or None)
    report = Report()
    recipes.test_trackers(recipe, report)
    assert [(d.code.id, d.message) for d in report.diagnostics] == [
        ("F617", "the package `tensorboard` is not installed")
    ]
    here.add("tensorboard")
    report = Report()
    recipes.test_trackers(recipe, report)
    assert not report.diagnostics


@pytest.mark.parametrize(
    ("name", "device", "packages", "said"),
    [
        ("qlora", "cpu", ["bitsandbytes"], "weights in 4 bits need a CUDA device"),
        ("qlora", "cuda", [], "weights in 4 bits need the package `bitsandbytes`"),
        ("qlora", "cuda", ["bitsandbytes"], ""),
        ("lora", "cpu", [], ""),
    ],
)
def test_hardware_that_does_not_fit(monkeypatch, name, device, packages, said):
    monkeypatch.setattr(recipes, "find_spec", lambda name: name in packages or None)
    report = Report()
    recipes.test_hardware(recipes.read(name, Report()), Hardware(device, True), report)
    assert [(d.code.id, d.message[: len(said)]) for d in report.diagnostics] == (
        [("F613", said)] if said else []
    )


@pytest.mark.parametrize("text", ["", "# later\n"])
def test_an_empty_recipe_is_an_error(tmp_path, text):
    assert findings(tmp_path, text) == [("F601", 1, "the file is empty")]


def test_a_list_is_no_recipe(tmp_path):
    found = findings(tmp_path, "- student: {model: x}\n")
    assert found == [("F603", 1, "the file holds a list, not a mapping of keys")]


def test_a_key_that_stands_twice_stops_a_recipe(tmp_path):
    assert findings(tmp_path, TINY + "threads: 2\n")[0][:2] == ("S002", 8)


def test_unknown_recipe_lists_the_known():
    report = Report()
    assert recipes.read("tiny-cup", report) is None
    (found,) = report.diagnostics
    assert found.code.id == "F604"
    assert "did you mean `tiny-cpu`" in found.hint
    assert "`lora`" in found.hint


def test_schema_describes_every_key():
    from compiler.schema import load

    def keys(schema):
        for key, value in schema.get("properties", {}).items():
            yield key, value
            yield from keys(value)
            yield from keys(value.get("items", {}))
            for part in ("then", "else"):
                yield from keys(value.get(part, {}))

    found = dict(keys(load("recipe")))
    assert len(found) > 25
    assert [key for key, value in found.items() if not value.get("description")] == []
