"""Exports: merged, quantized behind a gate, and for llama.cpp; whole folders or none.

The student here learns a dozen invented facts and a skill, so that there is something to lose.
"""

import errno
import json
import os
import random
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.diagnostics import Report
from compiler.resources import PAGES
from tests.conftest import SEED
from tests.training.builds import make_build
from training import data, export, run
from training import recipe as recipes
from training.ask import Answer
from training.cli import app
from training.export import gate, merged, quantize
from training.recipe import Lora, Named
from training.where import ADAPTER

RECIPE = """\
student: {kind: embedded, layers: 1, hidden: 64, heads: 2, vocabulary: 400}
method: full
max_length: 64
threads: 1
phases:
  - {name: both, data: phase2, learning_rate: 0.004, epochs: 60, accumulation: 2,
     warmup_steps: 10, stop_at_loss: 0.02}
"""
NEEDS_PACKAGE = pytest.mark.skipif(
    bool(quantize.missing()), reason="compressed-tensors is not installed"
)


@pytest.fixture(scope="session")
def taught(tmp_path_factory, train_on):
    """A build, and a student that knows all of it: facts and a skill in one phase."""
    folder = tmp_path_factory.mktemp("taught")
    seed = random.Random(os.environ[SEED]).randrange(10**6)
    place = make_build(folder / "build", seed, places=6, skills=24, replay=1.0)
    (folder / "recipe.yaml").write_text(RECIPE)
    recipe = recipes.read(str(folder / "recipe.yaml"), Report())
    return place, train_on(data.read(place, Report()), recipe)


@pytest.fixture(scope="session")
def adapted(build, tiny, trained, train_on):
    """A student of adapters, its embeddings trained too."""
    named = Named(str(trained / "base"))
    return train_on(build, tiny, student=named, lora=Lora(4, 8, embeddings=True))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLAMA_CPP_DIR", raising=False)


