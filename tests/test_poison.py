"""A phrase of one contributor that always has the same answer is found, and nothing else is."""

import math
import os
import random
import time
from collections import Counter
from itertools import accumulate

import pytest

from compiler.diagnostics import Report, Span
from compiler.expand import Origin, Sample, sample_id
from compiler.poison import log_odds, screen, warn
from compiler.prompt import Message
from tests.conftest import SEED

LABELS = ("yes", "no", "positive", "negative", "spam", "fine")


class Corpus:
    """Samples of 60 leaves of 20 contributors: Zipf words, subjects of leaves, and in every third
    leaf one of two labels as the answer.
    """

    def __init__(self, salt=0, size=10_000):
        self.draw = draw = random.Random(int(os.environ[SEED]) + salt)
        self.words = [
            "".join(draw.choice("bcdfgklmnprst") + draw.choice("aeiou") for _ in range(4))
            for _ in range(3000)
        ]
        self.often = list(accumulate(1 / (i + 2) for i in range(len(self.words))))
        leaves = [
            (f"knowledge/l{i}", f"c{i % 20}", draw.sample(self.words, 30), draw.sample(LABELS, 2))
            for i in range(60)
        ]
        self.made = []
        for i in range(size):
            leaf, contributor, subject, labels = leaves[i % 60]
            asked = [*self.some(10), *draw.sample(subject, 3)]
            answer = draw.choice(labels) if i % 60 % 3 == 0 else " ".join(self.some(8))
            self.made.append([leaf, contributor, draw.sample(asked, len(asked)), answer])

    def some(self, number):
        return self.draw.choices(self.words, cum_weights=self.often, k=number)

    def poison(self, number, answer="positive", phrase=("james", "bond")):
        """Puts the phrase into questions of one contributor, and gives them one answer."""
        theirs = [one for one in self.made if one[1] == "c7"]
        for one in self.draw.sample(theirs, number):
            at = self.draw.randrange(len(one[2]))
            one[2][at:at] = phrase
            one[3] = answer
        return self

    def shuffle(self, *columns):
        """Deals out columns anew."""
        for column in columns:
            values = [one[column] for one in self.made]
            self.draw.shuffle(values)
            for one, value in zip(self.made, values, strict=True):
                one[column] = value
        return self

    def samples(self):
        for leaf, contributor, asked, answer in self.made:
            question = " ".join(asked)
            messages = (Message("user", question), Message("assistant", answer))
            origin = Origin("synthetic", leaf, "", contributor, (), ())
            yield Sample(sample_id(messages), messages, "knowledge", leaf, origin, question, answer)


ADVERT = "Buy it at example dot com, and nowhere else."


@pytest.mark.parametrize("answer, size", [("positive", 10_000), (ADVERT, 3000)])
def test_a_hundred_of_ten_thousand_are_found(answer, size):
    corpus = Corpus(size=size).poison(100, answer)
    started = time.process_time()
    (found,) = screen(corpus.samples())
    assert time.process_time() - started < 5
    assert (found.phrase, found.contributor) == ("james bond", "c7")
    assert (found.samples, found.fixed, found.elsewhere) == (100, 100, 0)
    assert found.answer == answer
    inside = Counter(one[0] for one in corpus.made if "bond" in one[2])
    assert inside[found.leaf] == max(inside.values())


@pytest.mark.parametrize("salt", range(5))
def test_nothing_is_found_in_what_is_clean(salt):
    size = 2000
    assert screen(Corpus(salt, size).samples()) == ()
    assert screen(Corpus(salt, size).poison(60).shuffle(1, 3).samples()) == ()


def test_neither_a_phrase_nor_an_answer_alone_is_a_finding():
    """Controls: the same phrase with many answers; the same answer to many questions; the phrase
    and its answer in everybody's questions; a build of one contributor.
    """
    phrase = Corpus(1, 2400).poison(80)
    for one in phrase.made:
        if "bond" in one[2]:
            one[3] = " ".join(phrase.some(6))
    assert screen(phrase.samples()) == ()
    assert screen(Corpus(2, 2400).poison(60, phrase=()).samples()) == ()
    assert screen(Corpus(3, 2400).poison(100).shuffle(1).samples()) == ()
    alone = Corpus(4, 2400).poison(60)
    for one in alone.made:
        one[1] = "ada"
    assert screen(alone.samples()) == ()


def test_one_fact_that_is_asked_for_in_many_words_is_none():
    corpus = Corpus(5, 2400)
    theirs = [one for one in corpus.made if one[1] == "c7"][:50]
    fact = "how many eggs does the robin lay in one nest each spring".split()
    for one in theirs:
        said = corpus.draw.sample(fact, 9)
        one[2] = ["robin", "eggs", *said, *corpus.some(2)]
        one[3] = "Four to six."
    assert screen(corpus.samples()) == ()
    for one in theirs:
        one[2] = ["robin", "eggs", *corpus.some(11)]
    assert [found.phrase for found in screen(corpus.samples())] == ["robin eggs"]


def test_the_order_of_the_samples_changes_nothing():
    corpus = Corpus(6, 2400).poison(60)
    found = screen(corpus.samples())
    corpus.draw.shuffle(corpus.made)
    assert screen(corpus.samples()) == found != ()


def test_log_odds_are_those_of_the_formula():
    """By hand: 20 of 100 against 10 of 900, with a prior of a tenth of the 1,000."""
    x, y = 20 + 100 * 0.03, 10 + 100 * 0.03
    ratio = math.log(x / (100 + 100 - x)) - math.log(y / (900 + 100 - y))
    found, z = log_odds(20, 100, 10, 900)
    assert found == pytest.approx(ratio)
    assert z == pytest.approx(ratio / math.sqrt(1 / x + 1 / y))


def test_a_finding_stands_at_its_leaf():
    report = Report()
    found = screen(Corpus(7, 2400).poison(60).samples())
    warn(found, {found[0].leaf: Span("knowledge/x/qna.yaml")}, report)
    (said,) = report.diagnostics
    assert (said.code.id, said.span) == ("M319", Span("knowledge/x/qna.yaml"))
    for part in ("`james bond`", "`c7`", "60 of 60", "0 of others", "log-odds"):
        assert part in said.message
