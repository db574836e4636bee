"""Checks of who brings a change: the author of a commit, and the sign-off.

They need commits, so they run only where a change is checked.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from compiler import codes
from compiler.check.facts import Facts
from compiler.check.finding import Finding, Findings, tell
from compiler.diagnostics import Report, Span
from compiler.source import is_within

if TYPE_CHECKING:
    from compiler.source.revision import Change, Commit


_ADDRESS = re.compile(r"<([^<>]+)>")


def foreign_author(change: "Change", facts: Mapping[str, Facts]) -> Findings:
    """T156, of leaves that the change adds; a later hand may well mend another's leaf."""
    for path in change.added:
        adding = [commit for commit in change.commits if path in commit.paths]
        one = facts.get(path)
        if one and adding and not any(_is_same(one.created_by, commit) for commit in adding):
            yield Finding(
                codes.T156,
                f"`created_by` is `{one.created_by}`, the commit is by `{adding[0].name}`",
                one.author,
                "write the name of the account that brings the leaf, or let its author commit it",
            )


def missing_sign_off(change: "Change", within: Collection[str]) -> Findings:
    """T157."""
    for commit in change.commits:
        if not any(is_within(path, within) for path in commit.paths):
            continue
        signed = [address for signer in commit.signers for address in _ADDRESS.findall(signer)]
        if commit.email.casefold() not in map(str.casefold, signed):
            what = "is signed off by another" if signed else "has no sign-off"
            yield Finding(
                codes.T157,
                f"commit {commit.hash[:10]} by `{commit.name}` {what}",
                Span(commit.paths[0]),
                "sign it off with `git commit --amend --signoff`, or `git rebase --signoff BASE`",
            )


def check_authors(
    change: "Change", within: Collection[str], facts: Sequence[Facts], report: Report
) -> None:
    """Reports what the commits of a change show that touch what is `within` these folders."""
    tell(foreign_author(change, {one.file: one for one in facts}), report)
    tell(missing_sign_off(change, within), report)


def _is_same(created_by: str, commit: "Commit") -> bool:
    """Whether an account can be that of a commit's author: nobody writes both in the same way."""
    account = _letters(created_by)
    local = re.sub(r"^\d+\+", "", commit.email.partition("@")[0])
    names = [_letters(name) for name in (commit.name, local)]
    parts = [_letters(part) for part in re.split(r"[\s._-]+", commit.name)]
    return any(name == account for name in names) or any(
        len(part) > 2 and (part in account or account in part) for part in (*names, *parts)
    )


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
