"""A body goes to one URL, once; what came of it comes out as a value: an answer, a fault that may
pass, or a failure for good.

A file of its own because everything that a network can do to a request is named here, and nothing
is decided: who waits, and for whom, is the teacher's matter. aiohttp carries it because it costs
the client least CPU per request; `bench/client.py` measures that.
"""

import html
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp

from compiler.codes import R401, R402, R403, R410
from compiler.curriculum import TeacherSpec, Tls
from compiler.teacher import Failure
from compiler.teacher.pace import Fault, Pace
from compiler.teacher.wire import DIALECTS

MOST_BYTES = 64 * 2**20
"""What an answer may weigh; a longer one is not read to its end."""

_CONNECT = 30.0
_HERE = ("127.0.0.1", "localhost", "::1")  # no proxy leads back to this machine
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Again:
    """A fault that may pass. `after`: the seconds that the endpoint asks to be left alone."""

    fault: Fault
    failure: Failure
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """The models that an endpoint serves, as it names them, and whether it is a vLLM."""

    models: tuple[str, ...]
    vllm: bool

    def serves(self, model: str) -> bool:
        """Ollama leaves `:latest` out, and some services begin their names with `models/`."""
        names = (model, f"{model}:latest", f"models/{model}")
        return any(name in self.models for name in names)


class Endpoint:
    """One base URL of chat completions.

    `known` says whether it was asked for its models, `dialect` how it is asked for choices and JSON
    (see `compiler.teacher.wire`). Raises OSError for a TLS file that cannot be read.
    """

    def __init__(self, url: str, weight: float, spec: TeacherSpec, key: str) -> None:
        self.url = url
        self.pace = Pace(spec.in_flight, weight)
        self.known = False
        self.dialect = DIALECTS[0] if spec.structured == "auto" else spec.structured
        self._timeout = aiohttp.ClientTimeout(
            total=spec.timeout, sock_connect=min(_CONNECT, spec.timeout)
        )
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._headers |= dict(spec.headers)
        self._tls = _context(spec.tls) if url.startswith("https:") else None
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Prepares connections; none is made yet."""
        tls = True if self._tls is None else self._tls
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            # Looking for a proxy costs more than the rest of a request: not where there is none.
            trust_env=bool(getproxies()) and urlsplit(self.url).hostname not in _HERE,
        )

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def simpler(self, used: str) -> bool:
        """Takes the next simpler dialect after the one that was complained of; whether it is new,
        and not so for another request already.
        """
        if self.dialect != used:
            return False
        self.dialect = DIALECTS[DIALECTS.index(used) + 1]
        return True

    async def models(self) -> Served | Again | Failure:
        """What the endpoint serves; a Failure where it does not tell."""
        answer = await self._send("GET", "/models", None)
        if isinstance(answer, Again | Failure):
            return answer
        listed = answer.get("data") if isinstance(answer, Mapping) else None
        found = (
            [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        )
        names = tuple(one["id"] for one in found if isinstance(one.get("id"), str))
        if not names:
            return Failure(R403, f"`{self.url}/models` lists no model; name one with `#MODEL`")
        return Served(names, any(one.get("owned_by") == "vllm" for one in found))

    async def chat(self, body: Mapping[str, object]) -> object | Again | Failure:
        """The JSON that answers a chat completion."""
        return await self._send("POST", "/chat/completions", body)

    async def _send(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> object | Again | Failure:
        assert self._session is not None
        try:
            async with self._session.request(method, self.url + path, json=body) as answer:
                data = await _read(answer)
                if answer.status != 200:
                    return _refused(answer, data or b"")
                if data is None:
                    answer.close()
                    size = MOST_BYTES // 2**20
                    return Failure(R403, f"the answer is larger than {size} MiB")
        except aiohttp.ConnectionTimeoutError as wrong:
            return self._unreachable(Fault.AWAY, wrong)
        except TimeoutError:
            return Again(Fault.LATE, Failure(R401, f"`{self.url}` did not answer: the time is up"))
        except aiohttp.ClientConnectorError as wrong:
            return self._unreachable(Fault.AWAY, wrong)
        except (aiohttp.InvalidURL, ValueError) as wrong:
            return Failure(R401, f"`{self.url}` cannot be asked: {wrong}")
        except (aiohttp.ClientError, OSError) as wrong:
            return self._unreachable(Fault.BROKEN, wrong)
        try:
            value: object = json.loads(data)
        except (ValueError, RecursionError) as wrong:
            reason = f"the answer is not JSON: {wrong}"
            if page := _page(data):
                reason = f"the answer is a web page and not JSON: {page}"
            return Again(Fault.BROKEN, Failure(R403, reason))
        return value

    def _unreachable(self, fault: Fault, wrong: Exception) -> Again:
        reason = "the connection broke off"
        if fault is Fault.AWAY:
            cause = getattr(wrong, "os_error", wrong)
            reason = getattr(cause, "strerror", None) or str(cause) or type(wrong).__name__
        return Again(fault, Failure(R401, f"`{self.url}` did not answer: {reason}"))


async def _read(answer: aiohttp.ClientResponse) -> bytes | None:
    """The answer's bytes, unpacked; None where they are too many, without reading on."""
    length = answer.content_length
    if length is not None and "Content-Encoding" not in answer.headers:
        return await answer.read() if length <= MOST_BYTES else None
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(answer: aiohttp.ClientResponse, data: bytes) -> Again | Failure:
    """What an answer with an HTTP error means."""
    status, said = answer.status, _said(data)
    failure = Failure(R402, f"HTTP {status}: {said or answer.reason or 'no more is said'}")
    if status in (429, 503):
        fault = Fault.BUSY if status == 429 else Fault.DOWN
        return Again(fault, failure, asked_wait(answer.headers.get("Retry-After"), time.time()))
    if status >= 500 or status in (408, 409, 425):
        return Again(Fault.BROKEN, failure)
    if status == 404 and "model" in said.casefold():
        return Failure(R410, said)
    return failure


_FORMS = ("structured_output", "guided", "response_format", "json_schema", "logprobs", "grammar")


def about_form(failure: Failure) -> bool:
    """Whether an endpoint complains of the form in which it was asked, and not of the question."""
    said = failure.detail.casefold()
    return said.startswith(("http 400", "http 422")) and any(form in said for form in _FORMS)


def asked_wait(header: str | None, now: float) -> float | None:
    """The seconds that a `Retry-After` asks for: a number, or an HTTP date, `now` being the time
    since 1970.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except (ValueError, IndexError):
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if seconds < 10**9 else None


def _said(data: bytes) -> str:
    """The words of an error's body, in one short line."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        text = _page(data) or data[: 4 * _QUOTED].decode("utf-8", "replace")
    else:
        while isinstance(value, Mapping):
            keys = ("error", "message", "detail")
            value = next((value[key] for key in keys if value.get(key)), str(dict(value)))
        text = str(value)
    return _line(text)


_TAGS = re.compile(r"<(script|style)\b.*?(</\1>|$)|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


def _page(data: bytes) -> str:
    """The words of a web page; "" where it is none."""
    text = data[: 2**16].decode("utf-8", "replace")
    if not text.lstrip().casefold().startswith(("<!doctype", "<html", "<head", "<?xml", "<body")):
        return ""
    return _line(html.unescape(_TAGS.sub(" ", text))) or "(no words)"


def _line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED else words[:_QUOTED] + "..."


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca or None)
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
