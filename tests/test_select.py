"""Selections: bounds recomputed, choices against brute force, and what a student gains by them."""

import math
import os
import random
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import sparse

from compiler.curriculum import SelectSettings, ValueSettings
from compiler.expand import Origin, Sample, sample_id
from compiler.features import terms
from compiler.prompt import Message
from compiler.select import select
from compiler.select.mechanism import facility_location
from compiler.select.near import Near
from compiler.select.numbers import numbers_of
from compiler.select.pool import Pool, pool_of
from compiler.select.room import room_of
from compiler.select.surprisal import surprisals
from compiler.select.utility import Judged, informativeness, qualities, ranks
from compiler.spool import Kept, Outcomes
from tests.conftest import SEED

LEAF = "compositional_skills/a"


def sample(question, answer="It is so.", leaf=LEAF, human=False, context="", **scores):
    messages = (Message("user", f"{context}{question}"), Message("assistant", answer))
    kind, branch = "seed" if human else "synthetic", leaf.split("/")[0]
    origin = Origin(kind, f"{leaf}/qna.yaml", "", "me", (), (), pipeline="p")
    id = sample_id([*messages, Message("leaf", leaf)])
    return Sample(id, messages, branch, leaf, origin, question, answer, context, scores=scores)


def run(samples, per_leaf=1000, seed=0, held_out=(), **settings):
    """The Selection, and the samples of what it keeps."""
    outcomes = Outcomes()
    kept = []
    for place, one in enumerate(samples):
        outcomes.samples.put(place, one)
        human = not one.origin.made
        kept.append(Kept(place, one.id, one.branch, one.leaf, human))
    said = SelectSettings(**settings)
    found = select(outcomes.samples, kept, held_out, said, per_leaf, seed)
    assert len(found.kept) + len(found.dropped) == len(kept)
    assert [k.place for k in found.kept] == sorted(k.place for k in found.kept)
    return found, [samples[k.place] for k in found.kept]


def given(one):
    """The same sample, from a data set."""
    return replace(one, leaf="sources/x", origin=replace(one.origin, kind="source", generation=1))


def codes(found):
    return Counter(code.id for _, code, _ in found.dropped)


def crowd(draw, number, leaves=4, **more):
    """Samples of few words, so that many are alike; the judge likes some of them."""
    return [
        sample(
            " ".join(f"w{leaf}x{draw.randrange(9)}" for _ in range(6)),
            " ".join(f"v{draw.randrange(40)}" for _ in range(6)),
            f"compositional_skills/{leaf}",
            rating=draw.randint(1, 5),
            n=draw.random(),
            **more,
        )
        for leaf in (draw.randrange(leaves) for _ in range(number))
    ]


def weigh(samples):
    """Unit TF-IDF rows by the book, as dictionaries: (1 + ln n) * (1 + ln((1 + N) / (1 + df)))."""
    texts = [Counter(terms(f"{one.question} {one.answer}")) for one in samples]
    often = Counter(word for text in texts for word in text)
    rows = []
    for text in texts:
        row = {
            w: (1 + math.log(n)) * (1 + math.log((1 + len(texts)) / (1 + often[w])))
            for w, n in text.items()
        }
        length = math.sqrt(sum(x * x for x in row.values()))
        rows.append({w: x / length for w, x in row.items()})
    return {one.id: row for one, row in zip(samples, rows, strict=True)}


def cosine(a, b):
    return sum(weight * b.get(word, 0.0) for word, weight in a.items())


def highest(samples, rows):
    return max(cosine(rows[a.id], rows[b.id]) for a, b in combinations(samples, 2))


# ---- the threshold greedy ----


def test_no_two_selected_are_more_similar_than_the_bound():
    draw = random.Random(f"{os.environ[SEED]}-bound")
    made = crowd(draw, 100)
    rows = weigh(made)
    similarity = draw.uniform(0.4, 0.6)
    found, left = run(made, mechanism="greedy", similarity=similarity)
    assert highest(left, rows) <= similarity + 1e-9
    assert highest(run(made)[1], rows) > similarity  # the control: the first ones
    assert codes(found).keys() == {"D541"}
    by_id = {one.id: one for one in made}
    for one, _, detail in found.dropped:
        said, other = detail.removeprefix("cosine ").split(" (")
        near = cosine(rows[one.id], rows[other[:-1]])
        assert near > similarity
        assert near == pytest.approx(float(said), abs=6e-4)
        assert by_id[other[:-1]] in left


