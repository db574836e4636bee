"""A plan, or what a run took, goes in; tables and sentences about it are printed.

A file of its own because two commands say these things, and because most of it is about being
honest: what is an estimate, whose tokens, at which rate.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from compiler.cli.base import print_table
from compiler.codes import CATALOGUE
from compiler.diagnostics import clean, counted
from compiler.progress import duration

if TYPE_CHECKING:
    from compiler.cost import Ran
    from compiler.curriculum import TeacherSpec
    from compiler.journal import Rate
    from compiler.plan import Line, Load, Plan, Scale
    from compiler.program import Program

PROBES = 64
_COLUMNS = {
    "chunks": "chunks",
    "units": "units",
    "samples": "samples",
    "calls": "calls",
    "prompt_tokens": "prompt tok.",
    "completion_tokens": "reply tok.",
    "journaled": "journaled",
    "left": "to ask",
}
_ROWS = {"prompt_tokens": "prompt tokens", "completion_tokens": "reply tokens"}


def scale(program: "Program", spec: "TeacherSpec", folder: Path, model: str) -> "tuple[Scale, int]":
    """What the teacher's tokenizer says about our estimates, and of how many prompts; of none where
    there is no tokenizer at hand.
    """
    if spec.kind not in ("openai", "vllm", "run-batch"):
        return {}, 0
    from compiler.plan import probes, scale_of
    from compiler.teacher.counting import count

    probed = probes(program.units, program.pipelines, PROBES)
    prompts = [prompt for some in probed.values() for prompt in some]
    counts = asyncio.run(count(spec, folder, model, prompts))
    if counts is None:
        return {}, 0
    each = iter(counts)
    sums = {key: sum(next(each) for _ in some) for key, some in probed.items()}
    return scale_of(probed, sums), len(prompts)


def print_plan(plan: "Plan", knows_model: bool) -> None:
    """A line for each leaf, one for each of several pipelines, and the sums."""
    by_pipeline: dict[str, list[Line]] = {}
    for line in plan.lines:
        by_pipeline.setdefault(line.pipeline, []).append(line)
    several = len({line.leaf for line in plan.lines}) < len(plan.lines)
    rows = [
        _row(f"{line.leaf} ({line.pipeline})" if several else line.leaf, [line], knows_model)
        for line in plan.lines
    ]
    if len(by_pipeline) > 1:
        rows += [_row(f"all of {name}", of, knows_model) for name, of in by_pipeline.items()]
    rows.append(_row("all leaves", plan.lines, knows_model))
    print_table(["leaf", *_COLUMNS.values()], rows)


def _row(name: str, lines: "Sequence[Line]", knows_model: bool) -> list[str]:
    cells = [f"{sum(getattr(line, column) for line in lines):,}" for column in _COLUMNS]
    return [name, *(cells if knows_model else [*cells[:-2], "?", "?"])]


def print_tokens(counted_prompts: int) -> None:
    """Whose tokens they are."""
    if counted_prompts:
        typer.echo(f"tokens by the teacher's tokenizer, measured on {counted_prompts} prompts")
    else:
        typer.echo("tokens are estimates, for no tokenizer of the teacher is at hand")


def print_time(load: "Load", rate: "Rate | None", given: bool) -> None:
    """How long calls take."""
    from compiler.cost import seconds_of

    if rate is None:
        typer.echo("time: not known before a first compile; give `--rate TOKENS_PER_SECOND`")
        return
    speed = f"{rate.tokens:,.0f} reply tokens a second"
    if not given:
        speed += f" and {rate.requests:,.1f} requests, measured in earlier runs"
    typer.echo(f"time: about {duration(seconds_of(load, rate))}, at {speed}")


def print_money(plan: "Plan", teacher: "TeacherSpec", judge: "TeacherSpec") -> None:
    """What the calls that are left cost, where prices are known."""
    from compiler.cost import Money, price_of

    loads = [
        ("teacher", teacher, plan.load("teacher_left")),
        ("judge", judge, plan.load("judge_left")),
    ]
    priced = [(load, spec.prices) for _, spec, load in loads if spec.prices]
    if not priced:
        return
    money = sum((price_of(load, prices) for load, prices in priced if prices), Money(0.0, 0.0))
    cheaper = f", {money.batch:,.2f} in batches" if money.batch != money.list else ""
    free = [name for name, spec, _ in loads if not spec.prices]
    without = f", without the {free[0]}, who has no `prices:`" if free else ""
    typer.echo(f"money: about {money.list:,.2f} at list price{cheaper}{without}")


def print_run(ran: "Ran") -> None:
    """What a run took beside what was planned."""
    rows = [
        [_ROWS.get(name, name), f"{planned:,}", f"{actual:,}"]
        for name, planned, actual in ran.rows()
    ]
    print_table(["", "planned", "actual"], rows)
    tally = ran.tally
    if tally.unparsed:
        from compiler.cost import unread

        bad, total = unread(tally)
        typer.echo(
            f"replies that could not be read: {bad:,} of {total:,} ({bad / total:.1%}), "
            f"{tally.repaired:,} mended by asking again"
        )
    if tally.prompt_tokens and ran.seconds:
        cached = tally.cached_tokens / tally.prompt_tokens
        typer.echo(
            f"{duration(ran.seconds)} of asking: {tally.asked / ran.seconds:,.1f} requests and "
            f"{tally.completion_tokens / ran.seconds:,.0f} reply tokens a second, "
            f"{ran.tally.retried:,} sent again, {cached:.0%} of the prompt tokens from its cache"
        )


def print_rivals(out: Path) -> None:
    """What keeping the best of several answers was worth, where a pipeline does so."""
    from compiler.rivals import report

    for line in report(out):
        typer.echo(line)


def print_books(manifest: Mapping[str, Any]) -> None:
    """What each pass took and dropped, and what became of the leaves."""
    rows = []
    for account in manifest["passes"]:
        reasons = [f"{n} {CATALOGUE[code].name} ({code})" for code, n in account["dropped"].items()]
        rows.append(
            [
                account["name"],
                f"{account['in']:,}",
                f"{account['kept']:,}",
                ", ".join(reasons) or "none",
            ]
        )
    print_table(["pass", "in", "kept", "dropped"], rows, left=(0, 3))
    books = {account["name"]: account for account in manifest["passes"]}
    given = books["sift"]["in"] - books["expand"]["kept"]
    mixed = sum(data["drawn"] for data in manifest["sources"] if not data["skipped"])
    more = f" and {counted(mixed, 'sample')} of data sets" if mixed else ""
    human = counted(given - mixed, "human seed example")
    typer.echo(f"sift takes what expand kept{',' if mixed else ' and'} {human}{more}")
    if reason := manifest["worth"].get("reason"):
        typer.echo(f"worth: nothing was dropped: {reason}")
    skipped = [leaf for leaf in manifest["leaves"] if leaf["skipped"]]
    for leaf in skipped:
        code = CATALOGUE[leaf["skipped"]]
        typer.echo(clean(f"skipped {leaf['leaf']}: {code}"))
    files = manifest["files"]
    replay = files["phase2.jsonl"].get("replay", 0)
    typer.echo(
        f"phase 1: {counted(files['phase1.jsonl']['count'], 'sample')}; "
        f"phase 2: {files['phase2.jsonl']['count']:,}, of which {replay:,} replay; "
        f"kept aside: {files['validation.jsonl']['count']:,}; "
        f"held out: {counted(files['heldout.jsonl']['count'], 'question')}"
    )
