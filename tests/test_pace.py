"""The pace of requests, against endpoints that are made of arithmetic and a clock of ours."""

import heapq
import os
import random
from math import inf

import pytest

from compiler.teacher.budget import Bucket, Budget
from compiler.teacher.desk import Line
from compiler.teacher.pace import START, Breaker, Fault, Limit, Pace

SEED = int(os.environ["TRIVIUM_TEST_SEED"])


class Simulated:
    """An endpoint that works on `slots` requests at once, each for `seconds`; what is above waits,
    or is refused after 10 ms.
    """

    def __init__(self, slots, seconds, refuses=False):
        self.slots, self.seconds, self.refuses = slots, seconds, refuses
        self.events, self.queue, self.busy, self.count = [], [], 0, 0

    def send(self, tried, now):
        if self.busy < self.slots:
            self.busy += 1
            self._event(now + self.seconds, tried, None)
        elif self.refuses:
            self._event(now + 0.01, tried, Fault.BUSY)
        else:
            self.queue.append(tried)

    def _event(self, at, tried, fault):
        self.count += 1
        heapq.heappush(self.events, (at, self.count, tried, fault))

    def next(self):
        now, _, tried, fault = heapq.heappop(self.events)
        if fault is None:
            self.busy -= 1
            if self.queue:
                self.send(self.queue.pop(0), now)
        return now, tried, fault


def run(requests, endpoint, most):
    """Sends so many requests; returns the seconds, the pace, and the refusals."""
    pace, now, left, refused = Pace(most), 0.0, requests, 0
    while left or endpoint.events:
        while left and pace.wait(now) == 0:
            endpoint.send(pace.begin(now), now)
            left -= 1
        wait = pace.wait(now) if left else inf
        if endpoint.events and endpoint.events[0][0] < now + wait:
            now, tried, fault = endpoint.next()
            pace.end(tried, fault, now)
            left += fault is not None
            refused += fault is not None
        else:
            now += wait
    assert pace.limit.in_flight == 0
    return now, pace, refused


def test_at_full_speed_almost_at_once():
    """1,000 requests of a second on 128 slots: eight rounds at best, whatever the limit may be."""
    for most in (128, 256, 1000):
        seconds, _, _ = run(1000, Simulated(128, 1.0), most)
        assert seconds <= 1.1 * 8.0, most
    assert run(1000, Simulated(128, 1.0), 16)[0] > 60  # the control: a timid limit


def test_it_grows_as_long_as_that_brings_more():
    _, pace, _ = run(30000, Simulated(1000, 1.0), 4000)
    assert 1000 <= pace.limit.value < 4000
    _, pace, _ = run(5000, Simulated(16, 1.0), 4000)  # more in flight only waits longer
    assert pace.limit.value <= 1.5 * 4 * START


def test_it_never_has_more_in_flight_than_allowed():
    draw = random.Random(SEED)
    for _ in range(20):
        most = draw.randint(1, 300)
        endpoint = Simulated(draw.randint(1, 300), draw.uniform(0.01, 2), draw.random() < 0.5)
        pace, peak = Pace(most), 0
        now, left = 0.0, 400
        while left:
            while left and pace.wait(now) == 0:
                endpoint.send(pace.begin(now), now)
                peak = max(peak, pace.limit.in_flight)
                left -= 1
            now, tried, fault = endpoint.next()
            pace.end(tried, fault, now)
        assert 1 <= peak <= most


def test_it_settles_below_what_is_refused():
    seconds, pace, refused = run(20000, Simulated(100, 1.0, refuses=True), 256)
    assert seconds < 1.15 * 200
    assert 60 < pace.limit.value < 130
    assert refused < 0.03 * 20000


def test_refusals_cut_once_in_a_round_trip():
    limit = Limit(64)
    for _ in range(64):
        limit.begin(0.0)
    for _ in range(64):
        limit.refused(0.0, 1.0)
    assert limit.value == pytest.approx(0.7 * 64)
    limit.in_flight = 40
    for _ in range(5):
        limit.refused(1.5, 2.0)  # sent after the cut: this is news
    assert limit.value == pytest.approx(0.7 * 40)


@pytest.mark.parametrize("share, least", [(0.0, 60), (0.05, 30), (0.3, 0)])
def test_refusals_by_chance_leave_the_slots_full(share, least):
    """A gateway that refuses some of all requests, however few there are."""
    draw = random.Random(SEED)
    endpoint, pace, now, left, area = Simulated(10**6, 1.0), Pace(64), 0.0, 3000, 0.0
    while left:
        while left and pace.wait(now) == 0:
            tried = pace.begin(now)
            left -= 1
            if draw.random() < share:
                endpoint._event(now + 0.01, tried, Fault.BUSY)
            else:
                endpoint.send(tried, now)
        before, (now, tried, fault) = now, endpoint.next()
        area += pace.limit.in_flight * (now - before)
        pace.end(tried, fault, now)
    assert least <= area / now <= (64 if share < 0.3 else 25)


def test_a_late_try_shows_how_many_are_answered_in_its_time():
    pace = Pace(64)
    tries = [pace.begin(0.0) for _ in range(64)]
    for i in range(15):
        pace.end(tries[i], None, 20.0 * i)
    for tried in tries[15:]:
        pace.end(tried, Fault.LATE, 300.0)
    assert pace.limit.value == pytest.approx(0.7 * 15)
    pace = Pace(64)
    hangs = pace.begin(0.0)
    for i in range(100):
        pace.end(pace.begin(float(i)), None, i + 1.0)
    pace.end(hangs, Fault.LATE, 300.0)
    assert pace.limit.value == 64  # one request hangs, the endpoint does not


