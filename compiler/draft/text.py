"""What is known of a new leaf goes in; the texts of its `qna.yaml` and `attribution.txt` come out.

A pass of its own because it is the only one that writes YAML for people to edit. Every text stands
in quotes or under `|-`, where YAML cannot misread it. What is not known yet becomes a gap: a text
such as `<your question 1>`, which `check` finds until it is filled in.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from compiler.leaf import EXAMPLES_PER_PROMPT
from compiler.schema import Schema, load, versions
from compiler.source import in_branch

VERSION = versions()[-1]
_WIDTH = 88
_UNSAFE = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its answer; `context` is "" where it has none."""

    question: str
    answer: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a leaf was made from, for `attribution.txt`."""

    title: str = ""
    link: str = ""
    licence: str = ""
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of a leaf; "" stands for what is not known yet.

    `path` is its folder, in its branch. Without `examples` it gets gaps for `count` of them; each
    example of a skill that is `grounded` has a context.
    """

    path: str
    created_by: str = ""
    task: str = ""
    domain: str = ""
    outline: str = ""
    repo: str = ""
    commit: str = ""
    patterns: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    count: int = 5
    grounded: bool = False
    work: Work = field(default_factory=Work)

    @property
    def is_knowledge(self) -> bool:
        return in_branch(f"{self.path}/qna.yaml") == "knowledge"

    @property
    def schema(self) -> str:
        """The name of the schema that it follows, such as `v3/knowledge`."""
        return f"v{VERSION}/{'knowledge' if self.is_knowledge else 'compositional_skills'}"


class Gap(str):
    """A text that is still to be written."""

    __slots__ = ()


def leaf_text(draft: Draft, schema: str = "") -> str:
    """The `qna.yaml` of a draft; its first line tells editors of the `schema`, if one is named.

    Above a key with a gap stands what the schema says of the key.
    """
    value = _knowledge(draft) if draft.is_knowledge else _skill(draft)
    head = [f"# yaml-language-server: $schema={schema}"] if schema else []
    return "\n".join([*head, *_mapping(value, load(draft.schema), 0)]) + "\n"


def attribution_text(work: Work) -> str:
    """The `attribution.txt` of a leaf that was made from `work`."""
    lines = (
        ("Title of work", work.title or "<your source's title>"),
        ("Link to work", work.link or "<link to the source, or - for none>"),
        ("License of the work", work.licence or "<your source's licence, such as CC-BY-4.0>"),
        ("Creator names", work.creator or "<name of the creators>"),
    )
    return "".join(f"{key}: {text}\n" for key, text in lines)


def gaps(text: str) -> int:
    """How many gaps a text of this file has."""
    return len(re.findall(r"<(?:your|full|link to|name of) [^<>\n]+>", text))


def _skill(draft: Draft) -> dict[str, object]:
    name = _name(draft)
    examples = draft.examples or tuple(
        Example(Gap(f"<your question {i} for {name}>"), Gap(f"<your answer {i} for {name}>"))
        for i in range(1, draft.count + 1)
    )
    seeds = []
    for i, example in enumerate(examples, 1):
        seed = {"question": example.question, "answer": example.answer}
        context = example.context or (Gap(f"<your text {i} for {name}>") if draft.grounded else "")
        seeds.append({"context": context, **seed} if context else seed)
    return {
        "version": VERSION,
        "created_by": draft.created_by or Gap("<your GitHub user name>"),
        "task_description": draft.task or Gap(f"<your description of {name} in a sentence>"),
        "seed_examples": seeds,
    }


def _knowledge(draft: Draft) -> dict[str, object]:
    name = _name(draft)
    passages: dict[str, list[dict[str, str]]] = {}
    for example in draft.examples:
        pair = {"question": example.question, "answer": example.answer}
        passages.setdefault(example.context, []).append(pair)
    for i in range(1, 1 + (0 if draft.examples else draft.count)):
        passages[Gap(f"<your passage {i} for {name}, copied from the document>")] = [
            {
                "question": Gap(f"<your question {i}.{j} for {name}>"),
                "answer": Gap(f"<your answer {i}.{j} for {name}>"),
            }
            for j in range(1, EXAMPLES_PER_PROMPT + 1)
        ]
    repo = draft.repo or "."
    return {
        "version": VERSION,
        "created_by": draft.created_by or Gap("<your GitHub user name>"),
        "domain": draft.domain or Gap("<your field of knowledge, such as astronomy>"),
        "document_outline": draft.outline or Gap("<your summary of the document>"),
        "seed_examples": [
            {"context": context, "questions_and_answers": pairs}
            for context, pairs in passages.items()
        ],
        "document": {
            "repo": repo,
            "commit": draft.commit or ("HEAD" if repo == "." else Gap("<full hash of a commit>")),
            "patterns": list(draft.patterns) or [Gap(f"documents/<your document on {name}>.md")],
        },
    }


def _name(draft: Draft) -> str:
    """The leaf's name in words; with it no two fresh leaves ask the same."""
    return PurePosixPath(draft.path).name.replace("_", " ")[:30].strip()


def _mapping(value: Mapping[str, object], schema: Schema, indent: int) -> Iterator[str]:
    """The lines of a mapping, keys as they are; `schema` is empty where nothing is said of them."""
    properties = schema.get("properties", {})
    assert isinstance(properties, Mapping)
    for key, inner in value.items():
        rules = properties.get(key, {})
        if rules and _has_gap(inner) and not isinstance(inner, Mapping):
            yield f"{' ' * indent}# {rules['description']}"
        if isinstance(inner, Mapping):
            yield f"{' ' * indent}{key}:"
            yield from _mapping(inner, rules, indent + 2)
        elif isinstance(inner, list):
            yield f"{' ' * indent}{key}:"
            for item in inner:
                yield from _item(item, indent + 2)
        else:
            yield f"{' ' * indent}{key}: {_scalar(inner, indent + 2)}"


def _item(item: object, indent: int) -> Iterator[str]:
    dash = f"{' ' * indent}- "
    if not isinstance(item, Mapping):
        yield dash + _scalar(item, indent + 2)
        return
    first, *rest = _mapping(item, {}, indent + 2)
    yield dash + first[indent + 2 :]
    yield from rest


def _has_gap(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_has_gap(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_gap(item) for item in value)
    return isinstance(value, Gap)


def _scalar(value: object, indent: int) -> str:
    """A value in the form that is easiest to edit: quotes for a short text, `|-` for the others.

    A text that neither can hold as it stands is written with escapes.
    """
    if not isinstance(value, str):
        return str(value)
    unsafe = bool(_UNSAFE.search(value))
    if len(value) <= _WIDTH and not unsafe and not re.search(r'["\\\n\t]', value):
        return f'"{value}"'
    if unsafe or not re.fullmatch(r"\S(?:.*\S)?", value, re.S) or re.search(r"[ \t]\n", value):
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNSAFE.sub(lambda found: f"\\U{ord(found[0]):08x}", quoted)
    return "\n".join(["|-", *(" " * indent * bool(line) + line for line in value.split("\n"))])
