"""Values of samples: exact on a toy, against refits and brute force, and what they find."""

import json
import math
import os
import random
from dataclasses import asdict, replace
from itertools import chain, combinations, pairwise, permutations
from statistics import fmean, stdev

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.naive_bayes import MultinomialNB
from typer.testing import CliRunner

from compiler.cli import make_app
from compiler.curriculum import ValueSettings
from compiler.expand import Origin
from compiler.features import counts, terms, weights
from compiler.value import Point, lowest, standings, task_of, value
from compiler.value.bayes import Bayes
from compiler.value.cs import cs_shapley, drawn, every, normalised, walks_of
from compiler.value.knn import knn_shapley
from tests.conftest import SEED

TRIVIUM = make_app({"value": "compiler.cli.value:value"})
METHODS = ("knn-shapley", "cs-shapley", "leave-one-out")


# ---- the toy of four points ----


class Line:
    """y = clip(round(b x)) with b = x·y / x·x, trained anew at every step."""

    def __init__(self, x, y, dev):
        self.x, self.y, self.dev = np.array(x, float), np.array(y), np.array(dev, float)

    def told(self, points):
        x, y = self.x[points], self.y[points]
        return np.clip(np.round(x @ y / (x @ x) * self.dev), 0, 1).astype(int)

    def full(self):
        return self.told(list(range(len(self.y))))

    def walk(self, label, environment, order):
        points = [int(p) for some in environment for p in some]
        for point in order:
            points.append(int(point))
            yield self.told(points)[None, :]


X, Y, ASKED = [1, 2, 3, 4], np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
QUARTER, HALF = math.exp(0.25), math.exp(0.5)
GOLDEN = [QUARTER / 6, QUARTER / 3, QUARTER / 12 + HALF / 24, HALF / 8]


def test_the_toy_has_its_known_values_and_another_convention_has_others():
    exact = cs_shapley(Line(X, Y, X), Y, ASKED, every(Y))
    assert exact == pytest.approx(GOLDEN, abs=1e-9)

    def with_empty(label):
        own, other = np.flatnonzero(label == Y), np.flatnonzero(label != Y)
        for some in chain.from_iterable(combinations(other, size) for size in range(3)):
            for order in permutations(own):
                yield (np.array(some, int),), np.array(order)

    assert max(abs(cs_shapley(Line(X, Y, X), Y, ASKED, with_empty) - GOLDEN)) > 0.01


def test_draws_come_near_the_exact_values():
    walks = drawn(Y, 1200, int(os.environ[SEED]))
    assert cs_shapley(Line(X, Y, X), Y, ASKED, walks) == pytest.approx(GOLDEN, abs=0.02)


def test_the_order_of_the_points_changes_no_exact_value():
    order = random.Random(f"{os.environ[SEED]}-order").sample(range(4), 4)
    x, y = [X[i] for i in order], Y[order]
    assert cs_shapley(Line(x, y, X), y, ASKED, every(y)) == pytest.approx(
        [GOLDEN[i] for i in order], abs=1e-12
    )


def test_few_walks_are_all_walked():
    def seen(number):
        return {
            (*(tuple(map(int, some)) for some in e), tuple(map(int, o)))
            for e, o in walks_of(Y, number, 0)(0)
        }

    whole = {((), env, order) for env in ((2,), (3,), (2, 3)) for order in ((0, 1), (1, 0))}
    assert seen(6) == whole
    assert seen(5) < whole


def test_a_truncated_walk_ends_where_the_accuracy_is_reached():
    far = cs_shapley(Line(X, Y, X), Y, ASKED, every(Y), truncation=2.0)  # at the first point
    walks = [(c, e, o) for c in (0, 1) for e, o in every(Y)(c)]
    first = [0.0] * 4
    for label, environment, order in walks:
        said = next(Line(X, Y, X).walk(label, environment, order))[0] == ASKED
        inside = label == ASKED
        first[order[0]] += np.mean(said & inside) * math.exp(np.mean(said & ~inside)) / 6
    assert far == pytest.approx(first)
    assert far != pytest.approx(GOLDEN)


