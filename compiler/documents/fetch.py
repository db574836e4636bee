"""A reference to documents goes in; the texts that it pins come out, normalised.

A pass of its own because it is the only one that reaches outside: it speaks to git and to nothing
else, reads only from the tree of one commit, and keeps what it fetched in a folder of bare
repositories.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from compiler.codes import T139, T140, T141, T142, T143, T144, Code
from compiler.diagnostics import Report
from compiler.documents.address import HINT, refusal, shown
from compiler.documents.patterns import MAX_BYTES, READ, matching, near
from compiler.documents.text import normalise
from compiler.leaf import DocumentRef
from compiler.source import Source, blob_id

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import git

TIMEOUT = 600
# GitPython cannot stop a command on Windows, and refuses to be asked.
_LIMIT = {} if os.name == "nt" else {"kill_after_timeout": TIMEOUT}
_FULL_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.I)
_REF = re.compile(r"(?!-)[\w./-]+")


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a commit; `text` is normalised or as it is, `commit` is "" for a work tree."""

    path: str
    repo: str
    commit: str
    blob: str
    text: str


def fetch(
    wanted: DocumentRef, source: Source, cache: Path, report: Report, as_it_is: bool = False
) -> tuple[Document, ...]:
    """The documents of a leaf or a route, sorted by path; reports T139 to T144 at their place.

    `as_it_is` takes any text file, such as code, and changes nothing in it.
    """
    if wanted.repo == ".":
        found = _select(wanted, source.paths, report, as_it_is)
        try:
            read = {path: source.read(path) for path in found}
        except OSError as wrong:
            message = f"cannot read a document: {_last_line(wrong)}"
            report.add(T140, message, wanted.span, "see that the file can be read")
            return ()
        return tuple(_documents(wanted, source.revision, read, report, as_it_is))
    import git

    try:
        address = _address(wanted.repo)
        folder = cache / hashlib.sha256(address.encode()).hexdigest()[:20]
        with _alone(folder), _opened(folder) as repo:
            commit = _commit(repo, address, wanted.commit)
            if not commit:
                raise _UnusableError(
                    T141,
                    f"`{shown(wanted.repo)}` has no commit `{wanted.commit}`",
                    "pin the full hash of a commit that was pushed (`git rev-parse HEAD`)",
                )
            blobs = _blobs(repo, commit)
            found = _select(wanted, sorted(blobs), report, as_it_is)
            read = {path: _read(repo, blobs[path]) for path in found}
    except _UnusableError as wrong:
        place = wanted.places[0] if wrong.code is T139 else wanted.span
        report.add(wrong.code, wrong.message, place, wrong.hint)
        return ()
    except (git.GitError, OSError, ValueError) as wrong:
        message = f"cannot read `{shown(wanted.repo)}`: {_last_line(wrong)}"
        hint = "check the address, and that you may read it with `git clone`"
        report.add(T140, message, wanted.span, hint)
        return ()
    return tuple(_documents(wanted, commit, read, report, as_it_is))


def _select(wanted: DocumentRef, paths: Sequence[str], report: Report, as_it_is: bool) -> list[str]:
    """The paths that a pattern names and that can be read."""
    found: set[str] = set()
    for pattern, place in zip(wanted.patterns, wanted.places[1:], strict=True):
        named = set(matching(paths, pattern))
        if not named:
            report.add(T142, f"no file matches `{pattern}`", place, near(pattern, paths))
        found |= named
    if as_it_is:
        return sorted(found)
    for path in sorted(found):
        if not path.lower().endswith(READ):
            suffix = Path(path).suffix.lower()
            kind = "PDF is" if suffix == ".pdf" else f"`{suffix}` files are" if suffix else "it is"
            report.add(
                T143,
                f"`{path}` is left out: {kind} not read yet",
                wanted.span,
                "convert it to Markdown, commit that, and pin it",
            )
    return sorted(path for path in found if path.lower().endswith(READ))


