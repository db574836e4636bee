"""Samples go in; marks of every question in them come out, which tell whether another one is among
them.

A file of its own because training writes the marks down and evaluation reads them, perhaps of
another build: a question that was taught measures memory.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import regex

from training.data import Sample
from training.machine import write_text
from training.where import stage_of

FILE = "seen.txt"

_BETWEEN_DIGITS = regex.compile(r"(?<=\d)\s*([-+*/%^=<>.,:×÷−])\s*(?=\d)")
_SILENT = regex.compile(r"\p{Cf}+")
_APART = regex.compile(r"[\p{P}\p{Z}\p{C}\s]+")


def plain(text: str) -> str:
    """`text` but for what does not make another question of it: case, forms of one letter (Unicode
    NFKC), invisible characters, white space and punctuation. What stands between two digits stays,
    so 3-4 is not 3/4.
    """
    text = unicodedata.normalize("NFKC", _SILENT.sub("", text)).casefold()
    parts = _BETWEEN_DIGITS.split(unicodedata.normalize("NFKC", text))
    words = [_APART.sub(" ", part).strip() if i % 2 == 0 else part for i, part in enumerate(parts)]
    return "".join(words) or " ".join(text.split())


def mark(question: str) -> str:
    """The mark of a question: of 64 bits, so that chance puts two in one only among billions."""
    return hashlib.sha256(plain(question).encode()).hexdigest()[:16]


def marks(samples: Iterable[Sample]) -> frozenset[str]:
    """The marks of all that a user says in `samples`."""
    said = {m["content"] for sample in samples for m in sample.messages if m["role"] == "user"}
    return frozenset(map(mark, said))


def write(folder: Path, samples: Iterable[Sample], earlier: Iterable[str] = ()) -> None:
    """Writes the marks of what a run is taught into its folder, and those of what its base was
    taught `earlier`.
    """
    _put(folder, marks(samples).union(earlier))


def read(folder: Path) -> frozenset[str] | None:
    """The marks in a run's folder; None where it has none."""
    try:
        return frozenset((folder / FILE).read_text("ascii").split())
    except (OSError, ValueError):
        return None


def find(where: str) -> frozenset[str] | None:
    """The marks of what a model was taught: they lie beside its weights, or in the folder of its
    run. None where there are none, as of a name on the hub.
    """
    folder = Path(stage_of(where))
    if not where or not folder.is_dir():
        return None
    found = read(folder)
    return read(folder.resolve().parent) if found is None else found


def keep(where: str, folder: Path) -> None:
    """Writes the marks of a model into a folder that holds its weights too, and may be moved."""
    if (known := find(where)) is not None:
        _put(folder, known)


def _put(folder: Path, known: Iterable[str]) -> None:
    write_text(folder / FILE, "".join(f"{one}\n" for one in sorted(known)))
