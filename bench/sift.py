"""What sifting and selecting cost, and whether they find what brute force finds.

The parts `near` and `rouge` compare made-up short questions: half of them fill the templates of
their leaf (a leaf for every 500), half are free, and one in ten repeats an earlier one but for a
word or two. Times are CPU seconds of one process, medians of fresh ones; what is measured reads the
questions from a file. The baselines are datasketch's MinHash LSH and the all-pairs loop with
rouge-score that Self-Instruct runs (arXiv 2212.10560, section 2.2). datasketch is no dependency of
Trivium: without `pip install datasketch` its lines are left out. The parts `select` and `value`
stand in bench/selection.py. Exit status 1 where a goal is missed. Run it with
`python bench/sift.py [--only PART]`; the part `near` takes some minutes.
"""

import argparse
import importlib.util
import json
import math
import random
import resource
import statistics
import sys
import tempfile
import time
from itertools import accumulate, islice
from pathlib import Path

from goals import Goals, fresh

from compiler.expand import Origin, Sample
from compiler.expand.print import print_of
from compiler.near import Near
from compiler.novelty import Novelty

SIMILARITY = 0.7
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
ENDS = ("", "l", "m", "n", "r", "s", "t", "ck", "nd", "rt", "sh", "st")
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in ENDS]


def make_questions(path, number, seed=0):
    """Writes that many questions, a line each."""
    chance = random.Random(seed)
    odds = list(accumulate(1 / (n + 3) for n in range(len(WORDS))))

    def words(n):
        return chance.choices(WORDS, cum_weights=odds, k=n)

    made = []
    for place in range(number):
        if place % 500 == 0:
            templates = [words(chance.randint(8, 16)) for _ in range(5)]
        kind = chance.random()
        if made and kind < 0.1:
            text = chance.choice(made).split()
            gaps = chance.choice((0, 1, 1, 2))
        elif kind < 0.5:
            text = list(chance.choice(templates))
            gaps = len(text) // 3
        else:
            text, gaps = words(chance.randint(6, 24)), 0
        for gap in chance.sample(range(len(text)), gaps):
            text[gap] = words(1)[0]
        made.append(" ".join(text))
    path.write_text("".join(f"{text}\n" for text in made))


def prints(path):
    origin = Origin("synthetic", "", "", "", (), ())
    with path.open() as lines:
        for line in lines:
            yield print_of(Sample("", (), "", "", origin, line, ""))


def spent(start):
    """CPU seconds since then, and the most memory that this process ever had, in MB."""
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def by_near(path):
    """Drops every question that is near to one that was kept; which those are."""
    start = time.process_time()
    near, dropped = Near(prints(path), SIMILARITY), []
    for number in range(len(near)):
        if near.same(number) is None and near.nearest(number) is None:
            near.add(number)
        else:
            dropped.append(number)
    return *spent(start), dropped


def by_datasketch(path):
    """The same by MinHash LSH as datasketch offers it: 128 permutations, bands by its own choice;
    what its bands find is compared by its signatures.
    """
    from datasketch import MinHash, MinHashLSH

    start = time.process_time()
    known, dropped = MinHashLSH(threshold=SIMILARITY, num_perm=128), []
    kept = {}
    for number, (_, pairs) in enumerate(prints(path)):
        one = MinHash(num_perm=128)
        one.update_batch([pair.to_bytes(8, "big") for pair in pairs])
        if any(one.jaccard(kept[other]) >= SIMILARITY for other in known.query(one)):
            dropped.append(number)
        else:
            known.insert(number, one)
            kept[number] = one
    return *spent(start), dropped


def by_brute_force(path, some):
    """Of `some` numbers those that are near to a question before them, from all the overlaps."""
    import numpy as np
    from scipy.sparse import csr_array

    sets = [pairs for _, pairs in prints(path)]
    columns = {}
    places = [columns.setdefault(pair, len(columns)) for pairs in sets for pair in pairs]
    sizes = np.array([len(pairs) for pairs in sets])
    ones = np.ones(len(places), np.int32)
    table = csr_array((ones, places, np.append(0, np.cumsum(sizes))), (len(sets), len(columns)))
    columns_of = table.T.tocsr()
    near = []
    for number in some:
        shared = (table[[number]] @ columns_of).toarray()[0]
        alike = shared / (sizes + sizes[number] - shared) >= SIMILARITY
        near += [number] if alike[:number].any() else []
    return near


def found_of(path, some):
    """Of `some` numbers those that the engine finds near to a question before them."""
    near, found = Near(prints(path), SIMILARITY), set()
    for number in range(len(near)):
        if number in some and near.nearest(number):
            found.add(number)
        near.add(number)
    return found


def by_rouge(path, number):
    """Drops every one of the first questions that ROUGE-L finds too like a kept one, as Self-
    Instruct's own loop does: against all of them. Also how many pairs that were.
    """
    from rouge_score.rouge_scorer import RougeScorer

    start = time.process_time()
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    kept, dropped, pairs = [], [], 0
    with path.open() as lines:
        for place, line in enumerate(islice(lines, number)):
            pairs += len(kept)
            scores = [scorer.score(other, line)["rougeL"].fmeasure for other in kept]
            # without the last digits of its division, which can miss an exact tie
            if round(max(scores, default=0), 12) >= SIMILARITY:
                dropped.append(place)
            else:
                kept.append(line)
    return *spent(start), dropped, pairs


