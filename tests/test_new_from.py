"""New leaves from a table of questions: every row is in a leaf or named; nothing by halves."""

import csv
import io
import os
import random
import re

import pytest

from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.source import SourceFile
from compiler.tree import parse
from tests.conftest import SEED
from tests.test_new import WREN, files, findings, here, run

__all__ = ["here"]

HEAD = ["Question", "Answer", "Context"]
BIRDS = [[f"Q {i}.{j}?", f"A {i}.{j}.", f"Passage {i}."] for i in range(5) for j in range(3)]


def table(folder, rows, name="birds.csv"):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    (folder / name).write_text(out.getvalue())
    return name


def value_at(folder, path=WREN):
    report = Report()
    file = folder / path / "qna.yaml"
    return parse(SourceFile(f"{path}/qna.yaml", file.read_bytes()), report).value


def test_the_rows_of_a_table_become_a_knowledge_leaf(here):
    draw = random.Random(os.environ[SEED])
    rows = draw.sample(BIRDS, len(BIRDS))
    result = run(WREN, "--from", table(here, [HEAD, *rows]))
    assert result.exit_code == 0
    seeds = value_at(here)["seed_examples"]
    contexts = list(dict.fromkeys(row[2] for row in rows))
    assert [seed["context"] for seed in seeds] == contexts
    for seed in seeds:
        pairs = [(p["question"], p["answer"]) for p in seed["questions_and_answers"]]
        assert pairs == [(q, a) for q, a, context in rows if context == seed["context"]]
    file = SourceFile(f"{WREN}/qna.yaml", (here / WREN / "qna.yaml").read_bytes())
    assert read_tree(file, Report()) is not None


def test_the_rows_of_a_table_become_a_skill(here):
    rows = [["a?", "b", "x"], ["c?", "d", ""]]
    run("compositional_skills/x", "--from", table(here, [HEAD, *rows]))
    assert value_at(here, "compositional_skills/x")["seed_examples"] == [
        {"context": "x", "question": "a?", "answer": "b"},
        {"question": "c?", "answer": "d"},
    ]


def test_every_row_is_named_that_is_not_used(here):
    rows = [*BIRDS, BIRDS[2], ["Q?", "", "x"], ["", "", ""], ["", "A.", "x"], BIRDS[4]]
    result = run(WREN, "--from", table(here, [[*HEAD, "Notes"], *rows]))
    assert result.stdout.split("\n")[:7] == [
        "knowledge/birds/wren: 15 rows of birds.csv",
        "skipped row 17: it is the same as row 4",
        "skipped row 18: it has no answer",
        "skipped row 20: it has no question",
        "skipped row 21: it is the same as row 6",
        "skipped 1 blank row",
        "note: the column `Notes` is not used",
    ]


def test_too_few_rows_are_written_and_check_says_what_is_missing(here):
    result = run(WREN, "--from", table(here, [HEAD, *BIRDS[:4]]))
    assert result.exit_code == 0
    assert {d.code.id for d in findings(here) if d.span.path.endswith("qna.yaml")} == {"T106"}


def test_a_table_may_hold_several_leaves(here):
    rows = [["a?", "b", "", "compositional_skills/x"], ["c?", "d", "e", WREN]]
    rows += [["f?", "g", "", "Compositional_Skills/x"], ["h?", "i", "", ""]]
    name = table(here, [[*HEAD, "Path"], *rows])
    result = run("--from", name)
    assert result.exit_code == 0
    assert "skipped row 5: it names no leaf" in result.stdout
    questions = [s["question"] for s in value_at(here, "compositional_skills/x")["seed_examples"]]
    assert questions == ["a?", "f?"]
    assert value_at(here)["seed_examples"][0]["context"] == "e"


def test_several_leaves_are_written_all_or_none(here):
    run(WREN)
    before = files(here)
    rows = [["a?", "b", "", "compositional_skills/x"], ["c?", "d", "e", WREN]]
    name = table(here, [[*HEAD, "leaf"], *rows])
    before[name] = (here / name).read_bytes()
    result = run("--from", name)
    assert (result.exit_code, files(here)) == (2, before)
    assert "row 3" in result.stderr


@pytest.mark.parametrize(
    "words, rows, said",
    [
        ((WREN,), [["Question", "Answer"], ["a", "b"]], "needs the column `context`"),
        ((WREN,), [["Question", "Answer", "Contxt"], ["a", "b", "c"]], "--columns context=Contxt"),
        ((WREN,), [HEAD, ["a", "", "c"]], "no row of it can be used"),
        ((WREN,), [["Frage", "Antwort"], ["a", "b"]], "no column is named"),
        ((), [HEAD, ["a", "b", "c"]], "column `leaf`"),
        ((WREN, "--columns", "qestion=x"), [HEAD], "did you mean `question`?"),
        ((WREN, "--columns", "question"), [HEAD], "is not such as"),
    ],
)
def test_a_table_that_makes_no_leaf_says_why(here, words, rows, said):
    name = table(here, rows)
    before = files(here)
    result = run(*words, "--from", name)
    assert (result.exit_code, files(here)) == (2, before)
    assert said in " ".join(result.stderr.split())


def test_columns_in_another_language(here):
    name = table(here, [["Frage", "Antwort", "Text"], ["Was?", "Das.", "Da."]])
    run(WREN, "--from", name, "--columns", "question=Frage, answer=Antwort,context=Text")
    assert value_at(here)["seed_examples"][0]["context"] == "Da."


def test_another_encoding_is_a_coded_error(here):
    (here / "t.csv").write_bytes(b"question,answer\nW\xe4r?,Nein\n")
    before = files(here)
    result = run("compositional_skills/x", "--from", "t.csv")
    assert (result.exit_code, files(here)) == (1, before)
    assert "error[S005] not-utf8" in result.stdout
    assert "t.csv:2:2" in result.stdout


def test_what_a_table_holds_does_not_steer_the_terminal(here):
    rows = [[*HEAD, "leaf"], ["a?", "b", "", "\x1b[31mx/\x07"]]
    result = run("--from", table(here, rows))
    assert result.exit_code == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", result.output)
