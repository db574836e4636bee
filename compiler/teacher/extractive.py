"""Requests go in; a teacher that works by rule answers them: offline, deterministic, and no
language model.

It reads the request's columns, not its prose, and dispatches on the names of the fields that the
stage asks for: `question` and `answer` from a document; `question`, `answer` or `context` from seed
examples; a choice as a judge. It is there so that the whole road runs on any machine. What it
writes is only as good as its rules.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler.codes import R404
from compiler.pipeline import Field
from compiler.teacher import Failure, Reply, Request, Unconnected
from compiler.teacher.facts import Fact, content_words, facts
from compiler.teacher.variations import Example, answer, questions

NOTICE = "the extractive teacher is a set of rules, not a language model"


def _version() -> str:
    """A hash of the rules, so that journaled answers of other rules are not taken for these."""
    here = Path(__file__).parent
    texts = (here / name for name in ("extractive.py", "facts.py", "variations.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in texts)).hexdigest()[:8]


class Extractive(Unconnected):
    """The embedded default."""

    in_flight = 16
    by_rule = True

    def __init__(self) -> None:
        self.model = f"extractive@{_version()}"

    async def ask(self, request: Request) -> Reply | Failure:
        names = {field.name for field in request.writes}
        columns = request.columns
        if all(field.choices for field in request.writes):
            verdicts = {f.name: _judge(f, columns) for f in request.writes}
            if request.form == "choice":
                return Reply("".join(verdicts.values()))
            return _tagged([verdicts])
        if names == {"question", "answer"} and "document" in columns:
            return _tagged(_ask_document(columns, request.index))
        if names == {"context"} and "seed" in columns:
            return _tagged([{"context": _example(columns)["context"]}])
        if names == {"question"} and "seed" in columns:
            return _tagged(_ask_seed(columns, request.index))
        if names == {"answer"} and "examples" in columns:
            text = answer(_text(columns, "question"), _text(columns, "context"), _examples(columns))
            return _tagged([{"answer": text}] if text else [])
        wanted = ", ".join(f"`{name}`" for name in sorted(names))
        return Failure(R404, f"the extractive teacher has no rule that writes {wanted}")


def _ask_document(columns: Mapping[str, object], index: int) -> list[dict[str, str]]:
    document = _text(columns, "document")
    found = facts(document)
    pool = [*_from_seeds(columns, document), *_two_forms(found), *_other_forms(found)]
    count = _count(columns)
    start = index * count % max(1, len(pool))
    return (pool + pool)[start : start + min(count, len(pool))]


def _two_forms(found: Sequence[Fact]) -> list[dict[str, str]]:
    return [{"question": q, "answer": fact.answer} for fact in found for q in fact.forms[:2]]


def _other_forms(found: Sequence[Fact]) -> list[dict[str, str]]:
    return [{"question": q, "answer": fact.answer} for fact in found for q in fact.forms[2:]]


def _from_seeds(columns: Mapping[str, object], document: str) -> list[dict[str, str]]:
    """Seed questions framed anew, where this passage supports their answers."""
    made = []
    for example in _examples(columns):
        if _coverage(example["answer"], document) >= 0.8:
            made.append(
                {"question": f"In one sentence: {example['question']}", "answer": example["answer"]}
            )
    return made


def _ask_seed(columns: Mapping[str, object], index: int) -> list[dict[str, str]]:
    asked = questions(_example(columns), _examples(columns))
    count = _count(columns)
    start = index * count
    return [{"question": question} for question in asked[start : start + count]]


_DANGLING = re.compile(
    r"\b(this|the|that) (passage|text|paragraph|excerpt|given \w+)\b"
    r"|\b(listed|shown|given|mentioned) (above|below)\b"
    r"|^(what|why|when|where|how|who) (is|are|was|were|do|does|did) "
    r"(it(?! that)|they|this|these|that|those)\b",
    re.IGNORECASE,
)


def _judge(field: Field, columns: Mapping[str, object]) -> str:
    """Chooses by a rule of the field's name; the list of choices runs from worst to best."""
    question, reply = _text(columns, "question"), _text(columns, "answer")
    source = _text(columns, "document") or _text(columns, "context")
    if field.name == "faithful":
        good = _coverage(reply, source) >= 0.8 and _numbers(reply) <= _numbers(source)
    elif field.name == "relevant":
        good = bool(content_words(question) & content_words(source))
    elif field.name == "standalone":
        good = not _DANGLING.search(question)
    elif field.name == "rating":
        good = bool(reply.strip()) and reply.strip() != question.strip()
    else:
        good = bool(question.strip())
    return str(field.choices[-1 if good else 0])


def _coverage(text: str, source: str) -> float:
    """The share of the text's content words that the source has."""
    words = content_words(text)
    return len(words & content_words(source)) / len(words) if words else 1.0


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def _tagged(records: Sequence[Mapping[str, str]]) -> Reply | Failure:
    if not records:
        return Failure(R404, "the extractive teacher's rules find nothing more to write here")
    return Reply(
        "\n".join(
            f"<{name}>{value}</{name}>" for record in records for name, value in record.items()
        )
    )


def _text(columns: Mapping[str, object], name: str) -> str:
    value = columns.get(name)
    return value if isinstance(value, str) else ""


def _count(columns: Mapping[str, object]) -> int:
    value = columns.get("count")
    return value if isinstance(value, int) else 1


def _example(columns: Mapping[str, object]) -> Example:
    value = columns["seed"]
    assert isinstance(value, Mapping)
    return value


def _examples(columns: Mapping[str, object]) -> Sequence[Example]:
    value = columns["examples"]
    assert isinstance(value, Sequence)
    return value
