"""Data: what the student learns of each sample, token by token; and what is left out, named."""

import json

import pytest

from compiler.diagnostics import Report
from tests.training.builds import make_build, sample, write_build
from training import data, encode, replay
from training.data import Sample
from training.encode import IGNORED

LIMITS = encode.Limits(max_length=64)


@pytest.fixture(scope="module")
def tokenizer(build):
    from training.student import make_tokenizer

    return make_tokenizer(build, 400)


def conversation(*texts, **more):
    roles = ("system", "user", "assistant", "user", "assistant")
    start = 0 if len(texts) % 2 else 1
    messages = tuple(
        {"role": role, "content": text} for role, text in zip(roles[start:], texts, strict=False)
    )
    return Sample("x", messages, "knowledge", "knowledge/x", **more)


def learned(one, tokenizer):
    ids, labels = encode.tokens_of(one, tokenizer)
    assert len(ids) == len(labels)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
    return ids, [i for i, label in enumerate(labels) if label != IGNORED]


def test_only_the_answer_and_its_end_are_learned(tokenizer):
    ids, places = learned(conversation("Name the river.", "The Osten."), tokenizer)
    words = tokenizer.convert_ids_to_tokens(ids)
    start = words.index("<|assistant|>") + 1
    assert words[0] == "<|user|>"
    assert places == list(range(start, len(ids)))
    assert words[-1] == "<|end|>"
    assert tokenizer.decode(ids[start:-1]) == "The Osten."


def test_every_turn_of_the_assistant_is_learned(tokenizer):
    one = conversation("Be brief.", "Who?", "Ada.", "When?", "1840.")
    ids, places = learned(one, tokenizer)
    assert tokenizer.decode([ids[i] for i in places]) == "Ada.<|end|>1840.<|end|>"


def test_unmask_learns_everything(tokenizer):
    ids, places = learned(conversation("Who?", "Ada.", unmask=True), tokenizer)
    assert places == list(range(len(ids)))


def test_labels_are_those_of_trl(build, tokenizer, tmp_path):
    """The same samples as conversational prompt/completion through TRL's own preparation."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from training.recipe import Embedded, Recipe
    from training.student import make_model

    recipe = Recipe(Embedded(1, 32, 2, 400), None, (), max_length=64)
    model = make_model(recipe.student, tokenizer, recipe)
    rows = [
        {"prompt": list(one.messages[:-1]), "completion": list(one.messages[-1:])}
        for one in build.phase1
    ]
    arguments = SFTConfig(
        str(tmp_path),
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        report_to="none",
        max_length=64,
    )
    theirs = SFTTrainer(
        model, arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    ).train_dataset
    ours = encode.encode("phase1", build.phase1, tokenizer, LIMITS, Report())
    assert [list(ids) for ids, _ in ours] == list(theirs["input_ids"])
    assert [list(labels) for _, labels in ours] == list(theirs["labels"])


def test_nothing_is_cut_silently(build, tokenizer):
    long = conversation("Say a lot.", "word " * 80)
    empty = conversation("Say nothing.", " ")
    report = Report()
    found = encode.encode("phase1", (*build.phase1, long, empty), tokenizer, LIMITS, report)
    assert found.account.taken == len(build.phase1) + 2
    assert found.account.kept == len(found) == len(build.phase1)
    assert found.account.dropped == {"F606": 2}
    assert [d.message for d in report.diagnostics] == [
        "phase1: 1 of 2 samples of `knowledge/x` are over 64 tokens and were left out",
        "phase1: 1 of 2 samples of `knowledge/x` have an empty answer and were left out",
    ]
    assert max(found.lengths) <= 64


def test_a_phase_without_samples_is_an_error(tokenizer):
    report = Report()
    encode.encode("phase2", (), tokenizer, LIMITS, report)
    assert [d.code.id for d in report.diagnostics] == ["F607"]


def test_selection(build):
    own = replay.own_of(build, "phase2")
    assert len(own) == 40 < len(build.phase2)
    assert not any(one.replay for one in own)
    stacked = replay.own_of(build, "stacked")
    assert {one.id for one in stacked} == {one.id for one in (*build.phase1, *build.phase2)}
    assert len(stacked) == len({one.id for one in stacked})


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b"])
def test_only_a_newline_ends_a_line(tmp_path, mark):
    rows = [sample(f"Who{mark} came {i}?", "Ada.", "knowledge", "knowledge/x") for i in range(2)]
    folder = write_build(tmp_path, rows, [], [])
    path = folder / "phase1.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["phase1.jsonl"]["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    report = Report()
    found = data.read(folder, report)
    assert found, report.diagnostics
    assert [one.question for one in found.phase1] == [f"Who{mark} came {i}?" for i in range(2)]


@pytest.mark.parametrize("broken", ["no folder", "no file", "edited", "bad line", "bad manifest"])
def test_a_folder_that_is_no_build(tmp_path, broken):
    folder = make_build(tmp_path / "build", places=2, skills=2)
    match broken:
        case "no folder":
            folder = tmp_path / "nowhere"
        case "no file":
            (folder / "phase2.jsonl").unlink()
        case "edited":
            with (folder / "phase1.jsonl").open("a") as file:
                file.write(json.dumps(sample("q", "a", "knowledge", "knowledge/x")) + "\n")
        case "bad line":
            write_build(folder, [{"id": "1"}], [], [])
        case "bad manifest":
            (folder / "manifest.json").write_text("[]")
    report = Report()
    assert data.read(folder, report) is None
    assert {d.code.id for d in report.diagnostics} == {"F605"}
