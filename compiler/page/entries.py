"""A build and a journal go in; its samples and drops with their stories come out as pieces of JSON.

A file of its own because it decides what a page has room for. What a hundred samples have in common
is written once: in a piece, `leaves`, `sources`, `origins` and `keys` are what earlier pieces did
not name; a sample, a drop and an origin name them by number. What is empty is not written.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from compiler.builds import Build, Json
from compiler.journal import Journal
from compiler.page.read import PHASES, Replies, pass_of
from compiler.teacher import Reply

ROOM = 150_000_000  # bytes of the build's files whose samples and drops are on the page
ROOM_FOR_REPLIES = 12_000_000  # characters of raw replies
ALWAYS = 20  # samples of a leaf, and drops, that are on the page whatever their number
PIECE = 1000  # samples and drops

DIGITS = 12  # of a reply's key

LOST, LEFT_OUT = 0, 1
_OWN = ("unit", "start", "end", "seeds", "generation", "drawn", "lines")  # of few samples
SAMPLES, HELDOUT, VALIDATION, PHASE1, PHASE2, REPLAYED = (1 << bit for bit in range(6))


@dataclass(slots=True)
class Shown:
    """How much of a build is on the page: samples, drops, replies with their text; of how many.

    `lost` counts replies that there is room for, but are not in the journal. Whole once all pieces
    are made.
    """

    samples: int = 0
    of_samples: int = 0
    drops: int = 0
    of_drops: int = 0
    replies: int = 0
    of_replies: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Piece:
    leaves: list[str] = field(default_factory=list)
    sources: list[Json] = field(default_factory=list)
    origins: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    replies: list[Any] = field(default_factory=list)
    samples: list[Any] = field(default_factory=list)
    drops: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples) + len(self.drops)


class Entries:
    """What the page lists. `texts` are the characters of the replies of drops and of samples."""

    def __init__(
        self,
        build: Build,
        journal: Journal,
        texts: tuple[int, int],
        room: int = ROOM,
        room_for_replies: int = ROOM_FOR_REPLIES,
    ) -> None:
        self.shown = Shown()
        self._build, self._journal = build, journal
        size = sum(build.size(name) for name in ("samples", "drops", "heldout"))
        self._share = room / size if size else 1.0
        of_drops, of_samples = texts
        self._told_drops = room_for_replies / of_drops if of_drops else 1.0
        left = max(0, room_for_replies - of_drops)
        self._told_samples = left / of_samples if of_samples else 1.0
        self._leaves: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._origins: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._piece = _Piece()
        self._due: list[tuple[str, bool]] = []

    def pieces(self) -> Iterator[str]:
        """JSON texts that are safe inside a `script` element, drops first."""
        yield from self._full(self._each_drop())
        yield from self._full(self._each_sample())
        if len(self._piece):
            yield self._close()

    def _full(self, steps: Iterable[None]) -> Iterator[str]:
        for _ in steps:
            if len(self._piece) >= PIECE:
                yield self._close()

    def _each_drop(self) -> Iterator[None]:
        each: dict[str, int] = defaultdict(int)
        for number, drop in enumerate(self._build.lines("drops")):
            self.shown.of_drops += 1
            each[drop["leaf"]] += 1
            mark = (drop["replies"] or [str(number)])[0]
            if each[drop["leaf"]] > ALWAYS and not _is_within(mark, self._share):
                continue
            self.shown.drops += 1
            self._piece.drops.append(
                [
                    self._leaf(drop["leaf"]),
                    drop["code"],
                    pass_of(self._build, drop),
                    drop["stage"],
                    drop["detail"],
                    drop["text"],
                    self._replies(drop["replies"], self._told_drops),
                ]
            )
            yield

    def _each_sample(self) -> Iterator[None]:
        files = self._files()
        chosen = {line["id"]: line for line in self._build.lines("preferences")}
        each: dict[str, int] = defaultdict(int)
        for name, flag in (("samples", SAMPLES), ("heldout", HELDOUT)):
            for sample in self._build.lines(name):
                self.shown.of_samples += 1
                each[sample["leaf"]] += 1
                if each[sample["leaf"]] > ALWAYS and not _is_within(sample["id"], self._share):
                    continue
                self.shown.samples += 1
                self._piece.samples.append(
                    self._sample(
                        sample, files.get(sample["id"], 0) | flag, chosen.get(sample["id"])
                    )
                )
                yield

    def _sample(self, sample: Json, files: int, chosen: Json | None) -> list[Any]:
        origin = dict(sample["origin"])
        keys, parent = origin.pop("replies", ()), origin.pop("parent", "")
        origin["seeds"] = [_short(seed, sample["leaf"]) for seed in origin["seeds"]]
        said = [text for m in sample["messages"] for text in (m["role"], m["content"])]
        found: list[Any] = [
            sample["id"],
            self._leaf(sample["leaf"]),
            self._origin(origin | {"branch": sample["branch"]}),
            files,
            int(bool(sample["unmask"])),
            parent,
            said,
            sample["scores"],
            self._replies(keys, self._told_samples),
        ]
        if chosen:
            found += [[m["content"] for m in chosen["rejected"]], chosen.get("rivals", [])]
        return found

    def _files(self) -> dict[str, int]:
        """Which files beside `samples.jsonl` hold a sample."""
        found: dict[str, int] = defaultdict(int)
        for sample in self._build.lines("validation"):
            found[sample["id"]] |= VALIDATION
        for name, flag in zip(PHASES, (PHASE1, PHASE2), strict=True):
            for sample in self._build.lines(name):
                found[sample["id"]] |= REPLAYED if sample.get("replay") else flag
        return found

    def _leaf(self, name: str) -> int:
        return _number(name, name, self._leaves, self._piece.leaves)

    def _origin(self, origin: Json) -> int:
        """The number of an origin: what is its own, and the number of what many share."""
        told = {name: value for name, value in origin.items() if value not in ("", 0, [])}
        own = {name: told.pop(name) for name in _OWN if name in told}
        source = _number(json.dumps(told), told, self._sources, self._piece.sources)
        whole = [source, own]
        return _number(json.dumps(whole), whole, self._origins, self._piece.origins)

    def _replies(self, keys: Iterable[str], share: float) -> list[int]:
        """The numbers of replies; new ones are due to be looked up, all of a sample's or none."""
        found = []
        is_told = None
        for key in keys:
            if is_told is None:
                is_told = _is_within(key, share)
            if key not in self._keys:
                self._due.append((key, is_told))
            found.append(_number(key, key[:DIGITS], self._keys, self._piece.keys))
        return found

    def _close(self) -> str:
        """The piece as JSON; a new one is begun."""
        replies = self._journal.get_many(key for key, told in self._due if told)
        self._piece.replies = [self._told(key, told, replies) for key, told in self._due]
        piece, self._piece, self._due = self._piece, _Piece(), []
        values = {name: getattr(piece, name) for name in _Piece.__slots__}
        return safe(values)

    def _told(self, key: str, told: bool, replies: Replies) -> Any:  # noqa: ANN401 - JSON
        self.shown.of_replies += 1
        if not told:
            return LEFT_OUT
        reply = replies.get(key)
        if not isinstance(reply, Reply):
            self.shown.lost += 1
            return LOST
        self.shown.replies += 1
        found = [reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens]
        return [*found, reply.odds] if reply.odds else found


def safe(value: object) -> str:
    """JSON that cannot end the `script` element it stands in, whatever its texts are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _number(key: str, value: Any, known: dict[str, int], new: list[Any]) -> int:  # noqa: ANN401
    """The number of a value; one that is not known yet is put to the new ones."""
    if key not in known:
        known[key] = len(known)
        new.append(value)
    return known[key]


def _is_within(mark: str, share: float) -> bool:
    """Whether what is so marked is among a share of all."""
    return share >= 1 or crc32(mark.encode()) < share * 2**32


def _short(seed: str, leaf: str) -> str:
    """A seed's id without its leaf."""
    return seed.removeprefix(leaf)
