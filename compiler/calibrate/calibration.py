"""Criteria, grades and verdicts go in; what each assertion and judge is worth in each branch comes
out, with the set that is chosen there.

A file of its own because it puts the parts of this package together, and because a gate that looks
at another figure than the one that people are shown would be worth nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from compiler.calibrate.choose import choose
from compiler.calibrate.criteria import Assertion, Criteria, read_criteria
from compiler.calibrate.grades import Grade, read_grades, valid
from compiler.calibrate.item import Item
from compiler.calibrate.judges import dropped, told
from compiler.calibrate.measure import Figures, Passes, measure, union
from compiler.calibrate.verdict import Chosen, Judging, conditions
from compiler.codes import M315
from compiler.curriculum import FILE, GateSettings
from compiler.diagnostics import Report, Span, counted
from compiler.permit import setting_span
from compiler.source import BRANCHES, Source

JUDGES, CHOSEN, BOTH = "all judges", "chosen set", "judges and chosen set"


@dataclass(frozen=True, slots=True)
class Graded:
    """A taxonomy's criteria, and the grades that count; `again` are the items of which only grades
    are left that do not. `gate` is the place of what they must reach.
    """

    criteria: Criteria = field(default_factory=Criteria)
    grades: tuple[Grade, ...] = ()
    again: tuple[Item, ...] = ()
    gate: Span = field(default=Span(FILE), compare=False)

    @property
    def needs_judge(self) -> bool:
        """Whether a judge has to be asked to calibrate every assertion."""
        branches = {grade.item.branch for grade in self.grades}
        return any(one.judged for name in branches for one in self.criteria.candidates(name))

    def of(self, branch: str) -> tuple[Grade, ...]:
        """The grades of a branch."""
        return tuple(grade for grade in self.grades if grade.item.branch == branch)


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one assertion, of one of the build's judges, or of a set; `kind` is which."""

    name: str
    kind: str
    figures: Figures
    chosen: bool = False

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "kind": self.kind,
            "chosen": self.chosen,
            **self.figures.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch's grades, the assertions chosen for it, and the figures of all."""

    name: str
    graded: Figures
    chosen: tuple[Assertion, ...]
    lines: tuple[Line, ...]

    @property
    def kept_by(self) -> Figures:
        """The figures of everything that decides whether a sample is kept: the gate's."""
        return self.lines[-1].figures


@dataclass(frozen=True, slots=True)
class Calibration:
    """The branches that have grades, and all of them together."""

    branches: tuple[Branch, ...]
    whole: Branch
    chosen: Chosen
    gate: Span = field(default=Span(FILE), compare=False)


def read_graded(source: Source, report: Report) -> Graded:
    """The criteria and the grades of a taxonomy; M316 and M317 where some cannot be used."""
    before = report.errors
    criteria = read_criteria(source, report)
    if report.errors > before:
        return Graded()
    given = read_grades(source, report)
    grades = valid(given, criteria, report)
    known = {grade.item.id for grade in grades}
    again = {grade.item.id: grade.item for grade in given if grade.item.id not in known}
    return Graded(criteria, grades, tuple(again.values()), setting_span(source, "gate"))


def calibration(
    graded: Graded, gate: GateSettings, said: Mapping[tuple[str, str], Passes]
) -> Calibration:
    """The calibration of the assertions that `said` has verdicts of, by the ids of assertion and
    item; a verdict that is not there is a skip.
    """
    branches = tuple(_branch(name, graded, gate, said) for name in BRANCHES if graded.of(name))
    sets = {branch.name: branch.chosen for branch in branches if branch.chosen}
    chosen = Chosen(sets, {name: graded.of(name) for name in sets})
    return Calibration(branches, _whole(branches), chosen, graded.gate)


