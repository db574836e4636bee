"""Every schema is one, and every example is what its name says."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from compiler.diagnostics import Report
from compiler.front import read_checked
from compiler.resources import SCHEMAS
from tests.taxonomies import OneFile

LEAVES = sorted((SCHEMAS / "examples").rglob("*.yaml"))
FORMATS = sorted(SCHEMAS.glob("v*/*.json"))


def test_nothing_is_left_out():
    assert len(FORMATS) == 6
    assert len(LEAVES) == 21
    assert len(sorted(SCHEMAS.rglob("*.json"))) >= 8


@pytest.mark.parametrize("path", sorted(SCHEMAS.rglob("*.json")), ids=lambda p: p.stem)
def test_a_schema_is_valid(path):
    Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("path", FORMATS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_key_tells_an_editor_what_it_is(path):
    def keys(schema):
        for name, inner in schema.get("properties", {}).items():
            yield name, inner
            yield from keys(inner)
        if "items" in schema:
            yield "items", schema["items"]
            yield from keys(schema["items"])

    found = list(keys(json.loads(path.read_text())))
    assert len(found) > 5
    assert [name for name, inner in found if not (inner["title"] and inner["description"])] == []


@pytest.mark.parametrize("path", LEAVES, ids=lambda p: p.stem)
def test_an_example_is_what_its_name_says(path):
    branch = "knowledge" if "-knowledge" in path.stem else "compositional_skills"
    report = Report()
    source = OneFile(f"{branch}/example/qna.yaml", path.read_bytes())
    _, taxonomy = read_checked(source, report)
    errors = {d.code.id for d in report.diagnostics if d.severity == "error"}
    named = re.findall(r"^[ST]\d{3}", path.stem)
    assert errors == set(named)
    assert path.parent.name == ("invalid" if named else "valid")
    assert len(taxonomy.leaves) == (not named)
