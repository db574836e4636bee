"""A document's text goes in; chunks within a token budget come out.

A pass of its own because what the teacher sees at once decides what it can ask: a chunk ends where
a heading or a paragraph ends, and knows the headings that it stands under. A chunk is always a
piece of the document's text, never an edited copy, so that a sample can point at its source.
"""

import re
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.documents.fetch import Document

_TOKEN = re.compile(
    r"[A-Za-z]{1,7}|[0-9]{1,3}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W0-9A-Za-z_]{1,2}|[^\w\s]{1,3}|_"
)
_LETTERS, _DIGITS = string.ascii_letters.encode(), string.digits.encode()
_CONTROLS = bytes((*range(0x09), *range(0x0E, 0x1C), 0x7F))
_MARKS = string.punctuation.replace("_", "").encode() + _CONTROLS
# Which characters make a token together, and how many of them at most, as in `_TOKEN`.
_RUNS = tuple(
    (bytes(byte if byte in kept else 0x20 for byte in range(256)), most)
    for kept, most in ((_LETTERS, 7), (_DIGITS, 3), (_MARKS, 3))
)
_SHORT = 200
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*)|[ \t#]*$)")
_UNDERLINE = re.compile(r" {0,3}(?:(=+)|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ROW = re.compile(r"\s*(?:\||[-*+•]\s|\d+[.)]\s|>)")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])")
_WORD = re.compile(r"\S+")


