"""A model of half a billion random weights goes in; how fast a GPU trains it comes out: our packed
rows beside TRL's SFTTrainer on the same samples, with as many places for tokens in a step.
"""

import random
import time
from dataclasses import dataclass

from goals import fresh

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "4090": 165e12}
"""Dense bfloat16 FLOPs a second, as the makers say it."""


@dataclass(frozen=True, slots=True)
class Size:
    """A Llama's sizes, tokens of the longest sample, samples of that length in a step."""

    vocabulary: int = 32_000
    hidden: int = 1024
    layers: int = 26
    heads: int = 16
    length: int = 2048
    batch: int = 16


@dataclass(frozen=True, slots=True)
class Known:
    """Token ids as `training.order` and `training.trainer` ask for samples; all of them teach."""

    rows: list
    tokenizer: object

    def __getitem__(self, number):
        return self.rows[number], self.rows[number]


def gpu(goals, scratch, rounds):
    """Tokens a second, and which share of the device's peak that is: MFU, by 6 FLOPs a weight and
    token and attention's own (Chowdhery et al., arXiv 2204.02311, appendix B).
    """
    import torch

    if not torch.cuda.is_available():
        print("gpu: not measured: no GPU here")
        return
    name = torch.cuda.get_device_name(0)
    peak = next((most for part, most in PEAKS.items() if part in name), None)
    rates = {}
    for way in ("plain", "ours"):
        rate, flops, most = fresh(measure, way, scratch, 10 * rounds, Size())
        rates[way] = rate
        share = f"MFU {100 * rate * flops / peak:.1f}%, " if peak else ""
        goals.say(f"{way}: tokens a second", rate, about=f"{share}{most / 1e9:.1f} GB, {name}")
    goals.say("ours: times TRL", rates["ours"] / rates["plain"], unit=" x")


def measure(way, scratch, steps, size):
    """Tokens a second without padding, FLOPs a token, bytes of the device at most; ten steps are
    not counted.
    """
    from training import machine

    machine.prepare()
    import torch
    from datasets import Dataset
    from speed import silence
    from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from training.data import Build
    from training.order import order
    from training.recipe import Embedded, Phase, Recipe
    from training.student import make_tokenizer
    from training.trainer import Batches, Trainer

    on_cpu = machine.settle(0).device == "cpu"
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=4 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.length,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    chance = random.Random(0)
    steps += 10
    lengths = [
        chance.randint(size.length // 32, size.length) for _ in range(3 * steps * size.batch)
    ]
    rows = [chance.choices(range(5, size.vocabulary), k=one) for one in lengths]
    tokenizer = make_tokenizer(Build("", (), (), (), ()), 264)
    settings = SFTConfig(
        output_dir=str(scratch / way),
        per_device_train_batch_size=size.batch,
        max_steps=steps,
        max_length=size.length,
        bf16=not on_cpu,
        use_cpu=on_cpu,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
    )
    if way == "ours":
        phase = Phase("gpu", "phase1", 2e-5, 1, batch=size.batch)
        recipe = Recipe(Embedded(1, 32, 2, 300), None, (phase,), max_length=size.length)
        planned = order(lengths, lengths, phase, recipe)
        flat = "flash" in str(model.config._attn_implementation)
        pad = tokenizer.pad_token_id
        trainer = Trainer(model, settings, Batches(Known(rows, tokenizer), planned, pad, flat))
    else:
        data = Dataset.from_dict({"input_ids": rows, "labels": rows})
        trainer = SFTTrainer(model, settings, train_dataset=data, processing_class=tokenizer)
    silence(trainer)
    counts, marks = [], []
    step = trainer.training_step

    def counted(model, inputs, *more):
        counts.append(int((inputs["labels"] != -100).sum()))
        return step(model, inputs, *more)

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step in (10, steps):
                if not on_cpu:
                    torch.cuda.synchronize()
                marks.append(time.perf_counter())

    trainer.training_step = counted
    trainer.add_callback(Clock())
    trainer.train()
    weights = sum(one.numel() for one in model.parameters())
    back = sum(one * one for one in lengths) / sum(lengths) / 2  # tokens that a token looks at
    flops = 6 * weights + 12 * size.layers * size.hidden * back
    most = 0 if on_cpu else torch.cuda.max_memory_allocated()
    return sum(counts[10:]) / (marks[1] - marks[0]), flops, most
