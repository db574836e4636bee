"""The texts of one leaf, and how common words are elsewhere, go in; the words that are its own come
out, the most telling first.

A file of its own because prompts that must each use other words of their leaf are what keeps a
teacher from saying the same again (random words of a vocabulary: Eldan and Li, "TinyStories",
arXiv 2305.07759, section 2; Gunasekar et al., "Textbooks are all you need", arXiv 2306.11644,
section 2.2).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Any

from compiler.draw.small import HAN, small_words
from compiler.draw.tokens import UNSPACED
from compiler.language import language

MOST = 200
_ADDRESS = re.compile(r"\S+://\S+")
_LEAST_LETTERS = 3
_SHORT_WORDS = "\u0590"  # from here on: scripts in which two letters can say much
_MOST_LETTERS = 30
_WHOLE = 4


@dataclass(frozen=True, slots=True)
class Background:
    """In how many of `leaves` leaves each word occurs, in folded case."""

    leaves: int
    counts: Mapping[str, int]


def background(leaves: Iterable[Iterable[str]]) -> Background:
    """Counts the words of many leaves, each given as its texts."""
    number = 0
    counts: Counter[str] = Counter()
    for texts in leaves:
        number += 1
        counts.update({form.casefold() for text in texts for form in _forms(text)})
    return Background(number, counts)


def vocabulary(texts: Iterable[str], elsewhere: Background, most: int = MOST) -> tuple[str, ...]:
    """At most `most` content words of a leaf's texts, each in the form that it mostly has there.

    Their order is that of TF-IDF: (1 + ln count) * (1 + ln((1 + leaves) / (1 + leaves with it))).
    `elsewhere` may count this leaf too. Of Chinese, where words are not marked, pairs of characters
    count as words.
    """
    known = tuple(texts)
    said = Counter(name for text in known if (name := language(text)))
    main = min(said, key=lambda name: (-said[name], name), default="")
    small = small_words(main)
    forms: dict[str, Counter[str]] = {}
    for text in known:
        for form in _forms(text, small):
            forms.setdefault(form.casefold(), Counter())[form] += 1
    scores = {
        folded: (1 + math.log(found.total()))
        * (1 + math.log((1 + elsewhere.leaves) / (1 + elsewhere.counts.get(folded, 0))))
        for folded, found in forms.items()
    }
    best = sorted(scores, key=lambda folded: (-round(scores[folded], 9), folded))[:most]
    return tuple(_usual(folded, forms[folded]) for folded in best)


def _usual(folded: str, forms: Mapping[str, int]) -> str:
    """The most frequent form; of several the one in small letters, which opens no sentence."""
    return min(forms, key=lambda form: (-forms[form], form != folded, form))


def _forms(text: str, small: Set[str] = frozenset()) -> Iterator[str]:
    """What may be a word of the vocabulary, as it is written: no small words, numbers, addresses,
    names with digits or underscores.
    """
    text = _ADDRESS.sub(" ", unicodedata.normalize("NFC", text)).replace("’", "'")
    for found in _pattern().finditer(text):
        run = found[0]
        if found.lastgroup == "han" and len(run) > _WHOLE:
            yield from (run[at : at + 2] for at in range(len(run) - 1))
        elif found.lastgroup != "spaced":
            yield run
        elif run.casefold() not in small:
            stem = max(run.split("'"), key=len)  # of `robin's` and of `l'oiseau`
            least = 2 if stem >= _SHORT_WORDS else _LEAST_LETTERS
            if least <= len(stem) <= _MOST_LETTERS and stem.casefold() not in small:
                yield stem


@cache
def _pattern() -> re.Pattern[str]:
    import regex  # the module `re` knows neither scripts nor marks

    letters = rf"[\p{{L}}\p{{M}}--[{UNSPACED}]]+"
    made: Any = regex.compile(
        rf"(?P<han>[\p{{Han}}--[{HAN}]]{{2,}})"
        r"|(?P<katakana>[\p{Katakana}\u30fc]{2,20})"
        r"|(?P<whole>(?:[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*){2,12})"
        rf"|(?P<spaced>(?<!\w){letters}(?:'{letters})*(?!\w))",
        regex.V1,
    )
    return made  # type: ignore[no-any-return]
