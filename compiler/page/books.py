"""A build goes in; what each leaf and each contributor yielded comes out, pass by pass, and what
was paid for it.

A file of its own because these are the books of the page: every number in them adds up to one of
the manifest's, and a test adds them up.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from itertools import islice

from compiler.builds import Build, Json
from compiler.codes import D501, D512, P208
from compiler.cost import price_of
from compiler.curriculum import Prices
from compiler.curriculum.values import mapping, section
from compiler.journal import Journal
from compiler.page.read import EXPAND, MIX, is_given, is_human, pass_of
from compiler.plan import Load
from compiler.teacher import Reply

_UNREAD = {D501.id, D512.id, P208.id}
_AT_ONCE = 500


@dataclass(slots=True)
class Yield:
    """What came of one leaf, or of several: `made` = `parsed` + what could not be read; `parsed` =
    `verified` + what a judge or a checker failed; `verified` = `kept` + what later passes dropped.

    All of these count what a teacher wrote; `human` are the seed examples that were kept, `given`
    the samples of data sets. `dropped` counts by pass and code, and has all of them. `calls`
    counts replies that are in the journal, `lost` those that are not; tokens are the teacher's own
    counts. `money` is at list price, None where a price is not known.
    """

    name: str
    leaves: int = 1
    branch: str = ""
    contributor: str = ""
    skipped: str = ""
    units: int = 0
    made: int = 0
    parsed: int = 0
    verified: int = 0
    kept: int = 0
    human: int = 0
    given: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: int = 0
    lost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float | None = None

    def add(self, other: "Yield") -> None:
        """Adds what came of another leaf."""
        for name in ("leaves", "units", "made", "parsed", "verified", "kept", "human", "given"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("calls", "lost", "prompt_tokens", "completion_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped += other.dropped
        if other.money is not None:
            self.money = (self.money or 0.0) + other.money


@dataclass(frozen=True, slots=True)
class Books:
    """The yields by leaf, by contributor and of all; `texts` are the characters of the replies that
    drops and that samples were made of.
    """

    leaves: tuple[Yield, ...]
    contributors: tuple[Yield, ...]
    total: Yield
    texts: tuple[int, int]


def balance(build: Build, journal: Journal) -> Books:
    """The books of a build.

    A reply that several samples were made of is counted once, for the first that names it, so that
    leaves add up to the whole.
    """
    found = {
        name: Yield(name, 1, leaf["branch"], leaf["contributor"], leaf["skipped"], leaf["units"])
        for name, leaf in build.leaves.items()
    }
    till = _Till(build, journal)
    for drop in build.lines("drops"):
        leaf, pass_ = _leaf(found, drop), pass_of(build, drop)
        leaf.dropped[pass_, drop["code"]] += 1
        if pass_ == EXPAND:
            leaf.made += 1
            if drop["code"] not in _UNREAD and not drop["code"].startswith("R"):
                leaf.parsed += 1
        elif drop["replies"] and pass_ != MIX:
            leaf.made, leaf.parsed, leaf.verified = (
                leaf.made + 1,
                leaf.parsed + 1,
                leaf.verified + 1,
            )
        till.take(leaf, drop["replies"])
    till.close()
    of_drops = till.texts
    for sample in build.lines("samples"):
        leaf = _leaf(found, sample)
        if is_given(sample):
            leaf.given += 1
            continue
        if is_human(sample):
            leaf.human += 1
            continue
        for name in ("made", "parsed", "verified", "kept"):
            setattr(leaf, name, getattr(leaf, name) + 1)
        till.take(leaf, sample["origin"]["replies"])
    till.close()
    leaves = tuple(found[name] for name in sorted(found))
    by: dict[str, Yield] = {}
    total = Yield("all leaves", 0)
    for leaf in leaves:
        who = leaf.contributor
        by.setdefault(who, Yield(who, 0, contributor=who)).add(leaf)
        total.add(leaf)
    makers = tuple(
        sorted(by.values(), key=lambda one: (-one.made - one.human - one.given, one.name))
    )
    return Books(leaves, makers, total, (of_drops, till.texts - of_drops))


def _leaf(found: dict[str, Yield], line: Json) -> Yield:
    """The yield that a line counts for; of what no leaf of the manifest made, one by its name."""
    name, origin = str(line["leaf"]), line.get("origin", {})
    return found.setdefault(
        name, Yield(name, 0, name.partition("/")[0], origin.get("contributor", ""))
    )


class _Till:
    """Counts what replies cost, some hundreds at a time."""

    def __init__(self, build: Build, journal: Journal) -> None:
        self.texts = 0
        self._journal = journal
        self._seen: set[str] = set()
        self._due: list[tuple[str, Yield]] = []
        prices = mapping(build.run.get("prices"))
        teacher, judge = (_prices(prices.get(name)) for name in ("teacher", "judge"))
        self._prices = (teacher, judge)
        model = str(build.manifest["judge"])
        is_one = model == build.manifest["teacher"] or teacher == judge
        self._judged = frozenset() if is_one else frozenset(journal.keys(model))

    def take(self, leaf: Yield, keys: Iterable[str]) -> None:
        """Counts replies for a leaf, unless they were counted before."""
        for key in keys:
            if key not in self._seen:
                self._seen.add(key)
                self._due.append((key, leaf))
        if len(self._due) >= _AT_ONCE:
            self.close()

    def close(self) -> None:
        """Counts what is due."""
        due = iter(self._due)
        while some := list(islice(due, _AT_ONCE)):
            replies = self._journal.get_many(key for key, _ in some)
            for key, leaf in some:
                reply = replies.get(key)
                if isinstance(reply, Reply):
                    self._count(key, leaf, reply)
                else:
                    leaf.lost += 1
        self._due.clear()

    def _count(self, key: str, leaf: Yield, reply: Reply) -> None:
        leaf.calls += 1
        leaf.prompt_tokens += reply.prompt_tokens
        leaf.completion_tokens += reply.completion_tokens
        self.texts += len(reply.text)
        if prices := self._prices[key in self._judged]:
            load = Load(1, reply.prompt_tokens, reply.completion_tokens)
            leaf.money = (leaf.money or 0.0) + price_of(load, prices).list


def _prices(said: object) -> Prices | None:
    """Prices of `run.json`; None where they are not there or cannot be read."""
    known = {field.name for field in fields(Prices)}
    found = mapping(said)
    is_read = found.keys() <= known and all(isinstance(one, int | float) for one in found.values())
    return section(Prices, found) if found and is_read else None
