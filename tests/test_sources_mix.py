"""Data sets that were made elsewhere, and the gate of licences: what is drawn, what is refused, and
where the report says so.
"""

import json
import os
import random

import pyarrow
import pyarrow.parquet
import pytest

from compiler.curriculum import Curriculum, LicenceSettings, read
from compiler.diagnostics import Report
from compiler.leaf import make_leaf
from compiler.licences import (
    Obligations,
    Work,
    allowed,
    denied,
    kept_back,
    obligations,
    untold,
    works,
)
from compiler.permit import permit_leaf, permit_teacher
from compiler.source import SourceFile, WorkTree
from compiler.sources import draw, open_data
from compiler.tree import parse
from tests.conftest import SEED
from tests.taxonomies import SKILL, skill, write

FORMS = {
    "question and answer": lambda q, a: {"question": q, "answer": a},
    "instruction": lambda q, a: {"instruction": q, "input": "", "output": a},
    "prompt": lambda q, a: {"prompt": q, "completion": a},
    "messages": lambda q, a: {
        "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
    },
    "InstructLab": lambda q, a: {
        "messages": [
            {"role": "system", "content": "You are kind."},
            {"role": "user", "content": q},
            {"role": "assistant", "content": a},
        ],
        "metadata": "{}",
        "id": "x",
        "unmask": False,
    },
}


def lines(number, form="question and answer"):
    chance = random.Random(int(os.environ[SEED]))
    said = [(f"What is {chance.randrange(10**9)}?", f"It is {i}.") for i in range(number)]
    return said, [FORMS[form](*pair) for pair in said]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def opened(folder, files, settings):
    """What `mix.sources` of a taxonomy gives, and the report."""
    write(folder / "taxonomy", {**files, "curriculum.yaml": settings})
    source, report = WorkTree(folder / "taxonomy"), Report()
    curriculum = read(source, report)
    assert curriculum, report.diagnostics
    return open_data(curriculum, source, folder / "cache", report), report


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_samples_with_an_origin(form, tmp_path):
    said, rows = lines(12, form)
    settings = "mix: {sources: [{file: data/x.jsonl, licence: Apache-2.0, phase: 1}]}"
    (data,), report = opened(tmp_path, {"data/x.jsonl": jsonl(rows)}, settings)
    assert not report.diagnostics
    samples = list(draw(data, 0))
    assert [(s.question, s.answer) for s in samples] == said
    assert {(s.leaf, s.branch) for s in samples} == {("sources/x", "foundational_skills")}
    first = samples[0]
    assert first.messages[-1].content == said[0][1]
    assert (first.origin.kind, first.origin.generation) == ("source", 1)
    assert (first.origin.file, first.origin.licences) == ("data/x.jsonl", ("Apache-2.0",))
    assert first.origin.blob == WorkTree(tmp_path / "taxonomy").blob("data/x.jsonl")
    assert first.origin.seeds == ("sources/x#1",)
    assert data.as_json()["drawn"] == 12


def test_parquet_and_a_folder_that_datasets_loads_give_the_same(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    said, rows = lines(9)
    taxonomy, hub = tmp_path / "taxonomy", tmp_path / "hub"
    for folder in (taxonomy, hub):
        folder.mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), taxonomy / "x.parquet")
    (hub / "train.jsonl").write_text(jsonl(rows))
    settings = f"""mix:
  sources:
    - {{file: x.parquet, licence: MIT, generation: 0}}
    - {{hub: "{hub}", revision: main, licence: MIT}}
    - {{hub: "{hub}", revision: main, split: "train[:3]", licence: MIT}}
"""
    found, report = opened(tmp_path, {}, settings)
    assert not report.diagnostics
    assert [data.leaf for data in found] == ["sources/x", "sources/hub", "sources/hub-2"]
    drawn = [list(draw(data, 0)) for data in found]
    assert [[(s.question, s.answer) for s in one] for one in drawn] == [said, said, said[:3]]
    assert [one[0].origin.generation for one in drawn] == [0, 1, 1]
    assert drawn[1][0].origin.file == f"{hub}@main"


def test_the_draw_rests_on_content_and_seed_alone(tmp_path):
    _, rows = lines(60)
    settings = "mix: {sources: [{file: x.jsonl, licence: MIT, samples: 20}]}"

    def drawn(name, rows, seed=0):
        (data,), _ = opened(tmp_path / name, {"x.jsonl": jsonl(rows)}, settings)
        assert data.drawn == min(20, len(rows))
        return [s.question for s in draw(data, seed)]

    asked = [row["question"] for row in rows]
    first = drawn("a", rows)
    assert len(first) == 20
    assert first == [question for question in asked if question in first]
    assert drawn("b", rows[::-1]) == first[::-1]
    assert drawn("c", rows, seed=1) != first
    assert drawn("d", rows[:8]) == asked[:8]
    fewer = [row for row in rows if row["question"] != first[0]]
    assert len(set(drawn("e", fewer)) & set(first)) == 19