def test_an_endpoint_rests_after_failures_in_a_row_and_one_request_looks():
    pace, now, rests = Pace(8), 0.0, []
    for _ in range(4):
        assert pace.end(pace.begin(now), Fault.AWAY, now) is None
    stale = pace.begin(now)
    assert pace.end(pace.begin(now), Fault.AWAY, now) is True
    for _ in range(8):
        rests.append(pace.wait(now))
        now += rests[-1]
        assert pace.wait(now) == 0
        probe = pace.begin(now)
        assert pace.wait(now) == inf  # one, and no second
        if stale:
            assert pace.end(stale, Fault.AWAY, now) is None  # says nothing new
            assert pace.wait(now) == inf
            stale = None
        assert pace.end(probe, Fault.AWAY, now) is None
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    now += pace.wait(now)
    assert pace.end(pace.begin(now), None, now) is False
    assert pace.wait(now) == 0
    assert pace.paused == pytest.approx(sum(rests) + 60)


@pytest.mark.parametrize("between", [None, Fault.BUSY, Fault.ODD])
def test_what_is_no_failure_breaks_the_row(between):
    pace = Pace(8)
    for _ in range(4):
        pace.end(pace.begin(0.0), Fault.BROKEN, 0.0)
    pace.end(pace.begin(0.0), between, 0.0)
    assert pace.end(pace.begin(0.0), Fault.BROKEN, 0.0) is None
    assert pace.wait(0.0) == 0


def test_a_probe_that_is_given_up_leaves_room_for_the_next():
    pace = Pace(8)
    pace.rest(0.0)
    probe = pace.begin(1.0)
    assert pace.wait(1.0) == inf
    pace.give_up(probe)
    assert pace.wait(1.0) == 0
    assert Breaker().wait(5.0) == 0


def test_retry_after_closes_the_endpoint():
    pace = Pace(8)
    pace.close(30.0, now=0.0)
    pace.close(5.0, now=1.0)
    assert pace.wait(1.0) == 29
    assert pace.wait(30.0) == 0
    assert pace.paused == 30


def test_an_answer_that_was_on_its_way_opens_nothing_that_was_to_stay_closed():
    pace = Pace(8)
    one, two = pace.begin(0.0), pace.begin(0.0)
    pace.rest(1.0)
    pace.end(one, Fault.DOWN, 1.0)
    pace.close(30.0, now=1.0)
    assert pace.end(two, None, 2.0) is False  # it is well, and still wants to be left alone
    assert pace.wait(2.0) == 29
    assert pace.wait(31.0) == 0
    assert pace.paused == 30


@pytest.mark.parametrize("per_minute", [30, 600, 6000])
def test_requests_per_minute(per_minute):
    bucket, now, sent = Bucket(per_minute, 0.0), 0.0, []
    while now < 600:
        wait = bucket.wait(now)
        if wait:
            now += wait
        else:
            bucket.take(1)
            sent.append(now)
    most = max(sum(start <= at < start + 60 for at in sent) for start in sent[:: len(sent) // 50])
    assert per_minute <= most <= per_minute * (1 + 1 / 60) + 1
    assert len(sent) == pytest.approx(10 * per_minute, rel=0.06)


def test_tokens_per_minute_are_what_comes_back_and_not_the_guess():
    draw = random.Random(SEED)
    budget, now, used = Budget(0, 60000, 0.0), 0.0, 0
    while now < 600:
        if wait := budget.wait(now):
            now += wait
            continue
        characters, reply = draw.randint(500, 6000), draw.randint(1, 900)
        estimate = budget.spend(characters, 1024)
        prompt = characters // 2  # a language of short tokens: the first guess is wrong by half
        budget.correct(estimate, characters, prompt, reply)
        used += prompt + reply
    assert used == pytest.approx(600000, rel=0.02)


def test_a_budget_learns_what_requests_cost():
    budget = Budget(0, 60000, 0.0)
    first = budget.spend(4000, 1024)
    for _ in range(100):
        budget.correct(budget.spend(4000, 1024), 4000, 2000, 100)
    assert first == pytest.approx(1000 + 256)
    assert budget.spend(4000, 1024) == pytest.approx(2000 + 100, rel=0.01)
    assert budget.spend(4000, 10) == pytest.approx(2000 + 10, rel=0.01)  # no reply is longer


def test_a_request_larger_than_a_minute_goes_and_is_paid_off():
    budget = Budget(0, 6000, 0.0)
    assert budget.wait(0.0) == 0
    budget.spend(400000, 0)
    assert budget.wait(0.0) == pytest.approx((100000 - 100) / 100)


def test_no_limit_costs_no_time():
    budget = Budget(0, 0, 0.0)
    assert [budget.spend(10**9, 10**6), budget.wait(0.0)] == [0, 0]


def test_the_line_is_by_rank_then_by_arrival():
    draw = random.Random(SEED)
    line, came = Line(), [(draw.randint(0, 9), i) for i in range(100)]
    for rank, i in came:
        line.push(rank, (rank, i))
    assert [line.pop() for _ in range(len(line))] == sorted(came)
