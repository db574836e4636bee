"""The trainer's batches: however samples are laid out, loss and gradients are those of one padded
batch under TRL's own loss."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console

from compiler.diagnostics import Report
from training import encode, fit, machine, order, stage


@pytest.fixture(scope="module")
def step(build, tiny, tmp_path_factory):
    """Loss and gradients of one step over all of phase 1, at rate 0."""
    from trl import SFTConfig

    from training import student, trainer

    machine.settle(1)
    tokenizer = student.make_tokenizer(build, 400)
    limits = encode.Limits(max_length=64)
    sequences = encode.encode("p", build.phase1, tokenizer, limits, Report())

    def run(batch, passes, flat=False, sparse=True, apart=True, **changes):
        recipe = replace(tiny, **changes)
        phase = replace(recipe.phases[0], batch=len(sequences), accumulation=1, epochs=1)
        if recipe.by_length:
            phase = replace(phase, batch=batch, accumulation=len(sequences) // batch)
        rows = order.order(sequences.lengths, sequences.taught, phase, recipe)
        model = student.make_model(recipe.student, tokenizer, recipe)
        arguments = SFTConfig(
            str(tmp_path_factory.mktemp("step")),
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=passes,
            learning_rate=0.0,
            max_grad_norm=0.0,
            max_steps=1,
            max_length=None,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        made = trainer.Batches(sequences, rows, tokenizer.pad_token_id, flat)
        if not apart:
            made = _together(made)
        ours = trainer.Trainer(model, arguments, made)
        assert ours.sparse
        ours.sparse = sparse
        seen = {"loss": 0.0}
        before = ours.training_step

        def watched(*given, **more):
            loss = before(*given, **more)
            seen["loss"] += float(loss)
            seen["grad"] = torch.cat([p.grad.flatten().clone() for p in model.parameters()])
            return loss

        ours.training_step = watched
        ours.train()
        assert sorted(n for row in ours.seen for n in rows[row]) == list(range(len(sequences)))
        return seen["loss"], seen["grad"]

    return run


def _together(made):
    """The control: positions that go on from sample to sample, so that each sees those before."""

    class Together:
        order, sequences = made.order, made.sequences

        def __call__(self, rows):
            batch = made(rows)
            width = batch["position_ids"].shape[1]
            return batch | {"position_ids": torch.arange(width).expand_as(batch["position_ids"])}

    return Together()


PADDED = {"packing": False, "by_length": False}
LAYOUTS = {
    "padded, our loss": (36, 1, PADDED),
    "by length": (4, 9, {"packing": False}),
    "packed, one a pass": (1, 36, {}),
    "packed, four a pass": (4, 9, {}),
    "packed, laid end to end": (4, 9, {"flat": True}),
    "packed, TRL's loss": (4, 9, {"flat": True, "sparse": False}),
}


@pytest.fixture(scope="module")
def reference(step):
    return step(36, 1, sparse=False, **PADDED)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_loss_and_gradients_of_a_padded_batch(step, reference, layout):
    batch, passes, changes = LAYOUTS[layout]
    loss, grad = step(batch, passes, **changes)
    assert loss == pytest.approx(reference[0], abs=1e-5)
    assert torch.allclose(grad, reference[1], atol=1e-6)


def test_samples_that_see_each_other_do_not(step, reference):
    _, grad = step(1, 36, apart=False)
    assert not torch.allclose(grad, reference[1], atol=1e-4)


def test_a_student_that_mixes_packed_samples_is_refused(build, tiny, tmp_path):
    """One whose attention takes no mask from positions; the control is a student of ours."""
    from transformers import OPTConfig, OPTForCausalLM

    from training import student

    hardware = machine.settle(1)
    tokenizer = student.make_tokenizer(build, 400)
    sizes = {"hidden_size": 32, "ffn_dim": 32, "word_embed_proj_dim": 32}
    of_heads = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 128}
    mixed = OPTForCausalLM(OPTConfig(vocab_size=len(tokenizer), **sizes, **of_heads))
    assert fit.mixes(mixed, False)
    assert not fit.mixes(student.make_model(tiny.student, tokenizer, tiny), False)
    one = stage.Stage("phase1", tiny.phases[0], "base", True)
    report = Report()
    given = stage.given(build, tiny, one, tokenizer, report)
    quiet = Console(quiet=True)
    assert not stage.train(one, given, tiny, mixed, tmp_path, hardware, report, quiet)
    (found,) = (one for one in report.diagnostics if one.code.id == "F603")
    assert "`packing: true` mixes samples" in found.message
