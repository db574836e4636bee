"""Files of samples that somebody else made: what an answer means, and what cannot be read."""

import datetime
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from compiler.datasets import DataError, read_samples


def rows(path, made):
    path.write_text("".join(json.dumps(one) + "\n" for one in made))
    return list(read_samples(path))


LABELS = {"text": ["2", "3", "1"], "label": ["1", "2", "3"]}


@pytest.mark.parametrize(
    "choices, answer, meant",
    [
        (["1", "2", "3"], "2", "2"),
        (["1", "2", "3"], 2, "3"),
        ([1, 2, 3], "2", "2"),
        (["x", "y"], "1", "y"),
        (["x", "y"], 0, "x"),
        (["x", "y"], "B", "y"),
        (["x", "y"], "y", "y"),
        (["x", "y"], 7, "7"),
        (LABELS, "2", "3"),
        (None, "2", "2"),
    ],
)
def test_a_number_is_a_choice_only_where_it_can_be_nothing_else(choices, answer, meant, tmp_path):
    made = {"question": "Q?", "choices": choices, "answer": answer}
    (entry,) = rows(tmp_path / "a.jsonl", [made])
    assert entry.answer == meant


def parquet(path, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


FAR = pyarrow.array([2**45], pyarrow.timestamp("s"))


def test_parquet_is_read_in_the_columns_that_are_needed(tmp_path):
    path = parquet(tmp_path / "a.parquet", question=["Q?"], answer=["A"], made=FAR)
    (entry,) = read_samples(path)
    assert (entry.question, entry.answer) == ("Q?", "A")
    for columns in ({"question": ["Q?"], "answer": FAR}, {"made": FAR}):
        with pytest.raises(DataError) as wrong:
            list(read_samples(parquet(tmp_path / "b.parquet", **columns)))
        assert "\n" not in str(wrong.value)
    held = pyarrow.array([datetime.date(2020, 1, 1)])
    assert len(list(read_samples(parquet(tmp_path / "c.parquet", prompt=["p"], made=held)))) == 1


def test_damaged_files_say_so_in_one_line(tmp_path):
    packed = bytearray(gzip.compress(json.dumps({"question": "Q?" * 9}).encode()))
    packed[10] ^= 0xFF
    whole = parquet(tmp_path / "whole.parquet", question=["Q?" * 999]).read_bytes()
    data = {
        "a.jsonl.gz": bytes(packed),
        "a.parquet": whole[:4] + b"\xff" * 40 + whole[44:],
    }
    for name, damaged in data.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError) as wrong:
            list(read_samples(tmp_path / name))
        assert "\n" not in str(wrong.value)


def test_a_sample_of_any_depth_is_read_or_refused(tmp_path):
    verdicts = set()
    for depth in range(500, 1100, 7):
        (tmp_path / "a.jsonl").write_text('{"question": ' + "[" * depth + "]" * depth + "}")
        try:
            verdicts.add(len(list(read_samples(tmp_path / "a.jsonl"))))
        except DataError as wrong:
            verdicts.add(str(wrong))
    assert {1, "it is not JSON that can be read (line 1)"} <= verdicts


@pytest.mark.parametrize("column", ["question", "answer", "context"])
def test_half_of_a_character_is_named_with_its_line(column, tmp_path):
    good = {"question": "q", "answer": "a", "context": "c"}
    assert len(rows(tmp_path / "a.jsonl", [good, {**good, column: "\U0001f600"}])) == 2
    with pytest.raises(DataError) as wrong:
        rows(tmp_path / "a.jsonl", [good, {**good, column: "\ud800"}])
    assert wrong.value.line == 2


def test_a_long_field_of_a_table_is_read(tmp_path):
    long = "x" * 2_000_000
    (tmp_path / "a.csv").write_text(f"question,answer\nQ?,{long}\n")
    (entry,) = read_samples(tmp_path / "a.csv")
    assert entry.answer == long
