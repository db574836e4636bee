"""Code and its tests go in; a reason comes out, "" where the tests pass.

A file of its own because this is the compiler's side: it starts the processes, holds the clock, and
believes only a verdict that bears the number which it drew for it. The code never sees that number.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from compiler.sandbox import walls

WEAK = "TRIVIUM_SANDBOX"
_ROOT = Path(__file__).parent.parent.parent
_START = """
import sys
sys.path.append(sys.argv[1])
from compiler.sandbox.inside import main
sys.path.remove(sys.argv[1])
sys.dont_write_bytecode = True
main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "strong")
"""
_MOST_VERDICT = 8192
_places: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` of processor time and `megabytes` of memory, each for the code and for the tests.

    Time by the clock is bounded more widely, so that a busy machine changes no verdict.
    """

    seconds: int = 5
    megabytes: int = 512

    @property
    def patience(self) -> float:
        """Seconds by the clock."""
        return 3.0 * self.seconds + 2.0


def obstacle() -> str:
    """Why nothing can be run on this machine, "" where it can: a wall is missing, and the
    environment does not say `TRIVIUM_SANDBOX=weak`.
    """
    lacks = walls.missing()
    return "" if not lacks or os.environ.get(WEAK) == "weak" else lacks


async def run(
    code: str, tests: str, functions: Sequence[str] = (), limits: Limits | None = None
) -> str:
    """Runs `tests` on `code`; `functions` are the names that the tests get, by default all that the
    code defines.

    As many run at once as the machine has cores. Nothing is run, and the reason says so, where
    `obstacle` is not "".
    """
    lacks = obstacle()
    if lacks:
        return f"not run: {lacks}"
    limits = limits or Limits()
    nonce = secrets.token_hex(16)
    job = {"nonce": nonce, "code": code, "tests": tests, "functions": list(functions)}
    loop = asyncio.get_running_loop()
    async with _places.setdefault(loop, asyncio.Semaphore(os.cpu_count() or 1)):
        folder = tempfile.mkdtemp(prefix="trivium-")
        try:
            return await _run(json.dumps(job).encode(), nonce, limits, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(job: bytes, nonce: str, limits: Limits, folder: str) -> str:
    strength = "weak" if walls.missing() else "strong"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-s", "-S", "-c", _START),
        *(str(_ROOT), str(limits.seconds), str(limits.megabytes), strength),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={"PYTHONHASHSEED": "0"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.patience):
            said = await _talk(process, job)
    except TimeoutError:
        return f"the clock showed more than {limits.patience:g} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = await process.wait()
    number, _, why = said.partition(" ")
    if number == nonce:
        try:
            return str(json.loads(why))
        except ValueError:
            return "the verdict cannot be read"
    if status == -signal.SIGXCPU:
        return f"the tests took more than {limits.seconds} s of processor time"
    return "the tests ended before their verdict"


async def _talk(process: asyncio.subprocess.Process, job: bytes) -> str:
    """Gives the job, and reads what is said, up to its end or to far too much."""
    assert process.stdin
    assert process.stdout
    with suppress(ConnectionError):
        process.stdin.write(job)
        process.stdin.close()
    said = b""
    while len(said) <= _MOST_VERDICT:
        part = await process.stdout.read(_MOST_VERDICT)
        if not part:
            break
        said += part
    return said.decode(errors="replace")
