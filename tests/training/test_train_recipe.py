"""Recipes: the built-in ones hold, and every mistake gets its code and its place."""

import pytest

from compiler.diagnostics import Report
from tests.training.builds import TINY
from training import recipe as recipes
from training.recipe import Embedded, Lora, Named


def findings(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    report = Report()
    found = recipes.read(str(path), report)
    assert (found is None) == bool(report.errors)
    return [(d.code.id, d.span.line, d.message) for d in report.diagnostics]


def test_built_in_recipes_are_sound():
    assert recipes.known() == ("lora", "tiny-cpu")
    for name in recipes.known():
        report = Report()
        assert recipes.read(name, report) is not None, report.diagnostics
        assert not report.diagnostics


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
        ("name: phase2", "name: phase1", ("F603", 7, "two phases are named `phase1`")),
        ("name: phase1", "name: ../x", ("F603", 6, None)),
        ("hidden: 32", "hidden: 30", ("F603", 1, None)),
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
