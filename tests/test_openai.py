"""The endpoint teacher against servers of ours that speak the wire format, faults and all."""

import asyncio
import json
import math
import os
import random
import shutil
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from compiler.curriculum import TeacherSpec, Tls
from compiler.pipeline import Field, Sampling
from compiler.prompt import Message
from compiler.teacher import Failure, Reply, Request, found, pace
from compiler.teacher import endpoint as one_try
from compiler.teacher import openai as client
from compiler.teacher.make import make_teacher
from compiler.teacher.wire import body, read

SEED = int(os.environ["TRIVIUM_TEST_SEED"])
REQUEST = Request((Message("user", "Hello?"),), Sampling())
RATING = Field("rating", (1, 2, 3))
CHOICE = replace(REQUEST, writes=(RATING,), form="choice")
JSON = replace(REQUEST, writes=(Field("question"), RATING), form="json")
GOOD = {
    "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
HI = Reply("Hi.", "stop", 3, 2)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(pace, "FIRST_REST", 0.05)
    monkeypatch.setattr(pace, "LONGEST_REST", 0.1)


class Server:
    """Gives `answers` in turn, the last for ever; one may be a coroutine that is called."""

    def __init__(self, *answers, models=("served",), owner="me", tls=None):
        self.answers, self.got, self.busy, self.most = answers, [], 0, 0
        self.models = (
            answers[0]
            if models is None
            else {"data": [{"id": model, "owned_by": owner} for model in models]}
        )
        self.port, self.tls = 0, tls

    async def _chat(self, request):
        self.got.append((await request.json(), dict(request.headers)))
        answer = self.answers[min(len(self.got), len(self.answers)) - 1]
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            return await answer(request) if callable(answer) else web.json_response(answer)
        finally:
            self.busy -= 1

    async def _models(self, request):
        if callable(self.models):
            return await self.models(request)
        return web.json_response(self.models)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        self.runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self.runner.setup()
        site = web.TCPSite(
            self.runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=self.tls
        )
        await site.start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, *error):
        await self.runner.cleanup()

    @property
    def asked(self):
        return [got["messages"][0]["content"] for got, _ in self.got]


@asynccontextmanager
async def teacher_of(*servers, weights=None, **settings):
    """A teacher of these servers, opened; `said` is what it told people."""
    urls = [getattr(server, "url", server) for server in servers]
    spec = TeacherSpec(
        "openai", tuple(zip(urls, weights or [1.0] * len(urls), strict=True)), **settings
    )
    said = []
    teacher = client.OpenAI(spec, said.append)
    teacher.said = said
    try:
        teacher.opened = await teacher.open()
        yield teacher
    finally:
        await teacher.close()


def ask(*answers, times=1, request=REQUEST, **settings):
    """The replies of a teacher with one server, and what the server got."""

    async def run():
        async with Server(*answers) as server, teacher_of(server, **settings) as teacher:
            assert teacher.opened is None
            return [await teacher.ask(request) for _ in range(times)], server.got, teacher

    return asyncio.run(run())


def asking(text, rank=0):
    return replace(REQUEST, messages=(Message("user", text),), rank=rank)


def status(code, text="no", **headers):
    async def answer(request):
        return web.Response(status=code, text=text, headers=headers)

    return answer


def page(code=200):
    async def answer(request):
        text = (
            "<!DOCTYPE html><head><style>a {}</style><title>Oh&nbsp;dear</title><p>Welcome\n to it"
        )
        return web.Response(status=code, text=text, content_type="text/html")

    return answer


def late(seconds, answer=GOOD):
    async def answers(request):
        await asyncio.sleep(seconds)
        return web.json_response(answer)

    return answers


async def truncated(request):
    return web.Response(text=json.dumps(GOOD)[:40], content_type="application/json")


