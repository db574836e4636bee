"""A journal goes in; a file of JSON lines comes out, and the other way round.

A file of its own because its form is a contract between machines: sorted by key, a reply per line,
the same bytes for the same replies. A line that is no reply is named, and the others are taken.
"""

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from compiler.codes import R404
from compiler.journal.store import Journal, Kept, parts
from compiler.teacher import Failure, Reply

_KEY = re.compile(r"[0-9a-f]{32}")
_GZIP = b"\x1f\x8b"
_LONGEST = 100_000_000
_AT_ONCE = 1000
_MOST = 2**63
_CUT = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(slots=True)
class Taken:
    """What became of the lines of a file; `broken` are line numbers, from 1, and what is wrong."""

    new: int = 0
    known: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)


def write_out(journal: Journal, file: Path, step: Callable[[], None]) -> int:
    """Writes every reply and returns their number; `file` is there whole, or as it was before.

    A name that ends in `.gz` is compressed. `step` is called for each reply.
    """
    number = 0
    begun = file.with_name(f"{file.name}.part")
    try:
        with begun.open("wb") as raw, _squeezed(raw, file.suffix == ".gz") as out:
            for kept in journal.all():
                out.write(_line(kept))
                number += 1
                step()
        begun.replace(file)
    finally:
        begun.unlink(missing_ok=True)
    return number


def take_in(journal: Journal, file: Path, taken: Taken, step: Callable[[], None]) -> None:
    """Stores the replies of a file that the journal does not have; counts them in `taken`.

    A thousand lines are stored at a time, so what was counted stays after an interrupt.
    """
    for part in parts(_read(file), _AT_ONCE):
        good = [found for _, found in part if isinstance(found, Kept)]
        new = journal.put_many(good)
        taken.new += new
        taken.known += len(good) - new
        taken.broken += [(at, found) for at, found in part if isinstance(found, str)]
        for _ in part:
            step()


def count_lines(file: Path) -> int:
    """How many lines a file has, as far as it can be read."""
    number = 0
    with _opened(file) as lines:
        try:
            while block := lines.read(1 << 20):
                number += block.count(b"\n")
        except _CUT:
            pass
    return number


@contextmanager
def _squeezed(raw: IO[bytes], is_wanted: bool) -> Iterator[IO[bytes]]:
    """The same stream, or one that compresses, without a time or a name in it."""
    if not is_wanted:
        yield raw
        return
    with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as out:
        yield out  # type: ignore[misc]


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """A file to read, compressed or not: its first bytes tell."""
    with file.open("rb") as raw:
        is_gzip = raw.read(2) == _GZIP
        raw.seek(0)
        if not is_gzip:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as out:
            yield out  # type: ignore[misc]


def _read(file: Path) -> Iterator[tuple[int, Kept | str]]:
    """The number of each line, and its reply or what is wrong with it."""
    number = 0
    with _opened(file) as lines:
        try:
            while line := lines.readline(_LONGEST):
                number += 1
                is_whole = line.endswith(b"\n") or len(line) < _LONGEST
                rest = line
                while not is_whole and rest and not rest.endswith(b"\n"):
                    rest = lines.readline(_LONGEST)
                if line.strip():
                    yield number, _kept(line) if is_whole else "it is longer than any reply"
        except _CUT:
            yield number + 1, "the compressed file ends too soon, or is damaged"


def _line(kept: Kept) -> bytes:
    """A reply as a line; what is nothing is left out, but for the counts of tokens."""
    reply = kept.reply
    if isinstance(reply, Failure):
        reply = Reply(reply.detail, R404.id)
    value: dict[str, object] = {
        "key": kept.key,
        "model": kept.model,
        "created": kept.created,
        "finish": reply.finish,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
    }
    if reply.cached:
        value["cached"] = reply.cached
    if reply.odds:
        value["odds"] = dict(reply.odds)
    if reply.seconds:
        value["seconds"] = reply.seconds
    value["text"] = reply.text
    return f"{json.dumps(value, ensure_ascii=False)}\n".encode()


def _kept(line: bytes) -> Kept | str:
    """The reply of a line, or what is wrong with it."""
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            return "it is no JSON object"
        key, model, text, finish = (
            _text(value, name) for name in ("key", "model", "text", "finish")
        )
        if not _KEY.fullmatch(key):
            return "`key` is not 32 hex digits"
        created, prompt, completion, cached = (
            int(_number(value, name, int))
            for name in ("created", "prompt_tokens", "completion_tokens", "cached")
        )
        created = created or int(time.time())
        odds = value.get("odds", {})
        if not isinstance(odds, dict):
            return "`odds` is no object"
        shares = {_sound(token): _number(odds, token, int, float) for token in odds}
        seconds = _number(value, "seconds", int, float)
    except (ValueError, RecursionError) as wrong:
        return str(wrong) if type(wrong) is ValueError else "it is no JSON"
    if finish == R404.id:
        return Kept(key, model, created, Failure(R404, text))
    return Kept(
        key, model, created, Reply(text, finish, prompt, completion, cached, shares, seconds)
    )


def _text(value: dict[str, Any], name: str) -> str:
    if not isinstance(value.get(name), str):
        raise ValueError(f"it has no text `{name}`")
    return _sound(value[name])


def _sound(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a character") from None
    return text


def _number(value: dict[str, Any], name: str, *kinds: type) -> float:
    number = value.get(name, 0)
    if type(number) not in kinds or not 0 <= number < _MOST:
        raise ValueError(f"`{name}` is no number that it can hold")
    return float(number) if float in kinds else number
