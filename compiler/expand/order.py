"""Units go in; the order in which they are begun comes out.

A file of its own because it is what keeps a server's caches and slots full, and has no part in what
is made: the results are put back into the order of the build.
"""

from collections.abc import Sequence

from compiler.lower import Unit


def issue_order(units: Sequence[Unit], window: int) -> list[int]:
    """The numbers of the units: those of one prefix together, the longest of the last `window`
    first.

    Units of one chunk, or of one leaf without chunks, share the beginning of their prompts, so a
    server with a prefix cache reads it once. A long unit that is begun last would run alone at the
    end; longest first is the classic remedy (Graham 1969, "Bounds on multiprocessing timing
    anomalies").
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for number, unit in enumerate(units):
        chunk = unit.chunk.id if unit.chunk else ""
        groups.setdefault((unit.pipeline, unit.leaf.path, chunk), []).append(number)
    order = [number for group in groups.values() for number in group]
    if window <= 0:
        return order
    tail = sorted(order[-window:], key=lambda number: -_length(units[number]))
    return [*order[:-window], *tail]


def _length(unit: Unit) -> int:
    """About how many characters the teacher will write: as many as the seeds have."""
    seeds = unit.shown
    characters = sum(len(s.context) + len(s.question) + len(s.answer) for s in seeds)
    return unit.want * characters // max(1, len(seeds))
