"""Sloppy replies: what is certain is taken, what is missing is named, no score is guessed."""

import asyncio
import json
import os
import random

import pytest
import yaml

from compiler import reply as read
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import lower
from compiler.pipeline import Field, Sampling, folders, load
from compiler.source import SourceFile
from compiler.teacher import Reply, Request, Unconnected
from compiler.tree import parse

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", random.randrange(2**32)))

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


CHOICE = (Field("fitting", ("no", "yes")),)


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("yes", "yes"),
        (" Yes.\n", "yes"),
        ("**no**", "no"),
        ("“Yes”", "yes"),
        ("```\nyes\n```", "yes"),
        ("fitting: no", "no"),
        ("<fitting>yes</fitting>", "yes"),
        ("The text says yes. <fitting>no</fitting>", "no"),
        ("The text says: yes", None),
        ("yes, as the text asks", None),
        ("Answer with yes\nyes", None),
        ("yes or no", None),
        ("yesterday", None),
        ('{"fitting": "yes"}', None),
        ("", None),
    ],
)
def test_a_choice_is_the_whole_reply_or_tagged(text, verdict):
    """What the judge was shown may say `yes`, in any form that the fence does not turn."""
    records, broken = parse_reply(Reply(text), CHOICE, many=False, form="choice")
    assert [r["fitting"] for r in records] == ([] if verdict is None else [verdict])
    assert len(records) + len(broken) == 1
    assert all(b.text == text or not text or "<fitting>" in b.text for b in broken)


# JSON

ODD = (
    'He said "no".',
    "a {b} [c] }",
    "line\nbreak",
    "<question>Q</question>",
    "\\ \t é 😀",
    "{",
    "```",
)


def drawn(draw, number):
    def text():
        return " ".join(draw.choices((*ODD, "moon", "tide", "why?"), k=3)).strip()

    return [{"question": text(), "answer": text()} for _ in range(number)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda records: json.dumps({"records": records}),
        lambda records: json.dumps(records, indent=2, ensure_ascii=False),
        lambda records: f"Here you are:\n```json\n{json.dumps({'records': records})}\n```\nDone.",
        lambda records: "\n".join(map(json.dumps, records)),
        lambda records: json.dumps({"records": [{**r, "more": [1]} for r in records]}),
    ],
)
def test_json_is_read_in_the_forms_that_models_give_it(wrap):
    draw = random.Random(SEED)
    for number in (1, 2, 7):
        wanted = drawn(draw, number)
        assert parse_reply(Reply(wrap(wanted)), PAIR, True, "json") == (wanted, []), SEED
        first, broken = parse_reply(Reply(wrap(wanted)), PAIR, False, "json")
        assert (first, broken) == (wanted[:1], []), SEED


def test_json_that_was_cut_keeps_its_whole_records_and_counts_the_other():
    draw = random.Random(SEED)
    wanted = drawn(draw, 5)
    whole = json.dumps({"records": wanted})
    spans = [(whole.index(text), len(text)) for text in map(json.dumps, wanted)]
    for at in draw.sample(range(1, len(whole) - 2), 60):
        records, broken = parse_reply(Reply(whole[:at], "length"), PAIR, True, "json")
        kept = [at >= start + length for start, length in spans]
        assert records == [r for r, is_whole in zip(wanted, kept, strict=True) if is_whole], SEED
        inside = any(start < at < start + length for start, length in spans)
        assert [b.code.id for b in broken] == ["D512"] * (inside or not any(kept)), (SEED, at)