def test_what_has_no_answer_is_left_to_the_sift(tmp_path):
    rows = [{"question": "Who is there?", "answer": ""}, {"question": "", "answer": "Nobody."}]
    rows.append({"messages": [{"role": "user", "content": "Well?"}]})
    settings = "mix: {sources: [{file: x.jsonl, licence: MIT}]}"
    (data,), _ = opened(tmp_path, {"x.jsonl": jsonl(rows)}, settings)
    samples = list(draw(data, 0))
    assert [s.answer and s.question for s in samples] == ["", "", ""]
    assert all(s.messages[-1].role == "assistant" for s in samples)


FAULTS = {
    "there is no such file": {},
    "(line 2)": {"x.jsonl": '{"question": "a", "answer": "b"}\n{"x": 1}\n'},
    "it is not JSON": {"x.jsonl": "nothing\n"},
    "it holds no sample": {"x.jsonl": "\n"},
    "half of a character (a surrogate) (line 2)": {
        "x.jsonl": '{"question": "a", "answer": "b"}\n{"question": "", "answer": "\\ud800"}\n'
    },
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_data_set_that_cannot_be_read_is_an_error_at_its_setting(said, tmp_path):
    settings = "mix:\n  sources:\n    - {file: x.jsonl, licence: MIT}\n"
    (data,), report = opened(tmp_path, FAULTS[said], settings)
    (found,) = report.diagnostics
    assert (found.code.id, found.span.path, found.span.line) == ("M314", "curriculum.yaml", 3)
    assert said in found.message
    assert list(draw(data, 0)) == []
    assert data.skipped == "M314"


def test_a_data_set_under_a_denied_licence_gives_nothing(tmp_path):
    _, rows = lines(5)
    for licence, number in (
        ("CC-BY-NC-4.0", 0),
        ("cc by nc", 0),
        ("unknown", 0),
        ("llama3", 0),
        ("CC-BY-4.0", 5),
        ("Apache-2.0", 5),
    ):
        settings = f"mix:\n  sources:\n    - {{file: x.jsonl, licence: {licence}}}\n"
        (data,), report = opened(tmp_path, {"x.jsonl": jsonl(rows)}, settings)
        assert len(list(draw(data, 0))) == number, licence
        assert [d.code.id for d in report.diagnostics] == ["M312"] * (not number), licence
        assert data.skipped == ("" if number else "M312")


def leaf(licence, file=SKILL):
    text = f"Title of work: x\nLicense of the work: {licence}\n"
    files = {SKILL: skill(), SKILL.replace("qna.yaml", "attribution.txt"): text}
    return files, text


@pytest.mark.parametrize(
    "licence, settings, said",
    [
        ("CC-BY-4.0", LicenceSettings(), ""),
        ("Creative Commons Attribution 4.0 International", LicenceSettings(), ""),
        ("MIT OR GPL-3.0-only", LicenceSettings(), ""),
        ("unknown", LicenceSettings(), ""),
        ("CC BY-NC 4.0", LicenceSettings(), "forbids commercial use"),
        ("CC-BY-ND-4.0", LicenceSettings(), "forbids changed copies"),
        ("GPL-3.0-only", LicenceSettings(), "is not on the list"),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", LicenceSettings(), "forbids commercial use"),
        ("my own", LicenceSettings(), "is no SPDX name"),
        ("GPL-3.0-only", LicenceSettings(allow=("GPL-3.0-only",)), ""),
        ("CC BY-NC 4.0", LicenceSettings(allow=("cc-by-nc-4.0",)), ""),
        ("MIT", LicenceSettings(deny=("MIT",)), "is denied by the settings"),
        ("MIT", LicenceSettings(allow=("MIT",), deny=("mit",)), "is denied by the settings"),
        ("MIT OR Apache-2.0", LicenceSettings(deny=("MIT",)), ""),
    ],
)
def test_the_gate_lets_in_what_may_be_trained_on(licence, settings, said, tmp_path):
    assert denied(licence, settings) == said
    files, text = leaf(licence)
    source, report = WorkTree(write(tmp_path, files)), Report()
    tree = parse(SourceFile(SKILL, source.read(SKILL)), Report())
    made = make_leaf(tree, text)
    assert permit_leaf(made, source, settings, report) is not bool(said)
    for found in report.diagnostics:
        assert (found.code.id, found.span.line, found.span.column) == ("M312", 2, 22)
        assert licence in found.message
        assert said in found.message


@pytest.mark.parametrize(
    "name, is_kept",
    [
        ("OpenAI", True),
        ("proprietary", True),
        ("LicenseRef-Anthropic", True),
        ("llama2", True),
        ("Llama-3", True),
        ("CC-BY-NC-4.0", True),
        ("llama3.1", False),
        ("Apache-2.0", False),
        ("MIT", False),
        ("", False),
    ],
)
def test_a_teacher_whose_words_may_not_be_trained_on_is_named(name, is_kept, tmp_path):
    assert bool(kept_back(name)) is is_kept
    folder = write(tmp_path, {"curriculum.yaml": f"licences: {{teacher: '{name or 'x'}'}}\n"})
    report = Report()
    permit_teacher(WorkTree(folder), LicenceSettings(teacher=name), report)
    assert [(d.code.id, d.span.line) for d in report.diagnostics] == [("M312", 1)] * is_kept


@pytest.mark.parametrize(
    "settings, said, hint",
    [
        ({"teacher": "MIT", "deny": ("MIT",)}, "is denied", "take it out of"),
        ({"teacher": "llama3.1", "deny": ("llama3.1",)}, "is denied", "take it out of"),
        ({"teacher": "nonsense"}, "`nonsense`: it is no SPDX name", "allow: [nonsense]"),
        ({"teacher": "nonsense", "allow": ("nonsense",)}, "", ""),
        ({"teacher": "GPL-3.0-only"}, "is not on the list", "allow: [GPL-3.0-only]"),
        ({"teacher": "OpenAI", "allow": ("OpenAI",)}, "do not let other", "take a teacher"),
        ({"teacher": "unknown"}, "", ""),
    ],
)
def test_the_settings_hold_for_the_teacher_too(settings, said, hint, tmp_path):
    report = Report()
    permit_teacher(WorkTree(write(tmp_path, {})), LicenceSettings(**settings), report)
    assert [d.code.id for d in report.diagnostics] == ["M312"] * bool(said)
    for found in report.diagnostics:
        assert said in found.message
        assert hint in found.hint
        assert found.hint.endswith("this teacher is asked all the same")


@pytest.mark.parametrize("key", ["hub: a/b", "subset: x", "revision: main", "split: train"])
def test_a_file_is_no_data_set_of_the_hub(key, tmp_path):
    def found(said):
        text = f"mix:\n  sources:\n  - licence: MIT\n    {said}\n"
        report = Report()
        read(WorkTree(write(tmp_path, {"curriculum.yaml": text})), report)
        return [(d.code.id, d.span.line, d.message, d.hint) for d in report.diagnostics]

    ((code, line, message, hint),) = found(f"file: x.jsonl\n    {key}")
    name = key.split(":")[0]
    assert (code, line) == ("M303", 5)
    assert message == f"`{name}` of item 1 of `sources` of `mix` has no place here"
    assert hint.startswith("take it out, or `file`")
    assert found("file: x.jsonl") == found("hub: a/b\n    revision: main") == []
    assert (
        [one[0] for one in found("hub: a/b")] == [one[0] for one in found("phase: 1")] == ["M301"]
    )


def test_obligations_are_named_once_and_of_a_choice_the_one_that_is_taken():
    asked = ["CC BY-SA 4.0", "MIT", "CC0", "GPL-2.0-only OR MIT", "unknown", "CC-BY-SA-4.0"]
    assert obligations(asked) == Obligations(("CC-BY-SA-4.0", "MIT"), ("CC-BY-SA-4.0",))
    assert obligations(["CC0-1.0", "Public Domain"]) == Obligations()
    assert "cc-by-4.0" in allowed(LicenceSettings())
    assert untold("n/a")


def test_the_works_of_an_attribution():
    text = (
        "Title of work: Birds\nLink to work: https://b.example\nLicense of the work: MIT\n"
        "Creator names: Ada\n\nTitle of work: Bees\nLicence of the work: CC0-1.0\n"
    )
    assert works(text) == (
        Work("Birds", "https://b.example", "MIT", "Ada"),
        Work("Bees", "", "CC0-1.0", ""),
    )
    assert works("") == ()


def test_nothing_is_opened_without_a_setting(tmp_path):
    assert open_data(Curriculum(), WorkTree(write(tmp_path, {})), tmp_path, Report()) == ()
