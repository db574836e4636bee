"""A build and a recipe go in; a Plan comes out: what training would do and take, before it starts.

A pass of its own because "does it fit, how long" must be answered in seconds: nothing here imports
PyTorch or the libraries of models. Samples are drawn, counted and ordered by the functions that
training calls; sizes are formulas (`cost`). Of a large phase a part is counted and stands for all.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from compiler.codes import F603, F606, F610, F618
from compiler.diagnostics import Report, counted
from training.data import Build, Pair, Sample, read_json
from training.encode import Limits, Sequences, encode
from training.machine import Hardware
from training.order import FEW_STEPS, Order, order
from training.pairs import encode_pairs
from training.plan.cost import Batch, Memory, disk, memory, of_pairs, operations
from training.plan.room import GIGA, Room
from training.plan.weights import Weights, weights_of
from training.plan.words import Words, words_of
from training.recipe import Phase, Recipe, test_device, test_hardware
from training.replay import samples_of
from training.run import Stage, stages
from training.where import RUN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

MOST_COUNTED = 3000
"""Samples of one stage that are turned into tokens: more are counted by an even share of them."""
HEADROOM = 0.9
"""Share of the free memory that a plan may fill: measured peaks were up to 28% above it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One stage: `samples` of its own and those `replayed`, before `left_out` (too long, too short
    or empty) are taken away; `tokens` of an epoch, of them `taught` with a label; the `longest`
    sample. `counted` is the share of the samples that was looked at; with less than 1.0 the other
    numbers are scaled. `tokens_in_all` and `seconds` are of all epochs, at most; 0 where no rate
    is known.
    """

    name: str
    data: str
    samples: int
    replayed: int
    left_out: int
    tokens: int
    taught: int
    longest: int
    epochs: int
    sequences: int
    steps: int
    counted: float
    tokens_in_all: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do and take.

    `counted_with` says how tokens were counted, `exact` whether that is how training counts them.
    `memory` is that of the stage that takes most, `free` what the machine has, 0 where that is not
    known. `rate` are tokens a second, 0 where none is known; `rule` says what it rests on.
    """

    lines: tuple[Line, ...]
    student: str
    counted_with: str
    exact: bool
    parameters: int
    trained: int
    sizes_exact: bool
    device: str
    free: int
    memory: Memory
    rate: float
    rule: str
    disk: int

    @property
    def seconds(self) -> float:
        """Seconds of all stages, at most; 0 where no rate is known."""
        return sum(line.seconds for line in self.lines)

    def as_json(self) -> dict[str, object]:
        """The plan as plain values."""
        return {**asdict(self), "memory_total": self.memory.total, "seconds": self.seconds}


def plan(
    build: Build, recipe: Recipe, report: Report, room: Room, rate: float | None = None
) -> Plan | None:
    """The plan of a recipe on a build, for the machine `room`; None where there is no such student.

    `rate` are tokens a second that are known, from an earlier run or by hand. Findings: what
    training would say of samples and steps, F613, F620, and F618 where memory is short.
    """
    room = room.computes(recipe.precision)
    if room.here:
        test_hardware(recipe, Hardware(room.device, room.bf16), report)
    else:
        test_device(recipe, room.device, report)
    words = words_of(recipe, build, report)
    weights = weights_of(recipe, words.vocabulary, report)
    if weights is None:
        return None
    _test_length(recipe, weights, report)
    found = [_counted(build, recipe, stage, words, room, report) for stage in stages(recipe, build)]
    most = max(
        (memory(recipe, weights, room, batch, of_pairs(phase)) for phase, _, batch in found),
        key=lambda one: one.total,
    )
    speed, rule = _speed(recipe, weights, room, rate)
    made = Plan(
        lines=tuple(_timed(phase, line, speed) for phase, line, _ in found),
        student=recipe.model or "made on the spot",
        counted_with=words.how,
        exact=words.exact and all(line.counted == 1 for _, line, _ in found),
        parameters=weights.count,
        trained=weights.trained(recipe.lora),
        sizes_exact=weights.exact,
        device=room.device,
        free=room.memory,
        memory=most,
        rate=speed,
        rule=rule,
        disk=disk(recipe, weights, room, len(found)),
    )
    if 0 < HEADROOM * room.memory < most.total:
        needed = f"about {most.total / GIGA:,.1f} GB of memory are needed on `{room.device}`"
        message = f"{needed}, and {room.memory / GIGA:,.1f} are free"
        report.add(F618, message, hint=_cure(recipe, most))
    return made


def measured(out: Path, recipe: Recipe) -> float | None:
    """Tokens a second of an earlier run of the same student in `out`; None where there is none."""
    found = read_json(out / RUN, "run") or {}
    asked = recipe.as_json()
    if any(found.get("recipe", {}).get(key) != asked[key] for key in ("student", "bits")):
        return None
    tokens = sum(stage["tokens"] for stage in found["stages"])
    seconds = sum(stage["seconds"] for stage in found["stages"])
    return tokens / seconds if seconds and tokens else None


