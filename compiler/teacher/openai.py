"""Requests go to OpenAI-compatible endpoints, one or several; their answers come out as replies.

vLLM, Ollama, llama.cpp, SGLang and hosted services speak this format. A file of its own because
here it is decided what a try that failed means for its request: another endpoint, another try, a
simpler form, or the end.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence

from compiler.codes import R401, R402, R410
from compiler.curriculum import TeacherSpec
from compiler.teacher import Failure, Reply, Request
from compiler.teacher.budget import Budget
from compiler.teacher.desk import Asker, Desk, Turn
from compiler.teacher.endpoint import Again, Endpoint, Served, about_form
from compiler.teacher.pace import Fault
from compiler.teacher.wire import body, read

TRIES = 6
"""How often a request is asked whose answer is broken or late. Being sent away costs no try."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
_ABSENT = (Fault.AWAY, Fault.LATE, Fault.BUSY, Fault.DOWN)
_SHOWN = 8


class OpenAI:
    """Chat-completions endpoints of one model. Raises OSError for a TLS file that cannot be read.

    `sent` counts what was sent, `retried` what of it was not a request's first try. What people
    should know while they wait goes to `say`.
    """

    by_rule = False

    def __init__(self, spec: TeacherSpec, say: Callable[[str], None] = lambda text: None) -> None:
        key = os.environ.get(spec.key_env, "")
        self.model = spec.model
        self.extra = spec.extra
        self.sent = self.retried = 0
        self._spec = spec
        self._say = say
        self._endpoints = [Endpoint(url, weight, spec, key) for url, weight in spec.urls]
        now = time.monotonic()
        self._budget = Budget(spec.requests_per_minute, spec.tokens_per_minute, now)
        self._desk = Desk(self._endpoints, self._budget, spec.deadline)
        self._last_words = ""

    @property
    def in_flight(self) -> int:
        return sum(endpoint.pace.limit.useful for endpoint in self._desk.endpoints)

    @property
    def paused_s(self) -> float:
        """Seconds for which endpoints rested, or were left alone as they asked."""
        return sum(endpoint.pace.paused for endpoint in self._endpoints)

    async def open(self) -> Failure | None:
        for endpoint in self._endpoints:
            endpoint.open()
        served = await asyncio.gather(*(endpoint.models() for endpoint in self._endpoints))
        if not self.model and (failure := self._choose(served)):
            return failure
        away: list[Failure] = []
        for endpoint, told in zip(self._endpoints, served, strict=True):
            if isinstance(told, Again) and told.fault in _ABSENT:
                endpoint.pace.rest(time.monotonic())
                away.append(told.failure)
            elif failure := self._meet(endpoint, told):
                return failure
        if len(away) == len(served) and all(failure.code is R401 for failure in away):
            return away[0]
        for failure in away:
            self._say(f"{failure.detail}; it is asked again from time to time")
        return None

    def _choose(self, served: Sequence[Served | Again | Failure]) -> Failure | None:
        """Takes the first model of the endpoints that tell; R410 where they do not agree."""
        firsts = {
            endpoint.url: told.models[0]
            for endpoint, told in zip(self._endpoints, served, strict=True)
            if isinstance(told, Served)
        }
        if len(set(firsts.values())) > 1:
            each = ", ".join(f"`{url}` serves `{model}`" for url, model in firsts.items())
            return Failure(R410, f"the endpoints differ, so name a model: {each}")
        if not firsts:
            first = served[0]
            assert not isinstance(first, Served)
            return first.failure if isinstance(first, Again) else first
        (self.model,) = set(firsts.values())
        return None

    def _meet(self, endpoint: Endpoint, told: Served | Again | Failure) -> Failure | None:
        """Learns what an endpoint tells of itself; R410 where it does not serve the model."""
        endpoint.known = True
        is_vllm = False
        if isinstance(told, Failure) and told.code is R402 and told.detail.startswith("HTTP 401"):
            return told
        if isinstance(told, Served):  # many a service lists no models
            if not told.serves(self.model):
                names = ", ".join(f"`{name}`" for name in told.models[:_SHOWN])
                more = len(told.models) - _SHOWN
                names += f" and {more} more" if more > 0 else ""
                return Failure(R410, f"`{endpoint.url}` serves no `{self.model}`, but {names}")
            is_vllm = told.vllm
        if self._spec.structured == "auto":
            endpoint.dialect = "vllm" if is_vllm else "openai"
        return None

    def flush(self) -> None:
        return None

    async def close(self) -> None:
        self._desk.close()
        for endpoint in self._endpoints:
            await endpoint.close()

    async def ask(self, request: Request) -> Reply | Failure:
        characters = 0
        if self._spec.tokens_per_minute:
            characters = sum(len(message.content) for message in request.messages)
        asker = Asker(request.rank, characters, request.sampling.max_tokens, time.monotonic())
        failure: Failure | None = None
        tries = waits = 0
        failed = time.monotonic()
        failing: set[str] = set()
        while turn := await self._desk.turn(asker):
            self.retried += failure is not None
            outcome = await self._try(request, asker, turn)
            if not isinstance(outcome, Again):
                return outcome
            failure, asker.last = outcome.failure, turn.endpoint
            tries += outcome.fault in (Fault.BROKEN, Fault.LATE)
            if tries >= TRIES:
                return failure
            failing.add(turn.endpoint.url)
            if not outcome.after and not self._desk.elsewhere(failing):
                failing.clear()
                # Where others were answered meanwhile, to wait for long would help nobody.
                waits = 0 if self._desk.heard > failed else waits + 1
                failed = time.monotonic()
                longest = min(FIRST_WAIT * 2**waits, LONGEST_WAIT, self._desk.left(asker))
                await asyncio.sleep(random.uniform(0, max(0.0, longest)))
        told = f"; the last said: {self._last_words}" if self._last_words else ""
        seconds = f"{self._spec.deadline:g} s"
        return failure or Failure(R401, f"no endpoint took the request within {seconds}{told}")

    async def _try(self, request: Request, asker: Asker, turn: Turn) -> Reply | Failure | Again:
        """One try at one endpoint, and what it says of the endpoint's pace."""
        endpoint, tried = turn.endpoint, turn.tried
        try:
            outcome = await self._send(request, endpoint, tried.sent)
        except BaseException:
            endpoint.pace.give_up(tried)
            self._desk.serve()
            raise
        now = time.monotonic()
        fault: Fault | None = None
        if isinstance(outcome, Again):
            fault = outcome.fault
            self._last_words = outcome.failure.detail
            endpoint.pace.close(outcome.after or 0.0, now)
        elif isinstance(outcome, Failure):
            fault = Fault.ODD
        else:
            self._budget.correct(
                asker.estimate, asker.characters, outcome.prompt_tokens, outcome.completion_tokens
            )
        rests = endpoint.pace.end(tried, fault, now)
        if rests:
            self._say(f"{self._last_words}; `{endpoint.url}` rests and is tried again")
        elif rests is False:
            self._say(f"`{endpoint.url}` answers again")
        if fault in (None, Fault.ODD):
            self._desk.heard = now
        self._desk.serve()
        return outcome

    async def _send(
        self, request: Request, endpoint: Endpoint, begun: float
    ) -> Reply | Failure | Again:
        """Sends a request, in a simpler dialect where the endpoint does not know the first."""
        if not endpoint.known:
            told = await endpoint.models()
            if isinstance(told, Again) and told.fault in _ABSENT:
                return told
            if failure := self._meet(endpoint, told):
                self._say(f"{failure.detail}; it is left out")
                self._desk.endpoints.remove(endpoint)
                return Again(Fault.AWAY, failure)
        while True:
            dialect = endpoint.dialect
            self.sent += 1
            answer = await endpoint.chat(body(request, self.model, dialect, self.extra))
            if isinstance(answer, Again):
                return answer
            if not isinstance(answer, Failure):
                return read(answer, time.monotonic() - begun)
            if request.form == "tags" or dialect == "none" or not about_form(answer):
                return answer
            self.retried += 1
            if endpoint.simpler(dialect):
                self._say(f"`{endpoint.url}` knows no such form of replies: {answer.detail}")
