"""What a plan says is what training does: its counts are exact, its sizes near, and it is quick."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.diagnostics import Report
from tests.training.builds import TINY
from training import plan as plans
from training import recipe as recipes
from training.cli import app
from training.encode import tokens_of
from training.plan import room as rooms
from training.plan.room import Room
from training.plan.table import duration, shown, size
from training.plan.words import Words, words_of
from training.recipe import Choose, Lora, Named

ROOT = Path(__file__).parents[2]
CPU = rooms.named("cpu:16", 1)


def call(*words):
    return CliRunner().invoke(app, ["train", "--plan", *map(str, words)])


def planned(build, recipe, room=CPU, rate=None):
    report = Report()
    return plans.plan(build, recipe, report, room, rate), report


def said(report, code):
    return [d.message for d in report.diagnostics if d.code.id == code]


def test_counts_are_those_of_training(build, tiny, trained):
    made, _ = planned(build, replace(tiny, control=True))
    stages = json.loads((trained / "run.json").read_text())["stages"]
    assert [line.name for line in made.lines] == [stage["stage"] for stage in stages]
    for line, stage in zip(made.lines, stages, strict=True):
        assert (line.steps, line.tokens_in_all) == (stage["steps"], stage["tokens"])
        assert line.taught * line.epochs == stage["taught"]
        assert line.samples + line.replayed - line.left_out == stage["samples"]["kept"]
    assert made.exact
    assert made.lines[1].replayed > made.lines[2].replayed == 0


def test_what_is_left_out(build, tiny):
    made, report = planned(build, replace(tiny, max_length=16, min_tokens=9))
    assert sum(line.left_out for line in made.lines) > 0
    assert said(report, "F606")
    control, report = planned(build, tiny)
    assert sum(line.left_out for line in control.lines) == 0
    assert not said(report, "F606")


@pytest.mark.parametrize(
    "lora",
    [
        None,
        Lora(4, 8),
        Lora(4, 8, dora=True),
        Lora(2, 8, targets=("q_proj", "down_proj"), embeddings=True),
        Lora(2, 8, targets=("embed_tokens",)),
    ],
)
def test_parameters_are_those_of_the_model(build, tiny, trained, lora):
    from training import student

    named = replace(tiny, student=Named(str(trained / "base")), lora=lora)
    made, report = planned(build, named)
    model = student.load_model(named.model, Report())
    whole = sum(p.numel() for p in model.parameters())
    model = student.with_adapters(model, lora) if lora else model
    learns = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert (made.parameters, made.trained, made.sizes_exact) == (whole, learns, True)
    assert planned(build, replace(tiny, lora=lora))[0].trained == learns
    assert not report.errors


def test_sizes_from_the_settings_alone(build, tiny, trained, tmp_path):
    """A model whose weights are not here, as one on the hub: of a Llama they are the same."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((trained / "base" / name).read_bytes())
    there, _ = planned(build, replace(tiny, student=Named(str(trained / "base"))))
    made, _ = planned(build, replace(tiny, student=Named(str(tmp_path))))
    assert made.parameters == there.parameters
    assert (made.sizes_exact, there.sizes_exact) == (False, True)
    assert "about" in shown(made).splitlines()[4]


def test_words_are_those_of_the_tokenizer(build, tiny):
    from transformers import PreTrainedTokenizerFast
    from trl import chat_templates

    ours = words_of(tiny, build, Report())
    folder = Path(next(iter(chat_templates.__path__)))
    names = ("qwen2_5", "qwen2_5_training", "llama3", "gemma", "phi3", "qwen3_training", "cohere")
    special = {"eos_token": "<|end|>", "bos_token": "<|user|>", "pad_token": "<|pad|>"}
    for name in names:
        template = (folder / f"{name}.jinja").read_text("utf-8")
        theirs = PreTrainedTokenizerFast(
            tokenizer_object=ours.tokenizer, chat_template=template, **special
        )
        light = Words(ours.tokenizer, template, special, "")
        assert light.exact
        for sample in build.phase1[:3]:
            assert tokens_of(sample, light) == tokens_of(sample, theirs), name


