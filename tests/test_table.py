"""Tables as subject experts keep them: encodings, separators, columns, workbooks; no row lost."""

import csv
import datetime as dt
import io
import json
import os
import random
import zipfile

import openpyxl
import pytest

from compiler.diagnostics import Report
from compiler.draft.rows import by_leaf, harvest
from compiler.draft.table import read_table
from compiler.draft.table.shown import shown
from tests.conftest import SEED

PLAIN = "question,answer,context\nWhat is a wren?,A bird.,Wrens are birds.\n"


@pytest.fixture
def table(tmp_path):
    """Writes a file and reads it as a table."""

    def read(data, name="table.csv", report=None, **options):
        file = tmp_path / name
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_table(file, report or Report(), **options)

    return read


def texts(read):
    return [(row.number, *row.texts.values()) for row in read.rows]


def pairs(read):
    return [(row.texts["question"], row.texts["answer"]) for row in read.rows]


WREN = [(2, "What is a wren?", "A bird.", "Wrens are birds.")]


@pytest.mark.parametrize(
    "data, name",
    [
        (PLAIN.encode(), "t.csv"),
        (PLAIN.encode("utf-8-sig"), "t.CSV"),
        (b"\xff\xfe" + PLAIN.encode("utf-16-le"), "t.csv"),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "t.csv"),
        (PLAIN.replace("\n", "\r\n").encode(), "t.csv"),
        (PLAIN.replace(",", ";").encode(), "t.csv"),
        (PLAIN.replace(",", "\t").encode(), "t.csv"),
        (PLAIN.replace(",", "\t").encode(), "t.tsv"),
        (PLAIN.replace(",", "|").encode(), "t.csv"),
        (b"sep=;\r\n" + PLAIN.replace(",", ";").encode(), "t.csv"),
        (b"sep=~\n" + PLAIN.replace(",", "~").encode(), "t.csv"),
        (PLAIN.replace(",", ", ").encode(), "t.csv"),
        (PLAIN.replace("question,answer,context", "Questions,ANSWER, Passage ").encode(), "t.csv"),
        (PLAIN.replace("question,answer,context", "q,a,c").encode(), "t.csv"),
    ],
)
def test_what_spreadsheet_programs_write_is_read(table, data, name):
    assert texts(table(data, name)) == WREN


def test_a_separator_is_told_by_the_names_of_the_columns(table):
    text = "Question;Answer\nWhat, if any, is this, or that?;One, two, three\n"
    assert pairs(table(text)) == [("What, if any, is this, or that?", "One, two, three")]


@pytest.mark.parametrize(
    "data, place",
    [
        (b"question,answer\nW\xe4r es?,Nein\n", (2, 2)),
        ("question,answer\nWär\u00e9,".encode() + b"\xff\n", (2, 6)),
        (b"\xff\xfe" + "question,answer\nab".encode("utf-16-le") + b"\x00\xd8", (2, 3)),
        ("question,answer\na,b".encode("utf-16-le"), (1, 2)),
    ],
)
def test_another_encoding_is_s005_at_its_place(table, data, place):
    report = Report()
    assert table(data, report=report) is None
    assert [(d.code.id, d.span.line, d.span.column) for d in report.diagnostics] == [
        ("S005", *place)
    ]


def test_cells_may_have_lines_quotes_and_white_space(table):
    text = 'question,answer\n"  Say ""hi"" ?\r\n\r\n  twice  \r\n","a, b"\n'
    assert pairs(table(text)) == [('Say "hi" ?\n\n  twice', "a, b")]


@pytest.mark.parametrize(
    "text, said",
    [
        ('question,answer\na,b\n"c,d\ne,f\n', "line 3: a quote is never closed"),
        ('question,answer\na,"b" c\n', "line 2: text follows a closing quote"),
        ("Frage,Antwort\na,b\n", "--columns question=NAME"),
        ("Qestion,answer\na,b\n", "did you mean `Qestion`? then add `--columns question=Qestion`"),
        ("question,q,answer\na,b,c\n", "`question` and `q` both look like the question"),
        ("question,answer,answer\na,b,c\n", "both look like the answer"),
        ("\n\n", "the table is empty"),
        ("", "the table is empty"),
    ],
)
def test_a_table_that_cannot_be_made_out_says_why(table, text, said):
    with pytest.raises(ValueError) as wrong:
        table(text)
    assert said in str(wrong.value)


def test_columns_can_be_named(table):
    text = "Nr,Frage,Antwort,Question\n1,Was?,Das.,no\n"
    read = table(text, columns={"question": "frage", "answer": "Antwort"})
    assert pairs(read) == [("Was?", "Das.")]
    assert read.notes == ("the column `Nr` is not used", "the column `Question` is not used")


def test_a_column_that_is_nearly_one_of_ours_is_named(table):
    read = table("question,answer,Contxt\na,b,c\n")
    assert read.notes == (
        "the column `Contxt` is not used; if it is the context, add `--columns context=Contxt`",
    )


