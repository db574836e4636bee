"""A command goes in; it runs, with all that it starts, only as long as standard input stays open.

A program of its own, run beside a server that Trivium starts. Whoever is killed with `kill -9`
cleans nothing up, but its end of a pipe closes in any case. The kernel's own signal on a parent's
death would not do: it reaches the one child, and a killed vLLM leaves its engine and workers on the
GPU; a process group reaches them all. That signal is set too, should the leash itself be killed.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

PATIENCE = 10.0
"""The seconds that a command has to end by itself once it was asked to."""

_LOOK_EVERY = 0.2
_PR_SET_PDEATHSIG = 1


def hold(command: Sequence[str]) -> int:
    """Runs a command to its end, or to that of standard input; returns its exit status."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    while child.poll() is None:
        # Nothing is ever written to the pipe: what can be read is its end.
        if select.select([sys.stdin], [], [], _LOOK_EVERY)[0]:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE)
            break
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))
