"""A git revision goes in; its files come out, read from git's objects; or what a change did to
them.

The work tree is not touched, and a repository without one will do. Git itself is asked for trees,
differences and commits; every name that a person typed is resolved to a hash first, so that none of
them can be an option.
"""

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compiler.source.file import BRANCHES, LINK, Source, sort_out
from compiler.source.worktree import WorkTree

_LINK_MODE = "120000"


class Repository:
    """The git repository that a folder lies in, and where in it.

    Raises ValueError where the folder is in none, or git refuses to read it.
    """

    def __init__(self, root: Path) -> None:
        import git

        try:
            self.repo = git.Repo(root, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as wrong:
            raise ValueError(f"`{root}` is not in a git repository") from wrong
        self.root = root
        top = self.repo.working_tree_dir
        inside = root.resolve().relative_to(Path(top).resolve()).as_posix() if top else "."
        self.prefix = "" if inside == "." else f"{inside}/"
        self.is_bare = top is None

    def ask(self, *words: str) -> str:
        """What git answers. Raises ValueError with its reason."""
        import git

        try:
            return str(
                git.Git(self.repo.working_tree_dir or self.repo.git_dir).execute(
                    ["git", "-c", "core.quotePath=false", *words],
                    env={"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
                    strip_newline_in_stdout=False,
                )
            )
        except git.GitCommandError as wrong:
            said = str(wrong.stderr).strip(" '\"\n").removeprefix("stderr: '").splitlines()
            raise ValueError(said[-1] if said else f"git {words[0]} failed") from wrong

    def resolve(self, name: str) -> str:
        """The full hash of the commit that `name` stands for. Raises ValueError."""
        try:
            wanted = f"{name}^{{commit}}"
            return self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", wanted).strip()
        except ValueError as wrong:
            if "dubious ownership" in str(wrong):
                raise
            is_shallow = self.ask("rev-parse", "--is-shallow-repository").strip() == "true"
            where = (
                "clone, which is shallow: `git fetch --unshallow`" if is_shallow else "repository"
            )
            raise ValueError(f"`{name}` names no commit of this {where}") from wrong

    def inside(self, listed: str) -> Iterator[str]:
        """The fields of a NUL-separated answer."""
        return (field for field in listed.split("\0") if field)

    def place(self, path: str) -> str | None:
        """A path of the repository as one of the taxonomy; None outside of it."""
        return path.removeprefix(self.prefix) if path.startswith(self.prefix) else None


@dataclass(frozen=True, slots=True)
class _Blob:
    mode: str
    hash: str
    size: int


class Revision:
    """The files of a commit. Raises ValueError where `name` names no commit, or `root` lies in no
    repository.
    """

    def __init__(self, root: Path, name: str, within: Repository | None = None) -> None:
        self._at = within or Repository(root)
        self.revision = self._at.resolve(name)
        listed = self._at.ask("ls-tree", "-r", "-z", "-l", "--full-tree", self.revision)
        blobs: dict[str, _Blob] = {}
        for line in self._at.inside(listed):
            about, _, path = line.partition("\t")
            mode, kind, hash, size = about.split()
            if kind == "blob":
                blobs[path] = _Blob(mode, hash, int(size) if size.isdigit() else 0)
        if self._at.is_bare and not any(path.split("/")[0] in BRANCHES for path in blobs):
            self._at.prefix = "taxonomy/" if any(p.startswith("taxonomy/") for p in blobs) else ""
        self._blobs: Mapping[str, _Blob] = {
            place: blob for path, blob in blobs.items() if (place := self._at.place(path))
        }
        self.paths, self.unread = sort_out(dict(self._whys()))

    def _whys(self) -> Iterator[tuple[str, str]]:
        """Every file and why it is left out, "" where it is not; a link to a folder as a folder."""
        links = [path for path, blob in self._blobs.items() if blob.mode == _LINK_MODE]
        folders: set[str] = set()
        if links:
            folders = {str(up) for path in self._blobs for up in PurePosixPath(path).parents}
        for path, blob in self._blobs.items():
            if blob.mode != _LINK_MODE:
                yield path, ""
                continue
            with suppress(OSError):
                to = self.read(path).decode("utf-8", "replace")
                if posixpath.normpath(posixpath.join(posixpath.dirname(path), to)) in folders:
                    yield f"{path}/", LINK
                    continue
            yield path, LINK

    def size(self, path: str) -> int:
        return self._blobs[path].size

    def blob(self, path: str) -> str:
        return self._blobs[path].hash

    def read(self, path: str) -> bytes:
        import git

        try:
            stream = self._at.repo.odb.stream(bytes.fromhex(self._blobs[path].hash))
            data: bytes = stream.read()
        except (git.ODBError, git.GitCommandError, ValueError) as wrong:  # a partial, damaged clone
            raise OSError(f"git has no object for `{path}`") from wrong
        return data


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a change; `signers` are the names and addresses that signed it off."""

    hash: str
    name: str
    email: str
    signers: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What a change adds to a base: `source` as it is after, `base` as its branch is now.

    `renamed` maps a new path to its old one, `moved` does so for what the base moved. `fork` is the
    commit that both have in common; "" where this clone does not hold it, and then the change is
    seen from `base` itself.
    """

    source: Source
    base: Source
    fork: str
    added: tuple[str, ...]
    modified: tuple[str, ...]
    deleted: tuple[str, ...]
    renamed: Mapping[str, str]
    moved: Mapping[str, str]
    commits: tuple[Commit, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that the change brings or touches, sorted."""
        return tuple(sorted({*self.added, *self.modified, *self.renamed}))


def open_change(root: Path, text: str) -> Change:
    """The change `BASE` (up to the files on disk), `BASE..HEAD` or `BASE...HEAD` (up to a commit).

    What `BASE` got since the two parted does not count as the change's. Raises ValueError.
    """
    at = Repository(root)
    base_name, dots, head_name = text.partition("..")
    head_name = head_name.removeprefix(".")
    on_disk = not dots and not at.is_bare
    base = at.resolve(base_name or "HEAD")
    head = at.resolve(head_name or "HEAD")
    try:
        fork = at.ask("merge-base", base, head).split("\n")[0].strip()
    except ValueError:
        fork = ""
    source: Source = WorkTree(root) if on_disk else Revision(root, head, at)
    statuses = _statuses(at, [fork or base, *([] if on_disk else [head])])
    if on_disk:
        listed = at.ask("ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        statuses += [("A", path, "") for path in at.inside(listed)]
    by: dict[str, list[str]] = {"A": [], "D": [], "M": []}
    renamed: dict[str, str] = {}
    for status, path, old in statuses:
        place, before = at.place(path), at.place(old) if old else None
        if status == "D" or (status == "R" and place is None):
            gone = before if status == "R" else place
            by["D"] += [gone] if gone else []
        elif place:
            if status == "R" and before:
                renamed[place] = before
            else:
                by["A" if status in "ARC" else "M"].append(place)
    return Change(
        source,
        Revision(root, base, at),
        fork,
        tuple(sorted(by["A"])),
        tuple(sorted(by["M"])),
        tuple(sorted(by["D"])),
        renamed,
        dict(_moves(at, fork, base)),
        tuple(_commits(at, fork or base, head)),
    )


def _moves(at: Repository, fork: str, base: str) -> Iterator[tuple[str, str]]:
    """What the base renamed since the two parted: the new path and the old one."""
    for letter, path, old in _statuses(at, [fork, base]) if fork else ():
        new, before = at.place(path), at.place(old)
        if letter == "R" and new and before:
            yield new, before


def _statuses(at: Repository, ends: list[str]) -> list[tuple[str, str, str]]:
    """(letter, path, path before) of every file that differs between the ends."""
    quiet = ("--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules")
    fields = at.inside(at.ask("diff", "--name-status", "-z", "-M", *quiet, *ends, "--"))
    found = []
    for status in fields:
        letter = status[0]
        old = next(fields) if letter in "RC" else ""
        found.append((letter, next(fields), old))
    return found


def _commits(at: Repository, fork: str, head: str) -> Iterator[Commit]:
    """The commits since `fork`, the oldest first, merges left out.

    Each is asked for alone, its fields parted by NUL: a name can hold any other character.
    """
    form = "--format=%an%x00%ae%x00%(trailers:key=Signed-off-by,valueonly,unfold)"
    for hash in at.ask("rev-list", "--no-merges", "--reverse", f"{fork}..{head}", "--").split():
        told = at.ask("show", "--no-patch", "--no-show-signature", form, hash)
        name, email, signers = told.split("\0")
        changed = ("--no-commit-id", "--name-only", "--root", "--no-relative", "-r", "-z")
        listed = at.inside(at.ask("diff-tree", *changed, hash))
        places = tuple(sorted(place for path in listed if (place := at.place(path))))
        if places:
            yield Commit(hash, name, email, tuple(signers.split("\n")), places)
