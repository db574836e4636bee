"""A reply's text and the fields that its stage asked for go in; records come out, or the reason why
not.

A pass of its own because teachers are sloppy: tags left open, prose around them, a bare choice
without its tag. The parser takes what is certain and says what is missing; it never guesses a
judge's score.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.codes import D501, D512, Code
from compiler.pipeline import Field
from compiler.prompt import Message
from compiler.teacher import Reply, Request

Value = str | int
Record = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of a reply that is no record; `text` is what the teacher wrote."""

    code: Code
    detail: str
    text: str


def parse_reply(reply: Reply, request: Request) -> tuple[list[Record], list[Broken]]:
    """Reads every record of a reply; a stage that is not `many` reads the first one only.

    Tags are read in every form, for an endpoint that knows nothing of choices and JSON may be asked
    for them. Where the reply ended at its token limit inside a text, that record is broken (D512).
    """
    fields, many = request.writes, request.many
    pieces, is_whole = _objects(reply.text, fields) if request.form == "json" else ([], False)
    marks = _marks(reply.text, fields) if not any(pieces) else []
    is_tagged = bool(marks) and (not pieces or marks[0].start() < reply.text.find("{"))
    if is_tagged:
        pieces, is_whole = _pieces(reply.text, marks), bool(marks[-1][1])
    if not pieces and len(fields) == 1 and (request.form != "json" or fields[0].choices):
        pieces = [{fields[0].name: _bare(reply.text, fields[0])}]
    cut = reply.finish == "length" and not is_whole
    if not many and (doubtful := _doubtful(pieces, fields)):
        fault = f"the reply holds more than one <{doubtful}>"
        return [], [Broken(D501, fault, reply.text)]
    if pieces and is_tagged and not many and (early := _early(pieces[0], fields)):
        return [], [Broken(D501, f"<{early}> comes too early in the reply", reply.text)]
    if not pieces:
        tags = " and ".join(f"<{field.name}>" for field in fields)
        return [], [Broken(D512 if cut else D501, f"no {tags} in the reply", reply.text)]
    records, broken = [], []
    for i, piece in enumerate(pieces if many else pieces[:1]):
        record, fault = _record(piece, fields)
        ends_cut = cut and i + 1 == len(pieces)
        if ends_cut and not fault and not all(field.choices for field in fields):
            fault = "the reply ended at its token limit"
        if fault:
            said = "\n".join(f"<{name}>{text}" for name, text in piece.items()) or reply.text
            broken.append(Broken(D512 if ends_cut else D501, fault, said))
        else:
            records.append(record)
    return records, broken


def repaired(request: Request, reply: Reply) -> Request:
    """The same request, asked again with the reply that could not be read."""
    names = [field.name for field in request.writes]
    choices = [", ".join(map(str, field.choices)) for field in request.writes if field.choices]
    if request.form == "json":
        wanted = f"a JSON object with {', '.join(f'`{name}`' for name in names)}"
        wanted = f'{{"records": [...]}}, each {wanted}' if request.many else wanted
    elif request.form == "choice":
        wanted = f"one of {choices[0]}"
    else:
        tags = [f"<{name}>...</{name}>" for name in names]
        wanted = "".join(tags) + "".join(f" (one of {choice})" for choice in choices)
    again = f"This could not be read. Write it again as {wanted}, with nothing around it."
    said = reply.text[:_MOST_QUOTED] or "(nothing)"
    return replace(
        request,
        messages=(*request.messages, Message("assistant", said), Message("user", again)),
    )


def odds_of(reply: Reply, request: Request) -> dict[str, float]:
    """The probability of the choice that was made, as `NAME_odds`: that of its first token among
    those of all choices. Nothing where the teacher told none, or two choices begin alike.
    """
    if request.form != "choice" or not reply.odds:
        return {}
    (field,) = request.writes
    shares = {
        str(choice): sum(p for token, p in reply.odds.items() if _starts(choice, token))
        for choice in field.choices
    }
    chosen = next((c for c in shares if c.casefold() == _plain(reply.text)), None)
    alike = any(sum(_starts(choice, token) for choice in field.choices) > 1 for token in reply.odds)
    if chosen is None or alike or not shares[chosen]:
        return {}
    return {f"{field.name}_odds": round(shares[chosen] / sum(shares.values()), 6)}


def _starts(choice: str | int, token: str) -> bool:
    """Whether a choice begins with a token, which may have white space around it."""
    word = token.strip().casefold()
    return bool(word) and str(choice).casefold().startswith(word)


_MOST_QUOTED = 4000