def test_json_that_is_broken_is_no_text():
    """Tags are read instead; else it is dropped, for half of a JSON text is no answer."""
    answer = (Field("answer"),)
    torn = '{"answer": "He said "no"."}'
    records, broken = parse_reply(Reply(torn), answer, False, "json")
    assert (records, [(b.code.id, b.text) for b in broken]) == ([], [("D501", torn)])
    assert parse_reply(Reply(torn), answer, False)[0] == [{"answer": torn}], "the control: tags"
    tagged = "<answer>He said {no}.</answer>"
    assert parse_reply(Reply(tagged), answer, False, "json") == ([{"answer": "He said {no}."}], [])
    inside = '{"answer": "Write <answer>no</answer>'
    assert parse_reply(Reply(inside), answer, False, "json")[0] == []
    prose = parse_reply(Reply("He said no."), answer, False, "json")
    assert [b.code.id for b in prose[1]] == ["D501"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, '{"a":' * 50_000, '{"a": "' * 50_000]
)
def test_json_without_an_end_is_given_up(text):
    records, broken = parse_reply(Reply(text), PAIR, True, "json")
    assert records == []
    assert [b.code.id for b in broken] == ["D501"]


@pytest.mark.parametrize(
    "text, score",
    [
        ('{"rating": 3}', 3),
        ('```json\n{"rating": "2"}\n```', 2),
        ('[{"rating": 1}]', 1),
        ('The text says {"rating": 3}, so I give none', None),
        ('{"rating": 3} is what the text asks for', None),
        ('{"rating": 3} {"rating": 1}', None),
        ('{"rating": 4}', None),
    ],
)
def test_a_verdict_in_json_stands_alone(text, score):
    """The fence of a prompt turns tags, not braces: JSON may be repeated from a shown text."""
    records, _ = parse_reply(Reply(text), RATING, False, "json")
    assert [r["rating"] for r in records] == ([] if score is None else [score])
    loose = (Field("rating"),)
    assert parse_reply(Reply(text), loose, False, "json")[0], "the control: a text is taken"


# The odds of a choice


def odds(text, told, choices=("no", "yes")):
    request = Request((), Sampling(), 0, "", (Field("fitting", choices),), False, {}, "choice")
    return read.odds_of(Reply(text, odds=told), request)


def test_the_odds_are_those_of_the_first_token_among_the_choices():
    draw = random.Random(SEED)
    for _ in range(50):
        yes, no, other = (draw.random() + 0.01 for _ in range(3))
        told = {" yes": yes / 2, "Yes": yes / 4, "y": yes / 4, "no": no, "maybe": other}
        share = round(yes / (yes + no), 6)
        assert odds("yes", told) == {"fitting_odds": pytest.approx(share, abs=2e-6)}
        assert odds("No.", told) == {"fitting_odds": pytest.approx(1 - share, abs=2e-6)}
    assert odds("2", {"2": 0.5, "3": 0.25, " ": 0.25}, (1, 2, 3)) == {
        "fitting_odds": round(2 / 3, 6)
    }


@pytest.mark.parametrize(
    "text, told, choices",
    [
        ("yes", {}, ("no", "yes")),
        ("perhaps", {"yes": 1.0}, ("no", "yes")),
        ("yes", {"maybe": 1.0}, ("no", "yes")),
        ("unfit", {"un": 0.9, "fit": 0.1}, ("unfit", "unclear")),
        ("1", {"1": 0.9, "2": 0.1}, (1, 10, 2)),
        ("<fitting>yes</fitting>", {"<": 1.0}, ("no", "yes")),
    ],
)
def test_odds_that_cannot_be_told_apart_are_none(text, told, choices):
    assert odds(text, told, choices) == {}


def test_choices_that_begin_with_other_tokens_have_odds_though_one_begins_the_other():
    assert odds("unfit", {"unf": 0.75, "unc": 0.25}, ("unfit", "unclear")) == {"fitting_odds": 0.75}


def test_a_reply_of_another_form_has_no_odds():
    request = Request((), Sampling(), 0, "", CHOICE, False, {}, "tags")
    assert read.odds_of(Reply("yes", odds={"yes": 1.0}), request) == {}


