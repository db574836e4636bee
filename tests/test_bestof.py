"""What the best of n is worth: against all subsets, and where a proxy leads astray."""

import math
import os
import random
from itertools import combinations, pairwise

import pytest

from compiler.bestof import best_of, curve, kl, table, turn
from tests.conftest import SEED

CHANCE = random.Random(os.environ[SEED])
NAN = math.nan


def brute(proxies, trues, n):
    """The mean over every subset; of equal proxies the first wins, as `max` has it."""
    found = [
        trues[max(some, key=proxies.__getitem__)] for some in combinations(range(len(proxies)), n)
    ]
    return math.fsum(found) / len(found)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_estimate_is_the_mean_over_all_subsets(size):
    for draw in (CHANCE.random, lambda: CHANCE.randint(1, 3)):  # the second has many ties
        proxies = [draw() for _ in range(size)]
        trues = [CHANCE.gauss(0, 5) for _ in range(size)]
        for n in range(1, size + 1):
            assert abs(best_of(proxies, trues, n) - brute(proxies, trues, n)) < 1e-12
    with pytest.raises(ValueError):
        best_of(proxies, trues, size + 1)
    with pytest.raises(ValueError):
        best_of(proxies, trues, 0)


def test_of_equal_answers_the_first_wins_whatever_is_true():
    assert best_of([3, 3, 3], [1.0, 9.0, 5.0], 3) == 1.0
    assert best_of([3, 3, 3], [9.0, 1.0, 5.0], 3) == 9.0
    assert best_of([1, 2, 3], [1.0, 9.0, 5.0], 1) == 5.0


def test_the_published_distances():
    assert [round(kl(n), 3) for n in (1, 4, 16, 64)] == [0, 0.636, 1.835, 3.175]


def prompts(number, true):
    """Sixteen rivals for each prompt, by a proxy from 0 to 1 and what it is worth."""
    for _ in range(number):
        proxies = [CHANCE.random() for _ in range(16)]
        yield [(proxy, true(proxy) + CHANCE.gauss(0, 0.1)) for proxy in proxies]


def test_a_proxy_that_is_wrong_at_the_top_is_found_out():
    points = curve(prompts(300, lambda p: p if p < 0.8 else 0.8 - 4 * (p - 0.8)))
    assert [point.n for point in points] == [1, 2, 4, 8, 16]
    assert all(a.proxy < b.proxy for a, b in pairwise(points))
    last, best = points[-1], turn(points)
    assert best.n < 16
    assert last.verified < best.verified
    assert "with more answers only the proxy's rises" in table(points)[-1]


def test_a_proxy_that_is_right_is_left_alone():
    points = curve(prompts(300, lambda p: p))
    assert all(a.verified < b.verified for a, b in pairwise(points))
    assert turn(points) is None
    assert len(table(points)) == 1 + len(points)


def test_what_is_not_known_is_not_counted():
    groups = [
        [(1.0, 0.0), (3.0, 1.0)],
        [(2.0, NAN), (4.0, 1.0), (NAN, 1.0)],
        [(5.0, NAN)],
        [],
    ]
    one, two = curve(groups)
    assert (one.count, one.proxy, one.verified) == (3, (2 + 3 + 5) / 3, 0.5)
    assert (two.count, two.proxy, two.verified) == (2, 3.5, 1.0)
    assert curve([]) == ()
    assert table([]) == []
    (unknown,) = curve([[(1.0, NAN)]])
    assert math.isnan(unknown.verified)
    assert turn([unknown]) is None
    assert table([unknown]) == [
        "best of  proxy  verified    KL  prompts",
        "      1  1.000         -  0.00        1",
    ]
