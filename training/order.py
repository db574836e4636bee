"""The lengths of a phase's samples go in; the order in which they are trained on comes out.

A file of its own because the order of all epochs is settled before the first step, by the seed
alone: a run that was killed goes on with the next sequence, two processes share the sequences
without meeting, and the log can be held against it.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from training.mistakes import PREFERENCES
from training.recipe import Phase, Recipe

FEW_STEPS = 30
"""Steps below which a student learns nothing to speak of (F610)."""
WINDOW = 4096
"""Samples that are packed, or sorted by length, together: the rest of the order is chance."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which samples each sequence holds, for all epochs: `starts[i]` to `starts[i + 1]` of
    `numbers` are the samples of sequence i. The last are empty, so that steps have one size.

    `tokens` and `taught` are, for each sequence, its tokens and those that have a label.
    """

    numbers: Sequence[int]
    starts: Sequence[int]
    tokens: Sequence[int]
    taught: Sequence[int]
    step: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, sequence: int) -> Sequence[int]:
        return self.numbers[self.starts[sequence] : self.starts[sequence + 1]]

    @property
    def steps(self) -> int:
        return len(self) // self.step


def order(lengths: Sequence[int], taught: Sequence[int], phase: Phase, recipe: Recipe) -> Order:
    """The order of a phase; a step is `batch` x `accumulation` sequences, of one sample each where
    nothing is packed.
    """
    step = phase.batch * phase.accumulation
    numbers, starts, tokens, learned = array("i"), array("q", [0]), array("i"), array("i")
    for epoch in range(phase.epochs):
        chance = Random(f"{recipe.seed} {phase.name} {epoch}")
        begun = (len(starts) - 1) % phase.batch
        for pack in _epoch(lengths, phase, recipe, chance, begun):
            numbers.extend(pack)
            starts.append(len(numbers))
            tokens.append(sum(lengths[one] for one in pack))
            learned.append(sum(taught[one] for one in pack))
    while (len(starts) - 1) % step:
        starts.append(len(numbers))
        tokens.append(0)
        learned.append(0)
    return Order(numbers, starts, tokens, learned, step)


def _epoch(
    lengths: Sequence[int], phase: Phase, recipe: Recipe, chance: Random, begun: int
) -> Iterator[Sequence[int]]:
    """Every sample once, in sequences; the batch that the epoch before left open has `begun`."""
    shuffled = list(range(len(lengths)))
    chance.shuffle(shuffled)
    windows = [shuffled[at : at + WINDOW] for at in range(0, len(shuffled), WINDOW)]
    if recipe.packing and phase.data != PREFERENCES:
        packs = [pack for one in windows for pack in packed(one, lengths, recipe.max_length)]
        chance.shuffle(packs)
        yield from packs
    elif recipe.by_length:
        # What two epochs share a batch of are the shortest of both; all others are cut whole.
        batches: list[list[int]] = []
        first = -begun % phase.batch
        head: list[int] = []
        rest: list[int] = []
        for one in windows:
            rest = sorted(rest + one, key=lambda number: lengths[number])
            if one is windows[0]:
                head, rest = rest[:first], rest[first:]
            short = len(rest) % phase.batch
            whole, rest = rest[short:], rest[:short]
            batches += [whole[at : at + phase.batch] for at in range(0, len(whole), phase.batch)]
        chance.shuffle(batches)
        yield from ([number] for batch in (head, *batches, rest) for number in batch)
    else:
        yield from ([number] for number in shuffled)


def packed(numbers: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """The samples in sequences of at most `most` tokens: each, the longest first, goes where it
    leaves the least room (best-fit decreasing; Ding et al., arXiv 2404.10830, section 3).
    """
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # tokens that are free, number of the pack
    for number in sorted(numbers, key=lambda one: -lengths[one]):
        at = bisect_left(rooms, (lengths[number], -1))
        if at < len(rooms):
            room, pack = rooms.pop(at)
        else:
            room, pack = most, len(packs)
            packs.append([])
        packs[pack].append(number)
        insort(rooms, (room - lengths[number], pack))
    return packs