def _branch(
    name: str, graded: Graded, gate: GateSettings, said: Mapping[tuple[str, str], Passes]
) -> Branch:
    grades = graded.of(name)
    good = [grade.good for grade in grades]
    items = [grade.item for grade in grades]
    known = {id for id, _ in said}
    candidates = [one for one in graded.criteria.candidates(name) if one.id in known]
    of = {one: [said.get((one.id, item.id)) for item in items] for one in candidates}
    by_judges = dropped(items)
    numbers = choose(
        [_bits(verdict is False for verdict in of[one]) for one in candidates],
        _bits(good),
        _bits(not one for one in good),
        gate,
        _bits(verdict is False for verdict in by_judges),
    )
    chosen = tuple(candidates[number] for number in numbers)
    by_chosen = union((of[one] for one in chosen), len(items))
    lines = [Line(one.id, "assertion", measure(good, of[one]), one in chosen) for one in candidates]
    lines += [Line(judge, "judge", measure(good, v)) for judge, v in told(items).items()]
    lines += [
        Line(JUDGES, "set", measure(good, by_judges)),
        Line(CHOSEN, "set", measure(good, by_chosen)),
        Line(BOTH, "set", measure(good, union((by_judges, by_chosen), len(items)))),
    ]
    return Branch(name, measure(good, [True] * len(good)), chosen, tuple(lines))


def of_conditions(graded: Graded, gate: GateSettings) -> Calibration:
    """The calibration without the assertions that a judge would have to be asked about."""
    items = [grade.item for grade in graded.grades]
    return calibration(graded, gate, conditions(graded.criteria, items))


async def calibrate(graded: Graded, gate: GateSettings, judging: Judging) -> Calibration:
    """The calibration of all assertions; the judge is asked about each graded item once."""
    items = [grade.item for grade in graded.grades]
    return calibration(graded, gate, await judging.verdicts(graded.criteria, items, graded.grades))


def _whole(branches: Sequence[Branch]) -> Branch:
    """All branches together: an item lies in one of them, so that their counts add up."""
    lines: dict[tuple[str, str], Line] = {}
    for branch in branches:
        for line in branch.lines:
            known = lines.get((line.kind, line.name))
            lines[line.kind, line.name] = (
                replace(
                    known,
                    figures=known.figures + line.figures,
                    chosen=known.chosen or line.chosen,
                )
                if known
                else line
            )
    ordered = sorted(lines.values(), key=lambda line: _KINDS.index(line.kind))
    graded = sum((branch.graded for branch in branches), Figures())
    chosen = dict.fromkeys(one for branch in branches for one in branch.chosen)
    return Branch("all branches", graded, tuple(chosen), tuple(ordered))


_KINDS = ("assertion", "judge", "set")


def _bits(flags: Iterable[bool]) -> int:
    """A set of items: a bit for each that is true."""
    return sum(1 << i for i, flag in enumerate(flags) if flag)


def report_gate(
    calibration: Calibration, branches: Sequence[str], gate: GateSettings, report: Report
) -> None:
    """Reports each of `branches` in which what decides about samples does not reach the gate
    (M315), at the settings. A figure that is undefined reaches nothing.
    """
    known = {branch.name: branch for branch in calibration.branches}
    for name in branches:
        found = known[name].kept_by if name in known else Figures()
        if wrong := _short_of(found, gate):
            hint = "grade more samples with `trivium grade`, or add assertions to the criteria"
            if name not in known:
                hint = "grade samples with `trivium grade`"
            report.add(M315, f"`{name}`: {'; '.join(wrong)}", calibration.gate, hint)


def _short_of(found: Figures, gate: GateSettings) -> list[str]:
    """What does not reach the gate, in words."""
    wrong = []
    coverage, failures = found.coverage, found.false_failures
    if gate.min_coverage and coverage is None:
        wrong.append("coverage is undefined, for no sample is graded bad")
    elif coverage is not None and coverage < gate.min_coverage:
        on = counted(found.bad, "bad sample")
        wrong.append(f"coverage is {coverage:.1%} on {on}, below {gate.min_coverage:.1%}")
    if gate.max_false_failures < 1 and failures is None:
        wrong.append("false failures are undefined, for no sample is graded good")
    elif failures is not None and failures > gate.max_false_failures:
        on = counted(found.good, "good sample")
        wrong.append(
            f"false failures are {failures:.1%} on {on}, above {gate.max_false_failures:.1%}"
        )
    return wrong


def shown(share: float | None) -> str:
    """A share in percent, or that it is undefined."""
    return "undefined" if share is None else f"{share:.1%}"


def strict(report: Report) -> None:
    """Makes M315 an error, as a CI wants it; what the settings allow stays allowed."""
    policy = report.policy
    report.inherit(replace(policy, raised=(*policy.raised, (M315.id, ()))))