def test_titles_above_the_columns_are_named_and_skipped(table):
    read = table("Our questions,,\n,,\nquestion,answer,\na,b,\n")
    assert pairs(read) == [("a", "b")]
    assert [(s.number, s.reason[:15]) for s in read.skipped] == [(1, "it stands above")]


def test_a_json_line_is_a_row(table):
    lines = [
        {"Question": " a ", "answer": "b"},
        {"answer": 2.50, "Question": "c", "context": None},
        {"Question": "d", "answer": ["e"]},
        {"Question": "f"},
        [1],
        {"Question": "half \ud800", "answer": "g"},
        {"Question": True, "answer": "h"},
    ]
    text = "\n".join(map(json.dumps, lines)).replace("2.5", "2.50") + "\n\n{nothing}\n"
    read = table(text, "t.jsonl")
    assert texts(read) == [(1, "a", "b", ""), (2, "c", "2.50", ""), (7, "true", "h", "")]
    assert (read.word, read.blank) == ("line", 2)
    assert [(s.number, s.reason.split(":")[0]) for s in read.skipped] == [
        (3, "answer"),
        (4, "it has no answer"),
        (5, "it is no object with keys"),
        (6, "it holds half a character, which no file can"),
        (9, "it is no JSON"),
    ]


def workbook(rows, name="Sheet", merge=(), forms=None):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = name
    for row in rows:
        sheet.append(row)
    for area in merge:
        sheet.merge_cells(area)
    for cell, form in (forms or {}).items():
        sheet[cell].number_format = form
    return book


def saved(book):
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


HEAD = ["Question", "Answer", "Context"]


def test_a_workbook_says_what_people_see(table):
    rows = [HEAD, ["How many?", 3.0], ["How much?", 0.25], ["When?", dt.date(2024, 3, 5)]]
    rows += [["So?", True], ["Costs?", 1234.5], ["At?", dt.datetime(2024, 3, 5, 9, 30)]]
    forms = {"B3": "0%", "B4": "d mmmm yyyy", "B6": '#,##0.00 "EUR"', "B7": "h:mm AM/PM"}
    read = table(saved(workbook(rows, forms=forms)), "t.xlsx")
    answers = [row.texts["answer"] for row in read.rows]
    assert answers == ["3", "25%", "5 March 2024", "TRUE", "1,234.50 EUR", "9:30 AM"]


