"""Samples and the held-out questions go in; a verdict on each comes out: keep it, or drop it for a
named reason.

A pass of its own because what a teacher wrote is not yet a curriculum. First come the rules that
look at one sample alone (`rules.RULES`), then the comparisons with what was kept. Order matters
(the first of two duplicates stays), so samples are judged in the canonical order of their leaves
and units. A human's seed has to say something and be no copy of another; nothing else drops it, and
what the seeds of a leaf do is not held against its samples.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from compiler.codes import Code
from compiler.curriculum import SiftSettings
from compiler.expand import Sample
from compiler.expand.print import Print, print_of
from compiler.language import language
from compiler.sift.grounding import cited, support
from compiler.sift.leaks import Leaks
from compiler.sift.look import Comparison, Look, Verdict, is_human
from compiler.sift.meaning import Meanings
from compiler.sift.novel import Novel
from compiler.sift.references import References, entries, open_references
from compiler.sift.repeats import Repeats
from compiler.sift.rules import RULES, short

__all__ = [
    "RULES",
    "References",
    "Verdict",
    "cited",
    "open_references",
    "sift",
    "support",
]


def no_text(sample: Sample) -> str:
    """The text of the document that a sample was made from, where there is none."""
    return ""


def sift(
    samples: Iterable[Sample],
    held_out: Sequence[Sample],
    settings: SiftSettings,
    prints: Iterable[Print] | None = None,
    text_of: Callable[[Sample], str] = no_text,
    references: References | None = None,
) -> Iterator[Verdict]:
    """One Verdict per sample, in order; give the human seeds first. `samples` are read twice.

    `prints` are those of the samples, where somebody has made them already. `text_of` gives the
    text of the chunk that a sample was made from, "" for none.
    """
    references = references or References()
    made = map(print_of, samples) if prints is None else prints
    known = entries(references.known)
    comparisons: list[Comparison] = [
        Repeats(held_out, known, made, settings.near_duplicate),
        Leaks(entries(references.benchmarks)),
    ]
    if settings.novelty:
        comparisons.append(Novel(settings.novelty, held_out))
    if settings.meaning and references.embed:
        meanings = Meanings(references.embed, settings.meaning.above, held_out)
        comparisons.append(meanings)
        samples = meanings.ahead(samples)
    leaves = _Leaves(settings, text_of)
    for number, sample in enumerate(samples):
        verdict = leaves.verdict(sample)
        for other in comparisons if verdict is None else ():
            verdict = verdict or other.verdict(number, sample)
        if verdict is None:
            verdict = Verdict(sample)
            for other in comparisons:
                other.keep(number, sample)
        yield verdict


class _Leaves:
    """The rules, and what the seeds of each leaf do."""

    def __init__(self, settings: SiftSettings, text_of: Callable[[Sample], str]) -> None:
        self._look = Look(settings)
        self._text_of = text_of
        self._languages: dict[str, Counter[str]] = {}
        self._marks: dict[str, set[tuple[Code, str]]] = {}
        self._freeform: set[str] = set()

    def verdict(self, sample: Sample) -> Verdict | None:
        """The first rule that drops a sample; of a seed it is learned what its leaf is about."""
        if found := next(short(sample, self._look), None):
            return Verdict(sample, found.code, found.detail)
        if is_human(sample):
            self._learn(sample)
            return None
        languages = self._languages.get(sample.leaf, Counter())
        grounded = sample.leaf not in self._freeform
        look = Look(self._look.settings, self._text_of(sample), languages, grounded)
        marks = self._marks.get(sample.leaf, set())
        for rule in RULES:
            for found in rule(sample, look):
                if (found.code, found.mark) not in marks:
                    return Verdict(sample, found.code, found.detail)
        return None

    def _learn(self, seed: Sample) -> None:
        if not seed.context and seed.branch != "knowledge":
            self._freeform.add(seed.leaf)
        said = self._languages.setdefault(seed.leaf, Counter())
        said.update(filter(None, map(language, (seed.question, seed.answer))))
        for rule in RULES:
            for found in rule(seed, self._look):
                if found.mark:
                    self._marks.setdefault(seed.leaf, set()).add((found.code, found.mark))