# ---- texts of leaves, some of them under a wrong one ----


def text(draw, leaf, share, size=20):
    """Words that only the leaf has, among words that all have."""
    own = [f"leaf{leaf}word{min(int(draw.expovariate(1 / 12)), 39)}" for _ in range(size)]
    common = [f"common{min(int(draw.expovariate(1 / 60)), 299)}" for _ in range(size)]
    return " ".join(
        mine if draw.random() < share else all_ for mine, all_ in zip(own, common, strict=True)
    )


def points(draw, texts, kind="made"):
    return [
        Point(
            f"{kind}{n:04}",
            said,
            f"leaf{leaf}",
            "skills",
            "ada",
            "",
            kind != "made",
            kind == "made",
        )
        for n, (said, leaf) in enumerate(texts)
    ]


def world(draw, number=90, leaves=3, dev=200, share=0.35, flips=0.2):
    """A Task, and which of its points lie in a wrong leaf."""
    made = [(text(draw, n % leaves, share), n % leaves) for n in range(number)]
    wrong = set(draw.sample(range(number), round(flips * number)))
    made = [
        (said, draw.choice([x for x in range(leaves) if x != leaf]) if n in wrong else leaf)
        for n, (said, leaf) in enumerate(made)
    ]
    held = [(text(draw, n % leaves, share), n % leaves) for n in range(dev)]
    task = task_of(points(draw, made), points(draw, held, "held"))
    return task, np.array([n in wrong for n in range(number)])


def valued(task, method, seed=0, **settings):
    found = value(task, ValueSettings(method, **settings), seed)
    return np.array([found[point.id] for point in task.points])


def test_flipped_samples_have_the_lowest_values_and_controls_do_not_find_them():
    found = {"cs-shapley": [], "knn-shapley": [], "leave-one-out": [], "random": []}
    for seed in range(4):
        draw = random.Random(f"{os.environ[SEED]}-flips-{seed}")
        task, wrong = world(draw, share=0.4)
        for method, figures in found.items():
            if method == "random":
                values = np.array([draw.random() for _ in wrong])
            else:
                values = valued(task, method, seed, environments=120)
            auroc, auprc = roc_auc_score(wrong, -values), average_precision_score(wrong, -values)
            figures.append((auroc, auprc))
    mean = {method: np.mean(figures, axis=0) for method, figures in found.items()}
    for method in ("cs-shapley", "knn-shapley"):
        assert mean[method][0] >= 0.95, mean
        assert mean[method][1] >= 0.85, mean
    for method in ("leave-one-out", "random"):
        assert mean[method][0] < 0.95, mean
        assert mean[method][1] < 0.85, mean


def refit(counted, labels, dev):
    return MultinomialNB(alpha=1.0).fit(counted, labels).predict(dev)


def agrees(said, counted, labels, dev):
    """Whether labels are those of a refit, but where two classes are equally likely."""
    model = MultinomialNB(alpha=1.0).fit(counted, labels)
    likely = np.sort(model.predict_joint_log_proba(dev), axis=1)
    sure = likely[:, -1] - likely[:, -2] > 1e-6
    assert sure.mean() > 0.5
    return (said == model.predict(dev))[sure].all()


def test_the_classifier_is_naive_bayes_at_every_step():
    draw = random.Random(f"{os.environ[SEED]}-bayes")
    task, _ = world(draw, number=30, dev=40)
    counted, dev = counts(p.text for p in task.points), counts(p.text for p in task.dev)
    known = np.unique(counted.indices)
    plain, asked = counted[:, known], dev[:, known]
    learner = Bayes(counted, task.labels, dev)
    assert agrees(learner.full(), plain, task.labels, asked)
    environment, order = next(iter(drawn(task.labels, 1, draw.randrange(1000))(1)))
    before = [int(p) for some in environment for p in some]
    (said,) = learner.walk(1, environment, order)
    for step, labels in enumerate(said, 1):
        chosen = before + order[:step].tolist()
        assert agrees(labels, plain[chosen], task.labels[chosen], asked)
    own = np.flatnonzero(task.labels == 2)
    for point, labels in zip(own, learner.without(2), strict=True):
        others = np.arange(len(task.labels)) != point
        assert agrees(labels, plain[others], task.labels[others], asked)


