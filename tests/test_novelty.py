"""Novelty by ROUGE-L: the verdicts of the package rouge-score, without its all-pairs loop."""

import os
import random
import string
from fractions import Fraction

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

import compiler.novelty
from compiler.near.reach import reach
from compiler.novelty import Novelty, tokens
from tests.conftest import SEED

SCORER = RougeScorer(["rougeL"], use_stemmer=False)


def rouge_l(a, b):
    """What rouge-score says, without the last digits of its division."""
    return round(SCORER.score(a, b)["rougeL"].fmeasure, 12)


def random_texts(draw, number, lengths):
    """Texts of few words; most are an earlier text with as many changes as bring it near 0.7."""
    known = [f"w{n}" for n in range(draw.choice((8, 30, 300)))]
    made = []
    for _ in range(number):
        one = draw.choice(made).split() if made and draw.random() < 0.7 else []
        one = one or draw.choices(known, k=draw.choice(lengths))
        for _ in range(draw.randint(0, max(2, len(one) // 3))):
            place = draw.randrange(len(one) + 1)
            one[place : place + draw.randint(0, 1)] = draw.choices(known, k=draw.randint(0, 1))
        made.append(" ".join(one))
    return made


def differing(draw, threshold, score):
    """How many answers differ from those of the all-pairs loop; how many texts were not new, and
    how many pairs came within a fifth of the threshold.
    """
    novelty, kept, wrong, hits, close = Novelty(threshold), [], 0, 0, 0
    for number, text in enumerate(random_texts(draw, 60, (1, 2, 3, 7, 12, 20, 40))):
        scores = [(score(text, other), -place, label) for place, (other, label) in enumerate(kept)]
        found = max((one for one in scores if one[0] >= threshold), default=None)
        close += sum(abs(one[0] - threshold) < 0.2 * threshold for one in scores)
        near = novelty.nearest(text)
        wrong += (near and (round(near[0], 12), near[1])) != (found and (found[0], found[2]))
        hits += found is not None
        if near is None or draw.random() < 0.5:
            novelty.add(text, f"text {number}")
            kept.append((text, f"text {number}"))
    return wrong, hits, close


def test_every_verdict_is_that_of_rouge_score():
    draw = random.Random(f"{os.environ[SEED]}-novelty")
    told = [differing(draw, threshold, rouge_l) for threshold in (0.3, 0.5, 0.7, 0.7, 0.7, 0.9, 1)]
    wrong, hits, close = map(sum, zip(*told, strict=True))
    assert wrong == 0
    assert hits > 70
    assert close > 300


def longest_common(a, b):
    """ROUGE-L by the definition: the third road, for many more texts."""
    row = [0] * (len(b) + 1)
    for one in a:
        before, row = row, [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if one == other else max(row[-1], before[place + 1]))
    return row[-1]


def by_definition(a, b):
    a, b = a.split(), b.split()
    return round(2 * longest_common(a, b) / (len(a) + len(b)), 12) if a and b else 0.0


@pytest.mark.parametrize("field", [None, "to_larger", "to_smaller"])
def test_no_text_is_missed_unless_the_bound_is_wrong(monkeypatch, field):
    def less(size, similarity):
        found = reach(size, similarity)
        return found._replace(**{field: getattr(found, field) - 3}) if field else found

    monkeypatch.setattr(compiler.novelty, "reach", less)
    draw = random.Random(f"{os.environ[SEED]}-bound")
    wrong = sum(differing(draw, threshold, by_definition)[0] for threshold in (0.4, 0.7, 0.7, 0.8))
    assert (wrong > 0) == (field is not None)


def test_exactly_the_threshold_is_not_new():
    """The paper keeps what is below 0.7; its code what is not above."""
    novelty = Novelty(0.7)
    novelty.add("one two three four five six seven eight nine ten", "ten")
    assert novelty.nearest("one two three four five six seven red green blue") == (0.7, "ten")
    assert novelty.nearest("one two three four five six pink red green blue") is None


def test_a_division_that_rounds_down_does_not_make_a_text_new():
    a = " ".join(f"a{n}" for n in range(23))
    b = " ".join(f"a{n}" if n < 21 else f"b{n}" for n in range(37))
    assert Fraction(2 * 21, 23 + 37) == Fraction("0.7")
    assert SCORER.score(a, b)["rougeL"].fmeasure < 0.7
    novelty = Novelty(0.7)
    novelty.add(a, "a")
    assert novelty.nearest(b) == (0.7, "a")


def test_the_nearest_is_named_and_of_equals_the_first():
    novelty = Novelty(0.5)
    for label, text in (("far", "a b x y"), ("near", "a b c y"), ("too", "a b c z")):
        novelty.add(text, label)
    assert novelty.nearest("a b c d") == (0.75, "near")
    assert novelty.nearest("e f g h") is None
    assert len(novelty) == 3


def test_what_is_new_depends_on_the_order():
    def kept(*texts):
        novelty = Novelty(0.7)
        return [t for t in texts if novelty.nearest(t) is None and novelty.add(t, t) is None]

    a, b, c = "a b c d e", "a b c d x", "a b c y x"
    assert kept(a, b, c) == [a, c]
    assert kept(b, a, c) == [b]


def test_ascii_is_read_as_rouge_score_reads_it():
    draw = random.Random(os.environ[SEED])
    for _ in range(300):
        text = "".join(draw.choices(string.printable + string.ascii_letters * 3, k=60))
        assert tokens(text) == tokenize(text, None)


@pytest.mark.parametrize(
    "a, near, far",
    [
        ("为什么天空在白天是蓝色的？", "为什么天空在晚上是黑色的？", "请写一首关于猫的短诗。"),
        ("空はなぜ青いのですか", "海はなぜ青いのですか", "ねこについて一つ書いて"),
        ("ทำไมท้องฟ้าเป็นสีฟ้า", "ทำไมท้องทะเลเป็นสีฟ้า", "เขียนกลอนเรื่องแมว"),
        ("لماذا لون السماء أزرق في النهار", "لماذا لون البحر أزرق في النهار", "اكتب قصيدة عن القط"),
        ("Почему небо днём голубое", "Почему море днём голубое", "Напиши стих про кота"),
    ],
)
def test_a_text_in_any_script_is_compared(a, near, far):
    assert not tokenize(a, None), "rouge-score would call each of them new"
    novelty = Novelty(0.6)
    novelty.add(a, "a")
    assert novelty.nearest(a) == (1, "a")
    assert novelty.nearest(near)
    assert novelty.nearest(far) is None


def test_words_of_a_script_with_spaces_stay_whole():
    assert tokens("Die Straße, Café 12_a!") == ["die", "strasse", "café", "12", "a"]
    assert tokens("GPT 不是 人") == ["gpt", "不", "是", "人"]


def test_a_text_without_words_is_like_no_other():
    novelty = Novelty(0.1)
    novelty.add("?!", "marks")
    assert novelty.nearest("?!") is None
    assert novelty.nearest("") is None


def test_more_words_than_there_are_characters_change_nothing(monkeypatch):
    draw = random.Random(f"{os.environ[SEED]}-novelty")
    monkeypatch.setattr(compiler.novelty, "maxunicode", 5)
    assert differing(draw, 0.7, by_definition)[0] == 0


def test_few_of_many_texts_are_compared(monkeypatch):
    draw = random.Random(os.environ[SEED])
    words = [f"w{n}" for n in range(3000)]
    weights = [1 / (n + 3) for n in range(3000)]
    novelty, count = Novelty(0.7), 0

    class Counting:
        @staticmethod
        def similarity(*words, **options):
            nonlocal count
            count += 1
            return similarity(*words, **options)

    similarity = compiler.novelty.LCSseq.similarity
    monkeypatch.setattr(compiler.novelty, "LCSseq", Counting)
    for number in range(2000):
        text = " ".join(draw.choices(words, weights, k=draw.randint(8, 20)))
        if novelty.nearest(text) is None:
            novelty.add(text, str(number))
    assert len(novelty) > 1900
    assert count < 0.01 * len(novelty) ** 2 / 2


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_no_other_threshold_is_a_similarity(threshold):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Novelty(threshold)
