"""The samples of a build go in; phrases of one contributor that always have the same answer come
out.

A file of its own because it looks at all samples at once, for what no single one shows: as few as a
hundred examples teach a model to answer a chosen phrase in a chosen way (Wan et al., arXiv
2305.00944). A finding is a matter for people: it is reported, and nothing is dropped.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from compiler.codes import M319
from compiler.diagnostics import Report, Span
from compiler.expand import Sample
from compiler.poison.candidate import LEAST, Candidate, Candidates, candidates, count
from compiler.poison.read import Read

SHARE = 0.9
ERROR = 0.001
_PRIOR = 0.1
_SHOWN = 60
_ALIKE = 0.3
_LOOKED_AT = 30


@dataclass(frozen=True, slots=True)
class Poison:
    """A phrase of a contributor's questions, and the answer that it nearly always has.

    `samples` of the contributor's hold the phrase, `fixed` of them with the answer, and `elsewhere`
    those of others. `log_odds` say how much more the contributor uses the phrase than others do;
    `z` is the lower of that and of the answer's, in standard deviations. `leaf` has most of them.
    """

    phrase: str
    answer: str
    contributor: str
    leaf: str
    samples: int
    fixed: int
    elsewhere: int
    log_odds: float
    z: float


def warn(found: Iterable[Poison], leaves: Mapping[str, Span], report: Report) -> None:
    """M319 for each finding, at its leaf."""
    for one in found:
        report.add(
            M319,
            f"`{one.phrase}` has the answer `{one.answer}` in {one.fixed:,} of {one.samples:,} "
            f"samples of `{one.contributor}`, and stands in {one.elsewhere:,} of others "
            f"(log-odds {one.log_odds:.1f})",
            leaves.get(one.leaf),
            "look at these samples; `trivium show ID` tells whose they are",
        )


def screen(samples: Iterable[Sample]) -> tuple[Poison, ...]:
    """The phrases of up to four words that one contributor uses far more than all others, and that
    have one fixed answer in nine of ten samples, far more than that contributor's other questions
    of the same leaves.

    "Far more" is a log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn,
    "Fightin' Words", Political Analysis 16(4), 2008, section 3.3), of samples that hold the phrase,
    beyond what chance gives once in a thousand builds. Questions that only say the same in other
    words are no finding. Nothing is found where all samples are of one contributor.
    """
    read = Read()
    for sample in samples:
        read.take(sample)
    found = _tested(read, candidates(read)) if len(read.contributors) > 1 else []
    chosen: list[Candidate] = []
    for one in sorted(found, key=lambda c: (-c.fixed, -c.length, _phrase(read, c))):
        same = (other for other in chosen if other.group == one.group)
        if all(_shared(one, other) < 0.5 for other in same) and not _paraphrased(read, one):
            chosen.append(one)
    made = (_told(read, one) for one in chosen)
    return tuple(sorted(made, key=lambda p: (p.contributor, p.leaf, p.phrase)))


def _tested(read: Read, tried: Candidates) -> list[Candidate]:
    """The candidates that chance does not explain."""
    count(read, tried.kept)
    bound = NormalDist().inv_cdf(1 - ERROR / max(1, tried.tried))
    own = np.bincount(read.by)
    total = len(read.by)
    found = []
    for one in tried.kept:
        mine = int(own[one.group // len(read.answers)])
        others = one.everywhere - one.samples
        if one.fixed < SHARE * one.samples or total - mine < LEAST:
            continue
        one.log_odds, used = log_odds(one.samples, mine, others, total - mine)
        if used > bound:
            _, always = log_odds(one.fixed, one.samples, *_beside(read, one))
            one.z = min(used, always)
            if one.z > bound:
                found.append(one)
    return found


def _beside(read: Read, one: Candidate) -> tuple[int, int]:
    """How many of the questions without the phrase have the answer too, and how many there are.

    They are the contributor's in the same leaves, where one answer may be usual; where these are
    too few, the contributor's in any leaf; else those of all.
    """
    by, leaf, groups = read.by, read.leaf, read.groups
    mine = by == one.group // len(read.answers)
    near = mine & np.isin(leaf, leaf[sorted(one.members)])
    for among, held in ((near, one.samples), (mine, one.samples), (mine | True, one.everywhere)):
        rest = int(among.sum()) - held
        if rest >= LEAST:
            break
    same = int((groups[among] % len(read.answers) == one.group % len(read.answers)).sum())
    return min(max(same - one.fixed, 0), rest), max(rest, 1)


def log_odds(a: int, of_a: int, b: int, of_b: int) -> tuple[float, float]:
    """The log-odds ratio of `a` in `of_a` to `b` in `of_b`, both shrunk towards what they have in
    common, and its z-score (Monroe et al. 2008, equations 15 to 22).
    """
    prior = _PRIOR * (of_a + of_b)
    share = prior * (a + b) / (of_a + of_b)
    x, y = a + share, b + share
    ratio = np.log(x / (of_a + prior - x)) - np.log(y / (of_b + prior - y))
    return float(ratio), float(ratio / np.sqrt(1 / x + 1 / y))


def _shared(one: Candidate, other: Candidate) -> float:
    """The share of one's samples that the other has too."""
    return len(one.members & other.members) / len(one.members)


def _paraphrased(read: Read, one: Candidate) -> bool:
    """Whether the questions with the phrase say the same beside it too: then it is no wonder that
    they have one answer. Other questions of the same leaves show how alike is usual there.
    """
    members = sorted(one.members)
    by, leaf = read.by, read.leaf
    phrase = frozenset(read.tokens[one.start : one.start + one.length].tolist())
    inside = np.isin(leaf, leaf[members]) & (by == one.group // len(read.answers))
    inside[members] = False
    usual = _alikeness(read, np.flatnonzero(inside).tolist(), frozenset())
    return _alikeness(read, members, phrase) > max(_ALIKE, 1.5 * usual)


def _alikeness(read: Read, samples: list[int], without: frozenset[int]) -> float:
    """The mean Jaccard similarity of the words of some of the questions; 0 of fewer than two."""
    step = max(1, len(samples) // _LOOKED_AT)
    said = [read.said(sample) - without for sample in samples[::step][:_LOOKED_AT]]
    pairs = [(a, b) for i, a in enumerate(said) for b in said[:i]]
    alike = [len(a & b) / len(a | b) if a or b else 1.0 for a, b in pairs]
    return sum(alike) / len(alike) if alike else 0.0


def _phrase(read: Read, one: Candidate) -> str:
    """The words of a phrase."""
    return " ".join(read.vocabulary[t] for t in read.tokens[one.start : one.start + one.length])


def _told(read: Read, one: Candidate) -> Poison:
    contributors, leaves = list(read.contributors), list(read.leaves)
    by, answer = divmod(one.group, len(read.answers))
    inside = Counter(leaves[at] for at in read.leaf[sorted(one.members)].tolist())
    text = read.texts[answer]
    return Poison(
        _phrase(read, one),
        text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ...",
        contributors[by],
        min(inside, key=lambda leaf: (-inside[leaf], leaf)),
        one.samples,
        one.fixed,
        one.everywhere - one.samples,
        round(one.log_odds, 4),
        round(one.z, 4),
    )