async def reset(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    request.transport.abort()
    return response


async def drip(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


hang = late(60)


# What goes over the wire


def test_a_reply_with_its_usage_and_the_served_model(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    (reply,), got, teacher = ask(
        GOOD, headers=(("X-Team", "a"),), extra={"top_p": None, "top_k": 5}
    )
    assert reply == HI
    assert reply.seconds > 0
    sent, headers = got[0]
    assert sent["model"] == teacher.model == "served"
    assert sent["messages"] == [{"role": "user", "content": "Hello?"}]
    assert "top_p" not in sent
    assert sent["top_k"] == 5
    assert (headers["Authorization"], headers["X-Team"]) == ("Bearer secret", "a")


def test_a_choice_in_every_dialect():
    bare = body(CHOICE, "m", "none", {})
    assert bare == body(REQUEST, "m", "none", {})
    openai = body(CHOICE, "m", "openai", {})
    assert openai == {**bare, "logprobs": True, "top_logprobs": 20}
    vllm = body(CHOICE, "m", "vllm", {})
    assert vllm == {**openai, "structured_outputs": {"choice": ["1", "2", "3"]}}


@pytest.mark.parametrize("many", [False, True])
def test_json_by_a_schema(many):
    request = replace(JSON, many=many)
    sent = body(request, "m", "vllm", {})
    assert sent == body(request, "m", "openai", {})
    form = sent["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    shape = form["json_schema"]["schema"]
    record = shape["properties"]["records"]["items"] if many else shape
    assert record["required"] == ["question", "rating"]
    assert record["properties"]["rating"] == {"type": "integer", "enum": [1, 2, 3]}
    assert record["additionalProperties"] is shape["additionalProperties"] is False
    assert "response_format" not in body(request, "m", "none", {})


def test_the_odds_of_a_choice():
    tops = [
        {"token": "2", "logprob": -0.1},
        {"token": "3", "logprob": -2.5},
        {"token": "1", "logprob": -9999.0},
        {"token": "x", "logprob": math.nan},
        {"token": 7, "logprob": -1},
        "odd",
    ]
    logprobs = {"content": [{"token": "2", "top_logprobs": tops}, {"top_logprobs": []}]}
    reply = read({"choices": [{"message": {"content": "2"}, "logprobs": logprobs}]})
    assert reply.odds == pytest.approx({"2": math.exp(-0.1), "3": math.exp(-2.5), "1": 0.0})
    assert read(GOOD).odds == {}


def test_what_the_prefix_cache_held():
    usage = {"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 64}}
    assert read({**GOOD, "usage": usage}).cached == 64
    assert read({**GOOD, "usage": {"prompt_tokens_details": None}}).cached == 0


@pytest.mark.parametrize(
    "message, finish, code",
    [
        ({"content": None, "refusal": "I will not."}, "stop", "R402"),
        ({"content": None}, "content_filter", "R402"),
        ({"content": None, "reasoning_content": "Let me think."}, "stop", "R403"),
        ({"content": None, "reasoning": "Let me think."}, "stop", "R403"),
        ({"content": [{"image": 1}]}, "stop", "R403"),
        ("x", "stop", "R403"),
    ],
)
def test_a_message_without_text(message, finish, code):
    answer = {"choices": [{"message": message, "finish_reason": finish}]}
    (reply,), got, _ = ask(answer)
    assert (reply.code.id, len(got)) == (code, 1)


def test_texts_of_every_kind():
    def text(content, finish="stop"):
        return read({"choices": [{"message": {"content": content}, "finish_reason": finish}]})

    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert text(parts).text == "ab"
    assert text("x\ud83d").text == "x?"
    assert text(None, "length") == Reply("", "length")
    assert text("cut", "length") == Reply("cut", "length")


@pytest.mark.parametrize("usage", ["none", {"prompt_tokens": 1e30}, {"prompt_tokens": -1}, None])
def test_an_odd_usage_costs_nothing(usage):
    assert read({**GOOD, "usage": usage}) == Reply("Hi.", "stop", 0, 0)


def test_what_is_no_answer_at_all():
    draw = random.Random(SEED)
    pieces = [None, 1, "x", [], {}, [None], GOOD, True, math.inf]

    def odd(depth):
        kind = draw.random()
        if depth == 0 or kind < 0.4:
            return draw.choice(pieces)
        if kind < 0.6:
            return [odd(depth - 1) for _ in range(draw.randint(0, 2))]
        keys = draw.sample(["choices", "message", "content", "usage", "logprobs", "refusal"], 3)
        return {key: odd(depth - 1) for key in keys}

    for _ in range(3000):
        read({"choices": [odd(4)], "usage": odd(2)})
        assert read(odd(0) or []) == read(GOOD) or isinstance(read(odd(0) or []), Reply | Failure)


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(429, **{"Retry-After": "0"}),
        status(500, "<html>oops</html>"),
        status(503),
        truncated,
        reset,
        page(),
    ],
)
def test_a_passing_fault_is_retried(fault):
    replies, got, teacher = ask(fault, fault, GOOD)
    assert replies == [HI]
    assert len(got) == teacher.sent == 3
    assert teacher.retried == 2


@pytest.mark.parametrize(
    "fault, code, tries, words",
    [
        (status(400, '{"error": {"message": "too  long"}}'), "R402", 1, "HTTP 400: too long"),
        (status(401), "R402", 1, "HTTP 401: no"),
        (status(422, '{"detail": [1]}'), "R402", 1, "HTTP 422: [1]"),
        (status(404, '{"message": "The model `m` does not exist."}'), "R410", 1, "The model `m`"),
        (status(404, ""), "R402", 1, "HTTP 404: Not Found"),
        (status(500), "R402", client.TRIES, "HTTP 500"),
        (page(502), "R402", client.TRIES, "HTTP 502: Oh dear Welcome to it"),
        (page(), "R403", client.TRIES, "is a web page and not JSON: Oh dear Welcome to it"),
        (truncated, "R403", client.TRIES, "not JSON"),
        (reset, "R401", client.TRIES, "did not answer"),
        ({"choices": []}, "R403", 1, "no message"),
        ([1, 2], "R403", 1, "not a JSON object"),
        ({"choices": ["x"]}, "R403", 1, "no message"),
    ],
)
def test_a_lasting_fault_is_a_coded_failure(fault, code, tries, words):
    (reply,), got, _ = ask(fault)
    assert reply.code.id == code
    assert words in reply.detail
    assert "<" not in reply.detail
    assert len(got) == tries


@pytest.mark.parametrize("fault", [hang, drip])
def test_a_slow_answer_runs_into_its_timeout(fault, monkeypatch):
    monkeypatch.setattr(client, "TRIES", 2)
    (reply,), got, _ = ask(fault, timeout=0.1)
    assert (reply.code.id, len(got)) == ("R401", 2)
    assert "time is up" in reply.detail
    assert ask(fault, GOOD, timeout=0.1)[0] == [HI]


def test_a_large_answer_is_read_and_a_boundless_one_is_not(monkeypatch):
    def of(size):
        return {"choices": [{"message": {"content": "x" * size}}]}

    assert len(ask(of(10_000_000))[0][0].text) == 10_000_000
    monkeypatch.setattr(one_try, "MOST_BYTES", 2**20)
    written = []

    async def endless(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 2**16)
            written.append(2**16)
        return response

    for answer in (of(2**20), endless):
        (reply,), _, _ = ask(answer)
        assert (reply.code.id, "larger than 1 MiB" in reply.detail) == ("R403", True)
    assert sum(written) < 2**25
    assert isinstance(ask(of(2**19))[0][0], Reply)


def test_busy_for_good_ends_at_the_deadline():
    start = time.monotonic()
    (reply,), got, _ = ask(status(429), deadline=0.3)
    assert 0.1 < time.monotonic() - start < 2
    assert (reply.code.id, reply.detail) == ("R402", "HTTP 429: no")
    assert len(got) >= 3


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_holds_for_the_whole_endpoint(code, dated):
    """While the endpoint wants to be left alone nobody asks it, and afterwards everybody does."""
    wait = 2 if dated else 1
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=wait), usegmt=True)
    header = until if dated else "0.5"
    times = []

    async def run():
        async def answer(request):
            times.append(time.monotonic())
            if len(times) == 1:
                return await status(code, **{"Retry-After": header})(request)
            return web.json_response(GOOD)

        async with Server(answer) as server, teacher_of(server, in_flight=1) as teacher:
            replies = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(5)))
            return replies, teacher

    replies, teacher = asyncio.run(run())
    assert replies == [HI] * 5
    assert times[1] - times[0] >= (0.9 if dated else 0.5)
    assert times[-1] - times[1] < 1
    assert teacher.paused_s == pytest.approx(times[1] - times[0], abs=0.1)


