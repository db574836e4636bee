"""What happened to requests, and when, goes in; whether one more may be sent comes out.

A file of its own because it is arithmetic that must be right: it knows no network and no clock but
the times it is given (seconds), so that hours of an overloaded endpoint are tested in an instant.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf

START = 64
"""How many requests are sent at once before anything is known of an endpoint."""
PATIENCE = 0.25
"""Seconds without an answer or a refusal after which twice as many are sent, for an endpoint
refuses at once but answers late. So it goes twice; further it grows by what it sees."""
CUT = 0.7
CHANCE = 0.1
GAIN = 1.1
FAILURES = 5
FIRST_REST, LONGEST_REST = 1.0, 60.0


class Fault(Enum):
    """What was wrong with a try.

    `BUSY`: the endpoint has enough for now; `DOWN`: it says so, and may be broken. `AWAY`: there is
    no connection. `BROKEN`: an error of the server, or an answer that is none. `LATE`: the time of
    a try was up. `ODD`: the endpoint is well, and refuses this request.
    """

    BUSY = "busy"
    DOWN = "down"
    AWAY = "away"
    BROKEN = "broken"
    LATE = "late"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Try:
    """One request that is out: when it was sent, how many answers had come by then, and whether
    it is the one that finds out if the endpoint is back.
    """

    sent: float
    answers: int
    probe: bool = False


class Limit:
    """How many requests an endpoint may have in flight: additive increase, multiplicative decrease
    (Chiu and Jain 1989), with TCP's slow start (RFC 5681).

    It doubles while that brings more answers per second. After the first cut, or the first doubling
    that brings nothing, it grows by steps, and by half at most as long as nothing shows that more
    in flight is of use. It is cut once in a round trip, for refusals of what was sent before are
    the same news, and for more than a tenth of them only: some gateways refuse by chance. Up to
    where it was refused, each round trip closes half of the gap (binary increase: Xu, Harfoush and
    Rhee 2004).
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0
        self.answers = 0
        self._step = max(1.0, most / 32)
        self._cut_at = -inf
        self.restart()

    def restart(self) -> None:
        """Begins again as with an endpoint that nothing is known of."""
        self.value = float(min(START, self.most))
        self._slow = True
        self._doublings = 0
        self._silent_since: float | None = None
        self._heard = False
        self._refused_at = inf
        self._measured: tuple[float, float] | None = None  # a limit, and the rate that it gave
        self._begin_round(None)

    @property
    def useful(self) -> int:
        """How many requests should be at hand for it to grow into."""
        return min(self.most, int(self.value) * (4 if self._slow else 1))

    def room(self, now: float) -> bool:
        while not self._heard and self.growth(now) <= 0:
            self.value = min(self.most, self.value * 2)
            self._doublings += 1
            self._silent_since = now
        return self.in_flight < int(self.value)

    def growth(self, now: float) -> float:
        """Seconds until it grows by itself, because nothing was heard; inf where it does not."""
        silent = self._silent_since
        if self._heard or silent is None or self._doublings >= 2 or self.value >= self.most:
            return inf
        return silent + PATIENCE - now

    def begin(self, now: float) -> None:
        if self._silent_since is None:
            self._silent_since = now
        self.in_flight += 1
        self._full |= self.in_flight >= int(self.value)

    def answered(self, sent: float, now: float) -> None:
        """A round ends with the first answer to what was sent in it, once there are enough."""
        self._heard = True
        self.answers += 1
        self._count += 1
        if self._since is None:
            self._begin_round(now)
        elif sent >= self._since and self._count >= int(self.value) and now > self._since:
            if self._full:
                self._judge(self._count / (now - self._since))
            self._begin_round(now)
        if not self._slow and self.in_flight >= int(self.value):
            roof = 1.5 * self._measured[0] if self._measured else inf
            gap = self._refused_at - self.value
            step = max(1.0, gap / 2) if 0 < gap < inf else self._step
            grown = min(self.value + step / self.value, roof, self.most)
            self.value = max(self.value, grown)

    def refused(self, sent: float, now: float) -> None:
        self._heard = True
        if sent < self._cut_at:
            return
        self._refused += 1
        if self._refused > CHANCE * self.value:
            self._refused_at = min(self.value, self.in_flight)
            self._shrink(self._refused_at * CUT, now)

    def late(self, answers: int, now: float) -> None:
        """One try's time is up, in which so many were answered: of more at once, some would be
        late again.
        """
        if answers < self.value:
            self._shrink(answers * CUT, now)

    def _shrink(self, value: float, now: float) -> None:
        self.value = max(1.0, value)
        self._cut_at = now
        self._slow = False
        self._measured = None
        self._begin_round(now)

    def _judge(self, rate: float) -> None:
        """What a round's answers per second say about the limit."""
        if self._measured is None or rate > GAIN * self._measured[1]:
            self._measured = (self.value, rate)
            if self._slow:
                self.value = min(self.most, self.value * 2)
        elif self._slow:
            self._slow = False
            self.value = self._measured[0]

    def _begin_round(self, now: float | None) -> None:
        self._since = now
        self._count = self._refused = 0
        self._full = self.in_flight >= int(self.value)


