"""Every reply that a teacher gave goes in, and comes out again instead of a second question.

A pass of its own because it is the only state of a build. SQLite in WAL mode; the key is a hash of
the model, the messages, the sampling and the sample index, for a teacher by rule also of what it
reads besides, so an edited prompt, seed or setting asks what it changes and nothing else. A process
that is killed loses only what was in flight.
"""

import hashlib
import json
import sqlite3
from pathlib import Path
from types import TracebackType

from compiler.codes import R404
from compiler.teacher import Failure, Reply, Request, Teacher

_TABLE = """
create table if not exists replies (
  key text primary key,
  model text not null,
  text text not null,
  finish text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null
) without rowid
"""


def key_of(teacher: Teacher, request: Request) -> str:
    """The journal's key: 32 hex digits of a hash of all that the answer depends on."""
    content: dict[str, object] = {
        "model": teacher.model,
        "messages": [message.as_json() for message in request.messages],
        "sampling": request.sampling.as_json(),
        "index": request.index,
    }
    if request.form != "tags":
        fields = [[field.name, *field.choices] for field in request.writes]
        content["schema"] = [request.form, request.many, fields]
    if teacher.by_rule:
        names = [field.name for field in request.writes]
        content |= {"stage": request.stage, "writes": names, "columns": dict(request.columns)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Journal:
    """The replies on disk; safe for several processes at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")
        self._base.execute(_TABLE)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._base.close()

    def get(self, key: str) -> Reply | Failure | None:
        """What was answered; a Failure where a teacher by rule said that it cannot (R404)."""
        found = self._base.execute(
            "select text, finish, prompt_tokens, completion_tokens from replies where key = ?",
            (key,),
        ).fetchone()
        if found and found[1] == R404.id:
            return Failure(R404, found[0])
        return Reply(*found) if found else None

    async def find(self, key: str) -> Reply | Failure | None:
        """`get`, for the expansion."""
        return self.get(key)

    async def keep(self, key: str, model: str, reply: Reply | Failure) -> Reply | Failure:
        """`put`, for the expansion; returns the reply that was stored first."""
        self.put(key, model, reply)
        return reply

    def put(self, key: str, model: str, reply: Reply | Failure) -> None:
        """Stores a reply at once; the first one stored for a key stays.

        Of failures only R404 is kept: the others may pass.
        """
        if isinstance(reply, Failure):
            if reply.code is not R404:
                return
            reply = Reply(reply.detail, R404.id)
        self._base.execute(
            "insert or ignore into replies values (?, ?, ?, ?, ?, ?)",
            (key, model, reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens),
        )
