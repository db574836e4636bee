"""What was read goes in; phrases that stand often enough with one answer come out, and are counted.

A file of its own because nearly every phrase of a build ends here: only a repeated answer is worth
a second look, and only its phrases are ever counted.
"""

from dataclasses import dataclass, field

import numpy as np

from compiler.poison.read import Read, phrases

LEAST = 10
LONGEST = 4


@dataclass(slots=True)
class Candidate:
    """A phrase, by where it stands first, with one contributor's answer to it.

    `members` are the samples that have both.
    """

    group: int
    key: int
    start: int
    length: int
    members: frozenset[int]
    samples: int = 0
    everywhere: int = 0
    log_odds: float = 0.0
    z: float = 0.0

    @property
    def fixed(self) -> int:
        return len(self.members)


@dataclass(slots=True)
class Candidates:
    """The phrases worth a test, and how many there were before."""

    tried: int = 0
    kept: list[Candidate] = field(default_factory=list)


def candidates(read: Read) -> Candidates:
    """The phrases that stand in enough samples of one contributor with one answer."""
    found = Candidates()
    groups = read.groups
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    samples = np.flatnonzero(counts[inverse] >= LEAST)
    for length in range(1, LONGEST + 1):
        parts = list(phrases(read, length, samples))
        if not parts:
            return found
        key, sample, place = (np.concatenate(part) for part in zip(*parts, strict=True))
        group = groups[sample]
        order = np.lexsort((place, key, group))
        key, sample, place, group = key[order], sample[order], place[order], group[order]
        edges = np.flatnonzero((key[1:] != key[:-1]) | (group[1:] != group[:-1])) + 1
        starts = np.concatenate(([0], edges)) if len(key) else edges
        stops = np.concatenate((edges, [len(key)])) if len(key) else edges
        found.tried += len(starts)
        many = stops - starts >= LEAST
        for first, last in zip(starts[many].tolist(), stops[many].tolist(), strict=True):
            members = frozenset(sample[first:last].tolist())
            one = int(group[first]), int(key[first]), int(place[first])
            found.kept.append(Candidate(*one, length, members))
    return found


def count(read: Read, candidates: list[Candidate]) -> None:
    """Fills in how many samples hold each phrase: of its contributor, and of all."""
    by = read.by
    for length in sorted({one.length for one in candidates}):
        wanted = [one for one in candidates if one.length == length]
        keys = np.unique(np.array([one.key for one in wanted], np.uint64))
        everywhere = np.zeros(len(keys), np.int64)
        width = len(read.contributors)
        mine: dict[int, int] = {}
        for key, sample, _ in phrases(read, length, np.arange(len(by))):
            at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            hit = keys[at] == key
            everywhere += np.bincount(at[hit], minlength=len(keys))
            pairs, counts = np.unique(at[hit] * width + by[sample[hit]], return_counts=True)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
                mine[pair] = mine.get(pair, 0) + count
        for one in wanted:
            at_key = int(np.searchsorted(keys, np.uint64(one.key)))
            one.everywhere = int(everywhere[at_key])
            one.samples = mine[at_key * width + one.group // len(read.answers)]