def test_a_wait_beyond_the_deadline_is_not_waited_for():
    start = time.monotonic()
    (reply,), got, _ = ask(status(429, "quota", **{"Retry-After": "86400"}), deadline=60)
    assert time.monotonic() - start < 5
    assert (reply.code.id, reply.detail, len(got)) == ("R402", "HTTP 429: quota", 1)


def test_retry_after_is_seconds_or_a_date():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    now = at.timestamp()
    assert one_try.asked_wait("2.5", now) == 2.5
    assert one_try.asked_wait(format_datetime(at + timedelta(seconds=90), usegmt=True), now) == 90
    assert one_try.asked_wait(format_datetime(at - timedelta(seconds=90)), now) == 0
    assert [one_try.asked_wait(h, now) for h in (None, "", "soon", "nan", "inf")] == [None] * 5


# Forms that an endpoint does not know


@pytest.mark.parametrize("owner, first", [("vllm", "vllm"), ("me", "openai")])
def test_the_dialect_is_found_out_and_made_simpler(owner, first):
    asked = []

    async def answer(request):
        got = await request.json()
        asked.append([k for k in ("structured_outputs", "logprobs") if k in got])
        if asked[-1]:
            return await status(400, f"{asked[-1][0]} is not supported")(request)
        return web.json_response(GOOD)

    async def run():
        async with Server(answer, owner=owner) as server, teacher_of(server) as teacher:
            replies = [await teacher.ask(CHOICE) for _ in range(2)]
            return replies, teacher.said

    replies, said = asyncio.run(run())
    assert replies == [HI, HI]
    forms = {"vllm": [["structured_outputs", "logprobs"], ["logprobs"]], "openai": [["logprobs"]]}
    assert asked == [*forms[first], [], []]
    assert len(said) == len(forms[first])


