"""A build goes in; the questions of each set come out, with the options of those that offer a
choice.

A file of its own because what is asked has to be the same for every model, and must not have been
taught, but in the set that says so. The "trained" set is what the phases teach, the "validation"
set are samples that were kept aside and are in no phase, the "heldout" set are people's questions
that are in no sample.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from compiler.codes import E708
from compiler.diagnostics import Report, counted
from training import seen
from training.ask import Question
from training.data import Build, Sample
from training.evaluate.choices import Pool
from training.replay import own_of

PER_LEAF = 16
SETS = ("trained", "validation", "heldout")
GENERAL = "general"
PHASES = ("phase1", "phase2")


def samples_of(build: Build, phases: Iterable[str] = PHASES) -> dict[str, tuple[Sample, ...]]:
    """The samples of each set; trained ones, of the data that `phases` train on, are at most
    PER_LEAF per leaf, chosen by hash.
    """
    taught: dict[str, list[Sample]] = defaultdict(list)
    for sample in {one.id: one for data in phases for one in own_of(build, data)}.values():
        if len(sample.messages) > 1:
            taught[sample.leaf].append(sample)
    chosen = [
        sample
        for _, samples in sorted(taught.items())
        for sample in sorted(samples, key=lambda s: hashlib.sha256(s.id.encode()).digest())[
            :PER_LEAF
        ]
    ]
    aside, heldout = (
        tuple(sample for sample in part if len(sample.messages) > 1)
        for part in (build.validation, build.heldout)
    )
    return {"trained": tuple(chosen), "validation": aside, "heldout": heldout}


def gather(
    build: Build,
    general: Iterable[Question],
    taught: frozenset[str],
    report: Report,
    *,
    own: bool = True,
    phases: Iterable[str] = PHASES,
) -> tuple[dict[str, tuple[Question, ...]], dict[str, int]]:
    """The questions of each set, and how many of it are not asked, for they were seen in training.

    Not asked is what stands as a user's turn in a phase of the build, or among the marks `taught`.
    `own` is false where the student was trained on another build: this one's phases taught it
    nothing, so the trained set is empty. `phases` are the data that it was trained on; else all.
    """
    known = taught | seen.marks((*build.phase1, *build.phase2))
    pool = Pool((*build.phase1, *build.phase2), (*build.validation, *build.heldout))
    sets = {
        name: tuple(Question(sample, pool.options(sample)) for sample in samples)
        for name, samples in samples_of(build, phases if own else ()).items()
    }
    sets[GENERAL] = tuple(general)
    left: dict[str, int] = {}
    for name in (*SETS[1:], GENERAL):
        kept = tuple(one for one in sets[name] if seen.mark(one.sample.question) not in known)
        if len(kept) < len(sets[name]):
            left[name] = len(sets[name]) - len(kept)
            first = next(q.sample for q in sets[name] if seen.mark(q.sample.question) in known)
            _tell(name, left[name], len(sets[name]), first.question, report)
        sets[name] = kept
    return sets, left


def _tell(name: str, left: int, of: int, question: str, report: Report) -> None:
    first = " ".join(question.split())
    shown = first if len(first) <= 60 else f"{first[:60]}..."
    verb = "is" if left == 1 else "are"
    message = f"{name}: {left} of {counted(of, 'question')} stood in training and {verb} not asked"
    hint = "ask others: a question that was taught measures memory, and nothing else"
    if name != GENERAL:
        hint = "build it again: the compiler keeps what evaluation asks out of the phases"
    report.add(E708, f"{message}: `{shown}`", hint=hint)
