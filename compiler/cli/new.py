"""The command that writes a new leaf: `new`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.ask import EXAMPLE, ask_for_rest, ask_path, on_terminal, one_line
from compiler.cli.base import TaxonomyOption, finish, taxonomy_folder
from compiler.diagnostics import Report, clean, counted

if TYPE_CHECKING:
    from compiler.draft.table import Skip, Table
    from compiler.draft.text import Draft


def _text(name: str, help: str, *more: str, metavar: str = "TEXT") -> Any:  # noqa: ANN401
    return typer.Option(name, *more, metavar=metavar, help=help, show_default=False)


def new(
    path: Annotated[
        str,
        typer.Argument(
            metavar="[PATH]", help=f"The leaf's folder, such as {EXAMPLE}.", show_default=False
        ),
    ] = "",
    taxonomy: TaxonomyOption = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take the questions of a table: CSV, TSV, XLSX or JSONL, with the columns "
            "question, answer and context; with a column leaf it is for several leaves.",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str, _text("--columns", "What its columns are named: question=Frage,answer=Antwort.")
    ] = "",
    sheet: Annotated[str, _text("--sheet", "The sheet of a workbook; else the first.")] = "",
    grounded: Annotated[
        bool, typer.Option("--grounded", help="A skill that works on a given text.")
    ] = False,
    examples: Annotated[
        int, typer.Option("--examples", metavar="N", min=1, help="How many to leave room for.")
    ] = 5,
    created_by: Annotated[str, _text("--created-by", "Your GitHub user name.")] = "",
    task: Annotated[str, _text("--task", "Of a skill: what it is, in a sentence.")] = "",
    domain: Annotated[str, _text("--domain", "Of knowledge: its field, such as astronomy.")] = "",
    outline: Annotated[
        str, _text("--outline", "Of knowledge: what the document is about, in a sentence.")
    ] = "",
    repo: Annotated[
        str, _text("--repo", "Of knowledge: the document's git repository; `.` is this one.")
    ] = "",
    commit: Annotated[str, _text("--commit", "Of knowledge: the commit to read there.")] = "",
    patterns: Annotated[
        list[str] | None,
        _text("--patterns", "Of knowledge: the document's path there; repeatable.", metavar="GLOB"),
    ] = None,
    title: Annotated[str, _text("--title", "The source's title, for attribution.txt.")] = "",
    link: Annotated[str, _text("--link", "The source's address; `-` for none.")] = "",
    licence: Annotated[
        str, _text("--licence", "The source's licence, such as CC-BY-4.0.", "--license")
    ] = "",
    creator: Annotated[str, _text("--creator", "Who made the source.")] = "",
    schema: Annotated[
        str, _text("--schema", "The schema's address, for editors; `none` writes none.")
    ] = "",
) -> None:
    """Write a new leaf, by hand or from a table of questions."""
    from compiler.draft.text import Draft, Work

    root, report = taxonomy_folder(taxonomy), Report()
    if re.search(r"\s", schema):
        raise typer.BadParameter("an address has no spaces", param_hint="--schema")
    said = one_line
    known = Draft(
        "",
        created_by=said(created_by) or _git_name(root),
        task=said(task),
        domain=said(domain),
        outline=said(outline),
        repo=said(repo),
        commit=said(commit),
        patterns=tuple(said(pattern) for pattern in patterns or ()),
        count=examples,
        grounded=grounded,
        work=Work(said(title), said(link), said(licence), said(creator)),
    )
    try:
        if not path and not table and on_terminal():
            path = ask_path()
        if table:
            drafts = _from_table(root, path, table, _named(columns), sheet, known, report)
        else:
            drafts = [replace(known, path=_place(root, path))]
        if report.errors:
            finish(report, "human", root)
        _refuse_foreign(drafts)
        if on_terminal():
            drafts = ask_for_rest(drafts)
    except typer.Abort:
        typer.echo("\nstopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    _write(root, drafts, schema)


def _git_name(root: Path) -> str:
    """The GitHub name that git knows its user by, "" where it tells none."""
    import subprocess

    wanted = r"^(github\.user|user\.email|user\.name)$"
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "config", "--get-regexp", wanted],
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    mail = re.fullmatch(r"(?:\d+\+)?(.+)@users\.noreply\.github\.com", told.get("user.email", ""))
    names = (told.get("github.user", ""), mail[1] if mail else "", told.get("user.name", ""))
    return next((n for n in names if re.fullmatch(r"[A-Za-z\d](?:-?[A-Za-z\d]){0,38}", n)), "")


def _named(columns: str) -> dict[str, str]:
    """What `--columns` says: `question=Frage,answer=Antwort`."""
    from compiler.draft.table import NAMES
    from compiler.schema import guess

    named = {}
    for part in filter(None, columns.split(",")):
        field, equals, name = (word.strip() for word in part.partition("="))
        if field not in NAMES or not equals or not name:
            wrong = f"`{part}` is not such as `question=Frage`; {guess(field, list(NAMES))}"
            raise typer.BadParameter(wrong, param_hint="--columns")
        named[field] = name
    return named


def _place(root: Path, typed: str, hint: str = "PATH") -> str:
    """The leaf's folder in the taxonomy; a usage error where it can have none."""
    from compiler.draft.place import place_for

    try:
        place = place_for(root, typed)
    except ValueError as wrong:
        raise typer.BadParameter(clean(str(wrong)), param_hint=hint) from wrong
    if place.renamed:
        _say(f"`{typed}` becomes `{place.path}`: folder names have small letters, digits, `_`, `-`")
    return place.path


