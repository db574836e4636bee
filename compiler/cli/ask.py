"""The drafts of new leaves go in; on a terminal what they lack is asked for, and they come out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from compiler.draft.text import Draft, Work

EXAMPLE = "knowledge/science/birds/wren"


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def one_line(text: str) -> str:
    """A text on one line, without what cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def ask_path() -> str:
    """The folder of the new leaf, as it is typed."""
    return _ask(f"folder of the leaf, such as {EXAMPLE}")


def ask_for_rest(drafts: Sequence["Draft"]) -> list["Draft"]:
    """The drafts with what their author adds; an empty answer leaves a gap to be filled in later.

    Author and source are asked for once.
    """
    typer.echo("Press Enter where you cannot say yet: it can be filled in later.")
    done: list[Draft] = []
    for draft in drafts:
        name = draft.path if len(drafts) > 1 else ""
        if done:
            draft = replace(draft, created_by=done[0].created_by, work=done[0].work)
        elif not draft.created_by:
            draft = replace(draft, created_by=_ask("your GitHub user name"))
        draft = _knowledge(draft, name) if draft.is_knowledge else _skill(draft, name)
        done.append(draft if done else replace(draft, work=_work(draft)))
    return done


def _skill(draft: "Draft", name: str) -> "Draft":
    return replace(draft, task=draft.task or _ask("what the skill is, in a sentence", name))


def _knowledge(draft: "Draft", name: str) -> "Draft":
    draft = replace(
        draft,
        domain=draft.domain or _ask("field of knowledge, such as astronomy", name),
        outline=draft.outline or _ask("what the document is about, in a sentence", name),
        repo=draft.repo
        or _ask("git repository of the document; `.` for a file of this one", name, "."),
    )
    if draft.repo != "." and not draft.commit:
        draft = replace(draft, commit=_ask("commit to read there, the full hash", name))
    if not draft.patterns:
        found = _ask("path of the document in it, such as documents/wren.md", name)
        draft = replace(draft, patterns=(found,) if found else ())
    return draft


def _work(draft: "Draft") -> "Work":
    from compiler.draft.text import Work
    from compiler.licences import LICENCES

    typer.echo("What the questions are made from, for attribution.txt:")
    said, is_own = draft.work, not draft.is_knowledge
    own_name = draft.path.rpartition("/")[2].replace("_", " ").capitalize()
    return Work(
        said.title or _ask("title of the work", default=own_name if is_own else ""),
        said.link or _ask("link to the work", default="-" if is_own else ""),
        said.licence or _ask(f"its licence ({', '.join(LICENCES)})"),
        said.creator or _ask("its creators", default=draft.created_by if is_own else ""),
    )


def _ask(what: str, name: str = "", default: str = "") -> str:
    asked = f"{name}: {what}" if name else what
    answer: str = typer.prompt(asked, default=default, show_default=bool(default))
    return one_line(answer)
