"""Adapters: what they are put on, how they go on, and what becomes of them when they are merged."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from compiler.diagnostics import Report
from tests.training.test_train_run import distance, weights
from training import fit, prepare, run, student, where
from training.machine import Hardware
from training.recipe import Lora, Named

IDS = torch.arange(20, 50)[None]
CPU = Hardware("cpu", False)


@torch.inference_mode()
def logits(model):
    return model.eval()(IDS).logits.float()


def load(place, **options):
    model = student.load_model(str(place), Report(), **options)
    assert model is not None
    return model


def trainable(model, seed=1):
    """Fills the adapters with numbers, as training would."""
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.requires_grad and "lora_A" not in name:
            weight.data += 0.05 * torch.randn_like(weight)
    return model


@pytest.fixture(scope="module")
def base(trained):
    return str(trained / "phase1")


@pytest.fixture(scope="module")
def renewed(build, tiny, base, train_on):
    """A run whose second phase begins with a new adapter, and learns nothing."""
    frozen = replace(tiny.phases[1], learning_rate=1e-12, adapter="new")
    return train_on(
        build,
        tiny,
        student=Named(base),
        lora=Lora(4, 8),
        phases=(tiny.phases[0], frozen),
        control=True,
        merge=True,
    )


@pytest.mark.parametrize(
    "lora",
    [
        Lora(4, 8),
        Lora(4, 8, rslora=True),
        Lora(4, 8, dora=True),
        Lora(4, 8, embeddings=True),
        Lora(4, 8, ("q_proj", "down_proj"), dropout=0.5),
    ],
)
def test_what_is_merged_answers_as_with_adapters(base, tmp_path, lora):
    plain = load(base)
    before = logits(plain)
    model = student.with_adapters(plain, lora)
    assert torch.allclose(logits(model), before, atol=1e-6)
    adapted = logits(trainable(model))
    assert (adapted - before).abs().max() > 1e-2
    model.save_pretrained(tmp_path / "stage")
    where.tie(tmp_path / "stage", tmp_path / "stage")
    again = load(tmp_path / "stage")
    assert torch.allclose(logits(again), adapted, atol=1e-5)
    tokenizer = student.load_tokenizer(base, Report())
    assert prepare.merge(str(tmp_path / "stage"), "", tmp_path / "one", tokenizer, Report())
    whole = load(tmp_path / "one")
    assert torch.allclose(logits(whole), adapted, atol=1e-4)
    assert whole.get_output_embeddings().weight is whole.get_input_embeddings().weight


def test_settings_of_adapters_reach_peft(base):
    lora = Lora(4, 8, ("q_proj",), rslora=True, dora=True)
    made = student.with_adapters(load(base), lora)
    config = made.peft_config["default"]
    assert (config.use_rslora, config.use_dora, config.r, config.lora_alpha) == (True, True, 4, 8)
    scales = {
        module.scaling["default"]
        for module in made.modules()
        if hasattr(module, "lora_magnitude_vector")
    }
    assert scales == {4.0}  # 8 / sqrt(4)
    same = student.with_adapters(load(base), lora)
    other = student.with_adapters(load(base), lora, seed=7)
    name = next(name for name in made.state_dict() if "lora_A" in name)
    assert torch.equal(made.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(made.state_dict()[name], other.state_dict()[name])


def test_a_base_of_16_bits_stays_so_and_is_rounded_once(base, tmp_path):
    load(base).to(torch.bfloat16).save_pretrained(tmp_path / "base")
    model = trainable(student.with_adapters(load(tmp_path / "base"), Lora(4, 8)))
    model.save_pretrained(tmp_path / "stage")
    exact = model.merge_and_unload().to(torch.bfloat16).state_dict()
    tokenizer = student.load_tokenizer(base, Report())
    assert prepare.merge(str(tmp_path / "stage"), "", tmp_path / "one", tokenizer, Report())
    found = weights(tmp_path / "one")
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert all(torch.equal(tensor, exact[name]) for name, tensor in found.items())


def test_what_is_trained_is_float32_whatever_is_under_it(base, tmp_path):
    def check(model):
        learn = {weight.dtype for weight in model.parameters() if weight.requires_grad}
        kept = {weight.dtype for weight in model.parameters() if not weight.requires_grad}
        assert (learn, kept) == ({torch.float32}, {torch.bfloat16})
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        model(IDS, labels=IDS).loss.backward()
        return model

    made = check(student.with_adapters(load(base, bf16=True), Lora(4, 8, embeddings=True)))
    trainable(made).save_pretrained(tmp_path)
    where.tie(tmp_path, tmp_path)
    again = check(load(tmp_path, bf16=True, trainable=True))
    assert torch.equal(logits(again), logits(made))


def test_a_new_adapter_stands_on_the_merged_one(renewed, base):
    found = run.find(renewed, Report())
    assert sorted(path.name for path in renewed.glob("base.*")) == ["base.phase1"]
    assert where.base_of(found.where("phase2"), found.base) == str(renewed / "base.phase1")
    assert where.base_of(found.where("control"), found.base) == str(renewed / "base.phase1")
    assert where.base_of(found.where("phase1"), found.base) == base
    stages = {
        name: logits(load(found.where(name), base=found.base)) for name in ("phase1", "phase2")
    }
    assert (stages["phase1"] - logits(load(base))).abs().max() > 1e-2
    assert torch.allclose(stages["phase2"], stages["phase1"], atol=1e-4)
    assert torch.allclose(logits(load(renewed / "merged")), stages["phase1"], atol=1e-4)
    assert torch.allclose(logits(load(renewed / "base.phase1")), stages["phase1"], atol=1e-4)
    assert distance(renewed / "phase1", renewed / "phase2") > 1e-2  # another adapter
    fresh = weights(renewed / "phase2")
    assert all(tensor.abs().max() < 1e-6 for name, tensor in fresh.items() if "lora_B" in name)


def test_a_run_can_be_moved(renewed, tmp_path):
    text = (renewed / "phase2" / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "../base.phase1"
    before = logits(load(renewed / "phase2"))
    shutil.copytree(renewed, tmp_path / "elsewhere")
    away = renewed.with_name("away")
    renewed.rename(away)
    try:
        found = run.find(tmp_path / "elsewhere", Report())
        assert torch.equal(logits(load(found.where("phase2"), base=found.base)), before)
    finally:
        away.rename(renewed)


def test_a_merged_base_that_is_gone_is_not_replaced(renewed, base, tmp_path):
    shutil.copytree(renewed / "phase2", tmp_path / "phase2")
    report = Report()
    assert student.load_model(str(tmp_path / "phase2"), report, base=base) is None
    assert [one.code.id for one in report.diagnostics] == ["F609"]
    assert (
        "the model under these adapters, `../base.phase1`, is gone" in report.diagnostics[0].message
    )
    path = tmp_path / "phase2" / "adapter_config.json"
    path.write_text(path.read_text().replace("../base.phase1", "../models/granite"))
    assert where.base_of(str(tmp_path / "phase2"), base) == base, "the control"


def test_the_folder_of_a_run_is_its_last_stage(renewed, trained, base, tmp_path):
    assert where.stage_of(str(renewed)) == str(renewed / "phase2")  # and not the control
    assert where.stage_of(base) == base
    assert where.stage_of("a/name") == "a/name"
    assert torch.equal(logits(load(renewed)), logits(load(renewed / "phase2")))
    assert torch.equal(logits(load(trained)), logits(load(trained / "phase2")))
    shutil.copy(trained / "run.json", tmp_path)
    report = Report()
    assert student.load_model(str(tmp_path), report) is None
    assert report.diagnostics[0].code.id == "F609"
    assert "train it to the end first" in report.diagnostics[0].hint


def begin(stage, tiny, lora, out, report=None, after="base", **changes):
    """The model that a phase begins with, after a student that exists."""
    phase = replace(tiny.phases[0], **changes)
    recipe = replace(tiny, student=Named(stage), lora=lora)
    tokenizer = student.load_tokenizer(stage, Report())
    return prepare.model_of(phase, after, recipe, stage, out, tokenizer, CPU, report or Report())


def test_a_trained_student_goes_on(renewed, tiny, tmp_path):
    """With its own adapters, with fresh ones on all that it learned, or with all its weights."""
    here, before = str(renewed / "phase1"), logits(load(renewed / "phase1"))
    same = begin(here, tiny, Lora(4, 8), tmp_path)
    kept = weights(here)
    assert all(
        torch.equal(kept[name.replace(".default", "")], weight.data)
        for name, weight in same.named_parameters()
        if weight.requires_grad
    )
    fresh = begin(here, tiny, Lora(2, 4), tmp_path, adapter="new")
    whole = begin(here, tiny, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["base.base"]
    for model in (same, fresh, whole):
        assert torch.allclose(logits(model), before, atol=1e-4)
    assert not any("lora" in name for name in whole.state_dict())
    assert all(weight.requires_grad for weight in whole.parameters())
    assert all(
        weight.requires_grad == ("lora" in name)
        for model in (same, fresh)
        for name, weight in model.named_parameters()
    )


def test_adapters_of_another_shape_do_not_go_on(renewed, tiny, tmp_path):
    report = Report()
    assert begin(str(renewed), tiny, Lora(8, 8, rslora=True), tmp_path, report) is None
    assert [one.code.id for one in report.diagnostics] == ["F620", "F620"]
    assert "`rank` of the adapters" in report.diagnostics[0].message
    assert report.diagnostics[0].hint == "write `rank: 4`, or `adapter: new`"
    other, report = Lora(4, 8, ("q_proj",), dropout=0.1, embeddings=True), Report()
    assert begin(str(renewed), tiny, other, tmp_path, report) is None
    told = [one.message.split(" in ")[0] for one in report.diagnostics]
    names = ("dropout", "embeddings", "targets")
    assert told == [f"`{name}` of the adapters" for name in names]
    every = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert begin(str(renewed), tiny, Lora(4, 8, every), tmp_path) is not None, "all there are"


@pytest.mark.parametrize(
    ("targets", "message", "hint"),
    [
        (("q_proj",), "", ""),
        ("all-linear", "", ""),
        (("q_proj", "w_pack"), "no linear layer `w_pack`", "use one of `down_proj`, `gate_proj`"),
        (("o_prj",), "no linear layer `o_prj`", "did you mean `o_proj`?"),
        (("self_attn",), "no linear layer `self_attn`", ""),
        (("lm_head",), "`lm_head` is the output head", "remove it"),
        (("embed_tokens",), "`embed_tokens` is the output head once more", "`embeddings: true`"),
    ],
)
def test_targets_that_do_not_fit(base, tiny, targets, message, hint):
    report, tokenizer = Report(), student.load_tokenizer(base, Report())
    fit.test(base, tokenizer, replace(tiny, lora=Lora(4, 8, targets)), report)
    if not message:
        assert not report.diagnostics
        return
    assert [one.code.id for one in report.diagnostics] == ["F620"]
    assert message in report.diagnostics[0].message
    assert hint in report.diagnostics[0].hint


def test_unfit_adapters_are_told_before_training(build, tiny, base, tmp_path):
    from rich.console import Console

    report = Report()
    recipe = replace(tiny, student=Named(base), lora=Lora(4, 8, ("w_pack",)))
    assert run.open_run(tmp_path, build, recipe, False, report)
    assert not run.train(build, recipe, tmp_path, report, Console(quiet=True))
    assert "F620" in {one.code.id for one in report.diagnostics}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "seen.txt"]


def changed(place, to, **settings):
    """A copy of a student with other settings of its tokenizer."""
    shutil.copytree(place, to)
    path = to / "tokenizer_config.json"
    known = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: value for key, value in known.items() if value is not None}))
    return str(to)


def test_a_student_without_a_template_speaks_plainly_and_says_so_once(base, tmp_path):
    bare = changed(base, tmp_path / "bare", chat_template=None, pad_token=None)
    (tmp_path / "bare" / "chat_template.jinja").unlink(missing_ok=True)
    report = Report()
    tokenizer = student.load_tokenizer(bare, report)
    assert student.load_tokenizer(bare, report) is not None
    assert [one.code.id for one in report.diagnostics] == ["F622"]
    assert f"`{bare}` has no chat template, so" in report.diagnostics[0].message
    assert tokenizer.pad_token == tokenizer.eos_token
    turn = [{"role": "user", "content": "Why?"}]
    opened = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert opened == "user:\nWhy?\nassistant:\n"
    tokenizer.bos_token = "<|user|>"  # any will do
    assert tokenizer.apply_chat_template(turn, tokenize=False) == "<|user|>user:\nWhy?\n"
    tokenizer.bos_token = None
    tokenizer.save_pretrained(tmp_path / "kept")
    report = Report()
    assert student.load_tokenizer(str(tmp_path / "kept"), report) is not None
    assert not report.diagnostics
    assert student.load_tokenizer(base, report).chat_template
    assert not report.diagnostics


def test_a_tokenizer_of_another_model(base, tiny, tmp_path):
    tokenizer, report = student.load_tokenizer(base, Report()), Report()
    fit.test(base, tokenizer, tiny, report)
    assert not report.diagnostics
    tokenizer.add_tokens(["<one>", "<two>"])
    fit.test(base, tokenizer, tiny, report)
    size = load(base).config.vocab_size
    assert [one.code.id for one in report.diagnostics] == ["F609"]
    assert f"has {size + 2:,} tokens, and its model {size:,}" in report.diagnostics[0].message


def test_code_of_a_model_is_never_run(base, tmp_path):
    place = tmp_path / "theirs"
    shutil.copytree(base, place)
    config = json.loads((place / "config.json").read_text())
    config |= {
        "model_type": "theirs",
        "auto_map": {"AutoConfig": "m.C", "AutoModelForCausalLM": "m.M"},
    }
    (place / "config.json").write_text(json.dumps(config))
    (place / "m.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    report = Report()
    assert student.load_model(str(place), report) is None
    assert [one.code.id for one in report.diagnostics] == ["F609"]
    assert "brings code of its own, which is never run" in report.diagnostics[0].message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", [b"", b"\xff" * 64])
def test_damaged_weights_are_told(base, tmp_path, damage):
    place = tmp_path / "damaged"
    shutil.copytree(base, place)
    (place / "model.safetensors").write_bytes(damage)
    report = Report()
    assert student.load_model(str(place), report) is None
    assert [one.code.id for one in report.diagnostics] == ["F609"]


def test_weights_of_4_bits(monkeypatch, base):
    """What the library of models is asked for; no GPU is needed to look at that."""
    asked = {}

    class Read:
        @staticmethod
        def from_pretrained(place, **options):
            asked.update(options, place=place)
            raise OSError("no GPU here")

    monkeypatch.setattr(student, "AutoModelForCausalLM", Read)
    assert student.load_model(base, Report(), bf16=True, bits=4) is None
    config = asked["quantization_config"]
    assert config.load_in_4bit
    assert config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == asked["dtype"] == torch.bfloat16
    assert asked["device_map"] == {"": 0}
    asked.clear()
    assert student.load_model(base, Report(), bf16=True) is None
    assert asked.keys() == {"place", "dtype", "trust_remote_code"}