def test_no_single_exchange_makes_a_selection_better():
    draw = random.Random(f"{os.environ[SEED]}-local")
    made = crowd(draw, 100, leaves=1)
    rows = weigh(made)
    useful = {one.id: round(one.scores["n"], 9) for one in made}
    made = [replace(one, scores={"n": useful[one.id]}) for one in made]

    def better(left, similarity):
        """How many exchanges keep the bound and raise the utility."""
        others = [one for one in made if one not in left]
        return sum(
            all(cosine(rows[new.id], rows[x.id]) <= similarity for x in left if x != old)
            and useful[new.id] > useful[old.id]
            for old in left
            for new in others
        )

    settings = {"mechanism": "greedy", "utility": ("quality",), "similarity": 0.5}
    found, left = run(made, per_leaf=20, **settings)
    assert len(left) == 20
    assert "D540" in codes(found)
    assert not better(left, 0.5)
    assert better(run(made, per_leaf=20)[1], 0.5) > 0  # the control: the first ones


def test_copies_with_small_changes_collapse_to_one():
    draw = random.Random(f"{os.environ[SEED]}-copies")
    words = [f"word{n}" for n in range(300)]
    first = draw.sample(words, 14), draw.sample(words, 20)
    copies = [first]
    for change in (str.upper, str.title, lambda text: f" {text}  ", lambda text: f"{text}!"):
        copies.append(([change(word) for word in first[0]], [change(w) for w in first[1]]))
    synonym = [*first[0]]
    synonym[draw.randrange(14)] = "another"
    copies.append((synonym, first[1]))
    others = [(draw.sample(words, 14), draw.sample(words, 20)) for _ in range(60)]
    made = [sample(" ".join(q), " ".join(a)) for q, a in copies + others]
    planted = {one.id for one in made[: len(copies)]}
    draw.shuffle(made)
    assert sum(one.id in planted for one in run(made, mechanism="greedy")[1]) == 1
    assert len(run(made, mechanism="greedy")[1]) == len(others) + 1
    assert sum(one.id in planted for one in run(made)[1]) == len(copies)


def test_people_s_samples_are_kept_and_count_as_taken():
    human = sample("How do birds find seeds in winter?", "They remember places.", human=True)
    copy = sample("How do birds find seeds in the winter?", "They remember places.")
    other = sample("Which tool cuts wood?", "A saw.")
    for mechanism in ("greedy", "facility-location"):
        for first in (human, given(human)):
            found, left = run([first, first, copy, other], per_leaf=1, mechanism=mechanism)
            assert left == [first, first, other]
    found, _ = run([human, copy, other], mechanism="greedy", similarity=0.8)
    assert [(one.id, code.id) for one, code, _ in found.dropped] == [(copy.id, "D541")]
    assert human.id in found.dropped[0][2]


@pytest.mark.parametrize("mechanism", ["greedy", "facility-location"])
def test_the_order_of_the_samples_changes_no_selection(mechanism):
    draw = random.Random(f"{os.environ[SEED]}-order")
    made = [replace(one, scores={}) for one in crowd(draw, 60)]  # ties everywhere
    settings = {"mechanism": mechanism, "utility": ("quality",), "similarity": 0.7}
    once = {one.id for one in run(made, per_leaf=6, **settings)[1]}
    draw.shuffle(made)
    assert {one.id for one in run(made, per_leaf=6, **settings)[1]} == once
    assert {one.id for one in run(made, per_leaf=6)[1]} != once


def test_one_question_about_two_texts_and_two_about_one_are_no_copies():
    one, two = "The pool is closed on Monday morning. ", "A library opens its new reading hall. "
    made = [sample("Write a headline.", "News of today", context=text) for text in (one, two)]
    made.append(sample("Name the day that is meant.", "Monday", context=one))
    assert len(run(made, mechanism="greedy", similarity=0.8)[1]) == 3
    made.append(sample("Write a Headline!", "News of today", context=one.upper()))
    assert len(run(made, mechanism="greedy", similarity=0.8)[1]) == 3


def test_the_nearest_above_a_bound_equals_brute_force():
    draw = random.Random(f"{os.environ[SEED]}-near")
    rows = sparse.random(80, 30, 0.25, "csr", rng=np.random.default_rng(draw.randrange(2**32)))
    rows = sparse.vstack([rows, rows[:3]]).tocsr()
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = sparse.diags(1 / np.where(lengths, lengths, 1)) @ rows
    table = (rows @ rows.T).toarray()
    for above in (0.2, 0.5, 0.8, 0.95):
        near = Near(rows, above)
        hits = 0
        for row in range(rows.shape[0]):
            best = max(((round(table[row, o], 9), -o) for o in range(row)), default=(0, 0))
            found = near.find(row)
            if best[0] <= above:
                assert found is None
            else:
                assert found == (pytest.approx(best[0], abs=1e-8), -best[1])
                hits += 1
            near.put(row)
        assert hits


