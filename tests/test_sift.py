"""Verdicts of the sift, each with its reason; the near-duplicate finder against brute force."""

import random

from compiler.curriculum import SiftSettings
from compiler.expand import Origin, Sample, sample_id
from compiler.prompt import Message
from compiler.sift import jaccard, shingles, sift


def sample(question, answer="An answer.", kind="synthetic", context="", leaf="knowledge/x"):
    messages = (Message("user", question), Message("assistant", answer))
    origin = Origin(kind, f"{leaf}/qna.yaml", "", "me", (), ())
    return Sample(
        sample_id(messages), messages, "knowledge", leaf, origin, question, answer, context
    )


def codes(samples, held_out=(), budget=100, **settings):
    verdicts = sift(samples, held_out, SiftSettings(**settings), budget)
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


def test_the_budget_counts_synthetic_samples_per_leaf():
    made = [
        sample(f"Question number {i} about {i * i}?", leaf=f"knowledge/{i % 2}") for i in range(8)
    ]
    made.insert(0, sample("A human question here?", kind="seed", leaf="knowledge/0"))
    found = codes(made, budget=3)
    assert found.count("D513") == 2
    assert found[0] == ""


def test_verdicts_equal_brute_force_on_random_text():
    draw = random.Random(20)
    words = [
        "red",
        "green",
        "blue",
        "fast",
        "slow",
        "tall",
        "old",
        "new",
        "bird",
        "stone",
        "river",
        "cloud",
        "seed",
        "leaf",
    ]
    texts = []
    for _ in range(400):
        text = draw.choices(words, k=14)
        texts.append(" ".join(text))
        text[draw.randrange(14)] = "changed"
        texts.append(" ".join(text))
    samples = [sample(text) for text in texts]
    found = codes(samples, budget=1000, near_duplicate=0.7)
    kept, expected = [], []
    for s in samples:
        near = any(jaccard(shingles(s), other) >= 0.7 for other in kept)
        expected.append(near)
        if not near:
            kept.append(shingles(s))
    agree = sum(bool(a) == b for a, b in zip(found, expected, strict=True))
    assert sum(expected) > 250
    assert agree >= 0.99 * len(samples)


def test_one_dropped_word_of_context_keeps_in_equal_to_kept_plus_dropped():
    samples = [sample(f"Is {i} a number or not?") for i in range(50)] * 2
    verdicts = sift(samples, [], SiftSettings(), 100)
    assert len(verdicts) == 100