def test_without_a_tokenizer_characters_are_counted(build, tiny, trained, tmp_path):
    (tmp_path / "config.json").write_bytes((trained / "base" / "config.json").read_bytes())
    made, report = planned(build, replace(tiny, student=Named(str(tmp_path))))
    exact, _ = planned(build, tiny)
    assert not made.exact
    assert "estimated by 4 characters a token" in shown(made)
    assert not report.errors
    assert made.lines[0].tokens == pytest.approx(exact.lines[0].tokens, rel=2)


def test_of_a_large_build_a_part_stands_for_all(build, tiny, monkeypatch):
    exact, _ = planned(build, tiny)
    monkeypatch.setattr(plans, "MOST_COUNTED", 12)
    made, _ = planned(build, tiny)
    assert not made.exact
    for line, whole in zip(made.lines, exact.lines, strict=True):
        assert line.counted < 1 == whole.counted
        assert (line.samples, line.replayed) == (whole.samples, whole.replayed)
        assert line.tokens == pytest.approx(whole.tokens, rel=0.2)
        assert line.steps == pytest.approx(whole.steps, rel=0.4)
    assert "looked at were" in shown(made)
    assert "looked at were" not in shown(exact)


@pytest.mark.parametrize("checkpointing", ["off", "on"])
def test_activations_are_near_those_that_are_kept(build, tiny, checkpointing):
    import torch

    from training import student

    size = recipes.Embedded(2, 64, 4, 300)
    recipe = replace(tiny, student=size, max_length=128, checkpointing=checkpointing)
    tokenizer = student.make_tokenizer(build, size.vocabulary)
    model = student.make_model(size, tokenizer, recipe)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    if checkpointing == "on":
        model.activation_checkpointing_enable()
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    ids = torch.arange(128)[None] % len(tokenizer)
    places = torch.arange(128)[None] % 32
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(input_ids=ids, position_ids=places, logits_to_keep=1)
    made, _ = planned(build, recipe)
    batch = plans.Batch(1, 128, 1)
    weights = plans.weights_of(recipe, len(tokenizer), Report())
    told = plans.memory(recipe, weights, CPU, batch, pairs=False)
    if checkpointing == "off":
        assert told.activations == pytest.approx(sum(kept.values()), rel=0.15)
    else:  # kept are the inputs of the layers; one layer more is computed again
        off = replace(recipe, checkpointing="off")
        most = plans.memory(off, weights, CPU, batch, pairs=False).activations
        assert sum(kept.values()) < told.activations < most
    assert told.weights == 4 * sum(p.numel() for p in model.parameters()) == 4 * made.parameters
    assert told.optimiser == 2 * told.gradients == 2 * told.weights


def test_memory_follows_the_method(build, tiny, trained):
    gpu = Room("cuda", 24 * rooms.GIGA, True, 0, 0.0, "", here=False)
    named = replace(tiny, student=Named(str(trained / "base")))
    full, _ = planned(build, named, gpu)
    lora, _ = planned(build, replace(named, lora=Lora(2, 4)), gpu)
    four, _ = planned(build, replace(named, lora=Lora(2, 4), bits=4), gpu)
    held = [made.memory.weights + made.memory.optimiser for made in (full, lora, four)]
    assert held == sorted(held, reverse=True)
    assert len(set(held)) == 3
    assert full.memory.logits == 0 < planned(build, named)[0].memory.logits


@pytest.mark.parametrize(("machine", "short"), [("cpu:0.5", True), ("cpu:16", False)])
def test_short_memory(build, tiny, machine, short):
    made, report = planned(build, tiny, rooms.named(machine, 1))
    found = said(report, "F618")
    assert bool(found) == short == (made.memory.total > 0.9 * made.free)
    if short:
        assert found[0].endswith("are needed on `cpu`, and 0.5 are free")


def test_few_steps_warm_up_and_choice(build, tiny):
    one = replace(tiny.phases[0], batch=64, accumulation=64, warmup_steps=5)
    made, report = planned(build, replace(tiny, phases=(replace(one, choose=Choose(9)),)))
    assert made.lines[0].steps == 1
    words = "phase1: only about 1 step, all of them warm-up, for 9 checkpoints to choose from"
    assert said(report, "F610") == [words]
    many = replace(tiny.phases[0], epochs=400, warmup_steps=5, choose=Choose(9))
    assert not said(planned(build, replace(tiny, phases=(many,)))[1], "F610")


