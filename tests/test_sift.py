"""Verdicts of the sift, each with its reason; all of them against brute force."""

import os
import random
from dataclasses import replace
from itertools import pairwise

import compiler.near.added
from compiler.curriculum import SiftSettings
from compiler.expand import Origin, Sample, sample_id
from compiler.expand.print import print_of
from compiler.leaf import words
from compiler.prompt import Message
from compiler.sift import sift
from tests.conftest import SEED


def sample(question, answer="An answer.", kind="synthetic", context="", leaf="knowledge/x"):
    asked = f"{context}\n\n{question}" if context else question
    messages = (Message("user", asked), Message("assistant", answer))
    origin = Origin(kind, f"{leaf}/qna.yaml", "", "me", (), ())
    return Sample(
        sample_id(messages), messages, "knowledge", leaf, origin, question, answer, context
    )


def codes(samples, held_out=(), **settings):
    verdicts = list(sift(samples, held_out, SiftSettings(**settings)))
    return [v.code.id if v.code else "" for v in verdicts]


BIRD = (
    "What does the black-capped chickadee eat in the coldest months of the winter, "
    "when the ground is hard and white?"
)


def test_each_reason_has_its_code():
    seed = sample("Where do chickadees live in summer?", kind="seed")
    held = sample("How does a chickadee find its hidden seeds again?")
    found = codes(
        [
            seed,
            sample("where do chickadees live in summer"),
            sample("How does a chickadee find its hidden seeds again"),
            sample(BIRD),
            sample(BIRD.upper()),
            sample(BIRD.replace("coldest", "cold")),
            sample("Say: " + BIRD),
            sample("Why?"),
            sample("Describe one chickadee.", answer="?"),
        ],
        held_out=[held],
    )
    assert found == ["", "D505", "D506", "", "D503", "", "D504", "D502", "D502"]


def test_a_seed_that_evaluation_asks_is_dropped_but_near_seeds_stay():
    held = sample(BIRD)
    near = sample("Say: " + BIRD, kind="seed")
    assert codes([sample(BIRD, kind="seed"), near], held_out=[held]) == ["D506", ""]


def test_a_framed_copy_of_a_held_out_question_is_dropped():
    held = sample("How does a chickadee find its seeds?")
    framed = sample("Help me, for I must know. Today: how does a chickadee find its seeds?")
    other = sample("Help me, for I must know. Today: how does a chickadee find its seed?")
    assert codes([framed, other], held_out=[held]) == ["D506", ""]


def test_the_same_question_about_another_text_is_another_sample():
    a = sample("Write a headline.", context="The pool is closed.")
    b = sample("Write a headline.", context="The library is open.")
    assert codes([a, b]) == ["", ""]
    assert codes([a, a]) == ["", "D503"]


def test_the_same_messages_are_one_sample_however_their_parts_are_told_apart():
    whole = sample("A poem.\n\nWho wrote it?")
    parts = replace(whole, question="Who wrote it?", context="A poem.")
    person = replace(parts, origin=replace(parts.origin, kind="seed"))
    assert codes([whole, parts]) == ["", "D503"]
    assert codes([person, whole]) == ["", "D505"]
    assert codes([person], held_out=[whole]) == ["D506"]
    assert codes([whole, replace(parts, id="other")]) == ["", ""]


def test_scripts_without_spaces_are_compared_too():
    asked = "请问山雀在寒冷的冬天里吃什么东西来过冬呢？"
    near, far = asked.replace("冬天里", "冬天"), "知更鸟在夏天的花园里唱什么歌？"
    assert codes([sample(asked), sample(near), sample(far)]) == ["", "D504", ""]
    assert (
        codes([sample(near), sample(f"小明问：{asked}")], held_out=[sample(asked)]) == ["D506"] * 2
    )
    thai = "นกกินอะไรในฤดูหนาวที่หนาวมาก"
    assert codes([sample(thai), sample(thai + "ๆ")]) == ["", "D504"]
    vowels = ["वह लड़की क्या खाती है?", "वह लड़का क्या खाता है?"]
    assert codes([sample(one, kind="seed") for one in vowels]) == ["", ""]


def shingles(sample):
    """The word pairs of the question with its context, as text."""
    mark = tuple(words(sample.context))
    return {(pair, mark) for pair in pairwise(["", *words(sample.question), ""])}


