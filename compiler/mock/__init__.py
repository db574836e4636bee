"""Options go in; a mock teacher that runs in a process of its own, and what it counted, come out.

A package because a server that answers like a model, and fails like one on request, is what
pipelines, clients and benchmarks are tried against. Nothing heavy is imported here.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

Option = str | int | float | Sequence[str]


class Mock:
    """A mock teacher that runs. `url` ends in `/v1`; `process` is its own."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process

    def __iter__(self) -> Iterator[Any]:
        """Lets `url, stats` be taken apart."""
        return iter((self.url, self.stats))

    def stats(self) -> dict[str, Any]:
        """What `GET /stats` says. Raises OSError where the server is gone."""
        with urlopen(f"{self.url.removesuffix('/v1')}/stats", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def reset(self) -> None:
        """Counts from nothing again."""
        place = f"{self.url.removesuffix('/v1')}/stats/reset"
        with urlopen(Request(place, method="POST"), timeout=30):
            pass


@contextmanager
def running(**options: Option) -> Iterator[Mock]:
    """Runs `trivium mock-teacher` until the block ends; a free port unless `port` is given.

    `options` are those of the command, with `_` for `-` and `yield_` for `--yield`; a list repeats
    its option: `running(latency=0.05, slots=64, fault=["429:0.05", "500:0.05"])`.
    """
    words = [sys.executable, "-m", "compiler.cli", "mock-teacher"]
    for name, value in {"port": 0, **options}.items():
        values = [value] if isinstance(value, str | int | float) else value
        flag = "--" + name.rstrip("_").replace("_", "-")
        words += [word for one in values for word in (flag, str(one))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if not said.startswith("listening on "):
                raise RuntimeError(f"the mock teacher did not start: {said.strip()}")
            yield Mock(said.removeprefix("listening on ").strip(), process)
        finally:
            process.kill()