def by_novelty(path, number):
    """The same by ours."""
    start = time.process_time()
    novelty, dropped, pairs = Novelty(SIMILARITY), [], 0
    with path.open() as lines:
        for place, line in enumerate(islice(lines, number)):
            pairs += len(novelty)
            if novelty.nearest(line):
                dropped.append(place)
            else:
                novelty.add(line, "")
    return *spent(start), dropped, pairs


def medians(runs):
    """Seconds and memory of several runs."""
    return [statistics.median(run[i] for run in runs) for i in (0, 1)]


def near_duplicates(goals, scratch, rounds):
    files = {number: scratch / f"near-{number}" for number in (500, 10**4, 10**5, 10**6)}
    runs = {number: [] for number in files}
    for number, path in files.items():
        fresh(make_questions, path, number)
    for turn in range(rounds):
        for number, path in files.items():
            if number < 10**6 or turn == rounds // 2:
                runs[number].append(fresh(by_near, path))
    each = {}
    for number, some in runs.items():
        seconds, most = medians(some)
        each[number] = 1e6 * seconds / number
        about = f"{seconds:.2f} s, {len(some[0][2]):,} dropped"
        goals.say(f"{number:,} questions: CPU for each", each[number], unit=" us", about=about)
    goals.say("1,000,000 questions: memory", most, 2000, unit=" MB")
    growth = each[10**6] / each[10**4]
    goals.say("1,000,000: CPU for each, of that at 10,000", growth, 1.15)

    path = files[10**5]
    some = set(random.Random(1).sample(range(10**5), 1000))
    near = set(fresh(by_brute_force, path, sorted(some)))
    found = fresh(found_of, path, some)
    about = f"{len(near)} of {len(some)} out of 100,000 are near to one before them"
    goals.say("recall against brute force", len(near & found) / len(near), 0.95, True, about=about)
    goals.say("found and not near", len(found - near), 0)

    if importlib.util.find_spec("datasketch"):
        seconds, most, dropped = fresh(by_datasketch, path)
        about = f"{seconds:.1f} s, {most:,.0f} MB, {len(dropped):,} dropped, at 100,000"
        ratio = 1e6 * seconds / 10**5 / each[10**5]
        goals.say("datasketch's MinHash LSH: CPU of ours", ratio, unit=" x", about=about)
    else:
        print("datasketch is not installed: pip install datasketch")
    seconds, _, dropped, _ = fresh(by_rouge, files[500], 500)
    about = f"{seconds:.1f} s, {len(dropped):,} dropped, at 500"
    ratio = 1e6 * seconds / 500 / each[500]
    goals.say("the pairwise ROUGE-L filter: CPU of ours", ratio, unit=" x", about=about)


def rouge(goals, scratch, rounds):
    path = scratch / "rouge"
    fresh(make_questions, path, 10**5)
    few, *runs = [], [], []
    for _ in range(rounds):
        few.append(fresh(by_rouge, path, 600))
        for number, some in zip((10**4, 10**5), runs, strict=True):
            if number == 10**4 or not some:
                some.append(fresh(by_novelty, path, number))
    loop, ours, many = (medians(some)[0] for some in (few, *runs))
    _, _, dropped, pairs = few[0]
    differing = set(dropped) ^ set(fresh(by_novelty, path, 600)[2])
    about = f"{len(dropped)} of 600 dropped, {pairs:,} pairs"
    goals.say("verdicts that differ from the loop's", len(differing), 0, about=about)
    asked = runs[0][0][3]
    whole = loop / pairs * asked
    about = f"{ours:.2f} s and, of {asked:,} pairs by the {pairs:,}, {whole:,.0f} s"
    goals.say("10,000 questions: times the loop's speed", whole / ours, 500, True, about=about)
    about = f"{many:.1f} s, {runs[1][0][1]:,.0f} MB, {len(runs[1][0][2]):,} dropped"
    goals.say("100,000: time grows by the power", math.log10(many / ours), 1.5, about=about)


def beside(name):
    """A comparison that stands in bench/selection.py."""
    import selection

    return getattr(selection, name)


PARTS = {
    "near": near_duplicates,
    "rouge": rouge,
    "select": lambda goals, scratch, rounds: beside("selection")(goals),
    "value": lambda goals, scratch, rounds: beside("shapley")(goals),
}


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--only", choices=PARTS, action="append", help="one part; repeatable")
    asked.add_argument("--rounds", type=int, default=5)
    said = asked.parse_args()
    goals = Goals()
    with tempfile.TemporaryDirectory() as top:
        for name in said.only or PARTS:
            PARTS[name](goals, Path(top), said.rounds)
    print(json.dumps({"rounds": said.rounds}))
    sys.exit(goals.missed)


if __name__ == "__main__":
    main()
