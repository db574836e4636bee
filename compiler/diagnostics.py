"""Places and findings: what every pass reports into.

Kept apart from the passes so that a finding has the same parts whoever made it. Lines and columns
are 1-based and count characters; an end column is exclusive.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from compiler.codes import B901, Code, Severity


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file; `path` is relative to the taxonomy, with `/`.

    Without an end it stands for the file as a whole.
    """

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 0
    end_column: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that belongs to a finding."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding; `hint` is an imperative, `severity` the one that counts after a policy.

    A `soft` finding is a warning even where its code is an error's.
    """

    code: Code
    severity: Severity
    message: str
    span: Span | None = None
    hint: str = ""
    notes: tuple[Note, ...] = ()
    soft: bool = False

    def sort_key(self) -> tuple[str, int, int, str, str]:
        place = self.span or Span("", 0, 0)
        return (place.path, place.line, place.column, self.code.id, self.message)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a curriculum says of severities: `raised` codes are errors, `allowed` ones silent.

    A rule is (code id or name, path globs); no globs means everywhere.
    """

    raised: tuple[tuple[str, tuple[str, ...]], ...] = ()
    allowed: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def severity(self, code: Code, path: str, soft: bool = False) -> Severity | None:
        """The severity that counts here, or None where the finding is allowed."""
        own = Severity.WARNING if soft else code.severity
        if own is Severity.WARNING and _rule_holds(self.allowed, code, path):
            return None
        if _rule_holds(self.raised, code, path):
            return Severity.ERROR
        return own


def _rule_holds(rules: Iterable[tuple[str, tuple[str, ...]]], code: Code, path: str) -> bool:
    return any(
        name in (code.id, code.name) and (not globs or any(fnmatchcase(path, g) for g in globs))
        for name, globs in rules
    )


class Texts(MutableMapping[str, str]):
    """Texts by path; one that is not there yet is asked of `read`, which may raise KeyError."""

    def __init__(self, read: Callable[[str], str] | None = None) -> None:
        self.read = read
        self._known: dict[str, str] = {}

    def __getitem__(self, path: str) -> str:
        if path not in self._known and self.read:
            self._known[path] = self.read(path)
        return self._known[path]

    def __setitem__(self, path: str, text: str) -> None:
        self._known[path] = text

    def __delitem__(self, path: str) -> None:
        del self._known[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass(slots=True)
class Report:
    """Collects findings; `texts` gives the text of a path, for excerpts.

    `files` are the paths that were looked at, None where nothing is counted in files.
    """

    policy: Policy = field(default_factory=Policy)
    texts: MutableMapping[str, str] = field(default_factory=Texts)
    files: list[str] | None = None
    _found: set[Diagnostic] = field(default_factory=set)

    def add(
        self,
        code: Code,
        message: str,
        span: Span | None = None,
        hint: str = "",
        notes: Iterable[Note] = (),
        soft: bool = False,
    ) -> None:
        """Adds a finding, once, unless the policy allows it at this path."""
        severity = self.policy.severity(code, span.path if span else "", soft)
        if severity is not None:
            self._found.add(Diagnostic(code, severity, message, span, hint, tuple(notes), soft))

    def take(self, findings: Iterable[Diagnostic]) -> None:
        """Adds what another report found, under this one's policy."""
        for found in findings:
            self.add(
                found.code, found.message, found.span, found.hint, found.notes, soft=found.soft
            )

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings, sorted by place."""
        return tuple(sorted(self._found, key=Diagnostic.sort_key))

    def count(self, severity: Severity) -> int:
        return sum(d.severity is severity for d in self._found)

    @property
    def errors(self) -> int:
        return self.count(Severity.ERROR)

    @property
    def warnings(self) -> int:
        return self.count(Severity.WARNING)

    def errors_at(self, path: str) -> int:
        """How many errors are in the file `path`."""
        return sum(
            d.severity is Severity.ERROR and d.span is not None and d.span.path == path
            for d in self._found
        )

    @property
    def broken(self) -> frozenset[str]:
        """The files that have an error."""
        return frozenset(
            d.span.path for d in self._found if d.severity is Severity.ERROR and d.span
        )

    def under(self, folder: str) -> "Report":
        """The same report with every path seen from above `folder`."""

        def moved(span: Span) -> Span:
            return replace(span, path=f"{folder}/{span.path}")

        seen = {
            replace(
                d,
                span=moved(d.span) if d.span else None,
                notes=tuple(replace(note, span=moved(note.span)) for note in d.notes),
            )
            for d in self._found
        }
        texts = Texts(lambda path: self.texts[path.removeprefix(f"{folder}/")])
        files = self.files and [f"{folder}/{path}" for path in self.files]
        return Report(self.policy, texts, files, seen)

    def soften(self, code: Code, path: str) -> None:
        """Makes the findings of `code` so far in one file warnings: its format has no such rule."""
        hard = {d for d in self._found if d.code is code and d.span and d.span.path == path}
        self._found -= hard
        self.take(replace(found, soft=True) for found in hard)

    def inherit(self, policy: Policy) -> None:
        """Takes a policy that became known late, and applies it to what was found before."""
        self.policy = policy
        earlier, self._found = self._found, set()
        self.take(earlier)


class OpenAccountError(AssertionError):
    """A pass lost items without a reason: our bug (B901)."""

    code = B901


@dataclass(frozen=True, slots=True)
class Account:
    """The books of one pass: in = kept + dropped, by code. Law 4; checked when made."""

    name: str
    taken: int
    kept: int
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        lost = self.taken - self.kept - sum(self.dropped.values())
        if lost:
            raise OpenAccountError(f"pass `{self.name}` cannot account for {counted(lost, 'item')}")

    @staticmethod
    def of(name: str, taken: int, kept: int, drops: Iterable[Code] = ()) -> "Account":
        """Counts the drops; `taken` must come from another count than `kept` and `drops`."""
        counted = Counter(code.id for code in drops)
        return Account(name, taken, kept, dict(sorted(counted.items())))

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "in": self.taken,
            "kept": self.kept,
            "dropped": dict(self.dropped),
        }


CI_COMMAND = re.compile(r"##(?=\w*\[)")


def clean(text: str) -> str:
    """`text` with control characters written out, so that no file can steer the terminal.

    Nor can it steer a CI, which takes `##[...]` anywhere in its log for a command.
    """
    if not text.isprintable():
        text = "".join(
            c if c.isprintable() else (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")
            for c in text
        )
    return CI_COMMAND.sub(r"#\\x23", text)


def summary(report: Report) -> str:
    """The last line: what was looked at and how many findings there are."""
    files = report.files
    looked = f"checked {counted(len(files), 'leaf file')}: " if files is not None else ""
    return f"{looked}{counted(report.errors, 'error')}, {counted(report.warnings, 'warning')}"


def counted(n: int, word: str) -> str:
    """A number with its noun: "1 sample", "2 samples"."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
