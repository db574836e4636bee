"""What Python is about to do goes in; a reason in words comes out where it is forbidden.

A file of its own because this is no wall, only a voice: the kernel ends a process that breaks out,
and says nothing. An audit hook (PEP 578) sees most attempts first and can name them. Where the
walls are weak it is the best that is left.
"""

import os
import sys
from collections.abc import Callable

_EVENTS = {
    "os.fork": "started a process",
    "os.forkpty": "started a process",
    "os.exec": "started a process",
    "os.posix_spawn": "started a process",
    "os.system": "started a process",
    "subprocess.Popen": "started a process",
    "os.kill": "sent a signal",
    "os.killpg": "sent a signal",
    "os.remove": "removed a file",
    "os.rmdir": "removed a folder",
    "os.mkdir": "made a folder",
    "os.rename": "renamed a file",
    "os.link": "made a link",
    "os.symlink": "made a link",
    "os.truncate": "wrote a file",
    "os.chmod": "changed a file's rights",
    "os.chown": "changed a file's owner",
    "os.chdir": "left its folder",
    "socket.connect": "used the network",
    "socket.bind": "used the network",
    "socket.getaddrinfo": "used the network",
    "socket.gethostbyname": "used the network",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def watch(tell: Callable[[str], None]) -> None:
    """From here on, calls `tell` with what this process was about to do, and ends it."""
    events, writing, leave, network = dict(_EVENTS), _WRITING, os._exit, (2, 10, 17)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        said = events.get(event, "")
        if event == "open" and len(arguments) > 2:
            flags = arguments[2]
            if isinstance(flags, int) and flags & writing:
                said = "wrote a file"
        elif event == "socket.__new__" and len(arguments) > 1 and arguments[1] in network:
            said = "used the network"
        if said:
            try:
                tell(said)
            finally:
                leave(1)

    sys.addaudithook(hook)