def _documents(
    wanted: DocumentRef,
    commit: str,
    read: Mapping[str, bytes],
    report: Report,
    as_it_is: bool,
) -> Iterator[Document]:
    for path, data in read.items():
        if len(data) > MAX_BYTES:
            message = f"`{path}` is left out: it has {len(data):,} bytes, more than {MAX_BYTES:,}"
            report.add(T143, message, wanted.span, "split it, and pin the parts")
            continue
        text = _plain(data) if as_it_is else normalise(data)
        if not text.strip():
            report.add(T144, f"`{path}` holds no text", wanted.span, "pin another file")
            continue
        yield Document(path, wanted.repo, commit, blob_id(data), text)


def _plain(data: bytes) -> str:
    """The text of a file as it is; "" where it is no text."""
    if b"\0" in data:
        return ""
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    return ""


class _UnusableError(Exception):
    """The leaf's own words cannot be followed."""

    def __init__(self, code: Code, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def _address(repo: str) -> str:
    """The address for git, if it is of a kind that is followed."""
    if why := refusal(repo):
        raise _UnusableError(T139, why, HINT)
    return repo


def _opened(folder: Path) -> "git.Repo":
    """The bare repository that keeps what was fetched from one address; made on first use."""
    import git

    if not folder.exists():
        whole = Path(mkdtemp(dir=folder.parent))
        git.Repo.init(whole, bare=True).close()
        whole.rename(folder)
    repo = git.Repo(folder)
    repo.git.update_environment(**_environment())
    return repo


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the lock of one kept repository, for git gives up where two write to one at once, and
    a reader can miss an object that is being packed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _environment() -> dict[str, str]:
    """Git must ask nobody, and go by no protocol but these, whatever a leaf or a redirect says."""
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
        "LC_ALL": "C",
    }
    if "GIT_SSH_COMMAND" not in os.environ:
        quiet["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    return quiet


def _commit(repo: "git.Repo", address: str, name: str) -> str:
    """The full hash of the pinned commit, fetched if it is not there yet; "" for none."""
    is_pinned = bool(_FULL_HASH.fullmatch(name))
    if is_pinned and _resolved(repo, name):
        return name.lower()
    if is_pinned and _fetch_one(repo, address, name):
        return name.lower()
    _fetch_all(repo, address)
    return next((found for ref in _readings(name) if (found := _resolved(repo, ref))), "")


def _fetch_one(repo: "git.Repo", address: str, name: str) -> bool:
    """Whether the commit is there now; not every server gives out a commit by its hash."""
    import git

    with suppress(git.GitCommandError):
        repo.git.fetch("--depth=1", "--no-tags", "--", address, name, **_LIMIT)
    return bool(_resolved(repo, name))


def _fetch_all(repo: "git.Repo", address: str) -> None:
    everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    deepen = ["--unshallow"] if (Path(repo.git_dir) / "shallow").is_file() else []
    repo.git.fetch(*deepen, "--no-tags", "--", address, *everything, **_LIMIT)


def _readings(name: str) -> Iterable[str]:
    if not _REF.fullmatch(name):
        return ()
    return (f"refs/heads/{name}", f"refs/tags/{name}", name)


def _resolved(repo: "git.Repo", name: str) -> str:
    import git

    try:
        return str(
            repo.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        )
    except git.GitCommandError:
        return ""


def _blobs(repo: "git.Repo", commit: str) -> dict[str, str]:
    """The plain files of a commit, path to blob id: no links, no submodules."""
    listed = str(repo.git.ls_tree("-r", "-z", "--full-tree", commit))
    blobs = {}
    for line in listed.split("\0"):
        about, _, path = line.partition("\t")
        if about.startswith("100"):
            blobs[path] = about.split(" ")[2]
    return blobs


def _read(repo: "git.Repo", blob: str) -> bytes:
    data: bytes = repo.odb.stream(bytes.fromhex(blob)).read()
    return data


def _last_line(wrong: Exception) -> str:
    said = str(getattr(wrong, "stderr", "") or wrong)
    lines = [line.strip(" '\"") for line in said.splitlines() if line.strip(" '\"")]
    told = [line for line in lines if "fatal:" in line or "error:" in line]
    line = (told or lines or ["no reason given"])[0]
    return shown(re.sub(r"^.*?(?:fatal|error): ", "", line))[:200]
