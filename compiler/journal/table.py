"""A path goes in; an open SQLite database with the journal's tables comes out, or a coded fault.

A file of its own because a journal outlives the program that made it: one of an older form is taken
over as it is opened, and one that cannot be used is named with what to do.
"""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from compiler.codes import B903, E705, Code

VERSION = 2

# The text is the last column, so that a sum over the others need not read it; and a table with row
# ids takes a third less room than one without, for the keys come in random order.
_TABLES = (
    """
create table replies (
  key text primary key,
  model text not null,
  finish text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  cached integer not null,
  odds text,
  seconds real not null,
  created integer not null,
  text text not null
)
""",
    """
create table runs (
  ended integer not null,
  model text not null,
  asked integer not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  seconds real not null
)
""",
)
_FIRST_FORM = ["key", "model", "text", "finish", "prompt_tokens", "completion_tokens"]
_TAKE_OVER = """
insert into replies
select key, model, finish, prompt_tokens, completion_tokens, 0, null, 0.0, ?, text from first_form
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    sqlite3.SQLITE_FULL: "free some space and run the same command again: every answer so far is "
    "kept",
    sqlite3.SQLITE_BUSY: "another process holds it: wait for that one and run the command again",
}


class JournalError(sqlite3.Error):
    """A journal that cannot be used, in words for its user: damaged (E705), or its disk is full,
    locked or not to be written (B903).
    """

    def __init__(self, said: str, code: Code, hint: str) -> None:
        super().__init__(said, code, hint)
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])


def fault(path: Path, wrong: Exception) -> JournalError:
    """What SQLite complains of, or what cannot be decoded, in words for a user."""
    number = getattr(wrong, "sqlite_errorcode", None)  # without one, what was stored is no text
    if number is None or number & 0xFF in _DAMAGED:
        return damaged(path, str(wrong))
    hint = _HINTS.get(number & 0xFF, "look at the path, its permissions and the space left")
    return JournalError(f"the journal `{_seen_from_here(path)}`: {wrong}", B903, hint)


def damaged(path: Path, said: str) -> JournalError:
    """A file that is no journal, or no more."""
    name = _seen_from_here(path)
    hint = f"move `{name}` away; `trivium journal import` brings an export back"
    return JournalError(f"the journal `{name}`: {said}", E705, hint)


def open_tables(path: Path, wait: float) -> sqlite3.Connection:
    """Opens a journal, makes a new one, or takes over one of the first form without losing a reply.

    Waits at most `wait` seconds for other processes. Raises JournalError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    base: sqlite3.Connection | None = None
    try:
        base = sqlite3.connect(path, isolation_level=None, timeout=wait, check_same_thread=False)
        if _version(base) != VERSION:
            _make(base, path)
        _log_ahead(base, time.monotonic() + wait)
        base.execute("pragma synchronous = normal")
    except BaseException as wrong:
        if base:
            base.close()
        if isinstance(wrong, sqlite3.Error) and not isinstance(wrong, JournalError):
            raise fault(path, wrong) from wrong
        raise
    return base


def _version(base: sqlite3.Connection) -> int:
    (version,) = base.execute("pragma user_version").fetchone()
    return int(version)


def _make(base: sqlite3.Connection, path: Path) -> None:
    """Makes the tables in one transaction; of several processes the first one does."""
    base.execute("begin immediate")
    try:
        version = _version(base)
        if version != VERSION:
            tables = [name for (name,) in base.execute("select name from sqlite_master")]
            columns = [column[1] for column in base.execute("pragma table_info(replies)")]
            is_first = version == 0 and columns == _FIRST_FORM
            if version or (tables and not is_first):
                raise damaged(path, "another program or a later version made it")
            if is_first:
                base.execute("alter table replies rename to first_form")
            for table in _TABLES:
                base.execute(table)
            if is_first:
                base.execute(_TAKE_OVER, (int(time.time()),))
                base.execute("drop table first_form")
            base.execute(f"pragma user_version = {VERSION}")
        base.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            base.execute("rollback")
        raise


def _log_ahead(base: sqlite3.Connection, until: float) -> None:
    """Turns the write-ahead log on. SQLite does not wait for other processes by itself here."""
    while True:
        try:
            base.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as wrong:
            if wrong.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _seen_from_here(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.absolute().relative_to(Path.cwd()).as_posix()
    return str(path)
