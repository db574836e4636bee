"""The endpoint teacher against a server of ours that speaks the wire format, faults and all."""

import asyncio

import pytest
from aiohttp import web

from compiler.curriculum import TeacherSpec
from compiler.pipeline import Sampling
from compiler.prompt import Message
from compiler.teacher import Failure, Reply, Request
from compiler.teacher import openai as client

REQUEST = Request((Message("user", "Hello?"),), Sampling())
GOOD = {
    "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)


def ask(answers, spec=None, times=1):
    """Runs a server that gives `answers` in turn, the last for ever."""
    got = []

    async def run():
        async def chat(request):
            got.append((await request.json(), dict(request.headers)))
            answer = answers[min(len(got), len(answers)) - 1]
            return answer() if callable(answer) else web.json_response(answer)

        async def models(request):
            return web.json_response({"data": [{"id": "served"}]})

        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}/v1"
        teacher = client.OpenAI(spec or TeacherSpec("openai", ((url, 1.0),)))
        teacher.url = url
        try:
            assert await teacher.open() is None
            replies = [await teacher.ask(REQUEST) for _ in range(times)]
            return replies, teacher.model
        finally:
            await teacher.close()
            await runner.cleanup()

    replies, model = asyncio.run(run())
    return replies, got, model


def status(code, text="no", **headers):
    return lambda: web.Response(status=code, text=text, headers=headers)


def test_a_reply_with_its_usage_and_the_served_model(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    replies, got, model = ask([GOOD])
    assert replies == [Reply("Hi.", "stop", 3, 2)]
    body, headers = got[0]
    assert body["model"] == model == "served"
    assert body["messages"] == [{"role": "user", "content": "Hello?"}]
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(429, **{"Retry-After": "0"}),
        status(500, "<html>oops</html>"),
        status(503),
        lambda: web.Response(text="{not json", content_type="application/json"),
    ],
)
def test_a_passing_fault_is_retried(fault):
    replies, got, _ = ask([fault, fault, GOOD])
    assert replies == [Reply("Hi.", "stop", 3, 2)]
    assert len(got) == 3


@pytest.mark.parametrize(
    "fault, code, tries",
    [
        (status(400, "bad"), "R402", 1),
        (status(401), "R402", 1),
        (status(500), "R402", client.TRIES),
        ({"choices": []}, "R403", 1),
        ([1, 2], "R403", 1),
        ({"choices": [{"message": {"content": None}}]}, "R403", 1),
        ({"choices": [{"message": {"content": [{"image": 1}]}}]}, "R403", 1),
        ({"choices": ["x"]}, "R403", 1),
    ],
)
def test_a_lasting_fault_is_a_coded_failure(fault, code, tries):
    (reply,), got, _ = ask([fault])
    assert isinstance(reply, Failure)
    assert reply.code.id == code
    assert len(got) == tries


def test_a_null_content_is_an_empty_reply():
    (reply,), _, _ = ask([{"choices": [{"message": {"content": None}, "finish_reason": "length"}]}])
    assert reply == Reply("", "length")


@pytest.mark.parametrize("usage", ["none", {"prompt_tokens": 1e30}, {"prompt_tokens": -1}, None])
def test_an_odd_usage_costs_nothing(usage):
    (reply,), _, _ = ask([{**GOOD, "usage": usage}])
    assert reply == Reply("Hi.", "stop", 0, 0)


def test_text_in_parts_and_text_that_is_no_unicode():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (reply,), _, _ = ask([{"choices": [{"message": {"content": parts}}]}])
    assert reply.text == "ab"
    (reply,), _, _ = ask([{"choices": [{"message": {"content": "x\ud83d"}}]}])
    assert reply.text == "x?"


def test_nobody_listens():
    async def run():
        teacher = client.OpenAI(TeacherSpec("openai", (("http://127.0.0.1:9/v1", 1.0),)))
        failure = await teacher.open()
        await teacher.close()
        return failure

    assert asyncio.run(run()).code.id == "R401"


def test_a_slow_endpoint_runs_into_its_timeout():
    async def run():
        async def chat(request):
            await asyncio.sleep(5)

        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        teacher = client.OpenAI(TeacherSpec("openai", ((url, 1.0),), model="m", timeout=0.05))
        await teacher.open()
        try:
            return await teacher.ask(REQUEST)
        finally:
            await teacher.close()
            await runner.cleanup()

    failure = asyncio.run(run())
    assert (failure.code.id, "time is up" in failure.detail) == ("R401", True)
