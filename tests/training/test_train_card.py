"""The model card: the Hub can read it, nobody's attribution is missing, no text does anything."""

import json
import re

import markdown_it
import pytest
from huggingface_hub import ModelCard

from compiler.diagnostics import Report
from tests.test_report import HOSTILE, LEAVES, dump, dump_lines, make_build, make_student
from training import card

WORK = {"title": "Moons", "link": "https://x.org/io", "licence": "CC-BY-4.0", "creator": "A. Ng"}
SOURCE = {"name": "s", "file": "", "hub": "org/set", "revision": "v1", "blob": "", "phase": 1}
SOURCE |= {"licence": "MIT", "kept": 7}


@pytest.fixture
def build(tmp_path):
    return make_build(tmp_path / "build", seed=3)


@pytest.fixture
def student(tmp_path, build):
    return make_student(build, tmp_path / "student", seed=3)


def change(path, **values):
    dump_lines(path, [json.loads(path.read_text()) | values])


def licensed(build, licence, **more):
    """Every leaf of the build under one licence, with a work, and by a plain contributor."""
    leaves = json.loads((build / "manifest.json").read_text())["leaves"]
    own = {"licences": [licence], "works": [WORK], "contributor": "ng"}
    change(build / "manifest.json", leaves=[leaf | own for leaf in leaves], **more)


def recipe(folder, **values):
    run = json.loads((folder / "run.json").read_text())
    run["recipe"] |= values
    dump(folder / "run.json", run)


def text(student, build, place=""):
    report = Report()
    found = card.text(student, build, report, place)
    assert found is not None, report.diagnostics
    return found


def head(student, build, place=""):
    return ModelCard(text(student, build, place)).data.to_dict()


def test_the_hub_reads_its_head(build, student):
    licensed(build, "CC-BY-4.0", sources=[])
    for path in ("phase1.jsonl", "phase2.jsonl"):
        lines = [json.loads(line) for line in (build / path).open()]
        lines[0]["origin"]["language"] = "de"
        lines[1]["origin"]["language"] = "en"
        dump_lines(build / path, lines)
    assert head(student, build) == {
        "license": "cc-by-4.0",
        "language": ["de", "en"],
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": ["trivium", "curriculum", "sft"],
    }


def test_adapters_name_their_base_and_what_is_merged_does_too(build, student):
    licensed(build, "MIT", sources=[SOURCE])
    lora = {"rank": 8, "targets": "all-linear"}
    recipe(student, student={"model": "org/model"}, lora=lora, bits=4)
    found = head(student, build, "phase2")
    assert found["library_name"] == "peft"
    assert (found["base_model"], found["base_model_relation"]) == ("org/model", "adapter")
    assert found["license"] == "other", "the base model has a licence too"
    assert found["datasets"] == ["org/set"]
    assert found["tags"][-1] == "qlora"
    merged = head(student, build, "merged")
    assert (merged["base_model_relation"], merged["library_name"]) == ("finetune", "transformers")
    assert head(student, build, "int4")["base_model_relation"] == "quantized"


@pytest.mark.parametrize(
    "licences, name",
    [(["MIT"], "mit"), (["MIT", "Apache-2.0"], "other"), ([], "other"), (["GPL-3.0"], "other")],
)
def test_one_licence_of_all_data_is_the_models(build, student, licences, name):
    licensed(build, "MIT")
    leaves = json.loads((build / "manifest.json").read_text())["leaves"]
    leaves[0]["licences"] = licences
    change(build / "manifest.json", leaves=leaves)
    assert head(student, build)["license"] == name


def test_every_leaf_work_document_and_data_set_is_named(build, student):
    licensed(build, "CC-BY-4.0", sources=[SOURCE, SOURCE | {"hub": "org/none", "kept": 0}])
    found = text(student, build)
    part = found[found.index("### Attribution") : found.index("## Training")]
    for leaf in LEAVES:
        assert f"- `{leaf}`, by `ng`, licence `CC-BY-4.0`" in part
    assert part.count("- work: `Moons`, by `A. Ng`, licence `CC-BY-4.0`, `https://x.org/io`") == 3
    assert part.count(f"at commit `{'c' * 40}`, blob `{'d' * 40}`") == 1
    assert "- data set `org/set` at `v1`, licence `MIT`: 7 samples" in part
    assert "org/none" not in found
    assert "knowledge/lost" not in found, "a leaf that gave nothing"


def test_hostile_text_stays_text(build, student):
    """Rendered as the Hub does, with HTML: what contributors wrote makes no tag, image or link."""
    for evil in (HOSTILE, "a | b` <b>x</b> ![i](http://x) @me", "``x`` <script>", "x\n# y\n---\n"):
        licensed(build, "MIT")
        manifest = json.loads((build / "manifest.json").read_text())
        works = [dict.fromkeys(WORK, evil)]
        for leaf in manifest["leaves"]:
            leaf |= {"contributor": evil, "licences": [evil], "works": works}
            for document in leaf["documents"]:
                document |= dict.fromkeys(document, evil)
        change(build / "manifest.json", **manifest | {"judge": evil})
        shown = text(student, build)
        page = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
            ModelCard(shown).text
        )
        tags = set(re.findall(r"<([a-z]+\d?)", page))
        assert tags <= set("h1 h2 h3 p ul li code table thead tbody tr th td".split()), evil
        rows = re.findall(r"<tr>\n(.*?)</tr>", page, re.S)
        leaves = [row for row in rows if LEAVES[0] in row]
        assert [row.count("<td") for row in leaves] == [5]


