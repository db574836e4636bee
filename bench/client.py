"""What the endpoint teacher costs a client: our `OpenAI.ask` against a bare aiohttp loop and httpx.

A server of ours in another process answers after 50 ms; 64 requests are in flight, and once as many
as there are wait besides. Prints requests per second and milliseconds of client CPU per request,
medians of five interleaved runs, and ratios to the bare loop. httpx is measured where it is
installed (`pip install httpx`). Run it with `python bench/client.py`.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import time

import aiohttp
from aiohttp import web

from compiler.curriculum import TeacherSpec
from compiler.pipeline import Sampling
from compiler.prompt import Message
from compiler.teacher import Reply, Request
from compiler.teacher.openai import OpenAI

REQUESTS, IN_FLIGHT, LATENCY, RUNS = 1000, 64, 0.05, 5
ANSWER = {
    "choices": [{"message": {"content": "An answer. " * 20}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 300, "completion_tokens": 60},
}
PROMPT = "A passage of a document. " * 60


def serve(port):
    async def chat(request):
        await request.read()
        await asyncio.sleep(LATENCY)
        return web.json_response(ANSWER)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", chat)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


async def loop(ask, asked_at_once=IN_FLIGHT):
    """Keeps so many requests going until REQUESTS are answered."""
    left = iter(range(REQUESTS))

    async def worker():
        for _ in left:
            await ask()

    await asyncio.gather(*(worker() for _ in range(asked_at_once)))


async def ours(url, asked_at_once=IN_FLIGHT):
    teacher = OpenAI(TeacherSpec("openai", ((url, 1.0),), model="m", in_flight=IN_FLIGHT))
    await teacher.open()
    request = Request((Message("user", PROMPT),), Sampling())

    async def ask():
        assert isinstance(await teacher.ask(request), Reply)

    await loop(ask, asked_at_once)
    await teacher.close()


async def crowded(url):
    await ours(url, REQUESTS)


BODY = {"model": "m", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0.7}


async def bare(url):
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask():
            async with session.post(f"{url}/chat/completions", json=BODY) as answer:
                await answer.json()

        await loop(ask)


async def with_httpx(url):
    import httpx

    limits = httpx.Limits(max_connections=IN_FLIGHT)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def ask():
            (await client.post(f"{url}/chat/completions", json=BODY)).json()

        await loop(ask)


def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port}/v1"
    clients = {"bare aiohttp": bare, "trivium": ours, "with a line": crowded}
    try:
        import httpx  # noqa: F401

        clients["httpx"] = with_httpx
    except ModuleNotFoundError:
        pass
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    figures = {name: [] for name in clients}
    for _ in range(RUNS):
        for name, client in clients.items():
            wall, cpu = time.perf_counter(), time.process_time()
            asyncio.run(client(url))
            figures[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    server.terminate()
    base = [statistics.median(f[i] for f in figures["bare aiohttp"]) for i in (0, 1)]
    for name, runs in figures.items():
        wall, cpu = (statistics.median(f[i] for f in runs) for i in (0, 1))
        print(
            f"{name:14} {REQUESTS / wall:7.0f} requests/s ({base[0] / wall:.2f} of bare)  "
            f"{1000 * cpu / REQUESTS:6.2f} ms CPU per request ({cpu / base[1]:.2f} times bare)"
        )
    print(json.dumps({"requests": REQUESTS, "in_flight": IN_FLIGHT, "latency_s": LATENCY}))


if __name__ == "__main__":
    main()
