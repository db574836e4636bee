"""How many tokens teach in a second, in how much memory: ours beside TRL's SFTTrainer as it is.

Both train the same model on the same samples, those of the shipped taxonomy's build. Tokens teach
that have a label; padding, questions and contexts have none.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from goals import fresh

from compiler.resources import TAXONOMY

TRIVIUM = Path(sys.executable).parent / "trivium"
EPOCHS = 2


def compiled(folder):
    """The build of the shipped taxonomy."""
    home = {**os.environ, "TRIVIUM_HOME": str(folder / "home")}
    command = [TRIVIUM, "compile", "--taxonomy", TAXONOMY, "--out", folder / "build"]
    subprocess.run(command, env=home, check=True, capture_output=True)
    return folder / "build"


class Setting:
    """What every way trains: the tiny student on both phases of a build, with one thread."""

    def __init__(self, build, scratch):
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
            epochs=EPOCHS,
            stop_at_loss=None,
            max_seconds=None,
            choose=None,
        )
        self.tokenizer = student.make_tokenizer(self.build, self.recipe.student.vocabulary)
        samples = [*self.build.phase1, *(s for s in self.build.phase2 if not s.replay)]
        limits = encode.Limits(max_length=self.recipe.max_length)
        self.sequences = encode.encode("bench", samples, self.tokenizer, limits, report)
        self.taught = EPOCHS * sum(self.sequences.taught)
        self.tokens = EPOCHS * sum(self.sequences.lengths)

    def model(self):
        from training import student

        return student.make_model(self.recipe.student, self.tokenizer, self.recipe)

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


def ours(setting):
    """CPU seconds, from the trainer's making to the weights on disk."""
    run, model = setting.run(), setting.model()
    start = time.process_time()
    run.train(model, setting.tokenizer)
    return time.process_time() - start


def plain(setting, **changes):
    """TRL's SFTTrainer as it comes: padded batches of about as many samples as our steps have.

    CPU seconds of its training alone: that it reads its data set before is not counted.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    run = setting.run()
    samples = setting.sequences.samples
    rows = [{"prompt": list(s.messages[:-1]), "completion": [s.messages[-1]]} for s in samples]
    arguments = SFTConfig(
        output_dir=str(run.work),
        per_device_train_batch_size=max(1, round(EPOCHS * len(samples) / run.order.steps)),
        num_train_epochs=EPOCHS,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        **changes,
    )
    trainer = SFTTrainer(
        setting.model(),
        arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=setting.tokenizer,
    )
    silence(trainer)
    start = time.process_time()
    trainer.train()
    return time.process_time() - start


def plain_lean(setting):
    """The same without its activation checkpointing, which saves no memory here."""
    return plain(setting, activation_checkpointing=False)


def bare(setting):
    """SFTTrainer with our settings, our loss and our packed rows, which are tensors before it
    begins; no log, no progress, no record, no order. CPU seconds as for `ours`.
    """
    from datasets import Dataset
    from trl import SFTConfig

    from training.trainer import Batches, Trainer

    run, model = setting.run(), setting.model()
    batches = Batches(setting.sequences, run.order, setting.tokenizer.pad_token_id)
    made = [batches([{"row": number}]) for number in range(len(run.order))]
    start = time.process_time()
    settings = run.settings(True) | {"logging_strategy": "no"}
    trainer = Trainer(model, SFTConfig(**settings), batches)
    trainer.train_dataset = Dataset.from_dict({"row": range(len(made))})
    trainer.data_collator = lambda rows: dict(made[rows[0]["row"]])
    silence(trainer)
    trainer.train()
    model.save_pretrained(run.work / "end")
    return time.process_time() - start


def silence(trainer):
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def alone(name, build, scratch):
    """Of one way in a process of its own: CPU seconds, memory at most in MB, tokens that teach."""
    setting = Setting(build, scratch)
    seconds = globals()[name](setting)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, most, setting.taught, setting.tokens


def in_turn(names, build, scratch, rounds):
    """CPU seconds of several ways in one process, in turn, each round in another order."""
    setting = Setting(build, scratch)
    found = {name: [] for name in names}
    for name in names:  # what is slow at first is not counted
        globals()[name](setting)
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            found[name].append(globals()[name](setting))
    return found


def throughput(goals, scratch, rounds):
    build = compiled(scratch)
    names = ("ours", "plain", "plain_lean")
    runs = {name: [] for name in names}
    for turn in range(max(2, rounds)):
        for name in names if turn % 2 else reversed(names):
            runs[name].append(fresh(alone, name, build, scratch))
    seconds = {name: statistics.median(run[0] for run in some) for name, some in runs.items()}
    memory = {name: statistics.median(run[1] for run in some) for name, some in runs.items()}
    _, _, taught, tokens = runs["ours"][0]
    about = f"{tokens:,} tokens without padding, {tokens / seconds['ours']:,.0f} a second"
    goals.say("ours: tokens that teach a CPU second", taught / seconds["ours"], about=about)
    for name, words in (("plain", "TRL's defaults"), ("plain_lean", "TRL, no checkpointing")):
        about = f"{tokens / seconds[name]:,.0f} tokens without padding a second"
        goals.say(f"{words}: tokens that teach", taught / seconds[name], about=about)
    ratio = seconds["plain"] / seconds["ours"]
    goals.say("ours: times TRL's defaults", ratio, 2.5, True, " x")
    goals.say(
        "ours: times TRL, no checkpointing", seconds["plain_lean"] / seconds["ours"], unit=" x"
    )
    about = f"{memory['ours']:,.0f} MB to {memory['plain']:,.0f} MB, libraries counted"
    goals.say("memory at most, of that of TRL", memory["ours"] / memory["plain"], about=about)


def overhead(goals, scratch, rounds):
    build = scratch / "build"
    build = build if build.exists() else compiled(scratch)
    found = fresh(in_turn, ("ours", "bare"), build, scratch, 2 * rounds)
    pairs = zip(found["ours"], found["bare"], strict=True)
    ratios = sorted(100 * (one / other - 1) for one, other in pairs)
    about = f"median of {len(ratios)}, from {ratios[0]:.1f} to {ratios[-1]:.1f}"
    goals.say(
        "overhead over a bare SFTTrainer", statistics.median(ratios), 3, unit="%", about=about
    )


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
