"""A command goes in; a vLLM that runs comes out, with what its log says of it.

A file of its own because a process, its port and its log are one thing, whoever asks it what.
`leash.py` sees to it that nothing of it is left, however we end.
"""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler.resources import home
from compiler.teacher.flags import HOST
from compiler.teacher.leash import PATIENCE

_LEASH = Path(__file__).with_name("leash.py")
_LOOK_EVERY = 0.05
_TAIL = 200_000
_ERRORS = 3
_LONGEST = 300
_HEAD = re.compile(r"^(\(\w+ pid=\d+\) )?([A-Z]+ [\d-]+ [\d:]+ \[[\w.]+:\d+\] ?)?")
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b: \S|^[\w./-]+: error: ")
# What a line of the log says that the server is doing.
_STEPS = (
    (re.compile(r"Downloading|Fetching \d+ files"), "fetching the model"),
    (re.compile(r"Initializing a V1 LLM engine"), "starting the engine"),
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"Loading \w+ checkpoint shards: +(\d+%)"), "loading the weights, {}"),
    (re.compile(r"Warming up model|Dynamo bytecode|Compiling a graph"), "compiling"),
    (re.compile(r"Capturing CUDA graphs?[^:]*: +(\d+%)"), "capturing CUDA graphs, {}"),
    (re.compile(r"Starting vLLM"), "opening its port"),
)


class Server:
    """One vLLM on loopback, not yet started; `log` is where all that it says goes."""

    def __init__(self, name: str) -> None:
        self.log = home() / "vllm" / (re.sub(r"[^\w.@-]+", "-", name) + ".log")
        # Bound and not listening, this keeps the port from everybody but a server that reuses
        # addresses, as vLLM does.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind((HOST, 0))
        self.port: int = self._port.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._step = "importing"

    def start(self, command: Sequence[str], surroundings: Mapping[str, str]) -> None:
        """Starts it in a session of its own: Ctrl-C in the terminal goes to us alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)  # an older server may still write to it
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_LEASH), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(surroundings),
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether it runs no longer."""
        return self._process is not None and self._process.poll() is not None

    async def is_healthy(self) -> bool:
        """Whether it answers that it is ready."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(f"GET /health HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            return b" 200 " in await asyncio.wait_for(reader.readline(), 10)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def step(self) -> str:
        """What it is doing now, as far as its log tells."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        for line in re.split(r"[\r\n]+", new.decode("utf-8", "replace")):
            for pattern, text in _STEPS:
                if found := pattern.search(line):
                    self._step = text.format(*found.groups())
        return self._step

    def last_words(self) -> str:
        """How it ended: its exit status, and the errors at the end of its log, the cause first."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL))
            text = log.read().decode("utf-8", "replace")
        lines = [_HEAD.sub("", line).strip() for line in text.splitlines()]
        errors = list(dict.fromkeys(line for line in lines if _ERROR.match(line)))
        told = errors[:1] + errors[1:][1 - _ERRORS :] or [line for line in lines if line][-1:]
        status = self._process.returncode if self._process else 0
        return "; ".join(
            [f"vLLM ended with status {status}", *(text[:_LONGEST].rstrip(".") for text in told)]
        )

    async def stop(self) -> None:
        """Ends it, and all that it started; it has some seconds to do so itself."""
        self._port.close()
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        for _ in range(int((PATIENCE + 5) / _LOOK_EVERY)):
            if self.ended:
                return
            await asyncio.sleep(_LOOK_EVERY)