def brute_force(samples, held_out, settings):
    """The verdicts by comparing each sample with all that were kept before it."""
    kept = [(s, shingles(s), "D506") for s in held_out]
    for one in samples:
        human = one.origin.kind == "seed"
        own, said = shingles(one), f" {' '.join(words(one.question))} "
        held = next(
            (
                seed.id
                for start in range(len(said))
                for seed in held_out
                if words(seed.context) == words(one.context)
                and said.startswith(f" {' '.join(words(seed.question))} ", start)
            ),
            "",
        )
        same = [
            (s, code)
            for s, _, code in kept
            if words(s.question) == words(one.question) and words(s.context) == words(one.context)
        ]
        near = [
            (len(own & other) / len(own | other), -n)
            for n, (_, other, _) in enumerate(kept)
            if not human and own & other
        ]
        similarity, place = max(near, default=(0.0, 0))
        if same:
            other, code = same[0]
            code = "D503" if code == "D504" or (human and code == "D505") else code
            verdict = code, "the same words", other.id
        elif held and not human:
            verdict = "D506", "it holds the whole question", held
        elif similarity >= settings.near_duplicate:
            other, _, code = kept[-place]
            verdict = code, f"similarity {similarity:.2f}", other.id
        else:
            verdict = "", "", ""
            kept.append((one, own, "D505" if human else "D504"))
        yield verdict


def random_samples(draw, number):
    """Questions of few words, many of them alike, about three texts; some are people's."""
    known = [f"w{n}" for n in range(draw.choice((12, 40, 400)))]
    texts = []
    for _ in range(number):
        text = draw.choice(texts).split() if texts and draw.random() < 0.6 else []
        text = text or draw.choices(known, k=draw.randint(3, 14))
        for _ in range(draw.choice((0, 1, 1, 2))):
            text[draw.randrange(len(text))] = draw.choice(known)
        texts.append(" ".join(text + draw.choices(known, k=draw.choice((0, 0, 1)))))
    made = [
        sample(
            text.upper() if draw.random() < 0.1 else text,
            context=draw.choice(("", "", "one text", "another text")),
            leaf=f"knowledge/{draw.randrange(2)}",
            kind="seed" if draw.random() < 0.1 else "synthetic",
        )
        for text in texts
    ]
    return sorted(made, key=lambda s: s.origin.kind != "seed")


def test_verdicts_equal_brute_force_on_random_text():
    draw = random.Random(f"{os.environ[SEED]}-sift")
    codes = set()
    for similarity in (0.3, 0.5, 0.7, 0.85, 0.85, 1, draw.random(), draw.random()):
        made = random_samples(draw, 250)
        held_out, made = made[:8], made[8:]
        settings = SiftSettings(similarity)
        found = [
            (v.code.id if v.code else "", v.detail, v.other) for v in sift(made, held_out, settings)
        ]
        assert found == list(brute_force(made, held_out, settings))
        codes |= {code for code, _, _ in found}
    assert codes == {"", "D503", "D504", "D505", "D506"}


def test_every_sample_has_one_verdict_in_its_place():
    samples = [sample(f"Is {i} a number or not?") for i in range(50)] * 2
    verdicts = list(sift(samples, [], SiftSettings()))
    assert [v.sample for v in verdicts] == samples
    assert [v.code.id if v.code else "" for v in verdicts] == [""] * 50 + ["D503"] * 50


def test_a_template_of_many_words_costs_few_comparisons(monkeypatch):
    """Questions of one template are alike, yet nearly all of them differ in their rarest pairs."""
    compared = 0

    def count(a, b):
        nonlocal compared
        compared += 1
        return jaccard(a, b)

    jaccard = compiler.near.added.jaccard
    monkeypatch.setattr(compiler.near.added, "jaccard", count)
    made = [sample(f"What is the meaning of the word w{i} in the text above?") for i in range(2000)]
    assert codes(made) == [""] * 2000
    assert compared < 3 * len(made)


def test_prints_made_elsewhere_give_the_same_verdicts_and_others_would_not():
    draw = random.Random(int(os.environ[SEED]))
    made = random_samples(draw, 60)
    prints = list(map(print_of, made))
    own = list(sift(made, [], SiftSettings()))
    assert list(sift(made, [], SiftSettings(), iter(prints))) == own
    alike = [prints[0]] * len(prints)
    assert list(sift(made, [], SiftSettings(), iter(alike))) != own