def estimate_tokens(text: str) -> int:
    """About how many tokens a language model's tokenizer makes of `text`.

    An estimate with no tokenizer: a Latin word counts one for each seven letters begun, a number
    one for each three digits, a CJK character one, two characters of another script one, three
    marks in a row one. It adds up: two texts joined by white space count as much as the two alone.
    """
    if len(text) < _SHORT or not text.isascii():
        return sum(1 for _ in _TOKEN.finditer(text))
    data = text.encode()
    count = data.count(b"_")
    for kept, most in _RUNS:  # the same, and five times faster for a long text
        for length, times in Counter(map(len, data.translate(kept).split())).items():
            count += times * -(-length // most)
    return count


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document; `start` and `end` are 0-based characters of its text, `end` exclusive.

    `document` is the path, `blob` the git blob id; `headings` are the ones that all of the chunk
    stands under.
    """

    id: str
    document: str
    blob: str
    start: int
    end: int
    headings: tuple[str, ...]
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A heading or a paragraph, or a part of one that was too long."""

    start: int
    end: int
    tokens: int
    headings: tuple[str, ...]
    is_heading: bool = False


def chunk(document: Document, budget: int) -> tuple[Chunk, ...]:
    """Cuts a document into chunks of at most `budget` tokens, each as full as its headings allow.

    Every character that is not white space is in exactly one chunk. A new section starts a new
    chunk where the chunk before it is at least half full.
    """
    text = document.text
    budget = max(budget, 1)
    packed: list[list[_Block]] = []
    full = 0
    opening = False
    for block in _fit(text, _blocks(text), budget):
        follows_heading = opening
        opening = block.is_heading
        new_section = block.is_heading and not follows_heading and full * 2 >= budget
        if not packed or full + block.tokens > budget or new_section:
            lead = _headings_at_end(packed, block, budget)
            packed.append([*lead, block])
            full = sum(b.tokens for b in packed[-1])
        else:
            packed[-1].append(block)
            full += block.tokens
    return tuple(_chunk(document, blocks) for blocks in _merge_tiny(packed, budget))


def _headings_at_end(packed: list[list[_Block]], block: _Block, budget: int) -> list[_Block]:
    """Takes headings off the last chunk, so that they open the next one with their text."""
    if not packed or block.is_heading:
        return []
    last = packed[-1]
    keep = len(last)
    while keep and last[keep - 1].is_heading:
        keep -= 1
    lead = last[keep:]
    if not keep or sum(b.tokens for b in lead) + block.tokens > budget:
        return []
    del last[keep:]
    return lead


def _merge_tiny(packed: list[list[_Block]], budget: int) -> Iterator[list[_Block]]:
    """Joins neighbours of which one is under an eighth of the budget, where both fit."""
    held: list[_Block] = []
    for blocks in packed:
        sizes = sum(b.tokens for b in held), sum(b.tokens for b in blocks)
        if held and sum(sizes) <= budget and min(sizes) * 8 < budget:
            held = [*held, *blocks]
            continue
        if held:
            yield held
        held = blocks
    if held:
        yield held


def _chunk(document: Document, blocks: list[_Block]) -> Chunk:
    start, end = blocks[0].start, blocks[-1].end
    paths = [b.headings for b in blocks]
    common = 0
    while all(len(p) > common and p[common] == paths[0][common] for p in paths):
        common += 1
    return Chunk(
        f"{document.blob[:12]}:{start}-{end}",
        document.path,
        document.blob,
        start,
        end,
        paths[0][:common],
        document.text[start:end],
        estimate_tokens(document.text[start:end]),
    )


def _blocks(text: str) -> Iterator[_Block]:
    """Headings and paragraphs in order, without the white space around them."""
    stack: list[tuple[int, str]] = []
    start = -1
    fence = ""
    before = (0, 0)
    for at, line in _lines(text):
        end = at + len(line)
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
            start = at if start < 0 else start
        elif not line.strip():
            if start >= 0:
                yield _block(text, start, at, stack)
            start = -1
        elif found := _heading(text, line, at, start, before):
            if found.start > start >= 0:
                yield _block(text, start, found.start, stack)
            start = -1
            while stack and stack[-1][0] >= found.level:
                stack.pop()
            stack.append((found.level, found.title))
            yield _block(text, found.start, end, stack, heading=True)
        elif start < 0:
            start = at
        before = (at, end)
    if start >= 0:
        yield _block(text, start, len(text), stack)


@dataclass(frozen=True, slots=True)
class _Found:
    """A heading of a level (1 to 6); `start` is where its text begins."""

    level: int
    title: str
    start: int


def _heading(text: str, line: str, at: int, start: int, before: tuple[int, int]) -> _Found | None:
    """`line` starts at `at`, the open paragraph at `start`; `before` spans the line above."""
    if mark := _HEADING.match(line):
        return _Found(len(mark[1]), (mark[2] or "").rstrip(" \t#").strip(), at)
    under = _UNDERLINE.match(line)
    if under and start >= 0 and start == before[0] and not _ROW.match(text, *before):
        return _Found(1 if under[1] else 2, text[slice(*before)].strip(), start)
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1


def _block(
    text: str, start: int, end: int, stack: list[tuple[int, str]], heading: bool = False
) -> _Block:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    tokens = estimate_tokens(piece)
    return _Block(start, end, tokens, tuple(title for _, title in stack), heading)


def _fit(text: str, blocks: Iterator[_Block], budget: int) -> Iterator[_Block]:
    """Splits blocks over the budget: at lines of a table, list or code; at sentences; at words."""
    lead = 0
    for block in blocks:
        if block.tokens <= budget:
            yield block
        else:
            parts = _parts(text, block.start, block.end, budget)
            for start, end, tokens in _pack(parts, budget, budget - lead):
                yield _Block(start, end, tokens, block.headings, False)
        lead = lead + block.tokens if block.is_heading else 0


_Part = tuple[int, int, int]


def _pack(parts: Iterator[_Part], budget: int, room: int) -> Iterator[_Part]:
    """Joins parts up to the budget; the first only up to `room`, beside the headings above."""
    held: _Part | None = None
    for start, end, tokens in parts:
        if held and held[2] + tokens <= room:
            held = (held[0], end, held[2] + tokens)
        else:
            if held:
                yield held
                room = budget
            held = (start, end, tokens)
    if held:
        yield held


def _parts(text: str, start: int, end: int, budget: int) -> Iterator[_Part]:
    """The smallest natural parts, each within the budget."""
    lines = [(start + at, line) for at, line in _lines(text[start:end])]
    by_line = sum(1 for _, line in lines if _ROW.match(line)) * 2 > len(lines) or _FENCE.match(
        lines[0][1]
    )
    cuts = (
        [at for at, _ in lines[1:]]
        if by_line
        else [mark.end() for mark in _SENTENCE.finditer(text, start, end)]
    )
    for a, b in zip([start, *cuts], [*cuts, end], strict=True):
        piece = text[a:b]
        if not piece.strip():
            continue
        first, last = a + len(piece) - len(piece.lstrip()), b - len(piece) + len(piece.rstrip())
        tokens = estimate_tokens(piece)
        if tokens <= budget:
            yield first, last, tokens
        else:
            yield from _words(text, first, last, budget)


def _words(text: str, start: int, end: int, budget: int) -> Iterator[_Part]:
    """Word by word; a word over the budget is cut between tokens."""
    for word in _WORD.finditer(text, start, end):
        ends = [mark.end() for mark in _TOKEN.finditer(text, word.start(), word.end())]
        if len(ends) <= budget:
            yield word.start(), word.end(), len(ends)
            continue
        at = word.start()
        for i in range(0, len(ends), budget):
            last = i + budget >= len(ends)
            stop = word.end() if last else ends[i + budget - 1]
            yield at, stop, min(budget, len(ends) - i)
            at = stop
