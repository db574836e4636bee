"""What selections of one budget are worth beside each other, and what values find, beside chance.

A file of its own because `bench/sift.py` runs it as two of its parts. The pool is drawn anew from a
seed: questions of 25 subjects of very different size, many of them variations of one another, with
two judges' scores. Run it alone with `python bench/selection.py`.
"""

import random
import time
from dataclasses import replace

import numpy as np
from goals import Goals
from sklearn.metrics import average_precision_score, roc_auc_score

from compiler.curriculum import SelectSettings, ValueSettings
from compiler.expand import Origin, Sample
from compiler.prompt import Message
from compiler.select.mechanism import facility_location, greedy
from compiler.select.numbers import numbers_of
from compiler.select.pool import pool_of
from compiler.select.room import room_of
from compiler.value import Point, task_of, value

SAMPLES, SUBJECTS, BUDGET = 2000, 25, 60
LEAF = "compositional_skills/all"


# ---- selections of one budget ----


def selection(goals: Goals, seed: int = 0) -> None:
    """Four numbers for each way to take 60 of 2,000: none is best in all."""
    made, subjects = crowd(random.Random(seed))
    started = time.process_time()
    pool = pool_of(made, ("quality",), {})
    worth = {s.id: s.scores["quality"] * s.scores["complexity"] for s in made}
    flat = replace(pool, utility=np.ones(len(made)))

    def room():
        settings = SelectSettings(budget=BUDGET)
        return room_of({LEAF: SAMPLES}, {LEAF: "compositional_skills"}, settings, SAMPLES)

    ways = {
        "threshold greedy, at most 0.9": greedy(pool, room(), 0.9).places,
        "threshold greedy, at most 0.5": greedy(pool, room(), 0.5).places,
        "random": random.Random(seed).sample(range(len(made)), BUDGET),
        "top score": greedy(pool, room(), 1.0).places,
        "facility location": facility_location(flat, room()).places,
        "facility location by utility": facility_location(pool, room()).places,
    }
    print(
        f"\n{'60 of 2,000':32} {'taken':>6} {'mean q*c':>9} {'max cos':>8} {'hit':>4} {'cover':>6}"
    )
    seen = {}
    for name, places in ways.items():
        # the numbers count subjects, of which the selection does not know
        four = numbers_of(replace(pool, leaves=subjects), places, seed).selection
        score = float(np.mean([worth[pool.ids[place]] for place in places]))
        seen[name] = score, four
        print(
            f"{name:32} {four.count:6} {score:9.2f} {four.similarity:8.3f} "
            f"{four.leaves:4} {four.coverage:6.3f}"
        )
    print(f"{'all of it':32} {time.process_time() - started:6.1f} s\n")
    score, four = seen["threshold greedy, at most 0.5"]
    by_chance, chance = seen["random"]
    goals.say("highest cosine of a greedy selection", four.similarity, 0.5)
    goals.say("its mean q*c, to that of chance", score / by_chance, 1.3, least=True)
    goals.say("its coverage, to that of chance", four.coverage / chance.coverage, 1, least=True)
    goals.say("subjects that it hits", four.leaves, chance.leaves, least=True)
    located = seen["facility location"][1]
    best = max(four.coverage for _, four in seen.values())
    goals.say("coverage of facility location, to the best", located.coverage / best, 1, least=True)
    top = seen["top score"]
    most = max(score for score, _ in seen.values())
    goals.say("mean q*c of the top scores, to the best", top[0] / most, 1, least=True)
    goals.say("their highest cosine, which nothing bounds", top[1].similarity, 0.9, least=True)


