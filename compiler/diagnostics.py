"""Places and findings: what every pass reports into.

Kept apart from the passes so that a finding has the same parts whoever made it. Lines and columns
are 1-based and count characters; an end column is exclusive.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
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
    """One finding; `hint` is an imperative, `severity` the one that counts after a policy."""

    code: Code
    severity: Severity
    message: str
    span: Span | None = None
    hint: str = ""
    notes: tuple[Note, ...] = ()

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
        """The severity that counts here, or None where the finding is allowed.

        A `soft` finding is a warning even where its code is an error's.
        """
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


@dataclass(slots=True)
class Report:
    """Collects findings; `texts` maps a path to its text, for excerpts."""

    policy: Policy = field(default_factory=Policy)
    texts: dict[str, str] = field(default_factory=dict)
    files: int | None = None
    _found: set[Diagnostic] = field(default_factory=set)
    _soft: set[tuple[Code, str]] = field(default_factory=set)

    def add(
        self,
        code: Code,
        message: str,
        span: Span | None = None,
        hint: str = "",
        notes: Iterable[Note] = (),
    ) -> None:
        """Adds a finding, once, unless the policy allows it at this path."""
        path = span.path if span else ""
        severity = self.policy.severity(code, path, (code, path) in self._soft)
        if severity is not None:
            self._found.add(Diagnostic(code, severity, message, span, hint, tuple(notes)))

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
        texts = {f"{folder}/{path}": text for path, text in self.texts.items()}
        return Report(self.policy, texts, self.files, seen)

    def soften(self, code: Code, path: str) -> None:
        """Makes `code` a warning in one file, whose format did not have the rule."""
        self._soft.add((code, path))
        self.inherit(self.policy)

    def inherit(self, policy: Policy) -> None:
        """Takes a policy that became known late, and applies it to what was found before."""
        self.policy = policy
        earlier, self._found = self._found, set()
        for found in earlier:
            self.add(found.code, found.message, found.span, found.hint, found.notes)


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


def clean(text: str) -> str:
    """`text` with control characters written out, so that no file can steer the terminal."""
    return "".join(
        c
        if c.isprintable() or c == " "
        else (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")
        for c in text
    )


def summary(report: Report) -> str:
    """The last line: what was looked at and how many findings there are."""
    looked = f"checked {counted(report.files, 'leaf file')}: " if report.files is not None else ""
    return f"{looked}{counted(report.errors, 'error')}, {counted(report.warnings, 'warning')}"


def counted(n: int, word: str) -> str:
    """A number with its noun: "1 sample", "2 samples"."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
