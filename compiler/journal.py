"""Every reply that a teacher gave goes in, and comes out again instead of a second question.

A pass of its own because it is the only state of a build. SQLite in WAL mode; the key is a hash of
the model, the messages, the sampling and the sample index, so an edited prompt, seed or setting
asks what it changes and nothing else. A process that is killed loses only what was in flight.
"""

import hashlib
import json
import sqlite3
from pathlib import Path
from types import TracebackType

from compiler.teacher import Reply, Request

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


def key_of(model: str, request: Request) -> str:
    """The journal's key: 32 hex digits."""
    content = {
        "model": model,
        "messages": [message.as_json() for message in request.messages],
        "sampling": request.sampling.as_json(),
        "index": request.index,
    }
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

    def get(self, key: str) -> Reply | None:
        found = self._base.execute(
            "select text, finish, prompt_tokens, completion_tokens from replies where key = ?",
            (key,),
        ).fetchone()
        return Reply(*found) if found else None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Stores a reply at once; the first one stored for a key stays."""
        self._base.execute(
            "insert or ignore into replies values (?, ?, ?, ?, ?, ?)",
            (key, model, reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens),
        )

    def count(self) -> int:
        """How many replies there are."""
        return int(self._base.execute("select count(*) from replies").fetchone()[0])
