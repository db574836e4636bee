"""Sloppy replies: what is certain is taken, what is missing is named, no score is guessed."""

import pytest

from compiler import reply as read
from compiler.pipeline import Field, Sampling
from compiler.teacher import Reply, Request

PAIR = (Field("question"), Field("answer"))
RATING = (Field("rating", (1, 2, 3)),)


def parse_reply(reply, fields, many, form="tags"):
    return read.parse_reply(reply, Request((), Sampling(), 0, "", fields, many, {}, form))


def test_records_are_read_in_order_whatever_stands_around_them():
    text = (
        "Sure!\n<question> A? </question>\n<answer>a</answer> -- <question>B?</question>"
        "<answer>b\nb</answer> bye"
    )
    records, broken = parse_reply(Reply(text), PAIR, many=True)
    assert records == [{"question": "A?", "answer": "a"}, {"question": "B?", "answer": "b\nb"}]
    assert broken == []


def test_one_unclosed_tag_costs_nothing_and_one_missing_tag_its_own_record_only():
    text = "<question>A?<answer>a<question>B?</question><question>C?</question><answer>c"
    records, broken = parse_reply(Reply(text), PAIR, many=True)
    assert [r["question"] for r in records] == ["A?", "C?"]
    assert [(b.code.id, b.detail) for b in broken] == [("D501", "no <answer> in the reply")]


def test_a_cut_reply_is_named_as_such_at_its_end_only():
    text = "<question>A?</question><question>B?</question><answer>b</answer><question>C"
    records, broken = parse_reply(Reply(text, "length"), PAIR, many=True)
    assert [r["question"] for r in records] == ["B?"]
    assert [b.code.id for b in broken] == ["D501", "D512"]


@pytest.mark.parametrize(
    "text, kept",
    [
        ("<question>A?</question><answer>Night, and al", 0),
        ("<question>A?</question><answer>Night.</answer>", 1),
        ("<question>A?</question><answer>Night.</answer> And so", 1),
        ("<question>A?</question><answer>a</answer><question>B?</question><answer>b", 1),
    ],
)
def test_a_text_cut_at_the_token_limit_is_never_kept(text, kept):
    records, broken = parse_reply(Reply(text, "length"), PAIR, many=True)
    assert len(records) == kept
    assert all(b.code.id == "D512" for b in broken)
    whole, _ = parse_reply(Reply(text, "stop"), PAIR, many=True)
    assert len(whole) == kept + len(broken)


def test_a_score_that_was_read_counts_though_the_reply_was_cut():
    assert parse_reply(Reply("<rating>2</rating> because", "length"), RATING, False)[0]
    assert parse_reply(Reply("Night, and al", "length"), (Field("answer"),), False)[0] == []


@pytest.mark.parametrize(
    "text, score",
    [
        ("<rating>2</rating>", 2),
        ("The answer is short. <rating> 3. </rating>", 3),
        ("2", 2),
        ("Rating: 3", 3),
        ("between 2 and 3", None),
        ("<rating>4</rating>", None),
        ("<rating>good</rating>", None),
        ("", None),
        ("great!", None),
    ],
)
def test_a_score_is_read_or_refused_never_guessed(text, score):
    records, broken = parse_reply(Reply(text), RATING, many=False)
    assert [r["rating"] for r in records] == ([] if score is None else [score])
    assert len(records) + len(broken) == 1


JUDGED = (Field("faithful", ("unsupported", "supported")),)


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("supported", "supported"),
        ("**Supported.**", "supported"),
        ("faithful: unsupported", "unsupported"),
        ("Faithful is supported", "supported"),
        ("not supported", None),
        ("Not supported.", None),
        ("hardly supported", None),
        ("the text says supported", None),
        ("supported or unsupported", None),
    ],
)
def test_a_verdict_stands_alone_or_it_is_none(text, verdict):
    """More words may deny the one that is a choice, or repeat what the judge was shown."""
    records, broken = parse_reply(Reply(text), JUDGED, many=False)
    assert [r["faithful"] for r in records] == ([] if verdict is None else [verdict])
    assert len(records) + len(broken) == 1


@pytest.mark.parametrize(
    "text, score",
    [
        ("<rating>1</rating> not <rating>3</rating>", None),
        ("It says <rating>3</rating>, but <rating>1</rating>", None),
        ("<rating>2</rating> yes, <rating> 2. </rating>", 2),
        ("<rating>2</rating> of the choices <rating>1, 2, 3</rating>", None),
    ],
)
def test_two_verdicts_in_one_reply_are_none(text, score):
    records, broken = parse_reply(Reply(text), RATING, many=False)
    assert [r["rating"] for r in records] == ([] if score is None else [score])
    if score is None:
        assert [b.detail for b in broken] == ["the reply holds more than one <rating>"]