def test_the_values_of_a_class_sum_to_its_accuracy():
    task, _ = world(random.Random(f"{os.environ[SEED]}-sum"), number=45, dev=60)
    values = valued(task, "cs-shapley", environments=20)
    counted, dev = counts(p.text for p in task.points), counts(p.text for p in task.dev)
    known = np.unique(counted.indices)
    right = refit(counted[:, known], task.labels, dev[:, known]) == task.asked
    for label in range(3):
        accuracy = np.mean(right & (task.asked == label))
        assert values[task.labels == label].sum() == pytest.approx(accuracy, abs=1e-9)
    raw = np.array([1.0, 3.0, -1.0, 1.0])
    scaled = normalised(raw, np.array([0, 0, 1, 1]), np.array([0, 1]), np.array([0, 0]))
    assert scaled.tolist() == [0.125, 0.375, 0.0, 0.0]


def test_two_identical_samples_have_the_same_value():
    draw = random.Random(f"{os.environ[SEED]}-twins")
    task, _ = world(draw, number=30, dev=60)
    good = draw.randrange(30)
    twin = task.points[good]
    doubled = task_of(
        [*task.points, Point("twin", twin.text, twin.leaf, "skills", "ada", "", False, True)],
        task.dev,
    )
    runs = np.array([valued(doubled, "cs-shapley", seed, environments=40) for seed in range(12)])
    means = runs.mean(axis=0)
    for one, other, alike in ((good, -1, True), (means.argmax(), means.argmin(), False)):
        apart = (runs[:, one] - runs[:, other]).tolist()
        near = abs(fmean(apart)) <= 5 * stdev(apart) / math.sqrt(len(apart))
        assert near == alike


def test_the_closed_form_of_nearest_neighbours_equals_enumeration():
    draw = random.Random(f"{os.environ[SEED]}-knn")
    for number in (3, 6):
        labels, asked = np.array([n % 2 for n in range(number)]), np.array([0, 1, 0, 1])
        counted = counts(text(draw, n % 2, 0.3) for n in range(number))
        of = weights(counted)
        rows, dev = of.transform(counted), of.transform(counts(text(draw, 1, 0.3) for _ in asked))
        near = (dev @ rows.T).toarray()

        def worth(chosen, near=near, labels=labels, asked=asked):
            best = [sorted(chosen, key=lambda p: (-near[d, p].round(9), p))[:2] for d in range(4)]
            return fmean(sum(labels[p] == asked[d] for p in best[d]) / 2 for d in range(4))

        exact = np.zeros(number)
        for order in permutations(range(number)):
            for before, after in pairwise(order[:size] for size in range(number + 1)):
                exact[after[-1]] += worth(after) - worth(before)
        exact /= math.factorial(number)
        assert knn_shapley(rows, labels, dev, asked, 2) == pytest.approx(exact, abs=1e-12)


def test_without_the_best_samples_a_classifier_loses_more_than_without_random_ones():
    lost = []
    for seed in range(5):
        draw = random.Random(f"{os.environ[SEED]}-removal-{seed}")
        task, _ = world(draw, number=60, dev=150, share=0.25)
        values = valued(task, "cs-shapley", seed, environments=60)
        counted = counts(p.text for p in task.points)
        known = np.unique(counted.indices)
        fresh = counts(text(draw, n % 3, 0.25) for n in range(600))[:, known]

        def accuracy(left, counted=counted[:, known], task=task, fresh=fresh):
            return np.mean(refit(counted[left], task.labels[left], fresh) == np.arange(600) % 3)

        best = np.argsort(values)[:-12]
        chance = fmean(accuracy(draw.sample(range(60), 48)) for _ in range(10))
        lost.append(chance - accuracy(best))
    assert fmean(lost) > 0
    assert sum(one > 0 for one in lost) >= 4, lost