def test_a_complaint_about_the_question_changes_no_form():
    replies, got, _ = ask(status(400, "the prompt is too long"), GOOD, request=CHOICE, times=2)
    assert (replies[0].code.id, replies[1]) == ("R402", HI)
    assert "logprobs" in got[1][0]
    replies, got, _ = ask(status(400, "no logprobs"), GOOD, times=1)  # none were asked for
    assert (replies[0].code.id, len(got)) == ("R402", 1)


def test_the_dialect_that_is_set_is_taken():
    for dialect, keys in (("none", 0), ("openai", 1), ("vllm", 2)):
        _, got, _ = ask(GOOD, request=CHOICE, structured=dialect)
        assert sum(k in got[0][0] for k in ("structured_outputs", "logprobs")) == keys


# Models


def opened(*servers, **settings):
    async def run():
        async with teacher_of(*servers, **settings) as teacher:
            return teacher

    async def all_of(left):
        if not left:
            return await run()
        if isinstance(left[0], str):
            return await all_of(left[1:])
        async with left[0]:
            return await all_of(left[1:])

    async def resolved():
        return await all_of(list(servers))

    return asyncio.run(resolved())


def test_an_unknown_model():
    teacher = opened(Server(GOOD, models=("a", "b")), model="c")
    assert teacher.opened.code.id == "R410"
    assert "serves no `c`, but `a`, `b`" in teacher.opened.detail
    many = opened(Server(GOOD, models=[f"m{i}" for i in range(30)]), model="c").opened
    assert "`m7` and 22 more" in many.detail
    for model in ("b", "llama", "gemini"):
        served = ("a", "b", "llama:latest", "models/gemini")
        assert opened(Server(GOOD, models=served), model=model).opened is None


