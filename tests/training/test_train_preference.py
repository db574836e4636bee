"""Phases of preferences: the better answer gains on the worse one, against the student before."""

import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from compiler.diagnostics import Report
from tests.training.builds import ANSWERS, ATTRIBUTES, facts, make_build
from training import data, run, student
from training.encode import Limits
from training.pairs import encode_pairs, parts_of
from training.recipe import Lora, Named, Phase

PREFERRED = Phase("preferred", "preferences", 0.003, 2, batch=4, accumulation=2, beta=0.2)


def rows(count=20):
    """Lines of preferences.jsonl: of each question the right answer, and that of another place."""
    known = facts(0, 6)
    for i in range(count):
        place, attribute, value = known[i % len(known)]
        words = ATTRIBUTES[attribute][i // len(known) % 4]
        wrong = known[(i + 2) % len(known)][2]
        answers = (ANSWERS[attribute].format(p=place, v=name) for name in (value, wrong))
        chosen, rejected = ([{"role": "assistant", "content": text}] for text in answers)
        yield {
            "id": f"pair{i}",
            "leaf": f"knowledge/{attribute}",
            "prompt": [{"role": "user", "content": words.format(p=place)}],
            "chosen": chosen,
            "rejected": rejected,
        }


def write_pairs(folder, lines):
    """Adds preferences.jsonl to a build."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "preferences.jsonl").write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["preferences.jsonl"] = {"count": text.count("\n")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """20 pairs, in steps of 8."""
    folder = write_pairs(make_build(tmp_path_factory.mktemp("build")), rows())
    return data.read(folder, Report())


def swapped(judged):
    """The control: the worse answer in the place of the better one."""
    return replace(
        judged,
        preferences=tuple(
            replace(
                pair,
                messages=(*pair.messages[:-1], {**pair.messages[-1], "content": pair.rejected}),
                rejected=pair.answer,
            )
            for pair in judged.preferences
        ),
    )


@pytest.fixture(scope="module")
def prefer(tiny, trained, train_on):
    """Trains on the pairs of a build after a trained student; its stage.json and log."""

    def train(judged, model=trained, out=None, phase=PREFERRED, **changes):
        recipe = replace(tiny, student=Named(str(model)), phases=(phase,), packing=True)
        out = train_on(judged, recipe, out, **changes)
        log = (out / phase.name / "log.jsonl").read_text().splitlines()
        stage = json.loads((out / phase.name / "stage.json").read_text())
        return out, stage, [json.loads(line) for line in log]

    return train


@pytest.fixture(scope="module")
def preferred(judged, prefer):
    return prefer(judged)


def test_the_better_answer_gains_and_with_swapped_pairs_it_loses(judged, preferred, prefer):
    _, stage, log = preferred
    _, other, against = prefer(swapped(judged))
    found, lost = stage["preferences"], other["preferences"]
    assert found["beta"] == 0.2
    assert found["after"]["margin"] > found["before"]["margin"] + 0.5
    assert found["after"]["accuracy"] >= found["before"]["accuracy"]
    assert lost["before"]["margin"] == pytest.approx(-found["before"]["margin"], abs=1e-3)
    assert -lost["after"]["margin"] < found["before"]["margin"] - 0.5
    for lines in (log, against):
        assert lines[0]["margin"] == pytest.approx(0, abs=1e-4)  # the student against itself
        assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
        assert all(line["margin"] > 0.02 for line in lines[-2:])
        assert all(line["loss"] < math.log(2) for line in lines[-2:])


def test_the_account_the_order_and_the_tokens_of_a_phase(judged, preferred):
    out, stage, log = preferred
    assert stage["samples"]["in"] == stage["samples"]["kept"] == len(judged.preferences) == 20
    assert stage["order"] == {"own": 20, "replayed": 0, "share": 0.0}
    steps = [json.loads(line) for line in (out / "preferred" / "order.jsonl").open()]
    seen = [name for step in steps for name in step["samples"]]
    assert len(log) == len(steps) == stage["steps"] == math.ceil(2 * 20 / 8)
    assert sorted(seen) == sorted(2 * [pair.id for pair in judged.preferences])
    assert sorted(seen[:20]) == sorted(pair.id for pair in judged.preferences)
    tokenizer = student.load_tokenizer(str(out / "preferred"), Report())
    parts = [parts_of(pair, tokenizer) for pair in judged.preferences]
    assert stage["tokens"] == 2 * sum(2 * len(p) + len(c) + len(r) for p, c, r in parts)
    assert stage["taught"] == 2 * sum(len(c) + len(r) for _, c, r in parts)


def margin(place, base, pairs):
    """By another way: the model's own loss of both answers."""
    tokenizer = student.load_tokenizer(place, Report())
    model = student.load_model(place, Report(), base=base).eval()
    found = []
    for pair in pairs:
        prompt, *answers = parts_of(pair, tokenizer)
        sums = []
        for answer in answers:
            ids = torch.tensor([prompt + answer])
            labels = torch.tensor([[-100] * len(prompt) + answer])
            with torch.inference_mode():
                sums.append(-model(ids, labels=labels).loss.item() * len(answer))
        found.append(sums[0] - sums[1])
    return sum(found) / len(found)


def test_the_margins_are_those_of_the_model(judged, trained, preferred):
    out, stage, _ = preferred
    for place, which in ((str(trained), "before"), (str(out), "after")):
        found = margin(place, "", judged.preferences)
        assert stage["preferences"][which]["margin"] == pytest.approx(found, abs=1e-3)


def test_rows_without_a_pair_count_in_no_mean(judged, prefer):
    """Of the last step's 4 rows 1 has a pair: then the loss is that of its margin."""
    five = replace(judged, preferences=judged.preferences[:5])
    _, stage, log = prefer(five, phase=replace(PREFERRED, epochs=1, accumulation=1))
    assert len(log) == stage["steps"] == 2
    assert log[1]["margin"] != 0
    assert log[1]["accuracy"] in (0, 1)
    assert log[1]["loss"] == pytest.approx(math.log1p(math.exp(-log[1]["margin"])), abs=1e-4)


@pytest.fixture(scope="module")
def adapted(judged, tiny, trained, train_on):
    """A student of the first phase with adapters."""
    named = Named(str(trained / "base"))
    return train_on(judged, tiny, student=named, lora=Lora(4, 8), phases=tiny.phases[:1])


@pytest.fixture(scope="module")
def continued(judged, adapted, prefer):
    return prefer(judged, adapted, lora=Lora(4, 8), merge=True)


@pytest.fixture(scope="module")
def renewed(judged, adapted, prefer):
    phase = replace(PREFERRED, adapter="new")
    return prefer(judged, adapted, phase=phase, lora=Lora(2, 4, embeddings=True), merge=True)


@pytest.mark.parametrize("which", ["continued", "renewed"])
def test_adapters_are_held_to_the_student_before_the_phase(
    judged, adapted, trained, request, which
):
    """Not to its base: at the start nothing has been gained on either."""
    out, stage, log = request.getfixturevalue(which)
    before, after = stage["preferences"]["before"], stage["preferences"]["after"]
    assert log[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert log[-1]["margin"] > 0
    assert after["margin"] > before["margin"] + 0.02
    weak = margin(str(trained / "base"), "", judged.preferences)
    assert abs(weak - before["margin"]) > 1e-2  # the base is another
    found = run.find(out, Report())
    for place, base, wanted in (
        (str(adapted), "", before),
        (found.where("preferred"), found.base, after),
        (str(out / "merged"), "", after),
    ):
        assert margin(place, base, judged.preferences) == pytest.approx(wanted["margin"], abs=1e-3)
    assert (out / "base.base").is_dir() == (which == "renewed")
    assert not [path for path in (out / "preferred").iterdir() if path.is_dir()]
    whole = student.load_model(str(out / "merged"), Report())
    assert whole.get_output_embeddings().weight is whole.get_input_embeddings().weight


@pytest.mark.parametrize("which", ["preferred", "continued"])
def test_an_interrupted_phase_goes_on_as_if_nothing_was(
    judged, prefer, trained, adapted, tmp_path, monkeypatch, request, which
):
    from training.preference import PreferenceTrainer

    _, stage, whole = request.getfixturevalue(which)
    model, lora = (trained, None) if which == "preferred" else (adapted, Lora(4, 8))
    calls, compute = [], PreferenceTrainer.compute_loss

    def pressed(self, *given, **options):
        calls.append(1)
        if len(calls) == 5:  # two to a step
            os.kill(os.getpid(), signal.SIGINT)
        return compute(self, *given, **options)

    monkeypatch.setattr(PreferenceTrainer, "compute_loss", pressed)
    with pytest.raises(KeyboardInterrupt):
        prefer(judged, model, tmp_path, lora=lora)
    lines = (tmp_path / "work" / "preferred" / "log.jsonl").read_text().splitlines()
    assert len(lines) == 3 < len(whole)
    assert not (tmp_path / "preferred").exists()
    monkeypatch.undo()
    _, again, log = prefer(judged, model, tmp_path, lora=lora)
    for key in ("step", "loss", "margin", "accuracy", "tokens", "lr"):
        assert [line[key] for line in log] == pytest.approx(
            [line[key] for line in whole], rel=1e-4, abs=1e-5
        )
    assert again["preferences"] == stage["preferences"]


def told(lines, tokenizer, limits, tmp_path, **changes):
    """The pairs of a build of these lines, and what is said of them."""
    report = Report()
    built = data.read(write_pairs(make_build(tmp_path / "build"), lines), report)
    found = encode_pairs("preferred", built.preferences, tokenizer, limits, report)
    return found, [(one.code.id, one.message) for one in report.diagnostics]


def test_what_is_left_out_is_counted(trained, tmp_path):
    tokenizer = student.load_tokenizer(str(trained), Report())
    lines = list(rows(6))
    lines[0]["rejected"][0]["content"] = " "
    lines[1]["rejected"][0]["content"] = lines[1]["chosen"][0]["content"] + " "
    lines[2]["rejected"][0]["content"] *= 40
    found, said = told(lines, tokenizer, Limits(max_length=100), tmp_path)
    assert [pair.id for pair in found.samples] == ["pair3", "pair4", "pair5"]
    assert (found.account.taken, found.account.kept) == (6, 3)
    assert found.account.dropped == {"F606": 3}
    assert said == [
        (
            "F606",
            "preferred: 1 of 3 pairs of `knowledge/capital` are over 100 tokens and were left out",
        ),
        (
            "F606",
            "preferred: 1 of 3 pairs of `knowledge/capital` have an empty answer or prompt "
            "and were left out",
        ),
        (
            "F606",
            "preferred: 1 of 3 pairs of `knowledge/river` have two equal answers and were left out",
        ),
    ]


def test_the_answers_begin_where_the_student_speaks(judged, trained):
    tokenizer = student.load_tokenizer(str(trained), Report())
    for pair in judged.preferences:
        prompt, chosen, rejected = parts_of(pair, tokenizer)
        assert tokenizer.decode(prompt) == f"<|user|>{pair.question}<|end|><|assistant|>"
        assert tokenizer.decode(chosen) == f"{pair.answer}<|end|>"
        assert tokenizer.decode(rejected) == f"{pair.rejected}<|end|>"


@pytest.mark.parametrize(
    ("lines", "message"),
    [([], "the build has no pairs of answers"), (1, "no pair is left to train on")],
)
def test_nothing_to_train_on(trained, tmp_path, lines, message):
    tokenizer = student.load_tokenizer(str(trained), Report())
    lines = [] if not lines else [{**next(rows(1)), "rejected": next(rows(1))["chosen"]}]
    found, said = told(lines, tokenizer, Limits(), tmp_path)
    assert len(found) == 0
    assert said[-1] == ("F607", f"preferred: {message}")


@pytest.mark.parametrize(
    "broken",
    [
        {"rejected": []},
        {"rejected": [{"role": "user", "content": "no"}]},
        {"chosen": [{"role": "assistant", "content": "a"}] * 2},
        {"prompt": []},
        {"prompt": None},
        {"leaf": None, "chosen": 3},
    ],
)
def test_a_line_that_is_no_pair(tmp_path, broken):
    line, report = next(rows(1)), Report()
    folder = write_pairs(make_build(tmp_path), [line])
    assert data.read(folder, report).preferences[0].rejected == line["rejected"][0]["content"]
    write_pairs(folder, [line, {**line, **broken}])
    assert data.read(folder, report) is None
    found = report.diagnostics[0]
    assert (found.code.id, found.message, found.span.line) == ("F605", "the line is not a pair", 2)


def test_a_build_without_the_file_has_no_pairs(build_folder, tiny, trained, tmp_path):
    made, report = data.read(build_folder, Report()), Report()
    assert made.preferences == ()
    recipe = replace(tiny, student=Named(str(trained)), phases=(PREFERRED,))
    assert run.open_run(tmp_path, made, recipe, False, report)
    assert not run.train(made, recipe, tmp_path, report, Console(quiet=True))
    assert [one.code.id for one in report.diagnostics] == ["F607"]