# ---- budgets ----


def test_the_first_of_each_leaf_are_kept_by_default():
    draw = random.Random(f"{os.environ[SEED]}-first")
    made = crowd(draw, 60)
    made.insert(20, sample("Of a person?", leaf="compositional_skills/0", human=True))
    found, left = run(made, per_leaf=5)
    wanted, counts = [], Counter()
    for one in made:
        human = one.origin.kind == "seed"
        if human or counts[one.leaf] < 5:
            wanted.append(one)
        counts[one.leaf] += not human
    assert left == wanted
    assert set(codes(found)) == {"D513"}
    assert {detail for _, _, detail in found.dropped} == {"the leaf has its 5 samples"}
    assert found.numbers is None


@pytest.mark.parametrize("mechanism", ["order", "greedy", "facility-location"])
def test_every_leaf_keeps_its_minimum_however_low_its_scores(mechanism):
    draw = random.Random(f"{os.environ[SEED]}-least")
    good = crowd(draw, 80, leaves=3)
    poor = [
        sample(f"poor{n} poor{n * n} plain{n}?", f"poor{-n} answer{n}", "compositional_skills/z")
        for n in range(6)
    ]
    made = [replace(one, scores={"rating": 5}) for one in good]
    made += [replace(one, scores={"rating": 1}) for one in poor]
    settings = {"mechanism": mechanism, "utility": ("quality",), "per_leaf": 20}

    def of_poor(**more):
        left = run(made, **settings, **more)[1]
        return sum(one.leaf == "compositional_skills/z" for one in left)

    assert of_poor(budget=5, min_per_leaf=3) == 3
    assert of_poor(budget=3, min_per_leaf=0) == 0 or mechanism == "facility-location"


def test_a_budget_is_spread_over_skills_and_spares_knowledge():
    made = [
        sample(f"fact{leaf}{n} named{n}{leaf}?", f"told{n}", f"{branch}/{leaf}", n=n)
        for branch, leaf, size in (
            ("knowledge", "k", 30),
            ("compositional_skills", "a", 40),
            ("compositional_skills", "b", 40),
            ("foundational_skills", "c", 3),
        )
        for n in range(size)
    ]
    for mechanism in ("order", "greedy", "facility-location"):
        found, left = run(made, per_leaf=25, mechanism=mechanism, budget=24, similarity=1)
        sizes = Counter(one.leaf.split("/")[1] for one in left)
        assert sizes["c"] == 3
        assert sizes["k"] == 25
        assert sorted((sizes["a"], sizes["b"])) == [10, 11]
        if mechanism != "order":
            assert {"the budget of 24 samples is spent", "the leaf has its 25 samples"} == {
                detail.split("; ")[1] for _, _, detail in found.dropped
            }


def test_what_a_leaf_cannot_fill_others_get():
    same = [
        sample("one two three four", "five six seven", "foundational_skills/s", n=n)
        for n in range(20)
    ]
    same = [replace(one, id=f"{n:016}") for n, one in enumerate(same)]
    other = [sample(f"q{n} r{n} s{n}", f"t{n}", n=n) for n in range(30)]
    left = run(same + other, mechanism="greedy", budget=20)[1]
    assert Counter(one.leaf for one in left) == {"foundational_skills/s": 1, LEAF: 19}


def test_a_leaf_of_copies_keeps_its_minimum_of_those_that_are_least_alike():
    human = sample("How do birds find seeds in winter?", "They remember places.", human=True)
    far = sample("How do birds find any seeds?", "They remember places.")
    near = sample("How do birds find seeds in the winter?", "They remember places.")
    settings = {"mechanism": "greedy", "similarity": 0.3}
    assert run([human, near, far], **settings)[1] == [human, far]
    assert run([human, near, far], **settings, min_per_leaf=0)[1] == [human]


def test_room_of_a_minimum_above_the_budget():
    sizes, branches = {"a": 9, "b": 9}, {"a": "compositional_skills", "b": "compositional_skills"}
    room = room_of(sizes, branches, SelectSettings(budget=3, min_per_leaf=4), 100)
    assert room.rounds == ({"a": 4, "b": 4}, {"a": 4, "b": 4}, {"a": 9, "b": 9})


# ---- facility location ----


