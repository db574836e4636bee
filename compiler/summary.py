"""A report and what a change would add go in; Markdown for a pull request's comment comes out.

A pass of its own because a comment has one screen to say whether the change is good, what is to be
mended, and what it costs to compile. Whoever writes a leaf writes into it: see `markdown`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from compiler.codes import CATALOGUE, T121, T135, Severity
from compiler.diagnostics import Diagnostic, Report, counted
from compiler.imagine import imagined
from compiler.markdown import cell, code, fenced, words
from compiler.plan import Line, Plan
from compiler.program import Program
from compiler.prompt import Message

MARK = "<!-- trivium check -->"
_FINDINGS = 20
_LEAVES = 12
_LICENCES = 3
_PROMPT = 4000


@dataclass(frozen=True, slots=True)
class Addition:
    """What one leaf adds to a compile at most; tokens are estimates without a tokenizer.

    `skipped` is the code that stops it, "" where it adds something.
    """

    file: str
    contributor: str
    licences: tuple[str, ...]
    samples: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """The first prompt that a leaf makes."""

    file: str
    stage: str
    messages: tuple[Message, ...]


def additions(program: Program, plan: Plan, files: Collection[str]) -> tuple[Addition, ...]:
    """What each of the leaf files adds; those that are no leaf of the program are left out."""
    lines = {line.leaf: line for line in plan.lines}
    return tuple(
        Addition(
            record.leaf.file,
            record.leaf.created_by,
            record.leaf.licences,
            *_numbers(lines.get(record.leaf.path)),
            record.skipped,
        )
        for record in program.leaves
        if record.leaf.file in files
    )


def _numbers(line: Line | None) -> tuple[int, int, int, int]:
    if line is None:
        return 0, 0, 0, 0
    return line.samples, line.calls, line.prompt_tokens, line.completion_tokens


def preview(program: Program, files: Collection[str]) -> Preview | None:
    """What the first unit of the leaf files asks the teacher first; None where there is none."""
    for unit in program.units:
        if unit.leaf.file in files:
            questions, _ = imagined(unit, program.pipelines[unit.pipeline])
            first = questions[0]
            return Preview(unit.leaf.file, first.stage.id, first.rendered())
    return None


def summarise(
    report: Report, added: Sequence[Addition] | None = None, prompt: Preview | None = None
) -> str:
    """The comment; whatever goes in, shorter than GitHub's limit of 65,536 characters.

    `report.files` are the leaf files of the change. Without `added` it is said that nobody knows
    what they would add.
    """
    parts = [f"{MARK}\n{_verdict(report)}"]
    if report.diagnostics:
        parts.append(_findings(report.diagnostics))
    if report.files:
        parts.append(_added(report, {each.file: each for each in added or ()}, added is not None))
    if prompt:
        parts.append(_prompt(prompt))
    return "\n\n".join(parts) + "\n"


def _verdict(report: Report) -> str:
    looked = f" in {counted(len(report.files), 'leaf file')}" if report.files is not None else ""
    warnings = counted(report.warnings, "warning")
    if report.errors:
        errors = counted(report.errors, "error")
        return f"### Trivium: {errors} to mend\n\n{errors} and {warnings}{looked}."
    if report.warnings:
        return f"### Trivium: no errors\n\n{warnings}{looked}, for a reviewer to judge."
    return f"### Trivium: no findings\n\nNothing is wrong{looked}."


def _findings(found: Sequence[Diagnostic]) -> str:
    """The findings by file, the files with errors first; where there are too many, the errors."""
    order = list(Severity)
    shown = sorted(found, key=lambda d: (order.index(d.severity), d.sort_key()))[:_FINDINGS]
    by_file: dict[str, list[Diagnostic]] = {}
    for each in shown:
        by_file.setdefault(each.span.path if each.span else "", []).append(each)
    parts = []
    for path, some in by_file.items():
        lines = [_finding(each) for each in sorted(some, key=Diagnostic.sort_key)]
        parts.append("\n".join([f"**{code(path) if path else 'Everywhere'}**\n", *lines]))
    if len(found) > len(shown):
        parts.append(f"{counted(len(found) - len(shown), 'more finding')}: run `trivium check`.")
    return "\n\n".join(parts)


def _finding(found: Diagnostic) -> str:
    line = f" on line {found.span.line}" if found.span and found.span.end_line else ""
    hint = f"\\\n  help: {words(found.hint)}" if found.hint else ""
    return f"- {found.severity} `{found.code}`{line}: {words(found.message)}{hint}"


_HEAD = ("leaf", "by", "licences", "samples", "calls", "prompt tokens", "reply tokens")


def _added(report: Report, added: dict[str, Addition], is_known: bool) -> str:
    """A table of the change's leaves, and the sums."""
    files = sorted(report.files or ())
    lines = ["#### What it would add", ""]
    lines += [_line(_HEAD), _line(("---",) * 3 + ("---:",) * 4)]
    lines += [_line(_row(path, added.get(path), report)) for path in files[:_LEAVES]]
    if files[_LEAVES:]:
        lines += ["", f"{counted(len(files) - _LEAVES, 'more leaf file')} not shown."]
    total = _total(added.values()) if is_known else "What it would add could not be worked out."
    near = sum(each.code in (T121, T135) for each in report.diagnostics)
    copies = f"{counted(near, 'finding')} of copied, or nearly copied, questions."
    return "\n".join([*lines, "", f"{total} {copies}"])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(path: str, leaf: Addition | None, report: Report) -> tuple[str, ...]:
    who = (cell(leaf.contributor, 40), _licences(leaf.licences)) if leaf else ("", "")
    if errors := report.errors_at(path):
        return (cell(path), *who, f"nothing: {counted(errors, 'error')}", "", "", "")
    if leaf is None:
        return (cell(path), *who, "not known", "", "", "")
    if leaf.skipped:
        return (cell(path), *who, f"nothing: `{CATALOGUE[leaf.skipped]}`", "", "", "")
    numbers = (leaf.samples, leaf.calls, leaf.prompt_tokens, leaf.completion_tokens)
    return (cell(path), *who, *(f"{number:,}" for number in numbers))


def _licences(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LICENCES} more" if names[_LICENCES:] else ""
    return ", ".join(cell(name, 40) for name in names[:_LICENCES]) + more or "none named"


def _total(added: Iterable[Addition]) -> str:
    leaves = [leaf for leaf in added if not leaf.skipped]
    samples = sum(leaf.samples for leaf in leaves)
    calls = sum(leaf.calls for leaf in leaves)
    asked = sum(leaf.prompt_tokens for leaf in leaves)
    told = sum(leaf.completion_tokens for leaf in leaves)
    return (
        f"Together at most {counted(samples, 'sample')} of {counted(len(leaves), 'leaf file')}, "
        f"for {counted(calls, 'teacher call')}: some {asked:,} prompt and {told:,} reply tokens."
    )


def _prompt(shown: Preview) -> str:
    """One prompt, folded away."""
    text = "\n\n".join(f"[{message.role}]\n{message.content}" for message in shown.messages)
    return (
        "<details>\n<summary>The first prompt that the teacher would get</summary>\n\n"
        f"{code(shown.stage, 40)} of {code(shown.file)}\n\n"
        f"{fenced(text, _PROMPT)}\n\n</details>"
    )