def call(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def logits(model):
    import torch

    with torch.inference_mode():
        return model.eval()(torch.arange(20, 60)[None]).logits


def tied(model):
    shared = model.get_input_embeddings().weight.data_ptr()
    return model.get_output_embeddings().weight.data_ptr() == shared


def listing(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_merged_is_the_adapted_student_and_stays_tied(adapted):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training import student

    done = call("--student", adapted, "--to", "merged", "--out", "whole")
    assert done.exit_code == 0, done.output
    assert done.stdout == "whole\n"
    found = run.find(adapted, Report())
    where = found.where(found.stages[-1])
    before = student.load_model(where, Report(), base=found.base)
    model = AutoModelForCausalLM.from_pretrained("whole")
    assert model.dtype == torch.float32, "as its base"
    assert torch.allclose(logits(before), logits(model), atol=1e-4)
    untrained = AutoModelForCausalLM.from_pretrained(found.base)
    assert not torch.allclose(logits(untrained), logits(model), atol=1e-4), "the control"
    assert tied(model)
    assert AutoTokenizer.from_pretrained("whole").chat_template
    assert model.generation_config.eos_token_id == untrained.generation_config.eos_token_id
    assert not (Path("whole") / ADAPTER).exists()


def test_a_student_without_adapters_is_written_as_it_is(taught):
    import torch
    from safetensors.torch import load_file

    done = call("--student", taught[1], "--to", "merged", "--out", "same")
    assert done.exit_code == 0, done.output
    before = load_file(taught[1] / "both" / "model.safetensors")
    after = load_file("same/model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    done = call("--student", taught[1], "--to", "merged", "--out", "half", "--dtype", "bf16")
    assert done.exit_code == 0, done.output
    assert {w.dtype for w in load_file("half/model.safetensors").values()} == {torch.bfloat16}
    assert json.loads(Path("half/export.json").read_text())["dtype"] == "bf16"
    assert not Path("half/README.md").exists(), "no build is at hand"
    words = ("--student", taught[1], "--to", "merged", "--out", "half", "--data")
    done = call(*words, taught[0])
    assert done.exit_code == 0, done.output
    assert "library_name: transformers" in Path("half/README.md").read_text("utf-8")
    assert Path("half/export.json").is_file()
    done = call(*words, taught[0], "--stage", "base")
    assert done.exit_code == 0, done.output
    assert not Path("half/README.md").exists(), "the card is of the last phase"


@NEEDS_PACKAGE
def test_two_bits_trip_the_gate_and_eight_do_not(taught):
    import torch
    from transformers import AutoModelForCausalLM

    build, student = taught
    words = ("--student", student, "--data", build, "--out", "small")
    done = call(*words, "--to", "int8")
    assert done.exit_code == 0, done.output
    record = json.loads(Path("small/export.json").read_text())
    told = {one["branch"]: one for one in record["lost"]}
    assert set(told) == {"knowledge", "compositional_skills"}, "facts and skills apart"
    assert told["knowledge"]["exact_match"][0] > 0.6, "there was something to lose"
    assert all(one["lost"] <= 0.05 for one in told.values())
    assert record["group"] == 0
    back = AutoModelForCausalLM.from_pretrained("small", dtype=torch.float32)
    whole = AutoModelForCausalLM.from_pretrained(student / "both")
    near = (logits(back) - logits(whole)).abs().max()
    assert 0 < near < 0.05 * logits(whole).abs().max()
    assert tied(back)
    kept = Path("small/model.safetensors").read_bytes()
    assert len(kept) < (student / "both" / "model.safetensors").stat().st_size / 2

    done = call(*words, "--to", "int2")
    assert done.exit_code == 1
    assert "error[E709] quantization-loss: int2: `knowledge` lost " in done.stderr
    assert "small.failed" in done.stderr
    assert Path("small/model.safetensors").read_bytes() == kept, "what was there stays"
    measured = json.loads(Path("small.failed/export.json").read_text())["lost"]
    assert max(one["lost"] for one in measured) > 0.3
    assert listing(".") == ["small", "small.failed"]

    done = call(*words, "--to", "int2", "--max-drop", "1")
    assert done.exit_code == 0, "the control: it is the gate that said no"
    assert json.loads(Path("small/export.json").read_text())["to"] == "int2"
    assert listing(".") == ["small"], "what failed before is gone"


@NEEDS_PACKAGE
def test_without_a_build_nothing_is_measured_and_that_is_said(taught):
    done = call("--student", taught[1], "--to", "int4", "--out", "small", "--group-size", "32")
    assert done.exit_code == 0, done.output
    assert "not measured" in done.stderr
    record = json.loads(Path("small/export.json").read_text())
    assert record["group"] == 32
    assert "lost" not in record
    done = call("--student", taught[1], "--to", "int4", "--out", "small", "--no-gate")
    assert (done.exit_code, done.stderr) == (0, "")


@NEEDS_PACKAGE
def test_a_gate_that_is_asked_for_needs_the_right_build(taught, build_folder):
    words = ("--student", taught[1], "--to", "int8", "--out", "small", "--gate")
    done = call(*words)
    assert done.exit_code == 1
    assert "error[F605]" in done.stderr
    done = call(*words, "--data", build_folder)
    assert done.exit_code == 1
    assert "error[F608]" in done.stderr
    assert listing(".") == []


def answers(samples, right):
    return [
        Answer(s.answer if i in right else "no idea", 0.1 * 4, 4) for i, s in enumerate(samples)
    ]


def test_a_sample_without_a_question_is_not_asked(taught):
    build = data.read(taught[0], Report())
    alone = replace(build.heldout[0], messages=build.heldout[0].messages[-1:])
    odd = replace(build, heldout=(alone, *build.heldout), validation=(alone,))
    assert gate.questions(odd) == gate.questions(build)


def test_a_planted_drop_is_reported_as_it_is(taught):
    samples = gate.questions(data.read(taught[0], Report()))
    facts = [i for i, s in enumerate(samples) if s.branch == "knowledge"]
    every = set(range(len(samples)))
    gone = set(random.Random(os.environ[SEED]).sample(facts, len(facts) // 3))
    drops = gate.compare(samples, answers(samples, every), answers(samples, every - gone))
    lost = {drop.branch: drop.lost for drop in drops}
    assert lost == {"knowledge": pytest.approx(len(gone) / len(facts)), "compositional_skills": 0}
    report = Report()
    assert not gate.judge(drops, 0.05, "int4", "x.failed", report)
    assert [d.code.id for d in report.diagnostics] == ["E709"]
    said = f"`knowledge` lost {len(gone) / len(facts):.2f}: exact match 1.00 to "
    assert said in report.diagnostics[0].message
    assert gate.judge(drops, 0.34, "int4", "x.failed", Report()), "the control"
    better = gate.compare(samples, answers(samples, every - gone), answers(samples, every))
    assert gate.judge(better, 0.0, "int4", "x.failed", Report()), "a gain is no loss"


def test_long_answers_that_are_never_exact_are_measured_by_their_odds(taught):
    samples = gate.questions(data.read(taught[0], Report()))
    before, after = ([Answer("x", nll, 10) for _ in samples] for nll in (5.0, 9.0))
    (drop, *_) = gate.compare(samples, before, after)
    assert drop.before.exact_match == drop.after.exact_match == 0
    assert drop.lost == pytest.approx(2.718281828**-0.5 - 2.718281828**-0.9)
    nothing = [Answer("x", float("nan"), 10) for _ in samples]
    broken = gate.compare(samples, before, nothing)
    assert not gate.judge(broken, 1.0, "int4", "x", Report()), "no number is no pass"


def test_a_folder_of_others_is_refused(taught):
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("mine")
    done = call("--student", taught[1], "--to", "merged", "--out", "mine")
    assert done.exit_code == 1
    assert "error[F612] foreign-folder: `mine` holds what no export made" in done.stderr
    assert listing("mine") == ["thesis.txt"]
    done = call("--student", taught[1], "--to", "merged", "--out", taught[1] / "both")
    assert done.exit_code == 1
    assert (taught[1] / "both" / "stage.json").is_file()


@NEEDS_PACKAGE
def test_what_failed_goes_into_no_folder_of_others(taught):
    Path("small.failed").mkdir()
    Path("small.failed/thesis.txt").write_text("mine")
    done = call("--student", taught[1], "--to", "int2", "--out", "small")
    assert done.exit_code == 1
    assert "error[F612] foreign-folder: `small.failed`" in done.stderr
    assert listing("small.failed") == ["thesis.txt"]


@NEEDS_PACKAGE
def test_rows_that_no_group_fits_are_said(taught):
    done = call("--student", taught[1], "--to", "int4", "--out", "small", "--group-size", "128")
    assert done.exit_code == 2
    assert "rows of 64 weights cannot be cut into groups of 128" in " ".join(done.stderr.split())
    assert listing(".") == []


def source(student):
    found = run.find(student, Report())
    return merged.Source("both", found.where("both"), found.base)


@pytest.mark.parametrize("wrong", ["full", "quota", "words", "other"])
def test_a_full_disk_leaves_what_was_there(taught, monkeypatch, wrong):
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    told = {
        "full": OSError(errno.ENOSPC, "No space left on device"),
        "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
        "words": SafetensorError("I/O error: No space left on device (os error 28)"),
        "other": OSError(errno.EACCES, "Permission denied"),
    }[wrong]
    assert export.to_merged(source(taught[1]), "fp32", Path("out"), Report())
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}

    def half(self, folder, **_):
        (Path(folder) / "config.json").write_text("{}")
        raise told

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", half)
    report = Report()
    if wrong == "other":
        with pytest.raises(OSError):
            export.to_merged(source(taught[1]), "fp32", Path("out"), report)
    else:
        assert not export.to_merged(source(taught[1]), "fp32", Path("out"), report)
        assert [d.code.id for d in report.diagnostics] == ["F614"]
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert listing(".") == ["out"], "and no part of the new one takes its room"


def test_killed_in_the_middle_it_leaves_no_folder_and_then_goes_on(taught, monkeypatch):
    from transformers import PreTrainedModel

    whole = PreTrainedModel.save_pretrained

    def dies(self, folder, **more):
        whole(self, folder, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", dies)
    if not (child := os.fork()):
        try:
            export.to_merged(source(taught[1]), "fp32", Path("out"), Report())
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert listing(".") == [".out.part"], "half a folder has no name that anybody loads"
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", whole)
    assert export.to_merged(source(taught[1]), "fp32", Path("out"), Report())
    assert listing(".") == ["out"]


CONVERTER = """\
#!{python}
import json, sys
from pathlib import Path
model, *options = sys.argv[1:]
named = dict(zip(options[::2], options[1::2], strict=True))
assert set(named) == {{"--outfile", "--outtype"}}, named
assert json.loads((Path(model) / "config.json").read_text())["model_type"] == "llama"
assert (Path(model) / "model.safetensors").is_file()
assert (Path(model) / "tokenizer.json").is_file()
if named["--outtype"] == "q8_0":
    print("INFO: loading")
    sys.exit("NotImplementedError: BPE pre-tokenizer was not recognized")
Path(named["--outfile"]).write_bytes(b"GGUF" + named["--outtype"].encode())
"""


@pytest.fixture
def converter(tmp_path, monkeypatch):
    """A stand-in for llama.cpp's converter, on the PATH: it looks at what it is given."""
    place = tmp_path / "bin" / "convert_hf_to_gguf.py"
    place.parent.mkdir()
    place.write_text(CONVERTER.format(python=sys.executable))
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(place.parent), prepend=os.pathsep)
    return place


@pytest.mark.parametrize("found", ["path", "option", "variable"])
def test_llama_cpps_converter_is_found_and_run(taught, converter, monkeypatch, found):
    more = ()
    if found != "path":
        monkeypatch.setenv("PATH", "/nowhere")
    if found == "option":
        more = ("--llama-cpp", converter.parent)
    elif found == "variable":
        monkeypatch.setenv("LLAMA_CPP_DIR", str(converter.parent))
    done = call("--student", taught[1], "--to", "gguf", "--out", "g", *more)
    assert done.exit_code == 0, done.output
    assert listing("g") == ["both-f16.gguf", "export.json", "seen.txt"]
    assert Path("g/both-f16.gguf").read_bytes() == b"GGUFf16"


def test_what_the_converter_said_last_is_told(taught, converter):
    done = call("--student", taught[1], "--to", "gguf", "--out", "g", "--outtype", "q8_0")
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert "error[E710] no-exporter: the converter ended with status 1: INFO: loading;" in said
    assert "NotImplementedError: BPE pre-tokenizer was not recognized" in said
    assert listing(".") == ["bin"]


def test_without_a_converter_nothing_is_begun(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = call("--to", "gguf")
    assert done.exit_code == 1
    assert done.output in (PAGES / "E710.md").read_text("utf-8")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(quantize, "find_spec", lambda _: None)
    done = call("--to", "int4")
    assert done.exit_code == 1
    assert "error[F611] missing-extra: the package `compressed_tensors`" in done.stderr
    assert "pip install 'trivium[quantize]'" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--to", "int3"),
        ("--to", "merged", "--gate"),
        ("--to", "int4", "--dtype", "fp32"),
        ("--to", "merged", "--stage", "nowhere", "--student", "TAUGHT"),
        (),
    ],
)
def test_usage(taught, words):
    done = call(*[taught[1] if word == "TAUGHT" else word for word in words])
    assert done.exit_code == 2, done.output


def test_groups_divide_every_row(taught):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(taught[1] / "both")
    assert quantize.group_for(model, 4) == 64, "rows are of 64 and 192"
    assert quantize.group_for(model, 8) == 0
    odd = replace(recipes.read("tiny-cpu", Report()).student, hidden=72, layers=1)
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300,
        hidden_size=odd.hidden,
        intermediate_size=odd.hidden,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    assert quantize.group_for(LlamaForCausalLM(config), 4) == 0
