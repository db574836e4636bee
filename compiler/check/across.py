"""Checks that look at several leaves: a question asked in two, answers that contradict, one
contributor's share.

They compare facts, not texts, in one walk over all leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler import codes
from compiler.check.facts import Asked, Facts, contributors
from compiler.check.finding import Finding, Findings, tell
from compiler.codes import Code
from compiler.diagnostics import Note, Report, counted

NEAR = 0.8
MIN_LEAVES = 20
MIN_CONTRIBUTORS = 4
_MOST_POSTINGS = 16


@dataclass(slots=True)
class _Place:
    """A question and the leaf that asks it."""

    facts: Facts
    asked: Asked


@dataclass(slots=True)
class _Index:
    """The questions so far: by their words, and by the pairs that a near duplicate must share."""

    exact: dict[str, _Place] = field(default_factory=dict)
    by_pair: dict[int, list[_Place]] = field(default_factory=dict)

    def match(self, here: _Place) -> tuple[Code, _Place] | None:
        """The earlier question that this one repeats, and in which way."""
        earlier = self.exact.get(here.asked.question)
        if earlier:
            is_copy = earlier.asked.answer == here.asked.answer
            return (codes.T121 if is_copy else codes.T133), earlier
        near = self._near(here.asked)
        return (codes.T135, near) if near else None

    def add(self, here: _Place) -> None:
        self.exact.setdefault(here.asked.question, here)
        for pair in _prefix(here.asked):
            places = self.by_pair.setdefault(pair, [])
            if len(places) < _MOST_POSTINGS:
                places.append(here)

    def _near(self, asked: Asked) -> _Place | None:
        """A question of which at least `NEAR` of the word pairs of both are the same (Jaccard).

        Two such sets share one of the first pairs of each, in any order that is the same for all
        (prefix filtering; Chaudhuri, Ganti, Kaushik 2006), so only those are looked up.
        """
        mine: frozenset[int] | None = None
        seen: set[int] = set()
        for pair in _prefix(asked):
            for place in self.by_pair.get(pair, ()):
                if id(place) in seen or place.asked.guard != asked.guard:
                    continue
                seen.add(id(place))
                mine = mine or frozenset(asked.unpacked())
                theirs = place.asked.unpacked()
                both = len(mine.intersection(theirs))
                if both >= NEAR * (len(mine) + len(theirs) - both):
                    return place
        return None


def _prefix(asked: Asked) -> Sequence[int]:
    pairs = asked.unpacked()
    least = -int(-NEAR * len(pairs) // 1)
    return pairs[: len(pairs) - least + 1] if pairs else ()


def shared_questions(facts: Sequence[Facts], others: Sequence[Facts]) -> Findings:
    """T121, T133 and T135, each once for a pair of leaves; T135 also within one leaf."""
    index = _Index()
    for one in others:
        for asked in one.asked:
            index.add(_Place(one, asked))
    for one in facts:
        found: dict[tuple[Code, str], list[tuple[_Place, _Place]]] = {}
        for asked in one.asked:
            here = _Place(one, asked)
            if match := index.match(here):
                code, there = match
                if there.facts.file != one.file or code is codes.T135:
                    found.setdefault((code, there.facts.file), []).append((here, there))
            index.add(here)
        for (code, _), pairs in found.items():
            yield _shared(code, one, pairs)


def _shared(code: Code, one: Facts, pairs: Sequence[tuple[_Place, _Place]]) -> Finding:
    here, there = pairs[0]
    other = "this leaf" if there.facts is one else f"`{there.facts.leaf}`"
    count = f"{len(pairs)} of {counted(len(one.asked), 'question')}"
    is_one = len(pairs) == 1
    if code is codes.T121:
        message = f"this question is one of {other}" if is_one else f"{count} are those of {other}"
        hint = "ask something of your own, or join the two leaves"
    elif code is codes.T133:
        message = (
            f"this question has another answer in {other}"
            if is_one
            else f"{count} have other answers in {other}"
        )
        hint = "agree on one answer, or make the questions different"
    else:
        message = (
            f"this is almost a question of {other}"
            if is_one
            else f"{count} are almost those of {other}"
        )
        hint = "ask something else"
    return Finding(code, message, here.asked.span, hint, (Note("there", there.asked.span),))


def contributor_share(facts: Sequence[Facts], others: Sequence[Facts], most: float) -> Findings:
    """T155, in branches of at least 20 leaves by four people or more: `most` of 1 is their share.

    A few people can turn what a student says (Wan et al. 2023, arXiv 2305.00944).
    """
    checked = {one.file for one in facts}
    for branch, people in sorted(contributors([*others, *facts]).items()):
        total = sum(len(leaves) for leaves in people.values())
        if total < MIN_LEAVES or len(people) < MIN_CONTRIBUTORS:
            continue
        for leaves in people.values():
            mine = [one for one in leaves if one.file in checked]
            if mine and len(leaves) > most * total:
                yield Finding(
                    codes.T155,
                    f"`{leaves[0].created_by}` wrote {len(leaves)} of the {total} leaves of "
                    f"`{branch}`, more than {most:.0%}",
                    min(mine, key=lambda one: one.file).author,
                    "let others write or review leaves of this branch",
                )


def check_across(
    facts: Sequence[Facts], others: Sequence[Facts], share: float, report: Report
) -> None:
    """Reports what only several leaves show; of `others` nothing is said.

    `share`: the part of a branch from which one contributor's leaves are too many.
    """
    tell(shared_questions(facts, others), report)
    tell(contributor_share(facts, others, share), report)
