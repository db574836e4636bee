"""How many tokens teach in a second, in how much memory: ours beside TRL's SFTTrainer as it is.

Both train the same model on the same samples, those of the shipped taxonomy's build. Tokens teach
that have a label; padding, questions and contexts have none.
"""

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from goals import fresh

from compiler.resources import TAXONOMY

TRIVIUM = Path(sys.executable).parent / "trivium"
EPOCHS, LONGER = 1, 3  # the second for what is only some hundredths


def compiled(folder):
    """The build of the shipped taxonomy."""
    home = {**os.environ, "TRIVIUM_HOME": str(folder / "home")}
    command = [TRIVIUM, "compile", "--taxonomy", TAXONOMY, "--out", folder / "build"]
    subprocess.run(command, env=home, check=True, capture_output=True)
    return folder / "build"


class Setting:
    """What every way trains: the tiny student on both phases of a build, with one thread."""

    def __init__(self, build, scratch, epochs=EPOCHS):
        os.environ["OMP_NUM_THREADS"] = "1"
        from training import machine

        machine.prepare()
        from dataclasses import replace

        from compiler.diagnostics import Report
        from training import data, encode, student
        from training import recipe as recipes

        self.hardware = machine.settle(1)
        self.scratch, report = scratch, Report()
        self.build = data.read(build, report)
        self.recipe = replace(recipes.read("tiny-cpu", report), checkpoint_seconds=1e9)
        self.phase = replace(
            self.recipe.phases[0],
            data="stacked",
            epochs=epochs,
            stop_at_loss=None,
            max_seconds=None,
            choose=None,
        )
        self.tokenizer = student.make_tokenizer(self.build, self.recipe.student.vocabulary)
        samples = [*self.build.phase1, *(s for s in self.build.phase2 if not s.replay)]
        limits = encode.Limits(max_length=self.recipe.max_length)
        self.sequences = encode.encode("bench", samples, self.tokenizer, limits, report)
        self.made = []
        self.taught = epochs * sum(self.sequences.taught)
        self.tokens = epochs * sum(self.sequences.lengths)

    def model(self):
        from training import student

        return student.make_model(self.recipe.student, self.tokenizer, self.recipe)

    def batches(self, order):
        """Those of an order; `made` has them as tensors."""
        from training.trainer import Batches

        batches = Batches(self.sequences, order, self.tokenizer.pad_token_id)
        self.made = self.made or [batches([{"row": number}]) for number in range(len(order))]
        return batches

    def run(self):
        """A PhaseRun: our order, log, progress and checkpoints."""
        import tempfile

        from rich.console import Console

        from compiler.diagnostics import Report
        from training.choose import Questions
        from training.phase import PhaseRun

        work = Path(tempfile.mkdtemp(dir=self.scratch))
        console = Console(quiet=True)
        nothing = Questions((), ())
        told = (self.recipe, work, self.hardware, console, Report())
        return PhaseRun(self.phase, self.sequences, nothing, *told)


@contextmanager
def clocked():
    """Gives a list that gets the CPU seconds of every `train` of a trainer, whoever calls it."""
    from transformers import Trainer

    train, spent = Trainer.train, []

    def timed(self, *words, **more):
        start = time.process_time()
        try:
            return train(self, *words, **more)
        finally:
            spent.append(time.process_time() - start)

    Trainer.train = timed
    try:
        yield spent
    finally:
        Trainer.train = train


def ours(setting):
    """A phase of ours, to the weights on disk."""
    setting.run().train(setting.model(), setting.tokenizer)