class Breaker:
    """Lets an endpoint rest after failures in a row, then lets one request through to see."""

    def __init__(self) -> None:
        self.until: float | None = None  # the end of the rest, while there is one
        self.probing = False
        self._failures = 0
        self._rest = FIRST_REST

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; inf while one is out to see."""
        if self.until is None:
            return 0.0
        return inf if self.probing else max(0.0, self.until - now)

    def begin(self) -> bool:
        """A request is sent: whether it is the one that finds out."""
        self.probing = self.until is not None
        return self.probing

    def rest(self, now: float) -> None:
        self.until = now + self._rest
        self._rest = min(2 * self._rest, LONGEST_REST)
        self.probing = False

    def failed(self, probe: bool, now: float) -> bool:
        """Whether the rest begins with this. What was sent before it began is no news."""
        self._failures += 1
        if self.until is not None:
            if probe:
                self.rest(now)
            return False
        if self._failures >= FAILURES:
            self.rest(now)
            return True
        return False

    def answered(self) -> bool:
        """Whether a rest ends with this."""
        rested = self.until is not None
        self.until, self.probing, self._failures, self._rest = None, False, 0, FIRST_REST
        return rested

    def gone(self, probe: bool) -> None:
        """A request was given up, and says nothing."""
        if probe:
            self.probing = False


class Pace:
    """When one endpoint may be sent the next request."""

    def __init__(self, most: int, weight: float = 1.0) -> None:
        self.weight = weight
        self.limit = Limit(most)
        self.breaker = Breaker()
        self.closed_until = -inf  # what `Retry-After` asked for
        self.paused = 0.0  # seconds of such pauses and of rests
        self._shut_since: float | None = None

    @property
    def load(self) -> tuple[float, float]:
        """How full it is for its weight; then how much it has done for its weight."""
        full = self.limit.in_flight / (self.weight * self.limit.value)
        return full, self.limit.answers / self.weight

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent: 0 for now, inf where something has to come back
        first.
        """
        if self._shut_since is not None:
            wait = max(self.closed_until - now, self.breaker.wait(now))
            if wait > 0:
                return wait
            self._open(now)
        return 0.0 if self.limit.room(now) else self.limit.growth(now)

    def begin(self, now: float) -> Try:
        self.limit.begin(now)
        return Try(now, self.limit.answers, self.breaker.begin())

    def rest(self, now: float) -> None:
        """Takes the endpoint for one that is away."""
        self.breaker.rest(now)
        self._shut(now)

    def close(self, seconds: float, now: float) -> None:
        """Sends nothing for so long, because the endpoint asks for it."""
        if seconds > 0:
            self.closed_until = max(self.closed_until, now + seconds)
            self._shut(now)

    def end(self, tried: Try, fault: Fault | None, now: float) -> bool | None:
        """Counts how a try ended, `fault` None where the endpoint is well; True where its rest
        begins with that, False where it ends.
        """
        if fault is None:
            self.limit.answered(tried.sent, now)
        elif fault in (Fault.BUSY, Fault.DOWN):
            self.limit.refused(tried.sent, now)
        elif fault is Fault.LATE:
            self.limit.late(self.limit.answers - tried.answers, now)
        self.limit.in_flight -= 1
        if fault not in (None, Fault.BUSY, Fault.ODD):
            if self.breaker.failed(tried.probe, now):
                self.limit.restart()
                self._shut(now)
                return True
        elif self.breaker.answered():
            self._open(now)
            return False
        return None

    def give_up(self, tried: Try) -> None:
        """A try was cancelled."""
        self.limit.in_flight -= 1
        self.breaker.gone(tried.probe)

    def _shut(self, now: float) -> None:
        if self._shut_since is None:
            self._shut_since = now

    def _open(self, now: float) -> None:
        shut = self.breaker.until is not None or self.closed_until > now
        if self._shut_since is not None and not shut:
            self.paused += now - self._shut_since
            self._shut_since = None
