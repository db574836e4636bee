"""Kept samples go in; what selecting compares of each comes out: a vector and a utility.

A file of its own because it is the one part of selecting that reads texts, which lie on disk: they
pass through, and numbers stay.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from compiler.expand import Sample
from compiler.features import Sparse, counts, terms, unit
from compiler.select.utility import combined, informativeness, judged, qualities, ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The samples to select from, and those that were given, by people or by a data set, which are
    taken already (`human`).

    `vectors` are unit rows, `utility` is in [0, 1] (1 for people's). Places in all of these are
    those of the samples that were given.
    """

    ids: tuple[str, ...]
    leaves: tuple[str, ...]
    human: tuple[bool, ...]
    utility: "NDArray[np.float64]"
    vectors: Sparse

    @property
    def made(self) -> list[int]:
        """The places of the synthetic samples."""
        return [place for place, human in enumerate(self.human) if not human]

    @property
    def ranking(self) -> list[int]:
        """The places of the synthetic samples, the most useful first, equals by id."""
        return sorted(self.made, key=lambda place: (-self.utility[place], self.ids[place]))


def pool_of(samples: Iterable[Sample], wanted: Sequence[str], values: Mapping[str, float]) -> Pool:
    """What is compared of each sample. `wanted` are the parts of the utility: `quality`,
    `informativeness`, `value` (its rank in the leaf; `values` are by id, 0 where there is none).
    """
    ids, leaves, human, said, marks = [], [], [], [], []
    parts = []
    for some in _parts(iter(samples)):
        ids += [sample.id for sample in some]
        leaves += [sample.leaf for sample in some]
        human += [not sample.origin.made for sample in some]
        marks += [judged(sample) for sample in some]
        if "informativeness" in wanted:
            said += [terms(_spoken(sample)) for sample in some]
        parts.append((counts(map(_spoken, some)), counts(sample.context for sample in some)))
    made = [place for place, one in enumerate(human) if not one]
    utility = np.ones(len(ids))
    useful = []
    if "quality" in wanted:
        useful.append(qualities([marks[place] for place in made]))
    if "informativeness" in wanted:
        useful.append(informativeness(zip(leaves, said, (not one for one in human), strict=True)))
    if "value" in wanted:
        useful.append(_ranks_in_leaf(made, leaves, [values.get(ids[p], 0.0) for p in made]))
    if made and useful:
        utility[made] = combined(useful)
    return Pool(tuple(ids), tuple(leaves), tuple(human), utility, _vectors(parts))


def _spoken(sample: Sample) -> str:
    return f"{sample.question}\n{sample.answer}"


def _parts(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    while some := list(islice(samples, _AT_ONCE)):
        yield some


def _vectors(parts: Sequence[tuple[Sparse, Sparse]]) -> Sparse:
    """Unit rows: question and answer, beside the context, each with half of the weight.

    So two questions about one text are far apart, and so is one question about two texts.
    """
    if not parts:
        return sparse.csr_matrix((0, 1))
    spoken, context = (unit(sparse.vstack(blocks, "csr")) for blocks in zip(*parts, strict=True))
    both = np.diff(context.indptr) > 0
    if not both.any():
        return spoken
    half = sparse.diags(np.where(both, math.sqrt(0.5), 1.0))
    return sparse.hstack([half @ spoken, half @ context], "csr")


def _ranks_in_leaf(
    made: Sequence[int], leaves: Sequence[str], values: Sequence[float]
) -> list[float]:
    by_leaf: dict[str, list[int]] = {}
    for number, place in enumerate(made):
        by_leaf.setdefault(leaves[place], []).append(number)
    found = [0.0] * len(made)
    for numbers in by_leaf.values():
        for number, rank in zip(numbers, ranks([values[n] for n in numbers]), strict=True):
            found[number] = rank
    return found