# What SheetJS, the usual renderer of these formats, makes of them; -0 is written 0.
SHOWN = [
    (0, "General", "0"),
    (3.0, "General", "3"),
    (0.1 + 0.2, "General", "0.3"),
    (1234.5, "#,##0", "1,235"),
    (1234567.891, "#,##0.00", "1,234,567.89"),
    (-1234.5, "#,##0.00_);(#,##0.00)", "(1,234.50)"),
    (0.256, "0.0%", "25.6%"),
    (5, '0.0" kg"', "5.0 kg"),
    (7, "000", "007"),
    (1234567.891, "0.00E+00", "1.23E+06"),
    (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
    (-3, '#,##0;-#,##0;"none"', "-3"),
    (0, '#,##0;-#,##0;"none"', "none"),
    (1234567.891, "#,##0.0,", "1,234.6"),
    (0.5, "?/?", "0.5"),
    (dt.datetime(2023, 7, 16), "dd/mm/yyyy", "16/07/2023"),
    (dt.datetime(2023, 7, 16), "mm-dd-yy", "2023-07-16"),
    (dt.datetime(2023, 7, 16), "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", "Sunday, July 16, 2023"),
    (dt.datetime(2023, 7, 16, 1, 30), "h:mm", "1:30"),
    (dt.datetime(2023, 7, 16, 13, 5, 9), "yyyy-mm-dd hh:mm:ss", "2023-07-16 13:05:09"),
    (dt.time(9, 5), "hh:mm", "09:05"),
    (dt.timedelta(hours=30, minutes=5), "[h]:mm:ss", "30:05:00"),
]


@pytest.mark.parametrize("value, form, text", SHOWN)
def test_a_number_format_is_followed(value, form, text):
    assert shown(value, form) == text


def test_a_merged_context_is_that_of_all_its_rows(table):
    rows = [
        HEAD,
        ["a", "b", "One."],
        ["c", "d"],
        ["e", "f"],
        ["g", "h", "Two."],
        [None],
        ["i", "j"],
    ]
    read = table(saved(workbook(rows, merge=["C2:C4", "C5:C7"])), "t.xlsx")
    contexts = [(row.number, row.texts["context"]) for row in read.rows]
    assert contexts == [(2, "One."), (3, "One."), (4, "One."), (5, "Two."), (7, "Two.")]
    assert read.blank == 1


def with_formula(data, cell, formula, value):
    """The workbook with a formula and the value that was saved with it; openpyxl writes none."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            text = old.read(item)
            if item.filename == "xl/worksheets/sheet1.xml":
                was = f'<c r="{cell}" t="n"><v>1</v></c>'.encode()
                assert was in text
                text = text.replace(was, f'<c r="{cell}"><f>{formula}</f>{value}</c>'.encode())
            new.writestr(item, text)
    return out.getvalue()


def test_a_formula_has_the_value_that_was_saved(table):
    data = saved(workbook([HEAD, ["Six sevens?", 1], ["Seven eights?", 1]]))
    data = with_formula(data, "B2", "6*7", "<v>42</v>")
    read = table(with_formula(data, "B3", "7*8", ""), "t.xlsx")
    assert pairs(read) == [("Six sevens?", "42")]
    assert [(s.number, "never calculated" in s.reason) for s in read.skipped] == [(3, True)]


def test_a_spreadsheet_error_is_no_answer(table):
    book = workbook([HEAD, ["a", "#DIV/0!"], ["b", "#1 is good!"]])
    read = table(saved(book), "t.xlsx")
    assert pairs(read) == [("b", "#1 is good!")]
    assert "#DIV/0!" in read.skipped[0].reason


def test_the_first_sheet_with_the_columns_is_read_and_others_are_named(table):
    book = workbook([["Notes"]], "Notes")
    sheet = book.create_sheet("Birds")
    sheet.append(HEAD)
    sheet.append(["a", "b"])
    other = book.create_sheet("Fish")
    other.append(HEAD)
    other.append(["c", "d"])
    book.create_sheet("Hidden").sheet_state = "hidden"
    data = saved(book)
    read = table(data, "t.xlsx")
    assert pairs(read) == [("a", "b")]
    assert read.notes[:2] == ("the sheet `Notes` was not read", "the sheet `Fish` was not read")
    assert len(read.notes) == 2
    assert pairs(table(data, "t.xlsx", sheet="Fish")) == [("c", "d")]
    with pytest.raises(ValueError, match="did you mean `Birds`"):
        table(data, "t.xlsx", sheet="Brids")


@pytest.mark.parametrize(
    "data, said",
    [
        (b"PK\x03\x04 no", "no XLSX"),
        (b"question,answer\n", "no XLSX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old `.xls`"),
    ],
)
def test_what_is_no_workbook_says_so(table, data, said):
    with pytest.raises(ValueError) as wrong:
        table(data, "t.xlsx")
    assert said in str(wrong.value)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(table):
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/workbook.xml", "w") as file,
    ):
        for _ in range(310):
            file.write(b"\0" * 1_000_000)
    with pytest.raises(ValueError, match="unpacked"):
        table(out.getvalue(), "t.xlsx")


def test_a_far_away_cell_does_not_make_a_table_endless(table):
    book = workbook([HEAD, ["a", "b"]])
    book.active["XFD1048576"] = "x"
    with pytest.raises(ValueError, match="cells"):
        table(saved(book), "t.xlsx")


def test_another_kind_of_file_is_refused(table):
    with pytest.raises(ValueError, match=r"`\.csv`, `\.tsv`, `\.xlsx`, `\.jsonl`"):
        table(b"", "t.ods")


def rows_of(table, lines, **options):
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return table(out.getvalue(), **options)


def test_a_context_is_carried_down_to_its_questions_and_no_further(table):
    read = rows_of(
        table,
        [
            HEAD,
            ["a", "b", "One."],
            ["c", "d", ""],
            ["e", "", "Two."],
            ["f", "g", ""],
            [],
            ["h", "i", ""],
            ["j", "k", "Three."],
        ],
    )
    found = harvest(read.rows, True, "row")
    assert [(e.question, e.context) for e in found.examples] == [
        ("a", "One."),
        ("c", "One."),
        ("f", "Two."),
        ("j", "Three."),
    ]
    assert found.carried == 2
    assert [s.number for s in found.skipped] == [7]
    as_skill = harvest(read.rows, False, "row")
    assert [e.context for e in as_skill.examples] == ["One.", "", "", "", "Three."]


def test_a_context_is_not_carried_into_another_leaf(table):
    read = rows_of(
        table,
        [[*HEAD, "leaf"], ["a", "b", "One.", "knowledge/x"], ["c", "d", "", "knowledge/y"]],
    )
    named, homeless = by_leaf(read, "")
    assert (list(named), homeless) == (["knowledge/x", "knowledge/y"], ())
    assert harvest(named["knowledge/y"], True, "row").examples == ()


@pytest.mark.parametrize("is_knowledge", [True, False])
def test_every_row_is_an_example_or_named_or_blank(table, is_knowledge):
    draw = random.Random(os.environ[SEED])
    for _ in range(40):
        lines = [
            [draw.choice(["", " ", "a", "b", "c?"]) for _ in range(3)]
            + [draw.choice(["", "x", "y"])]
            for _ in range(draw.randrange(30))
        ]
        read = rows_of(table, [[*HEAD, "leaf"], *lines])
        named, homeless = by_leaf(read, draw.choice(["", "x"]))
        harvests = [harvest(rows, is_knowledge, "row") for rows in named.values()]
        skipped = [
            s.number for s in (*read.skipped, *homeless, *(s for h in harvests for s in h.skipped))
        ]
        used = sum(len(h.examples) for h in harvests)
        assert len(set(skipped)) == len(skipped)
        assert used + len(skipped) + read.blank == len(lines)
