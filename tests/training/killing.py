"""A piece of work goes in; it is killed at a moment, as a machine kills: nothing is closed.

The work runs in a copy of this process (`fork`), which saves the seconds of the imports. A moment
is a change of the file system under a folder: a file opened to be written, a rename, a removal.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}


def fork(work: Callable[[], object], **variables: str) -> int:
    """Begins the work in a copy of this process, with other variables of the environment."""
    child = os.fork()
    if not child:
        os.environ.update(variables)
        with Path(os.environ.get("TRIVIUM_TEST_SAID", os.devnull)).open("a") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            status = 70
            try:
                work()
                status = 0
            except KeyboardInterrupt:
                status = 130
            except SystemExit as ended:
                status = int(ended.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
    return child


def status(child: int) -> int:
    """How a copy of this process ended; -9: it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def moments(work: Callable[[], object], folder: Path) -> int:
    """How many moments the work has; it is done."""
    said = folder.with_name(f"{folder.name}.moments")
    counted = []

    def all_of_it() -> None:
        listen(folder, counted.append)
        work()
        said.write_text(str(len(counted)))

    assert status(fork(all_of_it)) == 0
    return int(said.read_text())


def killed(work: Callable[[], object], folder: Path, moment: int) -> bool:
    """Whether the work was killed at its moment of that number; else it was done before."""

    def until() -> None:
        at(folder, moment, lambda: os.kill(os.getpid(), signal.SIGKILL))
        work()

    ended = status(fork(until))
    assert ended in (0, -signal.SIGKILL), ended
    return ended != 0


def at(folder: Path, moment: int, act: Callable[[], object]) -> None:
    """Lets this process act at its moment of that number, once."""
    left = [moment]

    def count(_: object) -> None:
        left[0] -= 1
        if left[0] == -1:
            act()

    listen(folder, count)


def listen(folder: Path, tell: Callable[[object], None]) -> None:
    """Calls `tell` at every moment of this process, to its end."""
    under = str(folder)

    def heard(event: str, given: tuple) -> None:
        if event == "open":
            changes = isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        else:
            changes = event in CHANGES
        if changes and isinstance(given[0], str | os.PathLike) and under in os.fspath(given[0]):
            tell(event)

    sys.addaudithook(heard)