def test_the_control_of_the_hostile_text(build, student, monkeypatch):
    """The same text without the quoting makes tags."""
    monkeypatch.setattr(card, "cell", str)
    page = markdown_it.MarkdownIt("commonmark", {"html": True}).render(text(student, build))
    assert "<img src=x" in page


def test_scores_phases_and_versions(build, student):
    found = text(student, build)
    scores = json.loads((student / "evaluation.json").read_text())["sets"]["trained"]
    before, after = (scores[name]["all"] for name in ("base", "phase2"))
    cells = [f"{before[key]:.2f} → {after[key]:.2f}" for key in ("exact_match", "f1")]
    assert f"| all | {after['n']} | {' | '.join(cells)} |" in found
    assert "| phase1 | phase1 | 281 | – | 2 over-length (F606) | 300 |" in found
    assert "control" not in found[found.index("## Training") :]
    assert re.search(r"^- transformers \d", found, re.M)
    (student / "evaluation.json").unlink()
    assert "It was not evaluated." in text(student, build)


def test_one_number_is_the_same_in_tables_cards_and_pages():
    from training.report import words
    from training.shown import fixed, signed

    assert (fixed(0.175), words.percent(0.175), words.number(0.175, 2)) == (
        "0.18",
        "18\N{NO-BREAK SPACE}%",
        "0.18",
    )
    assert words.percent(0.165) == "17\N{NO-BREAK SPACE}%"
    assert f"{0.175:.2f}" == "0.17", "the control: what a float's own digits give"
    assert [signed(one) for one in (-0.001, 0.0, -0.175, 0.175)] == [
        "0.00",
        "0.00",
        "-0.18",
        "+0.18",
    ]
    assert fixed(-0.001) == "0.00"
    assert (fixed(1234.5, form=","), fixed(float("nan"))) == ("1,234.50", "nan")


def test_a_table_keeps_the_names_of_models_whole_and_no_spaces_at_the_end():
    import io

    from rich.console import Console

    from training.evaluate import table

    leaf = "knowledge/technology/machine_learning/a_leaf_of_a_very_long_name"
    one = {"n": 20, "exact_match": 0.175, "loss": 1.0, "cut": 2}
    scores = {"all": one, "branches": {"knowledge": one}, "leaves": {leaf: one}}
    stages = ["base", "phase1", "phase2", "control"]
    result = {"models": [{"name": name} for name in stages], "stages": stages, "comparisons": []}
    result |= {"sets": {"trained": dict.fromkeys(stages, scores)}, "gates": []}
    shown = Console(file=io.StringIO(), width=60, highlight=False, markup=False)
    table.show(result, shown, leaves=True)
    lines = shown.file.getvalue().splitlines()
    assert lines[1].split() == ["n", *stages]
    assert any(line.startswith("    …") and "long_name " in line for line in lines)
    assert lines[2].split() == ["exact", "match", "20", *["0.18"] * 4]
    assert "answers cut at their longest: base 2, phase1 2, phase2 2, control 2" in " ".join(lines)
    assert [line for line in lines if line != line.rstrip()] == []
    assert max(map(len, lines)) <= 60


def test_an_export_says_what_it_is(build, student):
    assert "as `int4`; the scores below were measured before that" in text(student, build, "int4")
    assert "The adapters are merged" not in text(student, build, "merged")
    recipe(student, student={"model": "org/model"}, lora={"rank": 8, "targets": "all-linear"})
    assert "The adapters are merged" in text(student, build, "merged")


def test_what_is_known_of_another_build_is_not_said(build, student, tmp_path):
    other = make_build(tmp_path / "other", seed=4)
    found = text(student, other)
    assert "does not say what it was compiled from" in found
    assert LEAVES[0] not in found[found.index("## Data") :]
    change(student / "evaluation.json", fingerprint="another")
    assert "It was not evaluated." in text(student, build)


def test_written_twice_it_is_the_same_and_lies_beside_the_weights(build, student):
    report = Report()
    (student / "merged").mkdir()
    assert card.write(student, build, report)
    places = [student, student / "phase2", student / "merged"]
    first = [(place / card.CARD).read_bytes() for place in places]
    assert b"The weights of the last phase are in `phase2/`" in first[0]
    assert b"The weights of the last phase" not in first[1]
    assert card.write(student, build, report)
    assert first == [(place / card.CARD).read_bytes() for place in places]
    assert not (student / "phase1" / card.CARD).exists()
    assert not report.diagnostics
    assert str(student).encode() not in first[0]


@pytest.mark.parametrize(
    "name, code", [("student/run.json", "E701"), ("student/evaluation.json", "E704")]
)
def test_a_damaged_file_is_named(build, student, tmp_path, name, code):
    (tmp_path / name).write_text("[]")
    report = Report()
    assert not card.write(student, build, report)
    assert [(d.code.id, d.span.path) for d in report.diagnostics] == [(code, str(tmp_path / name))]
    assert not (student / card.CARD).exists()


def test_damaged_phases_are_named(build, student):
    (build / "phase2.jsonl").write_text("{")
    report = Report()
    assert not card.write(student, build, report)
    assert [d.code.id for d in report.diagnostics] == ["F605"]