def _objects(text: str, fields: Sequence[Field]) -> tuple[list[dict[str, str]], bool]:
    """The records of the JSON objects in a text, and whether no object is left open at its end.

    Each object that can be read counts, also in a list that was cut, and what is left open is an
    empty record. A choice is read from JSON that stands alone only, or in a code fence: among other
    words it may be repeated from a text that the judge was shown.
    """
    names = {field.name for field in fields}
    has_choice = any(field.choices for field in fields)
    found: list[dict[str, str]] = []
    end, at, misses, open_at = 0, text.find("{"), 0, -1
    while at >= 0 and misses < _MOST_MISSES:
        try:
            value, after = _JSON.raw_decode(text, at)
        except (ValueError, RecursionError):
            misses += 1
            open_at = at
            at = text.find("{", at + 1)
            continue
        if has_choice and not _FENCE.fullmatch(text, end, at):
            return [], False
        records = value.get("records") if isinstance(value.get("records"), list) else [value]
        found += [_texts(one, names) for one in records if isinstance(one, Mapping)]
        end, open_at = after, -1
        at = text.find("{", end)
    if open_at >= 0:
        found.append({})
    elif has_choice and not _FENCE.fullmatch(text, end):
        return [], False
    return found, open_at < 0


_JSON = json.JSONDecoder()
_MOST_MISSES = 20
_FENCE = re.compile(r"[\s\[\],]*(?:`{3}\w*)?[\s\[\],]*")


def _texts(one: Mapping[str, object], names: set[str]) -> dict[str, str]:
    """The fields' values as texts; half of a surrogate pair is valid JSON, but no Unicode text."""
    return {
        name: (inner.strip() if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False))
        .encode("utf-8", "replace")
        .decode()
        for name, inner in one.items()
        if name in names
    }


def _marks(text: str, fields: Sequence[Field]) -> list[re.Match[str]]:
    """The tags of the fields, in order; group 1 is "/" for a closing one, group 2 the name."""
    names = "|".join(re.escape(field.name) for field in fields)
    return list(re.finditer(rf"<(/?)\s*({names})\s*>", text, re.IGNORECASE))


def _pieces(text: str, marks: Sequence[re.Match[str]]) -> list[dict[str, str]]:
    """Splits by tags; a field that is there already starts the next record."""
    pieces: list[dict[str, str]] = []
    for i, mark in enumerate(marks):
        if mark[1]:
            continue
        name = mark[2].lower()
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        if not pieces or name in pieces[-1]:
            pieces.append({})
        pieces[-1][name] = text[mark.end() : end].strip()
    return pieces


def _doubtful(pieces: Sequence[Mapping[str, str]], fields: Sequence[Field]) -> str:
    """The choice that a reply makes in two ways: one of the two may only be repeated from a text
    that the judge was shown.
    """
    for field in fields:
        made = {_plain(piece[field.name]) for piece in pieces if field.name in piece}
        if field.choices and len(made) > 1:
            return field.name
    return ""


def _early(piece: Mapping[str, str], fields: Sequence[Field]) -> str:
    """The text that stands before one that was asked for first, and so was written without it."""
    texts = [field.name for field in fields if not field.choices]
    given = [name for name in piece if name in texts]
    wanted = sorted(given, key=texts.index)
    return next((name for name, due in zip(given, wanted, strict=True) if name != due), "")


def _plain(choice: str) -> str:
    return choice.strip(" \t\r\n.!\"'“”*_`").casefold()


def _bare(text: str, field: Field) -> str:
    """The whole reply as the only field's text; for choices, only one that stands alone or after
    the field's name. More words could deny it, or repeat what the judge was shown.
    """
    if not field.choices:
        return text.strip()
    said = _plain(text)
    named = said.removeprefix(field.name.casefold()).lstrip(" :=*").removeprefix("is ")
    choices = [str(choice).casefold() for choice in field.choices]
    return next((told for told in (said, _plain(named)) if told in choices), "")


def _record(piece: dict[str, str], fields: Sequence[Field]) -> tuple[Record, str]:
    record: Record = {}
    for field in fields:
        text = piece.get(field.name, "")
        if not text:
            return {}, f"no <{field.name}> in the reply"
        if not field.choices:
            record[field.name] = text
            continue
        chosen = [c for c in field.choices if str(c).casefold() == _plain(text)]
        if not chosen:
            allowed = ", ".join(str(choice) for choice in field.choices)
            return {}, f"<{field.name}> holds none of {allowed}"
        record[field.name] = chosen[0]
    return record, ""
