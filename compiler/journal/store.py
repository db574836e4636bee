"""A reply goes in under its key; it comes out again, in this process and in every later one.

A pass of its own because it is the only state of a build. SQLite with a write-ahead log: a reply is
stored within milliseconds, so a process that is killed loses only what was in flight, and several
processes may use one journal. The first reply of a key stays, so that all of them make the same
build.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from compiler.codes import R404
from compiler.journal.table import fault, open_tables
from compiler.teacher import Failure, Reply

WAIT = 60.0
_REPLY = "text, finish, prompt_tokens, completion_tokens, cached, odds, seconds"
_PUT = f"insert or ignore into replies (key, model, created, {_REPLY}) values (?{', ?' * 9})"
_AT_ONCE = 500
_GATHERED = 0.005  # seconds
_RUNS_OF_A_RATE = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as the journal keeps it; `created` in seconds since 1970."""

    key: str
    model: str
    created: int
    reply: Reply | Failure


@dataclass(frozen=True, slots=True)
class Share:
    """What the journal holds of one model; `seconds` is the mean of those replies that tell it."""

    model: str
    replies: int
    prompt_tokens: int
    cached: int
    completion_tokens: int
    seconds: float
    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run asked of a model; `ended` in seconds since 1970, `seconds` of wall time."""

    ended: int
    model: str
    asked: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rate:
    """What a model did per second of wall time: tokens of replies, and requests."""

    tokens: float
    requests: float


class Journal:
    """The replies on disk. What fails is a JournalError, which has words for a user."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = open_tables(path, WAIT)
        self._came: list[tuple[Kept, asyncio.Future[bool]]] = []
        self._storing: asyncio.Task[None] | None = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._came:  # a run was stopped before they were stored
                self._put_all([kept for kept, _ in self._came])
        finally:
            self._base.close()

    def get(self, key: str) -> Reply | Failure | None:
        """What was answered; a Failure where a teacher by rule said that it cannot (R404)."""
        found = self._ask(f"select {_REPLY} from replies where key = ?", (key,))
        return self._reply(*found[0]) if found else None

    def get_many(self, keys: Iterable[str]) -> dict[str, Reply | Failure]:
        """What was answered of many questions, by key."""
        found: dict[str, Reply | Failure] = {}
        for some in parts(keys, _AT_ONCE):
            marks = ", ".join("?" * len(some))
            rows = self._ask(f"select key, {_REPLY} from replies where key in ({marks})", some)
            found |= {key: self._reply(*reply) for key, *reply in rows}
        return found

    async def find(self, key: str) -> Reply | Failure | None:
        """`get`, for the expansion."""
        return self.get(key)

    async def keep(self, key: str, model: str, reply: Reply | Failure) -> Reply | Failure:
        """`put`, for the expansion; returns the reply that counts: the first that was stored."""
        sound = _sound(reply)
        if not _is_kept(reply):
            return sound
        stored = asyncio.get_running_loop().create_future()
        self._came.append((Kept(key, model, int(time.time()), sound), stored))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store())
        return sound if await stored else self.get(key) or sound

    async def _store(self) -> None:
        """Stores what came, a few milliseconds' worth at once, while the loop goes on."""
        try:
            while self._came:
                await asyncio.sleep(_GATHERED)
                some = list(self._came)
                are_new: bool | Exception
                try:
                    are_new = await asyncio.to_thread(self._put_all, [kept for kept, _ in some])
                except Exception as wrong:  # those who wait have to know of any
                    are_new = wrong
                self._came = self._came[len(some) :]
                for _, stored in some:
                    if stored.done():
                        continue
                    if isinstance(are_new, Exception):
                        stored.set_exception(are_new)
                    else:
                        stored.set_result(are_new)
        finally:
            self._storing = None

    def _put_all(self, many: Sequence[Kept]) -> bool:
        """Stores replies in one transaction; whether all of them are new."""
        with self._together():
            rows = [_values(kept) for kept in many]
            try:
                return self._base.executemany(_PUT, rows).rowcount == len(rows)
            except sqlite3.Error as wrong:
                raise fault(self._path, wrong) from wrong

    def put(self, key: str, model: str, reply: Reply | Failure) -> bool:
        """Stores a reply at once, and says whether it is new: the first of a key stays.

        Of failures only R404 is kept: the others may pass.
        """
        if not _is_kept(reply):
            return False
        return self._do(_PUT, _values(Kept(key, model, int(time.time()), reply))) == 1

    def put_many(self, many: Sequence[Kept]) -> int:
        """Stores replies of another journal, all or none, and says how many are new."""
        with self._together():
            return sum(self._do(_PUT, _values(kept)) for kept in many if _is_kept(kept.reply))

    def all(self) -> Iterator[Kept]:
        """Every reply as of now, by key."""
        rows = self._each(f"select key, model, created, {_REPLY} from replies order by key")
        for key, model, created, *reply in rows:
            yield Kept(key, model, created, self._reply(*reply))

    def keys(self, model: str | None = None, before: float | None = None) -> Iterator[str]:
        """The keys of all replies, or those of one model, or those from before a time."""
        rows = self._each(
            "select key from replies where (:model is null or model = :model)"
            " and (:before is null or created < :before) order by key",
            {"model": model, "before": before},
        )
        return (key for (key,) in rows)

    def remove(self, keys: Sequence[str]) -> int:
        """Deletes replies, all or none, and says how many there were."""
        with self._together():
            return sum(self._do("delete from replies where key = ?", (key,)) for key in keys)

    def shrink(self) -> bool:
        """Gives the room of deleted replies back to the disk; not while others use the journal."""
        try:
            self._base.execute("pragma busy_timeout = 1000")
            if self._is_read_elsewhere():
                return False
            self._base.execute("vacuum")
            return not self._is_read_elsewhere()
        except sqlite3.OperationalError:
            return False
        finally:
            self._base.execute(f"pragma busy_timeout = {int(WAIT * 1000)}")

    def _is_read_elsewhere(self) -> bool:
        """Moves the log into the file, and says whether somebody is in the way."""
        return bool(self._base.execute("pragma wal_checkpoint(truncate)").fetchone()[0])

    def count(self) -> int:
        """How many replies there are."""
        return int(self._ask("select count(*) from replies")[0][0])

    def size(self) -> int:
        """Bytes on disk, with the write-ahead log."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.is_file())

    def shares(self) -> list[Share]:
        """What it holds, model by model."""
        rows = self._ask(
            "select model, count(*), sum(prompt_tokens), sum(cached), sum(completion_tokens),"
            " coalesce(avg(nullif(seconds, 0)), 0), min(created), max(created)"
            " from replies group by model order by model"
        )
        return [Share(*row) for row in rows]

    def note_run(
        self, model: str, asked: int, prompt_tokens: int, completion_tokens: int, seconds: float
    ) -> None:
        """Keeps what a run asked and how long that took, for later plans."""
        run = (int(time.time()), model, asked, prompt_tokens, completion_tokens, seconds)
        self._do("insert into runs values (?, ?, ?, ?, ?, ?)", run)

    def runs(self, last: int) -> list[Run]:
        """The last runs, the latest first."""
        rows = self._ask("select * from runs order by rowid desc limit ?", (last,))
        return [Run(*row) for row in rows]

    def rate(self, model: str) -> Rate | None:
        """How fast a model was in its last runs of at least 5 s or 50 requests; None without one.

        Several short runs count less than a long one: it is their whole work over all their time.
        """
        rows = self._ask(
            "select completion_tokens, asked, seconds from runs where model = ? and seconds > 0"
            " and asked > 0 and (seconds >= 5 or asked >= 50) order by rowid desc limit ?",
            (model, _RUNS_OF_A_RATE),
        )
        if not rows:
            return None
        tokens, requests, seconds = map(sum, zip(*rows, strict=True))
        return Rate(tokens / seconds, requests / seconds)

    def _ask(self, asked: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._base.execute(asked, values).fetchall()
        except sqlite3.Error as wrong:
            raise fault(self._path, wrong) from wrong

    def _each(self, asked: str, values: Mapping[str, object] | None = None) -> Iterator[Any]:
        try:
            yield from self._base.execute(asked, values or {})
        except sqlite3.Error as wrong:
            raise fault(self._path, wrong) from wrong

    def _do(self, what: str, values: Sequence[object] = ()) -> int:
        """Changes something; returns in how many rows."""
        try:
            return self._base.execute(what, values).rowcount
        except sqlite3.Error as wrong:
            raise fault(self._path, wrong) from wrong

    @contextmanager
    def _together(self) -> Iterator[None]:
        """A transaction: all that happens within it is stored, or nothing."""
        self._do("begin immediate")
        try:
            yield
            self._do("commit")
        finally:
            if self._base.in_transaction:
                self._base.rollback()

    def _reply(
        self,
        text: str,
        finish: str,
        prompt_tokens: int,
        completion_tokens: int,
        cached: int,
        odds: str | None,
        seconds: float,
    ) -> Reply | Failure:
        if finish == R404.id:
            return Failure(R404, text)
        try:
            known = json.loads(odds) if odds else {}
        except ValueError as wrong:
            raise fault(self._path, wrong) from wrong
        return Reply(text, finish, prompt_tokens, completion_tokens, cached, known, seconds)


def parts(many: Iterable[T], most: int) -> Iterator[list[T]]:
    """Cuts what is many into lists of at most `most`."""
    rest = iter(many)
    while part := list(islice(rest, most)):
        yield part


def _is_kept(reply: Reply | Failure) -> bool:
    return isinstance(reply, Reply) or reply.code == R404


def _values(kept: Kept) -> tuple[object, ...]:
    """What is stored, in the order of the statement."""
    reply = _sound(kept.reply)
    if isinstance(reply, Failure):
        reply = Reply(reply.detail, R404.id)
    odds = json.dumps(dict(reply.odds), separators=(",", ":")) if reply.odds else None
    return (
        kept.key,
        kept.model,
        kept.created,
        reply.text,
        reply.finish,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cached,
        odds,
        reply.seconds,
    )


def _sound(reply: Reply | Failure) -> Reply | Failure:
    """The reply with a question mark for each half of a character, which no file can hold."""
    text = reply.text if isinstance(reply, Reply) else reply.detail
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
        if isinstance(reply, Reply):
            return replace(reply, text=text)
        return replace(reply, detail=text)
    return reply