def test_endpoints_that_differ():
    two = Server(GOOD, models=("a", "b")), Server(GOOD, models=("b",))
    failure = opened(*two).opened
    assert (failure.code.id, "`a`" in failure.detail) == ("R410", True)
    assert opened(*two, model="b").opened is None
    assert opened(*two, model="a").opened.code.id == "R410"


def test_a_service_that_lists_no_models():
    assert opened(Server(GOOD, models=()), model="m").opened is None
    assert opened(Server(status(404), models=None), model="m").opened is None
    assert opened(Server(GOOD, models=())).opened.code.id == "R403"
    assert opened(Server(status(404), models=None)).opened.code.id == "R402"
    assert opened(Server(page(), models=None)).opened.code.id == "R403"


def test_nobody_listens():
    failure = opened("http://127.0.0.1:9/v1").opened
    assert failure.code.id == "R401"
    assert "127.0.0.1:9" in failure.detail
    assert opened("http://127.0.0.1:9/v1", model="m").opened.code.id == "R401"


# Several endpoints, and those that come and go


def test_an_endpoint_that_is_away_at_the_start_joins_later():
    async def run():
        async with Server(late(0.01)) as here, Server(late(0.01), owner="vllm") as there:
            await there.__aexit__()
            async with teacher_of(here, there, in_flight=2) as teacher:
                assert teacher.opened is None
                await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(4)))
                assert not there.got
                async with there:
                    ends = time.monotonic() + 5
                    while not there.got and time.monotonic() < ends:
                        await asyncio.gather(*(teacher.ask(CHOICE) for _ in range(4)))
                        await asyncio.sleep(0.02)
                return there.got[0][0], teacher.said

    got, said = asyncio.run(run())
    assert "structured_outputs" in got  # it was asked what it is
    assert ["did not answer" in said[0], "answers again" in said[-1], len(said)] == [True, True, 2]


def test_one_that_joins_with_another_model_is_left_out():
    async def run():
        async with Server(GOOD) as here, Server(GOOD, models=("other",)) as there:
            await there.__aexit__()
            async with teacher_of(here, there, in_flight=1) as teacher, there:
                await asyncio.sleep(0.1)
                replies = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(9)))
                return replies, there.got, teacher.said

    replies, got, said = asyncio.run(run())
    assert (replies, got) == ([HI] * 9, [])
    assert "serves no `served`, but `other`; it is left out" in said[1]


@pytest.mark.parametrize("fault", [status(500), reset, status(503), truncated])
def test_what_one_endpoint_fails_another_answers(fault):
    async def run():
        async with (
            Server(fault) as bad,
            Server(late(0.005)) as good,
            teacher_of(bad, good, in_flight=4) as teacher,
        ):
            replies = await asyncio.gather(*(teacher.ask(asking(str(i))) for i in range(60)))
            return replies, bad, good

    replies, bad, good = asyncio.run(run())
    assert replies == [HI] * 60
    assert sorted(map(int, good.asked)) == list(range(60))
    assert 0 < len(bad.got) < 40


def test_an_endpoint_dies_and_the_other_takes_over():
    async def run():
        async with (
            Server(late(0.01)) as one,
            Server(late(0.01)) as two,
            teacher_of(one, two, in_flight=4) as teacher,
        ):
            left = asyncio.gather(*(teacher.ask(asking(str(i))) for i in range(100)))
            await asyncio.sleep(0.03)
            await two.__aexit__()
            return await left, teacher

    replies, teacher = asyncio.run(run())
    assert replies == [HI] * 100
    assert teacher.sent < 125


