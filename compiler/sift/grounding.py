"""An answer and the text that it should come from go in; what the text does not say comes out, and
the passage that it comes from (D533).

A file of its own because it knows no sample: the rule and the report ask it. It compares words,
numbers and names and understands none of them: an answer in other words passes as long as its
numbers and names are those of the text and not too many of its words are new, and one that turns
the text's own words round passes too. That is a judge's work; this is what a judge overlooks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from compiler.codes import D533
from compiler.expand import Sample
from compiler.language import language
from compiler.sift.look import Found, Look
from compiler.terms import STOP, tokens

# A word's first letters stand for it, so that its endings do not count.
_STEM = 5
_SHORTEST = 4
_MOST_NEW, _LEAST_NEW = 0.6, 3
_MOST_WITH_A_NAME, _LEAST_WITH_A_NAME = 0.34, 2
_FAR = 6
_WINDOW = 3
_SHOWN = 5
_SENTENCE = re.compile(r"[^\s][^\n]*?(?:[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]|(?=\n)|$)")
_NUMBER = re.compile(r"(?<![A-Za-z_\d])(?<!\d[.,])\d+(?:[.,]\d+)*")
_LISTED = re.compile(
    r"^[ \t]*(?:\d+[.):]|[-*•])\s|(?:step|phase|part|option|example|question) \d+\b", re.M | re.I
)
_NAME = re.compile(r"(?<=[\w,;:)] )(?:[\"'“(])?([A-ZÀ-ÖØ-Þ][\w'’-]+)")
_COUNTED = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
).split()
_SPELLED = {word: str(number) for number, word in enumerate(_UNITS)} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "once": "1", "twice": "2", "first": "1", "second": "2",
    "third": "3", "dozen": "12",
}  # fmt: skip
_PLENTY = frozenset(number for number in _SPELLED.values() if 12 < int(number) < 100)
# What an answer says of itself, and not of the world.
_TALK = frozenset(
    "accor answe provi menti state descr expla defin refer inclu invol consi relat speci impor "
    "allow means meani examp follo furth there becau since since throu addit howev while where "
    "these those which about would could shoul might other anoth diffe sever vario many also "
    "using used make makes made need needs help helps ensur enabl known call calle locat found "
    "passa text document conte befor after durin betwe withi witho toget overa gener typic usual "
    "commo prima mainl major total numbe purpo reaso resul effec purpo role part type types kind "
    "form way ways thing thing able well like such both each more most less least than then when "
    "what have been being does yes indee corre true false it's that's they're".split()
)


@dataclass(frozen=True, slots=True)
class Support:
    """What of an answer its text does not say: `words`, `names`, `numbers`, in the order of the
    answer; `total` counts the words of the answer that were looked for.
    """

    words: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    total: int

    @property
    def new(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numbers, *self.names, *self.words)

    @property
    def is_enough(self) -> bool:
        """Whether the text bears the answer: no number of its own, hardly a name, and not most of
        its words.
        """
        new = len(self.names) + len(self.words)
        named = bool(self.names) and new >= _LEAST_WITH_A_NAME
        return not (
            self.numbers
            or (named and new >= _MOST_WITH_A_NAME * self.total)
            or (new >= _LEAST_NEW and new > _MOST_NEW * self.total)
        )

    @property
    def is_none(self) -> bool:
        """Whether the answer is of another matter: six words or more, at most one in six there."""
        new = len(self.names) + len(self.words)
        return self.total >= _FAR and _FAR * (self.total - new) <= self.total


def support(answer: str, text: str, question: str = "") -> Support:
    """What of `answer` neither `text` nor `question` says."""
    there = _Text(text, question)
    names = [name for name in dict.fromkeys(_NAME.findall(answer)) if not there.says(name)]
    folded = {name.casefold() for name in names}
    words: dict[str, str] = {}
    total = 0
    for word in dict.fromkeys(tokens(answer)):
        if there.asks(word) or not _counts(word):
            continue
        total += 1
        if word not in folded and not there.says(word):
            words.setdefault(word[:_STEM], word)
    return Support(tuple(words.values()), tuple(names), tuple(there.unknown(answer)), total)


def cited(answer: str, text: str) -> tuple[int, int] | None:
    """Where `text` says what `answer` says: the 0-based characters of the sentences, up to three in
    a row, that have the most of its words; None where they have less than a third of them.
    """
    wanted = {_stem(word) for word in tokens(answer) if _counts(word) or word.isdigit()}
    sentences = [(hit.start(), hit.end()) for hit in _SENTENCE.finditer(text)]
    said = [{_stem(word) for word in tokens(text[a:b])} & wanted for a, b in sentences]
    best, found = (0, 0), 0
    for length in range(1, _WINDOW + 1):
        for i in range(len(said) - length + 1):
            here = len(set().union(*said[i : i + length]))
            if here > found:
                best, found = (i, i + length - 1), here
    if not found or 3 * found < len(wanted):
        return None
    return sentences[best[0]][0], sentences[best[1]][1]


@dataclass(frozen=True, slots=True)
class _Said:
    """What is looked for in a text: its words in one line, its numbers, and what it counts."""

    words: str
    numbers: frozenset[str]
    counted: frozenset[str]


@lru_cache(maxsize=8)  # the samples of a chunk follow one another
def _said(text: str) -> _Said:
    counted = frozenset(stem for _, stem in _counted(text))
    return _Said(" ".join(tokens(text)), frozenset(_numbers(text)), counted)


class _Text:
    """A text and the question about it, as they are looked into."""

    def __init__(self, text: str, question: str) -> None:
        said = _said(text)
        self._text, self._counted = said.words, said.counted
        self._question = " ".join(tokens(question))
        self._numbers = said.numbers | set(_numbers(question))

    def says(self, word: str) -> bool:
        stem = _stem(word.casefold())
        return stem in self._text or stem in self._question

    def asks(self, word: str) -> bool:
        return _stem(word) in self._question

    def unknown(self, answer: str) -> Iterator[str]:
        """The numbers of the answer that are in neither. A small one may be a count of what the
        text lists: it has to be wrong of something that the text counts itself.
        """
        plain = _LISTED.sub(" ", answer)
        wrong = {number for number, stem in _counted(plain) if stem in self._counted}
        digits = set(_numbers(plain, spelled=False))
        for number in dict.fromkeys(_numbers(plain)):
            is_small = len(number) == 1 or (number not in digits and number not in _PLENTY)
            if number not in self._numbers and (not is_small or number in wrong):
                yield number


def _counted(text: str) -> Iterator[tuple[str, str]]:
    """Each number with the stems of the two words behind it."""
    said = _COUNTED.findall(text.casefold())
    for number, *behind in zip(said, said[1:], [*said[2:], ""], strict=False):
        if value := _plain(number) if number[0].isdigit() else _SPELLED.get(number):
            yield from ((value, _stem(word)) for word in behind if word.isalpha())


def _counts(word: str) -> bool:
    if word in STOP or word[0].isdigit() or word[:_STEM] in _TALK:
        return False
    return len(word) >= _SHORTEST or not word.isascii()


def _stem(word: str) -> str:
    return word[:_STEM]


def _numbers(text: str, spelled: bool = True) -> Iterator[str]:
    """The numbers of a text, one way of writing for each."""
    for hit in _NUMBER.finditer(text):
        yield _plain(hit[0])
    if spelled:
        for word in tokens(text):
            if word in _SPELLED:
                yield _SPELLED[word]


def _plain(number: str) -> str:
    """`1,000` as 1000, `3.50` as 3.5."""
    if "," in number:
        number = re.sub(r",(?=\d{3}(?!\d))", "", number).replace(",", ".")
    return number.rstrip("0").rstrip(".") if number.count(".") == 1 else number


def ungrounded(sample: Sample, look: Look) -> Iterator[Found]:
    """D533, where `grounding` is on: of samples that were made from a document; and, of those that
    bring a context, where the answer is of another matter altogether, since a skill may well work
    something out.
    """
    text = look.text or sample.context
    if not look.settings.grounding or not text or not (look.text or look.grounded):
        return
    found = support(sample.answer, f"{text}\n{sample.context}", sample.question)
    wrong = not found.is_enough if look.text else found.is_none
    if wrong and not _differ(sample.answer, text):
        told = ", ".join(f"`{word}`" for word in found.new[:_SHOWN])
        are = "is" if len(found.new) == 1 else "are"
        place = "document" if look.text else "context"
        yield Found(D533, f"{told} {are} not in the {place}", "" if look.text else "ungrounded")


def _differ(answer: str, text: str) -> bool:
    """Whether the two are in different languages."""
    languages = language(answer), language(text)
    return all(languages) and languages[0] != languages[1]
