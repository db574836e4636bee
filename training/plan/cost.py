"""A recipe, its student's weights, a batch and a machine go in; bytes and seconds come out.

A file of its own because every figure here is a formula with a source: what a plan says can be
checked by hand. All of them are estimates.
"""

from dataclasses import asdict, dataclass

from training.machine import Hardware
from training.mistakes import PREFERENCES
from training.plan.room import Room
from training.plan.weights import Weights
from training.recipe import Phase, Recipe

FULL, HALF, FOUR_BITS = 4.0, 2.0, 4.127 / 8
"""Bytes of a weight. In 4 bits: 0.5, and 0.127 bits for its share of two levels of scales (Dettmers
et al., arXiv 2305.14314, section 3).
"""
ADAM = 8.0
"""Bytes for each weight that learns: two float32 moments (Rajbhandari et al., arXiv 1910.02054,
section 3.1). Its gradient is 4 more, and the weight itself 4.
"""
LIBRARIES = {"cpu": 600_000_000, "mps": 600_000_000, "cuda": 700_000_000}
"""What the process has before it trains: on a CPU the libraries (measured), on a GPU the driver's
context (not measured).
"""
CHECKPOINTS = 3
"""Checkpoints that are on disk at once: two are kept, and a third is written before one goes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The largest batch of one forward pass: rows, the tokens of the longest row, and how many
    tokens of a row have a label.
    """

    rows: int
    length: int
    taught: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes where the student lies, by part."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int
    libraries: int

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def memory(recipe: Recipe, weights: Weights, room: Room, batch: Batch, pairs: bool) -> Memory:
    """The most memory that a step takes.

    Without `lora` weights are float32 and, with bfloat16, copied into it for the matrices; under
    adapters they are in what is computed with, or in 4 bits. What learns has float32 weights,
    gradients and two moments. A batch of `pairs` has two rows for each; what they are held to is
    computed before the first step, so there is no second student.
    """
    number = HALF if room.bf16 else FULL
    learns = weights.trained(recipe.lora)
    linear = sum(shape[0] * shape[1] for shape in weights.linear.values())
    if recipe.lora is None:
        held = FULL * weights.count + (HALF * linear if room.bf16 else 0)
    else:
        inside = FOUR_BITS if recipe.bits else number
        held = inside * linear + number * (weights.count - linear) + FULL * learns
    rows = 2 * batch.rows if pairs else batch.rows
    twice = Hardware(room.device, room.bf16).checkpoints(recipe.checkpointing)
    return Memory(
        weights=round(held),
        gradients=round(FULL * learns),
        optimiser=round(ADAM * learns),
        activations=_activations(weights, rows, batch.length, number, twice),
        logits=_logits(weights, rows, batch, room, pairs),
        libraries=LIBRARIES[room.device],
    )


def _activations(weights: Weights, rows: int, length: int, number: float, twice: bool) -> int:
    """What is kept of a forward pass for the backward one.

    The method is that of Korthikanti et al. (arXiv 2205.05198, section 4.1), counted anew for a
    Llama layer whose attention keeps no scores (Dao et al., arXiv 2205.14135). In numbers a token:
    the two norms keep their input, the normed input and their output (6 h), attention its queries,
    keys, values and twice its output (5 q, h and q being the widths of the student and of the
    queries), the gated MLP four times its width (4 i). With bfloat16 the norms stay in float32.
    Where activations are computed twice, every layer keeps its input, and one layer at a time the
    rest. The mask that keeps packed samples apart is a byte a pair of places, and the same in
    numbers.
    """
    tokens = rows * length
    norms = 6 * weights.hidden * FULL + (2 * weights.hidden * number if number < FULL else 0)
    layer = norms + (5 * weights.query + 4 * weights.inner) * number
    kept = weights.layers * layer
    if twice:
        kept = weights.layers * weights.hidden * FULL + layer
    mask = rows * length**2 * (1 + number)
    return round(tokens * kept + mask)


def _logits(weights: Weights, rows: int, batch: Batch, room: Room, pairs: bool) -> int:
    """Logits, their logarithm and its gradient, in float32, of the tokens that have a label in any
    row. With Triton none are built, nor for pairs, whose head TRL computes in tiles.
    """
    if pairs or room.device == "cuda":
        return 0
    places = min(batch.length, rows * batch.taught)
    return round(3 * FULL * weights.vocabulary * rows * places)


def operations(recipe: Recipe, weights: Weights, room: Room, pairs: bool) -> float:
    """Floating point operations of a trained token.

    6 for a weight (Kaplan et al., arXiv 2001.08361, section 2.1): two in the forward pass, four in
    the backward one, of which a frozen weight needs two; two more where activations are computed
    twice; two more for what preferences are held to, which is computed once. Attention is left out:
    it counts where texts are longer than the student is wide.
    """
    each = 6.0
    if recipe.lora:
        each -= 2.0 * (1 - min(1.0, weights.trained(recipe.lora) / max(1, weights.multiplied)))
    if Hardware(room.device, room.bf16).checkpoints(recipe.checkpointing):
        each += 2.0
    return (each + (2.0 if pairs else 0.0)) * weights.multiplied


def disk(recipe: Recipe, weights: Weights, room: Room, stages: int) -> int:
    """The most bytes that a run takes in its folder: what every stage leaves, the checkpoints of
    one with their optimiser, the candidates among which it chooses, and each merged student.
    """
    learns = weights.trained(recipe.lora)
    left = FULL * learns
    chooses = max((p.choose.checkpoints for p in recipe.phases if p.choose), default=0)
    total = stages * left + CHECKPOINTS * (left + ADAM * learns) + chooses * left
    if not recipe.model:
        total += FULL * weights.count
    if recipe.lora:
        merges = sum(phase.adapter == "new" for phase in recipe.phases[1:]) + recipe.merge
        total += merges * (HALF if room.bf16 else FULL) * weights.count
    return round(total)


def of_pairs(phase: Phase) -> bool:
    """Whether a phase compares answers."""
    return phase.data == PREFERENCES
