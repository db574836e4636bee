"""The begin and end of every request go in; what a server saw comes out.

A file of its own because benchmarks and tests read it: how full the server was, and what it was
asked twice.
"""

import time
from array import array
from collections import Counter

_END = 0.95


class Stats:
    """Counts requests. `most` and `mean` are of requests in flight: read and not yet answered."""

    def __init__(self) -> None:
        self.in_flight = self.waiting = 0
        self.reset()

    def reset(self) -> None:
        """Counts from nothing again; what is in flight stays so."""
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.most = self.in_flight
        self.prompt_tokens = self.completion_tokens = 0
        self._asked: dict[bytes, int] = {}
        self._area = 0.0  # seconds that requests were in flight, all of them together
        self._first = self._last = 0.0
        self._ends = array("d")  # time and area at each end, in turn

    def begin(self, body: bytes) -> int:
        """A request with a body of this digest came; how often it came before."""
        self._flow()
        self._first = self._first or self._last
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        before = self._asked.get(body, 0)
        self._asked[body] = before + 1
        return before

    def end(self, status: str, fault: str, prompt_tokens: int, completion_tokens: int) -> None:
        """A request ended: a status of HTTP, or what became of the connection; and its fault."""
        self._flow()
        self.in_flight -= 1
        self.statuses[status] += 1
        self.faults.update((fault,) if fault else ())
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self._ends.extend((self._last, self._area))

    def _flow(self) -> None:
        now = time.monotonic()
        self._area += self.in_flight * (now - self._last)
        self._last = now

    @property
    def requests(self) -> int:
        return sum(self._asked.values())

    def as_json(self) -> dict[str, object]:
        """`seconds` from the first request to the last end; `mean_95` is the mean in flight until
        95% of the requests had ended.
        """
        if self.in_flight:
            self._flow()
        ends = len(self._ends) // 2
        at = 2 * max(0, int(_END * ends) - 1)
        until = self._ends[at : at + 2] or (self._last, self._area)
        return {
            "requests": self.requests,
            "statuses": dict(sorted(self.statuses.items())),
            "faults": dict(sorted(self.faults.items())),
            "distinct": len(self._asked),
            "repeats": self.requests - len(self._asked),
            "in_flight": self.in_flight,
            "waiting": self.waiting,
            "most": self.most,
            "mean": self._mean(self._last, self._area),
            "mean_95": self._mean(until[0], until[1]),
            "seconds": round(self._last - self._first, 6),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }

    def _mean(self, until: float, area: float) -> float:
        return round(area / (until - self._first), 3) if until > self._first else 0.0

    def as_metrics(self, model: str) -> str:
        """Prometheus text; what vLLM counts too has vLLM's names."""
        name = f'model_name="{model}"'
        lines = []
        for metric, kind, value in (
            ("vllm:num_requests_running", "gauge", self.in_flight - self.waiting),
            ("vllm:num_requests_waiting", "gauge", self.waiting),
            ("vllm:prompt_tokens_total", "counter", self.prompt_tokens),
            ("vllm:generation_tokens_total", "counter", self.completion_tokens),
            ("mock:requests_in_flight_most", "gauge", self.most),
        ):
            lines += [f"# TYPE {metric} {kind}", f"{metric}{{{name}}} {value}"]
        lines.append("# TYPE mock:requests_total counter")
        for status, count in sorted(self.statuses.items()):
            lines.append(f'mock:requests_total{{{name},status="{status}"}} {count}')
        return "\n".join(lines) + "\n"