def _counted(
    build: Build, recipe: Recipe, stage: Stage, words: Words, room: Room, report: Report
) -> tuple[Phase, Line, Batch]:
    """A stage's line, and its largest batch; what training would report of its samples."""
    phase = replace(stage.phase, name=stage.name)
    earlier = recipe.phases[: recipe.phases.index(stage.phase)]
    drawn = samples_of(build, phase, replace(recipe, replay=stage.replay), earlier, report)
    some = _some(drawn.samples)
    share = len(some) / len(drawn.samples) if some else 1.0
    limits = Limits(recipe.min_characters, recipe.min_tokens, recipe.max_length)
    said = report if share == 1 else Report()
    tokenizer = cast("Tokenizer", words)
    if of_pairs(phase):
        pairs = cast("tuple[Pair, ...]", some)
        sequences: Sequences = encode_pairs(stage.name, pairs, tokenizer, limits, said)
    else:
        sequences = encode(stage.name, some, tokenizer, limits, said)
    ordered = order(sequences.lengths, sequences.taught, replace(phase, epochs=1), recipe)
    in_epoch = sum(tokens > 0 for tokens in ordered.tokens)
    whole = round(in_epoch / share)
    steps = math.ceil(whole * phase.epochs / ordered.step)
    left = round((len(some) - len(sequences)) / share)
    if share < 1 and left:
        message = f"{stage.name}: about {left:,} of {len(drawn.samples):,} samples"
        hint = "raise `max_length` in the recipe; a run says which leaves they are of"
        report.add(F606, f"{message} are too long, too short or empty, and are left out", hint=hint)
    if len(sequences):
        _test_steps(phase, steps, report)
    tokens = round(sequences.tokens / share)
    line = Line(
        name=stage.name,
        data=phase.data,
        samples=len(drawn.own),
        replayed=len(drawn.replayed),
        left_out=left,
        tokens=tokens,
        taught=round(sum(sequences.taught) / share),
        longest=max(sequences.lengths, default=0),
        epochs=phase.epochs,
        sequences=whole,
        steps=steps,
        counted=share,
        tokens_in_all=tokens * phase.epochs,
        seconds=0.0,
    )
    return phase, line, _batch(phase, recipe, ordered, room)


def _batch(phase: Phase, recipe: Recipe, ordered: Order, room: Room) -> Batch:
    """The largest batch of a phase; of a pair's two conversations each is about half."""
    length, taught = max(ordered.tokens, default=0), max(ordered.taught, default=0)
    if of_pairs(phase):
        return Batch(phase.batch, math.ceil(length / 2), taught)
    return Batch(1 if recipe.packing and room.device == "cpu" else phase.batch, length, taught)


def _some(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """At most MOST_COUNTED of the samples, evenly spread."""
    if len(samples) <= MOST_COUNTED:
        return samples
    return tuple(samples[i * len(samples) // MOST_COUNTED] for i in range(MOST_COUNTED))


def _test_steps(phase: Phase, steps: int, report: Report) -> None:
    """F610 where a phase has too few steps to learn, to warm up, or to choose from."""
    few = steps < FEW_STEPS
    said, hint = "", "raise `epochs`, lower `batch` or `accumulation`, or build more samples"
    if steps <= phase.warmup_steps:
        said += ", all of them warm-up"
        hint = hint if few else "lower `warmup_steps`"
    if phase.choose and steps < phase.choose.checkpoints:
        said += f", for {phase.choose.checkpoints} checkpoints to choose from"
    if few or said:
        message = f"{phase.name}: {'only ' if few else ''}about {counted(steps, 'step')}{said}"
        report.add(F610, message, hint=hint)


def _test_length(recipe: Recipe, weights: Weights, report: Report) -> None:
    if 0 < weights.positions < recipe.max_length:
        message = f"`max_length` is {recipe.max_length:,}, and the student was made for"
        hint = f"lower `max_length` to {weights.positions}"
        report.add(F603, f"{message} {weights.positions:,} tokens", hint=hint, soft=True)


def _speed(recipe: Recipe, weights: Weights, room: Room, rate: float | None) -> tuple[float, str]:
    """Tokens a second, and what that rests on."""
    if rate:
        return rate, "given, or that of an earlier run"
    each = operations(recipe, weights, room, any(map(of_pairs, recipe.phases)))
    if not room.flops:
        return 0.0, "no rate is known: give one with `--tokens-per-second`"
    return (
        room.flops / each,
        f"{each / weights.multiplied:.1f} FLOPs a weight and token, {room.why}",
    )


def _timed(phase: Phase, line: Line, speed: float) -> Line:
    seconds = line.tokens_in_all / speed if speed else 0.0
    most = phase.max_seconds or math.inf
    return replace(line, seconds=round(min(seconds, most), 3))


def _cure(recipe: Recipe, most: Memory) -> str:
    """What to lower first: where the most of the memory goes."""
    if most.activations + most.logits > most.total / 2:
        more = "" if recipe.checkpointing == "on" else ", or write `checkpointing: on`"
        return f"lower `batch` and raise `accumulation`, lower `max_length`{more}"
    if not recipe.model:
        return "lower `hidden` or `layers` of the student"
    if recipe.lora is None:
        return "take `--recipe lora`, or a smaller student"
    if not recipe.bits:
        return "take `--recipe qlora`, or a smaller student"
    return "take a smaller student, or a lower `rank`"
