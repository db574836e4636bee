"""Nothing goes in; the endpoints that run on this machine come out.

A file of its own because nobody should have to know a port: where no teacher is named, the ones at
hand are offered.
"""

import asyncio

from compiler.curriculum import TeacherSpec
from compiler.teacher.endpoint import Endpoint, Served

PLACES = (("vLLM", 8000), ("Ollama", 11434), ("llama.cpp", 8080))
"""What serves, and the port that it takes by default."""

TIMEOUT = 1.0
_SPEC = TeacherSpec("openai", timeout=TIMEOUT)


async def endpoints(seconds: float = TIMEOUT) -> list[tuple[str, str, tuple[str, ...]]]:
    """The base URL, the server's name and the models of each endpoint that answers on loopback
    within so many seconds. All are asked at once, and no API key is sent.
    """
    urls = [f"http://127.0.0.1:{port}/v1" for _, port in PLACES]
    served = await asyncio.gather(*(_served(url, seconds) for url in urls))
    return [
        (url, name, told.models)
        for url, (name, _), told in zip(urls, PLACES, served, strict=True)
        if told
    ]


async def _served(url: str, seconds: float) -> Served | None:
    endpoint = Endpoint(url, 1.0, _SPEC, key="")
    endpoint.open()
    try:
        told = await asyncio.wait_for(endpoint.models(), seconds)
    except TimeoutError:
        return None
    finally:
        await endpoint.close()
    return told if isinstance(told, Served) else None