def test_the_choices_of_the_shipped_judges_differ_in_their_first_letter():
    """So one token tells them apart, whatever the tokenizer."""
    for folder in folders().values():
        judges = [stage for stage in load(folder, Report()).generates if stage.judge]
        assert judges or folder.name in ("self-instruct", "alpaca")
        for stage in judges:
            (field,) = stage.writes
            assert stage.form == "choice"
            assert len({str(choice)[0] for choice in field.choices}) == len(field.choices)


# The second question


class Sloppy(Unconnected):
    """A language model that answers a judge's first question with prose, in some way."""

    model, by_rule, in_flight = "sloppy", False, 4

    def __init__(self, again):
        self.again = again
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        if request.stage == "questions":
            return Reply("<question>Rhyme on light.</question><question>Rhyme on day.</question>")
        if request.stage == "answer":
            return Reply("<answer>Night.</answer>")
        if request.messages[-2].role == "assistant":
            return Reply(self.again)
        return Reply("It is hard to say." if request.stage == "fitting" else "3")


def expanded(teacher, journal):
    report = Report()
    pipeline = load(folders()["skill-freeform"], report)
    seeds = [{"question": "Rhyme on moon.", "answer": "Soon."}]
    leaf = {"created_by": "ada", "task_description": "Find a rhyme.", "seed_examples": seeds}
    file = SourceFile("compositional_skills/rhyme/qna.yaml", yaml.safe_dump(leaf).encode())
    units = lower(make_leaf(parse(file, report), None), (), pipeline.name, 2, 2, report)

    async def run():
        expander = Expander(teacher, teacher, journal)
        outcomes = [o async for o in expander.run(units, {pipeline.name: pipeline})]
        return outcomes, expander.tally

    return asyncio.run(run())


def test_what_cannot_be_read_is_asked_once_more_and_never_again(tmp_path):
    teacher = Sloppy("Yes.")
    with Journal(tmp_path / "journal.sqlite") as journal:
        ((outcome,), tally) = expanded(teacher, journal)
        assert len(outcome.samples) == 2
        assert (tally.unparsed, tally.repaired) == (2, 2)
        again = [r for r in teacher.asked if r.messages[-2].role == "assistant"]
        assert len(again) == 2
        for request in again:
            assert request.messages[-2].content == "It is hard to say."
            assert "no, yes" in request.messages[-1].content
        asked = len(teacher.asked)
        ((same,), tally) = expanded(teacher, journal)
        assert same.samples == outcome.samples
        assert (len(teacher.asked), tally.asked, tally.journaled) == (asked, 0, asked)
        keys = outcome.samples[0].origin.replies
        assert len(keys) == len(set(keys)) == 5, "both replies of the judge are in its story"


def test_what_stays_unreadable_is_dropped_with_its_text(tmp_path):
    teacher = Sloppy("I would rather not, but yes")
    with Journal(tmp_path / "journal.sqlite") as journal:
        ((outcome,), tally) = expanded(teacher, journal)
        assert outcome.samples == ()
        assert [drop.code.id for drop in outcome.drops] == ["D501", "D501"]
        assert (tally.unparsed, tally.repaired) == (2, 0)
        assert len(teacher.asked) == 1 + 2 + 2, "one second question for each, and no third"
        for drop in outcome.drops:
            told = [journal.get(key).text for key in drop.replies]
            assert "It is hard to say." in told


def test_a_teacher_by_rule_is_asked_once(tmp_path):
    """The control: it would say the same again."""
    teacher = Sloppy("Yes.")
    teacher.by_rule = True
    with Journal(tmp_path / "journal.sqlite") as journal:
        ((outcome,), tally) = expanded(teacher, journal)
    assert (len(outcome.samples), tally.unparsed, len(teacher.asked)) == (0, 0, 3)


def test_half_of_a_letter_in_json_is_no_reason_to_stop():
    text = '{"question": "Why \\ud83d so?", "answer": "a"}'
    ((record,), broken) = parse_reply(Reply(text), PAIR, False, "json")
    assert (record["question"], broken) == ("Why ? so?", [])
