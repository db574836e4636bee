"""What was found in a leaf file goes in; it comes out again as long as nothing that it rests on has
changed.

A pass of its own because a check of an unchanged taxonomy should cost little more than reading it.
An entry is found by the hashes of the leaf's file and of `attribution.txt` beside it, and belongs
to this very program: another version, schema or Python finds nothing. Plain JSON in SQLite; where
the file cannot be used, everything is looked at anew.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path
from sysconfig import get_path
from typing import Any

from compiler.check.facts import Asked, Facts
from compiler.codes import CATALOGUE
from compiler.diagnostics import Diagnostic, Note, Span
from compiler.resources import SCHEMAS

MOST_ENTRIES = 200_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one leaf file says of itself; `facts` is None where it is no leaf.

    `patterns` are those of its document where that lies in this taxonomy; `documents` is then the
    hash of what they named.
    """

    findings: tuple[Diagnostic, ...]
    facts: Facts | None
    patterns: tuple[str, ...] = ()
    documents: str = ""


class Cache:
    """The findings of earlier runs; without a file, or with a broken one, it knows nothing."""

    def __init__(self, file: Path | None = None) -> None:
        self._new: dict[bytes, str] = {}
        self._base: sqlite3.Connection | None = None
        with suppress(sqlite3.Error, OSError):
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                base = sqlite3.connect(file, isolation_level=None, timeout=5)
                base.execute(
                    "CREATE TABLE IF NOT EXISTS seen"
                    " (key BLOB PRIMARY KEY, program BLOB, value TEXT) WITHOUT ROWID"
                )
                self._base = base

    @property
    def is_open(self) -> bool:
        """Whether it can know or keep anything."""
        return self._base is not None

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        """Writes what is new; also after an interrupt."""
        if not self._base:
            return
        with suppress(sqlite3.Error):
            if self._new:
                self._write(self._base)
        self._base.close()
        self._base = None

    def _write(self, base: sqlite3.Connection) -> None:
        rows = ((key, _program(), value) for key, value in self._new.items())
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)
        (count,) = base.execute("SELECT count(*) FROM seen").fetchone()
        if count > MOST_ENTRIES:
            base.execute("DELETE FROM seen WHERE program != ?", (_program(),))
        if count - MOST_ENTRIES > MOST_ENTRIES:
            base.execute("DELETE FROM seen")
        base.execute("COMMIT")

    def get(self, key: bytes) -> Seen | None:
        """What is kept under a key."""
        if not self._base:
            return None
        with suppress(sqlite3.Error, ValueError, KeyError, TypeError):
            row = self._base.execute("SELECT value FROM seen WHERE key = ?", (key,)).fetchone()
            return _unpacked(json.loads(row[0])) if row else None
        return None

    def put(self, key: bytes, seen: Seen) -> None:
        """Keeps what was found, when the run ends."""
        if self._base:
            packed = json.dumps(_packed(seen), ensure_ascii=True, separators=(",", ":"))
            self._new[key] = packed


def key_of(*parts: str) -> bytes:
    """The key of what was found in files of these hashes, by this very program."""
    return sha1(_program() + "\0".join(parts).encode(), usedforsecurity=False).digest()


@cache
def _program() -> bytes:
    """What tells this program from another: its files, the schemas, the libraries beside it."""
    parts = [sys.version, get_path("purelib"), str(_changed(Path(get_path("purelib"))))]
    for folder in (Path(__file__).parent, SCHEMAS):
        parts += sorted(_files(folder))
    return sha1("\n".join(parts).encode(), usedforsecurity=False).digest()


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        if file.suffix in (".py", ".json"):
            yield f"{file} {_changed(file)}"


def _changed(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _packed(seen: Seen) -> list[object]:
    one = seen.facts
    return [
        [
            [d.code.id, d.soft, d.message, _place(d.span), d.hint, _packed_notes(d)]
            for d in seen.findings
        ],
        one
        and [
            [one.leaf, one.file, one.branch, one.kind, one.created_by],
            _place(one.author),
            [[_place(a.span), a.question, a.answer, a.guard, a.pairs.hex()] for a in one.asked],
        ],
        seen.patterns,
        seen.documents,
    ]


def _packed_notes(found: Diagnostic) -> list[object]:
    return [[note.message, _place(note.span)] for note in found.notes]


def _place(span: Span | None) -> list[object] | None:
    if span is None:
        return None
    return [span.path, span.line, span.column, span.end_line, span.end_column]


def _unpacked(value: list[Any]) -> Seen:
    findings, facts, patterns, documents = value
    return Seen(
        tuple(
            Diagnostic(
                CATALOGUE[code],
                CATALOGUE[code].severity,
                message,
                place and Span(*place),
                hint,
                tuple(Note(said, Span(*there)) for said, there in notes),
                soft,
            )
            for code, soft, message, place, hint, notes in findings
        ),
        facts and _unpacked_facts(*facts),
        tuple(patterns),
        documents,
    )


def _unpacked_facts(words: list[str], author: list[Any], asked: list[list[Any]]) -> Facts:
    leaf, file, branch, kind, created_by = words
    questions = tuple(
        Asked(Span(*place), question, answer, guard, bytes.fromhex(pairs))
        for place, question, answer, guard, pairs in asked
    )
    return Facts(leaf, file, branch, kind, created_by, Span(*author), questions)