def test_facility_location_equals_the_plain_greedy():
    draw = random.Random(f"{os.environ[SEED]}-facility")
    made = crowd(draw, 60)
    made[0] = replace(made[0], origin=replace(made[0].origin, kind="seed"))
    pool = pool_of(made, ("quality",), {})
    table = (pool.vectors @ pool.vectors.T).toarray() * pool.utility[:, None]
    sizes = Counter(one.leaf for one in made[1:])
    branches = dict.fromkeys(sizes, "compositional_skills")
    settings = SelectSettings(budget=16, min_per_leaf=0)
    room = room_of(sizes, branches, settings, 100)
    taken = facility_location(pool, room).places
    best, left, plain = table[0].copy(), Counter(room.rounds[1]), []
    while len(plain) < 16:
        gains = [
            (-round(np.maximum(table[n] - best, 0).sum(), 9), -pool.utility[n], pool.ids[n], n)
            for n in range(1, 60)
            if n not in plain and left[pool.leaves[n]]
        ]
        chosen = min(gains)[3]
        plain.append(chosen)
        left[pool.leaves[chosen]] -= 1
        best = np.maximum(best, table[chosen])
    assert taken == plain
    assert taken != pool.ranking[:16]


# ---- utilities ----


def judged(verified=False, pipeline="p", **scores):
    return Judged(pipeline, scores, verified)


def test_quality_by_hand():
    found = qualities(
        [
            judged(rating=1),
            judged(rating=3),
            judged(rating=2, rating_odds=0.8),  # 0.8 * 2 + 0.2 * mean(1, 3, 5)
            judged(rating=5, kind="a"),
            judged(rating=5, kind="b"),  # words that differ are no scale
            judged(),
            judged(verified=True, rating=1),
            judged(verified=True),
            judged(pipeline="q", fine="yes", fine_odds=0.7),  # all say yes: the odds tell
            judged(pipeline="q", fine="yes", fine_odds=0.5, rating=9),  # one rating is no scale
        ]
    )
    wanted = [0, 0.5, (0.8 * 2 + 0.2 * 3 - 1) / 4, 1, 1, 0.5, 2 + 0, 2 + 0.5, 0.7, 0.5]
    assert found == pytest.approx([q / 3 for q in wanted])
    assert min(found[6:8]) > max(found[:6])  # a checker outranks every judge


def test_surprisal_by_hand():
    """Of "a b" beside "a c": a begins the other text too, b is in none."""
    first, second = surprisals([["a", "b"], ["a", "c"]])
    a = 1 / 2 * 1 + 1 / 3 * 1 / 2 + 1 / 6 / 3
    b = 1 / 2 * 0 + 1 / 3 * 0 + 1 / 6 / 3
    assert first == pytest.approx(-(math.log2(a) + math.log2(b)) / 2)
    assert second == pytest.approx(first)
    alone = surprisals([["x", "y", "x"], []])
    assert alone == [pytest.approx(1.0), 0.0]


def test_probabilities_of_all_terms_sum_to_one():
    draw = random.Random(f"{os.environ[SEED]}-sum")
    words = list("abcdef")
    others = [words, *([draw.choice(words) for _ in range(9)] for _ in range(4))]
    for head in words:
        bits = [surprisals([[*words, head, w], *others])[0] * 8 for w in words]
        base = surprisals([[*words, head], *others])[0] * 7
        assert sum(2 ** -(b - base) for b in bits) == pytest.approx(1.0)


def test_what_a_leaf_says_again_and_again_informs_least():
    stale = [("l", "the same words as always".split(), True)] * 5
    fresh = [("l", "quite another thing entirely".split(), True)]
    human = [("l", "the same words as always".split(), False)]
    found = informativeness([*stale, *fresh, *human, ("m", ["alone"], True)])
    assert found == pytest.approx([2.5 / 6] * 5 + [5.5 / 6, 0.5])
    assert ranks([3.0, 1.0, 3.0]) == pytest.approx([2 / 3, 1 / 6, 2 / 3])