# ---- what is valued, by what ----


def point(id, leaf="skills/a", human=False, branch="skills", made=True, **said):
    of = {"contributor": "ada", "document": "", **said}
    return Point(id, f"text of {id}", leaf, branch, **of, human=human, made=made and not human)


def test_a_leaf_with_few_held_out_questions_is_judged_by_its_other_human_examples_too():
    made = [point(f"a{n}") for n in range(3)] + [point(f"b{n}", "skills/b") for n in range(3)]
    people = [point("human a", human=True), point("human b", "skills/b", human=True)]
    held = [point("held a", human=True)]
    held += [point(f"held b{n}", "skills/b", human=True) for n in range(5)]
    task = task_of([*people, *made], held)
    assert [p.id for p in task.dev] == [*(p.id for p in held), "human a"]
    assert "human a" not in {p.id for p in task.points}
    assert "human b" in {p.id for p in task.points}
    assert task.names == ("skills/a", "skills/b")


def test_a_leaf_with_few_samples_counts_as_its_branch():
    made = [point(f"a{n}") for n in range(3)] + [point("b", "skills/b"), point("c", "skills/c")]
    held = [point(f"held {leaf}", f"skills/{leaf}", human=True) for leaf in "abc"]
    task = task_of(made, held)
    assert task.names == ("skills", "skills/a")
    assert task.labels.tolist() == [1, 1, 1, 0, 0]
    assert task.asked.tolist() == [1, 0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_can_be_told_apart_all_values_are_0_and_nobody_is_condemned(method):
    task = task_of([point(f"a{n}") for n in range(9)], [point("held", human=True)])
    values = value(task, ValueSettings(method), 0)
    assert set(values.values()) == {0.0}
    assert lowest(task.points, values, 0.5) == ()


def test_the_lowest_are_never_people_s_and_leave_a_leaf_its_minimum():
    made = [point(f"a{n}") for n in range(4)] + [point(f"b{n}", "skills/b") for n in range(6)]
    human = point("human", human=True)
    values = {p.id: float(n) for n, p in enumerate([human, *made])}
    assert lowest([human, *made], values, 0.3) == ("a0", "a1", "a2")
    assert lowest([human, *made], values, 0.3, spare=3) == ("a0", "b0")
    given = [point(f"given{n}", "sources/x", made=False) for n in range(20)]
    values |= {p.id: -1.0 for p in given}
    assert lowest([*given, human, *made], values, 0.3) == ("a0", "a1", "a2")
    assert lowest([replace(p, made=True) for p in given] + made, values, 0.5) == ()


def test_standings_put_first_who_has_most_of_the_lowest():
    made = [
        point(f"{who}{n}", contributor=who, document="d" * (n > 1))
        for who in "xyz"
        for n in range(3)
    ]
    values = dict(zip((p.id for p in made), (5, 5, -9, 1, 1, 1, 2, 2, 2), strict=True))
    found = standings(made, values, ("x2", "y0"), "contributor")
    assert [(w.name, w.samples, w.lowest) for w in found] == [("x", 3, 1), ("y", 3, 1), ("z", 3, 0)]
    assert [w.name for w in standings(made, values, (), "document")] == ["d"]


def test_a_text_is_cut_into_words_and_letters_of_scripts_without_spaces():
    assert terms("The 3.5 Änderungen, 東京です") == ["the", "3.5", "änderungen", *"東京です"]


# ---- through the command ----

SAMPLES, HELD = 40, 20


def line(id, question, answer, leaf, contributor, kind):
    origin = asdict(Origin(kind, "", "", contributor, (), ()))
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    branch = leaf.split("/")[0]
    whole = {"id": id, "messages": said, "leaf": leaf, "branch": branch, "origin": origin}
    return {**whole, "unmask": False, "scores": {}}


def write_build(folder, draw, swapped):
    """Five contributors with a leaf each; of one's samples a share has the answer of another's."""
    samples, held = [], []
    people = draw.sample(["ada", "bob", "cy", "dee", "eve"], 5)
    for who in people:
        leaf = f"compositional_skills/{who}"
        wrong = draw.sample(range(SAMPLES), round(swapped * SAMPLES)) if who == people[0] else ()
        for n in range(-HELD, SAMPLES):
            whose = draw.choice(people[1:]) if n in wrong else who
            asked, said = text(draw, who, 0.3, 8), text(draw, whose, 0.3, 24)
            kind, into = ("seed", held) if n < 0 else ("synthetic", samples)
            into.append(line(f"{who}{n}", asked, said, leaf, who, kind))
    folder.mkdir()
    for name, lines in (("samples", samples), ("heldout", held)):
        text_ = "".join(json.dumps(one) + "\n" for one in lines)
        (folder / f"{name}.jsonl").write_text(text_)
    settings = {"seed": 1, "select": {"value": {"method": "none", "environments": 20}}}
    settings["sift"] = {"near_duplicate": 0.85}
    names = ("samples", "drops", "heldout", "validation", "phase1", "phase2")
    files = {f"{name}.jsonl": {"count": 0} for name in names}
    manifest = {"curriculum": settings, "files": files, "taxonomy": {"revision": ""}}
    manifest |= {"leaves": [], "passes": [], "fingerprint": "", "teacher": "", "judge": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return people[0]


def trivium(*said, code=0):
    done = CliRunner().invoke(TRIVIUM, ["value", *map(str, said)])
    assert done.exit_code == code, done.output
    return done.output


def test_a_contributor_of_swapped_answers_ranks_last(tmp_path):
    seed = f"{os.environ[SEED]}-swapped"
    worst = write_build(tmp_path / "build", random.Random(seed), 0.3)
    before = (tmp_path / "build" / "samples.jsonl").read_bytes()
    found = json.loads(trivium(tmp_path / "build", "--format", "json"))
    assert found["method"] == "knn-shapley"
    assert len(found["standings"]) == 5
    assert found["standings"][0]["contributor"] == worst
    assert len(found["quarantine"]) == 5 * SAMPLES // 10
    assert (tmp_path / "build" / "samples.jsonl").read_bytes() == before
    assert trivium(tmp_path / "build").splitlines()[2].startswith(worst)
    write_build(tmp_path / "clean", random.Random(seed), 0)
    clean = json.loads(trivium(tmp_path / "clean", "--format", "json"))
    (same,) = (w for w in clean["standings"] if w["contributor"] == worst)
    assert same["share"] < found["standings"][0]["share"] / 1.5


def test_class_wise_values_are_the_same_each_time_and_follow_the_build_s_seed(tmp_path):
    build = tmp_path / "build"
    write_build(build, random.Random(f"{os.environ[SEED]}-seed"), 0.3)
    words = (build, "--method", "cs-shapley", "--by", "sample", "--format", "json")
    first = trivium(*words)
    assert trivium(*words) == first
    file = build / "manifest.json"
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 2'))
    assert trivium(*words) != first
    listed = json.loads(first)["standings"]
    assert [one["value"] for one in listed] == sorted(one["value"] for one in listed)


def test_what_is_no_build_or_no_sample_is_said(tmp_path):
    assert "F605" in trivium(tmp_path, code=1)
    build = tmp_path / "build"
    write_build(build, random.Random(0), 0)
    (build / "heldout.jsonl").write_text('{"id": 1}\n')
    out = trivium(build, code=1)
    assert "F605" in out
    assert "heldout.jsonl:1" in out
    assert "nonsense" in trivium(build, "--method", "nonsense", code=2)
    assert "not a number" in trivium(build, "--quarantine", "nan", code=2)


def test_a_table_of_nothing_says_so(tmp_path):
    write_build(tmp_path / "build", random.Random(0), 0)
    assert "no sample has a document" in trivium(tmp_path / "build", "--by", "document")