def test_a_server_dies_and_comes_back():
    async def run():
        async with Server(late(0.01)) as server, teacher_of(server, in_flight=4) as teacher:
            left = asyncio.gather(*(teacher.ask(asking(str(i))) for i in range(60)))
            await asyncio.sleep(0.03)
            await server.__aexit__()
            gone = len(server.got)
            await asyncio.sleep(0.3)
            sent = teacher.sent
            async with server:
                return await left, gone, sent, teacher

    replies, gone, sent, teacher = asyncio.run(run())
    assert replies == [HI] * 60
    assert gone < 60
    assert sent - gone < 25  # a resting endpoint is hardly asked
    begins, ends = teacher.said
    assert "rests and is tried again" in begins
    assert "answers again" in ends
    assert teacher.paused_s > 0.05


def test_where_all_rest_a_request_ends_at_its_deadline():
    async def run():
        async with Server(GOOD) as server, teacher_of(server, deadline=0.4) as teacher:
            assert await teacher.ask(REQUEST) == HI
            await server.__aexit__()
            start = time.monotonic()
            replies = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(300)))
            return replies, time.monotonic() - start

    replies, seconds = asyncio.run(run())
    assert {reply.code.id for reply in replies} == {"R401"}
    assert 0.3 < seconds < 3


def test_standing_in_line_is_no_reason_to_give_up():
    async def run():
        async with (
            Server(late(0.05)) as server,
            teacher_of(server, in_flight=2, deadline=0.3) as teacher,
        ):
            return await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(30)))

    assert asyncio.run(run()) == [HI] * 30


def test_weights():
    async def run():
        async with (
            Server(late(0.01)) as one,
            Server(late(0.01)) as three,
            teacher_of(one, three, weights=[1, 3], in_flight=100) as teacher,
        ):
            slots = asyncio.Semaphore(16)

            async def limited():
                async with slots:
                    return await teacher.ask(REQUEST)

            await asyncio.gather(*(limited() for _ in range(400)))
            many = len(one.got), len(three.got)
            for _ in range(40):
                await teacher.ask(REQUEST)
            return many, (len(one.got), len(three.got))

    for one, three in asyncio.run(run()):
        assert three / one == pytest.approx(3, rel=0.1)


# Order and limits


def test_the_lowest_rank_goes_next_and_a_request_that_backs_off_holds_no_slot():
    draw = random.Random(SEED)
    ranks = [draw.randint(0, 50) for _ in range(60)]

    async def run():
        async def answer(request):
            text = (await request.json())["messages"][0]["content"]
            if text == "first" and server.asked.count("first") == 1:
                return await status(500)(request)
            await asyncio.sleep(0.003)
            return web.json_response(GOOD)

        async with Server(answer) as server, teacher_of(server, in_flight=1) as teacher:
            first = asyncio.create_task(teacher.ask(asking("first", -1)))
            await asyncio.sleep(0)
            rest = [teacher.ask(asking(f"{rank} {i}", rank)) for i, rank in enumerate(ranks)]
            await asyncio.gather(first, *rest)
            return server.asked, server.most

    asked, most = asyncio.run(run())
    assert most == 1
    assert asked[0] == "first" != asked[1]
    assert "first" in asked[2:]  # its second try, before the others are through
    assert asked.index("first", 1) < len(asked) - 10
    others = [tuple(map(int, text.split())) for text in asked if text != "first"]
    assert others == sorted(others)


def test_never_more_in_flight_than_allowed():
    async def run():
        async with Server(late(0.01)) as server, teacher_of(server, in_flight=7) as teacher:
            await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(50)))
            return server.most, teacher.in_flight

    assert asyncio.run(run()) == (7, 7)