def plain(setting, **changes):
    """TRL's SFTTrainer as it comes, on padded batches of as many samples as our steps have."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    run, samples = setting.run(), setting.sequences.samples
    rows = [{"prompt": list(s.messages[:-1]), "completion": [s.messages[-1]]} for s in samples]
    arguments = SFTConfig(
        output_dir=str(run.work),
        per_device_train_batch_size=max(
            1, round(setting.phase.epochs * len(samples) / run.order.steps)
        ),
        num_train_epochs=setting.phase.epochs,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        **changes,
    )
    data = Dataset.from_list(rows)
    trainer = SFTTrainer(
        setting.model(), arguments, train_dataset=data, processing_class=setting.tokenizer
    )
    silence(trainer)
    trainer.train()


def lean(setting):
    """The same without the checkpointing of activations, which TRL does by default."""
    plain(setting, activation_checkpointing=False)


def bare(setting):
    """SFTTrainer with our settings, our loss and our packed rows, which are tensors before it
    begins; no log, no progress, no record, no order.
    """
    from datasets import Dataset
    from trl import SFTConfig

    from training.trainer import Trainer

    run, model = setting.run(), setting.model()
    settings = run.settings(True) | {"logging_strategy": "no"}
    trainer = Trainer(model, SFTConfig(**settings), setting.batches(run.order))
    made = setting.made
    trainer.train_dataset = Dataset.from_dict({"row": range(len(made))})
    trainer.data_collator = lambda rows: dict(made[rows[0]["row"]])
    silence(trainer)
    trainer.train()
    model.save_pretrained(run.work / "end")


def silence(trainer):
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def alone(name, build, scratch):
    """Memory at most, in MB, of one way in a process of its own."""
    WAYS[name](Setting(build, scratch))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_turn(names, build, scratch, rounds, epochs=EPOCHS):
    """Of several ways in one process, in turn: CPU seconds of the whole and of `train` alone; then
    the tokens that were trained on and those that teach.
    """
    setting = Setting(build, scratch, epochs)
    found = {name: [] for name in names}
    for turn in range(1 + rounds):
        for name in names if turn % 2 else reversed(names):
            gc.collect()
            with clocked() as spent:
                start = time.process_time()
                WAYS[name](setting)
                found[name].append((time.process_time() - start, *spent))
    # The first turn loads what is loaded once.
    return {name: some[1:] for name, some in found.items()}, setting.tokens, setting.taught


WAYS = {"ours": ours, "plain": plain, "lean": lean, "bare": bare}


def throughput(goals, scratch, rounds):
    build, names = compiled(scratch), ("ours", "plain", "lean")
    runs, tokens, taught = fresh(in_turn, names, build, scratch, rounds)
    seconds = {name: statistics.median(one for _, one in some) for name, some in runs.items()}
    said = {"ours": "ours", "plain": "TRL's defaults", "lean": "TRL without checkpointing"}
    for name, words in said.items():
        about = f"{tokens / seconds[name]:,.0f} tokens without padding"
        goals.say(f"{words}: tokens that teach a second", taught / seconds[name], about=about)
    ratio = seconds["plain"] / seconds["ours"]
    goals.say("ours: times TRL's defaults", ratio, 2.5, True, " x")
    goals.say("ours: times TRL without checkpointing", seconds["lean"] / seconds["ours"], unit=" x")
    memory = {name: fresh(alone, name, build, scratch) for name in names[:2]}
    about = f"{memory['ours']:,.0f} of {memory['plain']:,.0f} MB, libraries counted"
    goals.say(
        "memory at most, of that of TRL's defaults", memory["ours"] / memory["plain"], about=about
    )


def overhead(goals, scratch, rounds):
    build = scratch / "build"
    build = build if build.exists() else compiled(scratch)
    runs, *_ = fresh(in_turn, ("ours", "bare"), build, scratch, 2 * rounds, LONGER)
    one, other = ([whole for whole, _ in runs[name]] for name in ("ours", "bare"))
    ratios = [100 * (a / b - 1) for a, b in zip(one, other, strict=True)]
    middle = statistics.median(ratios)
    about = (
        f"of {len(ratios)} pairs the median {middle:.1f}, {min(ratios):.1f} to {max(ratios):.1f}"
    )
    # Whoever else computes here only adds to a run: the shortest of each are the least disturbed.
    least = 100 * (min(one) / min(other) - 1)
    goals.say("overhead over a bare SFTTrainer", least, 3, unit="%", about=about)


def start(goals, scratch, rounds):
    """Wall seconds of `trivium train --plan`, its libraries in the disk's cache."""
    build = scratch / "build"
    build = build if build.exists() else compiled(scratch)
    command = [TRIVIUM, "train", "--plan", "--data", build, "--out", scratch / "none"]
    wall, cpu = [], []
    for _ in range(1 + rounds):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        wall.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    about = f"{statistics.median(cpu[1:]):.2f} s of CPU"
    goals.say("train --plan", statistics.median(wall[1:]), 3, unit=" s", about=about)
