"""Samples and a curriculum.yaml go in; a build by the compiler's own mix, and a student of it, come
out.

A file of its own because what is claimed of replay, here and in bench/, has to hold for what a user
sets: the share stands in curriculum.yaml, and `mix`, `emit`, `data.read` and `train` do the rest.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from compiler import curriculum
from compiler.diagnostics import Report
from compiler.diversity import diversity
from compiler.emit import Product, emit
from compiler.expand import Origin, Sample, sample_id
from compiler.mix import mix
from compiler.prompt import Message
from compiler.source import WorkTree
from compiler.spool import Kept, Outcomes
from training import data, run


def sample(question: str, answer: str, leaf: str, human: bool = False, **more) -> Sample:
    """What a teacher wrote, or people."""
    messages = (Message("user", question), Message("assistant", answer))
    origin = Origin("seed" if human else "synthetic", "", "", "", (), ())
    key, branch = sample_id(messages), leaf.partition("/")[0]
    return Sample(key, messages, branch, leaf, origin, question, answer, **more)


def mixed(folder: Path, samples, settings: str, held_out=()) -> data.Build:
    """Writes the build of `samples` under the `settings` of a curriculum.yaml, and reads it."""
    taxonomy, report = folder / "taxonomy", Report()
    taxonomy.mkdir(parents=True, exist_ok=True)
    (taxonomy / "curriculum.yaml").write_text(settings, "utf-8")
    read = curriculum.read(WorkTree(taxonomy), report)
    assert read, report.diagnostics
    outcomes = Outcomes(folder)
    for one in samples:
        outcomes.put_given(one)
    kept = tuple(
        Kept(place, one.id, one.branch, one.leaf, one.origin.of_seed)
        for place, one in enumerate(outcomes.samples)
    )

    def text(one: Kept) -> Sample:
        return outcomes.samples[one.place]

    mixture = mix(kept, read.mix, read.seed, report, text)
    assert not report.errors, report.diagnostics
    spools = outcomes.samples, outcomes.drops
    variety = diversity((text(one).answer for one in kept), (one.leaf for one in kept))
    product = Product("", read, "", "", {}, (), *spools, kept, tuple(held_out), mixture, ())
    emit(replace(product, variety=variety), folder / "build")
    build = data.read(folder / "build", report)
    assert build, report.diagnostics
    return build


def trained(build, recipe, out: Path, begun: Path | None = None) -> Path:
    """The folder of a student; phase 1 is that of `begun`, where one of the same is there."""
    report = Report()
    assert run.open_run(out, build, recipe, False, report), report.diagnostics
    for name in ("base", "phase1") if begun else ():
        shutil.copytree(begun / name, out / name)
    assert run.train(build, recipe, out, report, Console(quiet=True)), report.diagnostics
    return out


def recalled(stage: Path, samples, base: str = "") -> float:
    """The share of the samples whose answer a stage gives, word for word."""
    from training import student
    from training.ask import ask
    from training.metrics import exact_match

    report = Report()
    tokenizer = student.load_tokenizer(str(stage), report)
    model = student.load_model(str(stage), report, base=base)
    assert model, report.diagnostics
    asked = [
        data.Sample(one.id, tuple(m.as_json() for m in one.messages), one.branch, one.leaf)
        for one in samples
    ]
    answers = ask(model.eval(), tokenizer, asked)
    pairs = zip(answers, asked, strict=True)
    return sum(exact_match(answer.text, one.answer) for answer, one in pairs) / len(asked)