def test_how_many_it_can_use():
    assert client.OpenAI(TeacherSpec("openai", (("http://a", 1.0),))).in_flight == 256
    assert client.OpenAI(TeacherSpec("openai", (("http://a", 1.0),), in_flight=5)).in_flight == 5
    two = (("http://a", 1.0), ("http://b", 1.0))
    assert client.OpenAI(TeacherSpec("openai", two, in_flight=9)).in_flight == 18


def test_limits_of_a_minute_hold_for_all_endpoints(monkeypatch):
    async def run(**limits):
        async with (
            Server(GOOD) as one,
            Server(GOOD) as two,
            teacher_of(one, two, **limits) as teacher,
        ):
            start = time.monotonic()
            await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(40)))
            return time.monotonic() - start

    assert asyncio.run(run()) < 0.5
    assert 9 / 30 <= asyncio.run(run(requests_per_minute=1800)) < 1.5
    assert 45 / 150 <= asyncio.run(run(tokens_per_minute=9000)) < 2.5


def test_who_is_cancelled_leaves_no_slot_taken():
    draw = random.Random(SEED)

    async def run():
        async with Server(late(0.01)) as server, teacher_of(server, in_flight=3) as teacher:
            for _ in range(5):
                asked = [asyncio.create_task(teacher.ask(REQUEST)) for _ in range(20)]
                await asyncio.sleep(draw.uniform(0, 0.03))
                for task in draw.sample(asked, 12):
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
            server.most = 0
            replies = await asyncio.gather(*(teacher.ask(REQUEST) for _ in range(9)))
            return replies, server.most

    assert asyncio.run(run()) == ([HI] * 9, 3)


# Around it


def test_the_endpoints_of_this_machine(monkeypatch):
    async def run():
        async with Server(GOOD, models=("a", "b")) as one, Server(hang, models=None) as two:
            places = (("vLLM", one.port), ("Ollama", two.port), ("llama.cpp", 9))
            monkeypatch.setattr(found, "PLACES", places)
            start = time.monotonic()
            there = await found.endpoints()
            return there, one.url, time.monotonic() - start

    there, url, seconds = asyncio.run(run())
    assert there == [(url, "vLLM", ("a", "b"))]
    assert seconds < 3


def _certificate(folder):
    """A certificate that signs itself, for 127.0.0.1."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 2"
    told = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *told], cwd=folder, check=True, capture_output=True)


def test_an_endpoint_is_trusted_as_the_settings_say(tmp_path):
    _certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")

    async def first(tls, url):
        teacher = make_teacher(TeacherSpec("openai", ((url, 1.0),), tls=tls), tmp_path, print)
        try:
            return await teacher.open() or await teacher.ask(REQUEST)
        finally:
            await teacher.close()

    async def run():
        async with Server(GOOD, tls=tls) as server:
            url = server.url.replace("http:", "https:")
            ways = Tls(), Tls(ca="ca.pem"), Tls(verify=False)
            return [await first(way, url) for way in ways]

    unknown, known, any_ = asyncio.run(run())
    assert (unknown.code.id, "certificate verify failed" in unknown.detail) == ("R401", True)
    assert known == any_ == HI


def test_tls_files_count_from_the_folder(tmp_path):
    spec = TeacherSpec("openai", (("https://127.0.0.1:9/v1", 1.0),), tls=Tls(ca="ca.pem"))
    with pytest.raises(OSError, match="No such file"):
        make_teacher(spec, tmp_path, print)
    make_teacher(replace(spec, tls=Tls(verify=False)), tmp_path, print)


@pytest.mark.parametrize("code, most", [(429, 12), (500, 12)])
def test_two_endpoints_that_send_away_are_not_stormed(code, most, monkeypatch):
    """A request waits between its tries once all have failed it, as it does with one endpoint."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.5)

    async def run():
        async with (
            Server(status(code)) as a,
            Server(status(code)) as b,
            teacher_of(a, b, deadline=1.5, model="m") as teacher,
        ):
            await teacher.ask(REQUEST)
            return len(a.got) + len(b.got)

    assert 2 <= asyncio.run(run()) <= most