def _from_table(
    root: Path,
    path: str,
    file: Path,
    columns: Mapping[str, str],
    sheet: str,
    known: "Draft",
    report: Report,
) -> list["Draft"]:
    """The drafts of a table's leaves; says what became of every row."""
    from compiler.draft.rows import by_leaf, harvest
    from compiler.draft.table import Row, read_table

    try:
        table = read_table(file, report, columns, sheet)
    except (ValueError, OSError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise typer.BadParameter(clean(why or str(wrong)), param_hint=f"--from {file}") from wrong
    if table is None:
        return []
    if not path and "leaf" not in table.columns:
        raise typer.BadParameter(
            f"name the leaf's folder, such as `{EXAMPLE}`, or give the table a column `leaf`"
        )
    named, homeless = by_leaf(table, path)
    rows: dict[str, list[Row]] = {}
    for typed, some in named.items():
        hint = "PATH" if typed == path else f"{table.word} {some[0].number}"
        rows.setdefault(_place(root, typed, hint), []).extend(some)
    skipped = [*table.skipped, *homeless]
    drafts = []
    for leaf, some in rows.items():
        draft = replace(known, path=leaf)
        if draft.is_knowledge and "context" not in table.columns:
            notes = "; ".join(table.notes)
            lacks = f"a knowledge leaf needs the column `context`{'; ' * bool(notes)}{notes}"
            raise typer.BadParameter(clean(lacks), param_hint=f"--from {file}")
        found = harvest(sorted(some, key=lambda row: row.number), draft.is_knowledge, table.word)
        skipped += found.skipped
        if found.examples:
            drafts.append(replace(draft, examples=found.examples))
            carried = f"; {found.carried} took the context above" if found.carried else ""
            _say(f"{leaf}: {counted(len(found.examples), table.word)} of {file.name}{carried}")
    _say_skipped(table, skipped)
    if not drafts:
        raise typer.BadParameter("no row of it can be used", param_hint=f"--from {file}")
    return drafts


def _say_skipped(table: "Table", skipped: Sequence["Skip"]) -> None:
    """Names the rows that gave no example, by their reason, and what was not looked at."""
    reasons: dict[str, list[int]] = {}
    for skip in skipped:
        reasons.setdefault(skip.reason, []).append(skip.number)
    for reason, numbers in sorted(reasons.items(), key=lambda item: min(item[1])):
        which = ", ".join(map(str, sorted(numbers)))
        _say(f"skipped {table.word}{'s' * (len(numbers) > 1)} {which}: {reason}")
    if table.blank:
        _say(f"skipped {counted(table.blank, f'blank {table.word}')}")
    for note in table.notes:
        _say(f"note: {note}")


def _refuse_foreign(drafts: Sequence["Draft"]) -> None:
    """A usage error for an option that means nothing to any of the leaves."""
    kinds = {draft.is_knowledge for draft in drafts}
    for draft in drafts[:1]:
        of_skill = {"--task": draft.task, "--grounded": draft.grounded}
        of_knowledge = {
            "--domain": draft.domain,
            "--outline": draft.outline,
            "--repo": draft.repo,
            "--commit": draft.commit,
            "--patterns": draft.patterns,
        }
        for is_knowledge, options in ((True, of_skill), (False, of_knowledge)):
            wrong = next((name for name, value in options.items() if value), None)
            if wrong and kinds == {is_knowledge}:
                kind = "knowledge leaf" if is_knowledge else "skill"
                raise typer.BadParameter(f"a {kind} has no such key", param_hint=wrong)


def _write(root: Path, drafts: Sequence["Draft"], schema: str) -> None:
    """Writes the leaves, all or none, and says what is left to do."""
    from compiler.draft.place import schema_for, schema_text, write_all
    from compiler.draft.text import attribution_text, gaps, leaf_text

    files: dict[Path, str] = {}
    for draft in drafts:
        folder = root / draft.path
        reference, copy = ("", None) if schema else schema_for(root, draft.path, draft.schema)
        if copy:
            files[copy] = schema_text(draft.schema)
        if not (folder / "attribution.txt").exists():
            files[folder / "attribution.txt"] = attribution_text(draft.work)
        files[folder / "qna.yaml"] = leaf_text(draft, reference or schema.removeprefix("none"))
    write_all(files)
    for file in files:
        what = " (for editors; commit it too)" if file.suffix == ".json" else ""
        _say(f"wrote {file.as_posix()}{what}")
    left = sum(gaps(text) for file, text in files.items() if file.suffix != ".json")
    if left:
        _say(f"to fill in: {counted(left, 'text')} in `<...>`; `trivium check` finds each")
    place = (root / drafts[0].path).as_posix() if len(drafts) == 1 else root.as_posix()
    _say(f"next: trivium check {place}")
    if len(drafts) == 1:
        _say(f"      trivium preview {place}")


def _say(line: str) -> None:
    typer.echo(clean(line))