def crowd(draw):
    """Samples, and the subject of each; the larger a subject, the more variations it has."""
    share = [1 / (n + 1) for n in range(SUBJECTS)]
    of = [n for n in range(SUBJECTS) for _ in range(3)]
    of += draw.choices(range(SUBJECTS), share, k=SAMPLES - len(of))
    drafts: dict[int, list[list[str]]] = {}
    made = []
    for number, subject in enumerate(of):
        known = drafts.setdefault(subject, [])
        if known and draw.random() < 0.6:
            words = list(draw.choice(known))
            for _ in range(draw.randint(1, 6)):
                words[draw.randrange(len(words))] = word(draw, subject)
        else:
            words = [word(draw, subject) for _ in range(24)]
            known.append(words)
        scores = {
            "quality": min(6, max(1, round(draw.gauss(3.6, 1.2)))),
            "complexity": min(6, max(1, round(draw.gauss(3.6, 1.2)))),
        }
        question, answer = " ".join(words[:8]), " ".join(words[8:])
        messages = (Message("user", question), Message("assistant", answer))
        origin = Origin("synthetic", f"{LEAF}/qna.yaml", "", "ada", (), (), pipeline="bench")
        made.append(
            Sample(
                f"{number:016x}",
                messages,
                "compositional_skills",
                LEAF,
                origin,
                question,
                answer,
                scores=scores,
            )
        )
    return made, tuple(f"subject {n}" for n in of)


def word(draw, subject, own=0.5, words=60, common=400):
    """A word of a subject, or one that all subjects have; few of them are frequent."""
    if draw.random() < own:
        return f"s{subject}w{min(int(draw.expovariate(3 / words)), words - 1)}"
    return f"common{min(int(draw.expovariate(6 / common)), common - 1)}"


# ---- values ----


def shapley(goals: Goals) -> None:
    """How well values find samples that lie in a wrong leaf, and how long that takes."""
    small = [flipped(seed, 90, 3, 200) for seed in range(4)]
    large = [flipped(seed, 1000, 25, 250) for seed in range(2)]
    for about, worlds in (("90 samples", small), ("1,000 samples", large)):
        print(f"\n{about:32} {'AUROC':>6} {'AUPRC':>6} {'seconds':>8}")
        found = {}
        for method in ("cs-shapley", "knn-shapley", "leave-one-out", "random"):
            figures = [measured(method, *world) for world in worlds]
            found[method] = np.mean(figures, axis=0)
            auroc, auprc, seconds = found[method]
            print(f"{method:32} {auroc:6.3f} {auprc:6.3f} {seconds:8.2f}", flush=True)
        print()
        floor = (0.95, 0.85) if worlds is small else (0.9, 0.7)
        auroc, auprc, seconds = found["cs-shapley"]
        goals.say(f"{about}: AUROC of flips, CS-Shapley", auroc, floor[0], least=True)
        goals.say(f"{about}: AUPRC of flips, CS-Shapley", auprc, floor[1], least=True)
        goals.say(f"{about}: CPU of CS-Shapley, 500 draws", seconds, 60, unit=" s")
        control = max(found["leave-one-out"][0], found["random"][0])
        goals.say(f"{about}: AUROC of the better control", control, floor[0])


def flipped(seed, number, leaves, dev, share=0.2):
    """A Task of which a share of the samples lie in a wrong leaf, and which they are."""
    draw = random.Random(seed)

    def text(leaf):
        words = range(draw.randint(12, 25))
        return " ".join(word(draw, leaf, 0.35, 40) for _ in words)

    def points(of, human):
        return [
            Point(f"{human}{n}", said, f"skills/{leaf}", "skills", "ada", "", human)
            for n, (said, leaf) in enumerate(of)
        ]

    wrong = set(draw.sample(range(number), round(share * number)))
    made = []
    for n in range(number):
        others = [leaf for leaf in range(leaves) if leaf != n % leaves]
        made.append((text(n % leaves), draw.choice(others) if n in wrong else n % leaves))
    held = [(text(n % leaves), n % leaves) for n in range(dev)]
    task = task_of(points(made, False), points(held, True))
    return task, np.array([n in wrong for n in range(number)])


def measured(method, task, wrong):
    """AUROC, AUPRC and seconds of a processor."""
    started = time.process_time()
    if method == "random":
        draw = random.Random(0)
        values = np.array([draw.random() for _ in wrong])
    else:
        found = value(task, ValueSettings(method), 0)
        values = np.array([found[point.id] for point in task.points])
    seconds = time.process_time() - started
    return roc_auc_score(wrong, -values), average_precision_score(wrong, -values), seconds


if __name__ == "__main__":
    goals = Goals()
    selection(goals)
    shapley(goals)
    raise SystemExit(goals.missed)
