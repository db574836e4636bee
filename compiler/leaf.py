"""A checked Tree goes in; a Leaf comes out: typed, frozen, and with the place of everything in it.

A pass of its own so that nothing further right ever looks into a mapping again: three versions of
the format become one meaning here. It also says which seed examples no prompt may show, because
evaluation will ask them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compiler.diagnostics import Span
from compiler.source import in_branch
from compiler.tree import Path, Tree

EXAMPLES_PER_PROMPT = 3


@dataclass(frozen=True, slots=True)
class Seed:
    """A question and its answer, written by a person; `id` ends in 1-based numbers: `#2`, `#1.3`.

    `held_out` seeds are asked in evaluation and shown in no prompt. `span`: its key `question`.
    """

    id: str
    question: str
    answer: str
    context: str
    held_out: bool
    span: Span


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Where a knowledge leaf's text lies; `repo` is `.` for the taxonomy's own files.

    `places`: where `repo` stands, then each pattern.
    """

    repo: str
    commit: str
    patterns: tuple[str, ...]
    span: Span
    places: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What both kinds of leaf have; `path` is the folder, `file` the `qna.yaml` in it."""

    path: str
    file: str
    blob: str
    version: int
    created_by: str
    licences: tuple[str, ...]
    seeds: tuple[Seed, ...]
    span: Span

    @property
    def shown(self) -> tuple[Seed, ...]:
        """The seeds that a prompt may show."""
        return tuple(seed for seed in self.seeds if not seed.held_out)


@dataclass(frozen=True, slots=True)
class KnowledgeLeaf(_Leaf):
    """What a document says."""

    domain: str
    outline: str
    document: DocumentRef

    @property
    def branch(self) -> str:
        """The branch it lies in; outside of all three it counts as `knowledge`."""
        return in_branch(self.file) or "knowledge"

    @property
    def kind(self) -> str:
        return "knowledge"


@dataclass(frozen=True, slots=True)
class SkillLeaf(_Leaf):
    """How to do something."""

    task: str

    @property
    def branch(self) -> str:
        """The branch it lies in; outside of all three it counts as `compositional_skills`."""
        return in_branch(self.file) or "compositional_skills"

    @property
    def kind(self) -> str:
        """`grounded` where every shown seed has a context, else `freeform`."""
        return "grounded" if all(seed.context for seed in self.shown) else "freeform"


Leaf = KnowledgeLeaf | SkillLeaf


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Every leaf without an error, sorted by path; `revision` is "" for a work tree."""

    revision: str
    leaves: tuple[Leaf, ...]


def make_leaf(tree: Tree, attribution: str | None) -> Leaf:
    """The meaning of a tree that fits its schema; `attribution`: the text of the file beside it."""
    value: Mapping[str, Any] = tree.value  # type: ignore[assignment]
    file = tree.file.path
    path = file.rpartition("/")[0] or "."
    is_knowledge = "document" in value
    seeds = _knowledge_seeds if is_knowledge else _skill_seeds
    common = {
        "path": path,
        "file": file,
        "blob": tree.file.blob,
        "version": int(value.get("version", 1)),
        "created_by": value["created_by"].strip(),
        "licences": licences(attribution or ""),
        "seeds": tuple(seeds(path, value["seed_examples"], tree)),
        "span": Span(file),
    }
    if not is_knowledge:
        return SkillLeaf(**common, task=value["task_description"].strip())
    document = value["document"]
    where = DocumentRef(
        document["repo"].strip(),
        document["commit"].strip(),
        tuple(document["patterns"]),
        tree.key_span(("document",)),
        (
            tree.span(("document", "repo")),
            *(tree.span(("document", "patterns", i)) for i in range(len(document["patterns"]))),
        ),
    )
    return KnowledgeLeaf(
        **common,
        domain=value["domain"].strip(),
        outline=value["document_outline"].strip(),
        document=where,
    )


def _skill_seeds(path: str, examples: Sequence[Mapping[str, str]], tree: Tree) -> Iterator[Seed]:
    for i, example in enumerate(examples):
        yield _seed(
            f"{path}#{i + 1}",
            example,
            example.get("context", ""),
            len(examples) > 1 and i == len(examples) - 1,
            tree.key_span(("seed_examples", i, "question")),
        )


def _knowledge_seeds(
    path: str, examples: Sequence[Mapping[str, Any]], tree: Tree
) -> Iterator[Seed]:
    for i, example in enumerate(examples):
        pairs = example["questions_and_answers"]
        for j, pair in enumerate(pairs):
            at: Path = ("seed_examples", i, "questions_and_answers", j)
            yield _seed(
                f"{path}#{i + 1}.{j + 1}",
                pair,
                example["context"],
                len(pairs) > 1 and j == len(pairs) - 1,
                tree.key_span((*at, "question")),
            )


def _seed(id: str, pair: Mapping[str, str], context: str, held_out: bool, span: Span) -> Seed:
    return Seed(
        id, pair["question"].strip(), pair["answer"].strip(), context.strip(), held_out, span
    )


# Letters of scripts that part no words by spaces, each a word; marks, which belong to a letter.
_UNPARTED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u108f\u1780-\u17d3\u3005-\u3007"
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0971-\u0df3\u0f71-\u0f84"
    "\u0f8d-\u0fbc"
)
_LETTERS, _NUMBER = rf"[^\W{_UNPARTED}]", r"(?:[.,]\d+)*"
_ASCII_WORD = re.compile(rf"\w+{_NUMBER}")
_WORD = re.compile(rf"{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*{_NUMBER}|[{_UNPARTED}]")


def words(text: str) -> list[str]:
    """The words of `text` in lower case, numbers whole: what is compared when texts are. A script
    without spaces, as Chinese or Thai, gives its letters.
    """
    folded = text.casefold()
    return (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)


def said(text: str) -> list[str]:
    """The words of `text`; of one that has none, as `!=`, its signs."""
    return words(text) or text.split()


def hold_out_copies(leaves: Iterable[Leaf]) -> tuple[Leaf, ...]:
    """Holds out every seed that asks what a held-out seed of any leaf asks.

    Otherwise a question of the evaluation would stand in a prompt, copied from another seed. A leaf
    that asks one question only, such as for a joke, keeps it to itself: nothing of it is held out.
    """
    known = tuple(leaves)
    single = {leaf.path for leaf in known if len({_asks(leaf, s) for s in leaf.seeds}) == 1}
    asked = {
        _asks(leaf, seed)
        for leaf in known
        for seed in leaf.seeds
        if seed.held_out and leaf.path not in single
    }
    return tuple(
        replace(
            leaf,
            seeds=tuple(replace(s, held_out=_asks(leaf, s) in asked) for s in leaf.seeds),
        )
        for leaf in known
    )


def _asks(leaf: Leaf, seed: Seed) -> tuple[str, str]:
    context = "" if leaf.kind == "knowledge" else seed.context
    return " ".join(said(seed.question)), " ".join(said(context))


_LICENCE = re.compile(r"^[ \t]*licen[cs]e of the work[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.I | re.M)


def licences(attribution: str) -> tuple[str, ...]:
    """The licences that the lines `License of the work: X` name, each once, in order."""
    return tuple(dict.fromkeys(name for name in _LICENCE.findall(attribution) if name))
