"""Verdicts on ungraded items go in; the order in which people should grade them comes out.

A file of its own because a person grades few samples of many: those that tell most come first.
"""

from collections.abc import Mapping, Sequence

from compiler.calibrate.measure import Passes


def suspicions(verdicts: Mapping[str, Sequence[Passes]], number: int) -> list[float]:
    """How suspicious each of `number` items is: the sum of the pass rates (0 to 1) of the
    assertions that failed it. To fail what nearly all pass is more suspicious (EvalGen, Shankar et
    al., 2024, section 4). `verdicts` are those of each assertion.
    """
    sums = [0.0] * number
    for said in verdicts.values():
        passed, failed = said.count(True), said.count(False)
        for i, verdict in enumerate(said):
            if verdict is False:
                sums[i] += passed / (passed + failed)
    return sums


def grading_order(ids: Sequence[str], suspicion: Sequence[float]) -> list[int]:
    """The places of the items in the order to grade them: the most suspicious, the least, the next
    most, and so on. Among equals the ids, which are hashes, decide.
    """
    falling = sorted(range(len(ids)), key=lambda i: (-suspicion[i], ids[i]))
    number = len(falling)
    return [falling[i // 2] if i % 2 == 0 else falling[number - 1 - i // 2] for i in range(number)]
