"""The address of a document's repository goes in; why it is not followed comes out.

A file of its own because a check says it early and the fetching keeps to it: one rule for both. An
address must mean the same on every machine, so none is a place on the disk, and git must neither
run a program nor take an option for it.
"""

import re

HINT = (
    "use an `https://` address, mirrored with git's `insteadOf` if need be; "
    "or `.` for this taxonomy"
)
_FOLLOWED = re.compile(r"(?:https?|ssh)://[^\s]+|(?!-)[\w.-]+@[\w.-]+:(?!:)\S+")
_ON_DISK = re.compile(r"file:|[/~\\]|\.\.?(?:[/\\]|\Z)|[A-Za-z]:[/\\]", re.I)
_USER = re.compile(r"[a-z+]+://([^/@\s]*)@", re.I)


def refusal(repo: str) -> str:
    """What is wrong with an address, "" where it is followed."""
    if repo == ".":
        return ""
    why = ""
    if repo.startswith("-"):
        why = "would be an option of git"
    elif "::" in repo:
        why = "names a program for git to run"
    elif _ON_DISK.match(repo):
        why = "is a place on the disk"
    elif re.search(r"[\s\x00-\x1f\x7f]", repo):
        why = "holds white space"
    elif (user := _USER.match(repo)) and (":" in user[1] or len(user[1]) >= 20):
        why = "holds a password"
    elif not _FOLLOWED.fullmatch(repo):
        why = "is not an address that documents are fetched from"
    return f"`{shown(repo)}` {why}" if why else ""


def shown(address: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@\s]*@", "//", address)