def test_a_target_that_no_layer_has(build, tiny, trained):
    lora = Lora(2, 4, targets=("q_proj", "k_prj"))
    made, report = planned(build, replace(tiny, student=Named(str(trained / "base")), lora=lora))
    (found,) = report.diagnostics[-1:]
    assert (found.code.id, found.message) == ("F620", "the student has no linear layer `k_prj`")
    assert found.hint == "did you mean `k_proj`?"
    assert made is not None


def test_more_tokens_than_the_student_was_made_for(build, tiny, trained):
    named = replace(tiny, student=Named(str(trained / "base")))
    assert said(planned(build, replace(named, max_length=4096))[1], "F603")
    assert not said(planned(build, named)[1], "F603")


def test_time_rests_on_a_rate(build, tiny, trained):
    unknown = Room("cuda", 0, True, 0, 0.0, "")
    assert planned(build, tiny, unknown)[0].seconds == 0
    assert "--tokens-per-second" in shown(planned(build, tiny, unknown)[0])
    given, _ = planned(build, tiny, unknown, rate=100.0)
    tokens = sum(line.tokens_in_all for line in given.lines)
    assert given.seconds == pytest.approx(tokens / 100, rel=0.01)
    short = replace(tiny, phases=(replace(tiny.phases[0], max_seconds=2.0),))
    assert planned(build, short, rate=1.0)[0].seconds == 2.0
    assert plans.measured(trained, tiny) > 0
    assert plans.measured(trained, replace(tiny, student=Named("other"))) is None
    assert plans.measured(trained / "nowhere", tiny) is None


def test_every_built_in_recipe_is_planned(build_folder, trained):
    files = sorted(recipes.RECIPES.rglob("*.yaml"))
    assert len(files) == 7
    for file in files:
        student = [] if file.stem == "tiny-cpu" else ["--model", trained / "base"]
        done = call("--recipe", file.stem, "--data", build_folder, "--on", "cuda:80", *student)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
        lacks = {"dpo": "pairs", "lab": "phase1-long"}  # the tiny build has neither
        assert bool(errors) == (file.stem in lacks), done.output
        assert done.stdout.startswith("phase "), done.output
        assert "disk     at most about" in done.stdout


def test_a_plan_as_json(build_folder, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    done = call("--data", build_folder, "--recipe", recipe, "--json", "--on", "cpu:16")
    found = json.loads(done.stdout)
    assert [line["name"] for line in found["lines"]] == ["phase1", "phase2"]
    assert found["memory_total"] == sum(found["memory"].values())
    assert found["free"] == 16 * rooms.GIGA


@pytest.mark.parametrize(
    "words",
    [["--plan", "--on", "tpu:3"], ["--plan", "--on", "cuda"], ["--json"], ["--on", "cpu:1"]],
)
def test_usage(build_folder, words):
    done = CliRunner().invoke(app, ["train", "--data", str(build_folder), *words])
    assert done.exit_code == 2, done.output


def test_the_gpu_that_the_driver_names(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100-SXM4-80GB, 80000, 8.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(rooms, "_torch", lambda: "2.13.0")
    found = rooms.here(0)
    assert (found.device, found.memory, found.bf16) == ("cuda", 80000 * 1024**2, True)
    assert "312 TFLOP/s of NVIDIA A100" in found.why
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert rooms.here(0).device != "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(rooms, "_torch", lambda: "2.13.0+cpu")
    assert rooms.here(1).device != "cuda"


def test_units():
    sizes = [size(n) for n in (900, 50_000_000, 634_000_000, 3_210_000_000)]
    assert sizes == ["0.9 kB", "50.0 MB", "634 MB", "3.2 GB"]
    assert [duration(s) for s in (0, 0.2, 99, 600, 7200)] == [
        "0 s",
        "1 s",
        "99 s",
        "10 min",
        "2.0 h",
    ]


HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "pyarrow", "numpy")


def test_a_plan_is_quick_and_light(build_folder, trained):
    """Under 3 seconds, of which a start of Python is a part; nothing heavy is imported."""
    words = ["trivium", "train", "--plan", "--data", str(build_folder), "--recipe", "lora"]
    code = (
        "import resource, sys\n"
        f"sys.argv = {[*words, '--model', str(trained / 'base')]!r}\n"
        "from training.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], used.ru_utime + used.ru_stime)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded, _, seconds = done.stdout.splitlines()[-1].rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 3
