"""A taxonomy whose settings name no teacher goes in; a line for each endpoint on this machine is
printed.

A file of its own because it only offers: a build must not depend on what runs beside it, and
whoever named a teacher is not asked about others.
"""

import asyncio
import re
import socket

from compiler.progress import say
from compiler.source import SETTINGS_NAME, Source

PORTS = (8000, 11434, 8080)
"""Those of `compiler.teacher.found`, which takes long to import."""

_SECONDS = 0.25


def offer(source: Source) -> None:
    """Says on stderr which endpoints this machine has, where the settings name no teacher."""
    if _names_teacher(source) or not any(map(_listens, PORTS)):
        return
    from compiler.teacher.found import endpoints

    for url, server, models in asyncio.run(endpoints(_SECONDS)):
        model = f"#{models[0]}" if models else ""
        say(f"{server} answers on this machine; to ask it: --teacher {url}{model}")


def _names_teacher(source: Source) -> bool:
    """Whether the settings name a teacher, be it the one that they have by default."""
    if SETTINGS_NAME not in source.paths:
        return False
    return (
        re.search(rb"^[{'\" ]*teacher['\" ]*:", source.read(SETTINGS_NAME), re.MULTILINE)
        is not None
    )


def _listens(port: int) -> bool:
    with socket.socket() as ear:
        ear.settimeout(0.01)
        return ear.connect_ex(("127.0.0.1", port)) == 0