def test_a_quarantine_sets_aside_the_lowest_values_and_no_person():
    draw = random.Random(f"{os.environ[SEED]}-quarantine")

    def text(leaf, size):
        return " ".join(
            f"{draw.choice((leaf, leaf, 'all'))}{draw.randrange(20)}" for _ in range(size)
        )

    def of(leaf, about, human=False):
        return sample(text(leaf, 6), text(about, 12), f"compositional_skills/{leaf}", human)

    held = [of(leaf, leaf, True) for leaf in "xyz" for _ in range(8)]
    people = [of(leaf, "xyz"[leaf == "x"], True) for leaf in "xyz" for _ in range(3)]
    wrong = [of(leaf, other) for leaf, other in pairwise("xyzx") for _ in range(3)]
    right = [of(leaf, leaf) for leaf in "xyz" for _ in range(27)]
    others = [given(of(leaf, other)) for leaf, other in pairwise("xyzx") for _ in range(4)]
    made = [*people, *others, *right, *wrong]
    for mechanism in ("order", "greedy"):
        found, left = run(
            made,
            held_out=held,
            mechanism=mechanism,
            similarity=1,
            value=ValueSettings("knn-shapley", 0.1),
        )
        aside = [one for one, code, _ in found.dropped if code.id == "D542"]
        assert len(aside) == 9
        assert len({one.id for one in aside} & {one.id for one in wrong}) >= 8
        assert all(detail.endswith(" by knn-shapley") for _, _, detail in found.dropped)
        assert set(map(id, [*people, *others])) <= set(map(id, left))
    spared, _ = run(
        [*people, *wrong], held_out=held, min_per_leaf=3, value=ValueSettings("knn-shapley", 0.5)
    )
    assert not spared.dropped


# ---- the numbers ----


def test_the_four_numbers_by_hand():
    vectors = sparse.csr_matrix([[1, 0, 0], [0.6, 0.8, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    pool = Pool(
        ("a", "b", "c", "d", "human"),
        ("x", "x", "y", "z", "x"),
        (False, False, False, False, True),
        np.array([0.9, 0.5, 0.1, 0.3, 1.0]),
        vectors,
    )
    found = numbers_of(pool, [0, 2], 7)
    four = found.pool
    assert (four.count, four.leaves, four.similarity) == (4, 3, pytest.approx(0.8))
    assert (four.utility, four.coverage) == (pytest.approx(0.45), pytest.approx(1.0))
    four = found.selection
    assert (four.count, four.leaves, four.similarity) == (2, 2, 0)
    assert four.utility == pytest.approx(0.5)
    assert four.coverage == pytest.approx((1 + 0.8 + 1 + 0) / 4)
    assert found.random.count == 2
    one, two = found.curve
    assert (one.count, one.utility) == (1, pytest.approx(0.9))
    assert one.coverage == one.gain == pytest.approx((1 + 0.6 + 0 + 0) / 4)
    assert two.gain == pytest.approx(four.coverage - one.coverage)
    nothing = numbers_of(pool, [], 7)
    assert (nothing.selection.count, nothing.selection.coverage, nothing.curve) == (0, 0, ())


# ---- a student ----


def test_a_student_of_selected_samples_beats_one_of_random_samples():
    import torch

    def learned(texts, asked, size):
        """The held-out loss of a tiny language model: the last two words predict the next."""
        torch.manual_seed(0)
        embed = torch.nn.Embedding(size, 16)
        model = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, size)
        )
        grams = torch.tensor([text[n : n + 3] for text in texts for n in range(len(text) - 2)])
        held = torch.tensor([text[n : n + 3] for text in asked for n in range(len(text) - 2)])
        steps = torch.optim.Adam([*embed.parameters(), *model.parameters()], 0.02)
        loss = torch.nn.functional.cross_entropy
        for _ in range(40):
            steps.zero_grad()
            loss(model(embed(grams[:, :2])), grams[:, 2]).backward()
            steps.step()
        with torch.no_grad():
            return loss(model(embed(held[:, :2])), held[:, 2]).item()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    won = []
    for seed in range(5):
        draw = random.Random(f"{os.environ[SEED]}-student-{seed}")
        after = {w: draw.sample(range(60), 3) for w in range(60)}

        def sentence(draw=draw, after=after):
            said = [draw.randrange(60)]
            while len(said) < 14:
                said.append(draw.choice(after[said[-1]]))
            return said

        made = []
        good = [sentence() for _ in range(25)]
        for _ in range(300):
            kind = draw.random()
            if kind < 0.5:  # said before, with another first word
                said, rating = [draw.randrange(60), *draw.choice(good)[1:]], 3
            elif kind < 0.75:  # no sentence
                said, rating = [draw.randrange(60) for _ in range(14)], draw.choice((1, 1, 2))
            else:
                said, rating = sentence(), draw.choice((3, 3, 2))
            words = [f"t{word}" for word in said]
            made.append(sample(" ".join(words[:7]), " ".join(words[7:]), rating=rating))
        left = run(made, per_leaf=60, mechanism="greedy", utility=("quality",))[1]

        def ids(samples):
            return [[int(w[1:]) for w in f"{s.question} {s.answer}".split()] for s in samples]

        asked = [sentence() for _ in range(60)]
        chance = learned(ids(draw.sample(made, len(left))), asked, 60)
        won.append(chance - learned(ids(left), asked, 60))
    torch.set_num_threads(threads)
    assert sum(gain > 0 for gain in won) >= 4, won
