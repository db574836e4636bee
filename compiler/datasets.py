"""A file of samples that somebody else made goes in; its entries come out, one at a time.

A file of its own because three passes read such files (what is known already, what a benchmark
asks, what is mixed in), and data sets name their columns in many ways: what they mean is said here
once.
"""

import csv
import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Any, TextIO

from compiler.prompt import Message
from compiler.source import Source, WorkTree

QUESTION = tuple("question instruction query problem prompt turns ctx sentence input text".split())
ANSWER = tuple(
    "answer response output completion solution canonical_solution chosen best_answer answers "
    "answerKey answer_key label target code".split()
)
CONTEXT = tuple("context passage article document input".split())
CHOICES = tuple("choices options endings".split())
MESSAGES = tuple("messages conversations conversation".split())
_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
_NAMED = frozenset((*QUESTION, *ANSWER, *CONTEXT, *CHOICES, *MESSAGES))
_BATCH = 1024
_LONGEST = 2**31 - 1  # characters of a field of a table; no platform's limit is lower
_JSON_LINES = (".jsonl", ".ndjson")
READ = (*_JSON_LINES, ".json", ".parquet", ".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a file; `line` is 1-based: the line where it begins, of JSON and Parquet its
    place.

    What the file does not say is "", such as the answers of a benchmark that keeps them secret. Of
    a conversation, `question` and `answer` are the first turn. `messages` end with the question
    where there is no answer, and are empty where there is no question.
    """

    question: str
    answer: str
    context: str
    messages: tuple[Message, ...]
    line: int


class DataError(ValueError):
    """What is wrong with a file, as a message about it; `line` as that of an entry, or 0."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"{message} (line {line})" if line else message)
        self.line = line


def find_file(name: str, source: Source, cache: Path) -> Path:
    """Where a file of the taxonomy's folder can be read: there, or of a revision a copy in `cache`.
    Raises DataError.
    """
    name = PurePosixPath(name).as_posix()
    if name not in source.paths:
        raise DataError(source.unread.get(name) or "there is no such file in the taxonomy's folder")
    if isinstance(source, WorkTree):
        return source.root / name
    try:
        copy = cache / f"{source.blob(name)}-{PurePosixPath(name).name}"
        if not copy.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
                file.write(source.read(name))
            Path(file.name).replace(copy)
    except OSError as wrong:
        raise DataError(f"it cannot be read: {wrong.strerror or wrong}") from None
    return copy


def read_samples(path: Path) -> Iterator[Entry]:
    """The entries of a JSON Lines, JSON, Parquet, CSV or TSV file, of the text formats also with
    `.gz` at the end of the name. Raises DataError at what cannot be read, and where no entry is.

    Columns are known by the names of `QUESTION`, `ANSWER`, `CONTEXT`, `CHOICES` and `MESSAGES`. An
    `input` beside an `instruction` is its context; an answer that numbers a choice becomes that.
    """
    found = False
    try:
        for line, said in _mappings(path):
            yield _checked(_entry(said, line))
            found = True
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except UnicodeDecodeError:
        raise DataError("it is not UTF-8") from None
    except RecursionError:
        raise DataError("it is nested too deeply") from None
    except (OSError, EOFError, zlib.error) as wrong:
        why = getattr(wrong, "strerror", "") or _first_line(wrong)
        raise DataError(f"it cannot be read: {why}") from None
    if not found:
        raise DataError("it holds no sample")


def _mappings(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each line or row that is no blank, with its number."""
    name = path.name.lower().removesuffix(".gz")
    kind = next((kind for kind in READ if name.endswith(kind)), "")
    if not kind or (kind == ".parquet" and path.name.lower() != name):
        raise DataError(f"its name ends in none of {', '.join(READ)}")
    if kind == ".parquet":
        yield from _parquet(path)
        return
    is_packed = path.name.lower().endswith(".gz")
    with (
        gzip.open(path) if is_packed else path.open("rb") as binary,
        io.TextIOWrapper(binary, "utf-8-sig", newline="") as file,
    ):
        if kind in _JSON_LINES:
            yield from _json_lines(file)
        elif kind == ".json":
            yield from _json(file.read())
        else:
            yield from _table(file, "\t" if kind == ".tsv" else ",")


def _json_lines(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, _mapping(_parsed(line, number), number)


def _json(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a list, or of the first list of objects in an object."""
    value = _parsed(text, 0)
    if isinstance(value, dict) and not any(name in value for name in (*QUESTION, *MESSAGES)):
        lists = (one for one in value.values() if isinstance(one, list) and one)
        value = next((one for one in lists if isinstance(one[0], dict)), value)
    for number, one in enumerate(value if isinstance(value, list) else [value], 1):
        yield number, _mapping(one, number)


def _parsed(text: str, line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as wrong:
        raise DataError(f"it is not JSON: {wrong.msg.lower()}", line or wrong.lineno) from None
    except (ValueError, RecursionError):
        raise DataError("it is not JSON that can be read", line) from None


def _mapping(value: object, line: int) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError("a sample is no JSON object", line)
    return value


def _checked(entry: Entry) -> Entry:
    """The entry, where it can be written as UTF-8: JSON can name half of a character."""
    said = (message.content for message in entry.messages)
    try:
        for text in (entry.question, entry.answer, entry.context, *said):
            text.encode()
    except UnicodeEncodeError:
        raise DataError("a sample holds half of a character (a surrogate)", entry.line) from None
    return entry


def _first_line(wrong: Exception) -> str:
    return next(iter(str(wrong).splitlines()), "") or type(wrong).__name__


def _table(file: TextIO, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(_LONGEST)
    reader = csv.DictReader(file, delimiter=delimiter, strict=True)
    line = 1
    try:
        line = reader.line_num if reader.fieldnames else 1
        for row in reader:
            yield line + 1, row
            line = reader.line_num
    except csv.Error as wrong:
        raise DataError(f"it is not a table: {wrong}", line + 1) from None


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with path.open("rb") as file:
            opened = ParquetFile(file)
            read = [name for name in opened.schema_arrow.names if name in _NAMED]
            for batch in opened.iter_batches(_BATCH, columns=read):
                for one in batch.to_pylist():
                    number += 1
                    yield number, one
    except UnicodeDecodeError:
        raise
    except pyarrow.ArrowException as wrong:
        raise DataError(f"it is not Parquet: {_first_line(wrong)}") from None
    except (ValueError, OverflowError) as wrong:  # a value that Python has no equal of
        raise DataError(f"a value cannot be read: {_first_line(wrong)}") from None


def _entry(said: Mapping[str, Any], line: int) -> Entry:
    turns = next((_turns(said[name], line) for name in MESSAGES if said.get(name)), ())
    asked = _first(said, QUESTION)
    if not asked and not turns:
        known = ", ".join(f"`{name}`" for name in (*QUESTION, *MESSAGES))
        raise DataError(f"a sample has none of the columns {known}", line)
    if turns:
        return _of_turns(turns, _text(_one(said, CONTEXT)), line)
    question = _text(said[asked])
    context = _text(_one(said, tuple(name for name in CONTEXT if name != asked)))
    answered = _one(said, tuple(name for name in ANSWER if name != asked))
    answer = _answer(answered, _one(said, CHOICES))
    prompt = f"{context}\n\n{question}" if context else question
    messages = (Message("user", prompt), Message("assistant", answer))[: 2 if answer else 1]
    return Entry(question, answer, context, messages if question else (), line)


def _of_turns(turns: tuple[Message, ...], context: str, line: int) -> Entry:
    """A conversation, whose first turn is what is asked and answered."""
    asked = next((i for i, turn in enumerate(turns) if turn.role == "user"), len(turns))
    question, answer = ([turn.content for turn in turns[asked : asked + 2]] + ["", ""])[:2]
    return Entry(question, answer, context, turns, line)


def _turns(value: object, line: int) -> tuple[Message, ...]:
    """The messages of a chat, with `role` and `content` or `from` and `value`."""
    made = []
    for turn in value if isinstance(value, list) else [None]:
        said = _mapping(turn, line)
        role = _ROLES.get(str(said.get("role", said.get("from"))).lower())
        if role is None:
            raise DataError("a message is of nobody known", line)
        made.append(Message(role, _text(said.get("content", said.get("value")))))
    return tuple(made)


def _first(said: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names that has a value, else the first that is there, else ""."""
    there = [name for name in names if name in said]
    return next((name for name in there if _text(said[name])), there[0] if there else "")


def _one(said: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return said.get(_first(said, names))


def _text(value: object) -> str:
    """A text as it is, a list's first one, a chat's last, a number or truth value in words; else
    "".
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and value:
        return _text(value[-1 if isinstance(value[-1], dict) else 0])
    if isinstance(value, dict):
        return next((_text(value[key]) for key in ("content", "text", "value") if key in value), "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def _answer(value: object, choices: object) -> str:
    """What is said, or the choice that is meant: by its own label, else by a letter, or by a number
    from 0. A text that is itself a choice is no number, such as "2" of 1, 2 and 3.
    """
    said = _text(value)
    texts, labels = choices, None
    if isinstance(choices, dict):
        texts, labels = choices.get("text"), choices.get("label")
    found = [_text(text) for text in texts] if isinstance(texts, list) else []
    if isinstance(labels, list):
        return dict(zip(map(str, labels), found, strict=False)).get(said, said)
    called = dict(zip(ascii_uppercase, found, strict=False))
    if isinstance(value, int) or said not in found:
        called |= {str(i): text for i, text in enumerate(found)}
    return called.get(said, said)
