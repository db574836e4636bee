"""Options of the multiple choice, the general questions, and what may not be asked."""

import json
import random
from dataclasses import replace

import pytest

from compiler.diagnostics import Report
from training import seen
from training.data import Build, Sample


@pytest.fixture(scope="module")
def choices():
    from training.evaluate import choices

    return choices


def sample(question, answer, leaf="knowledge/a", branch="knowledge"):
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Sample(f"{leaf} {question} {answer}", messages, branch, leaf)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Tessim", "tessim."),
        ("Tessim", "The capital of Norvale is Tessim."),
        ("the six legs", "6 legs"),
        ("the colour red", "The color red!"),
        ("1,000 m", "1000 m"),
        ("ＡＢＣ", "abc"),
        ("...", "..."),
    ],
)
def test_near_answers(choices, left, right):
    assert choices.near(left, right)
    assert choices.near(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The capital of Norvale is Tessim", "The capital of Norvale is Ostrey"),
        ("12 metres", "13 metres"),
        ("100 m", "10 m"),
        ("3/4", "3-4"),
        ("Fluss", "Fuss"),
        ("pear wolf", "wolf pear"),
        ("...", "!"),
    ],
)
def test_other_answers(choices, left, right):
    assert not choices.near(left, right)
    assert not choices.near(right, left)


def test_options_are_of_the_leaf_first(choices):
    leaf = [sample(f"What is {n}?", f"number {n}") for n in range(100, 103)]
    rest = [sample(f"Who is {n}?", f"person {n}", "knowledge/b") for n in range(200, 209)]
    found = choices.Pool([*leaf, *rest], ()).options(leaf[0])
    assert found[0] == "number 100"
    assert set(found[1:3]) == {"number 101", "number 102"}
    assert len(found) == len(set(found)) == choices.MOST
    assert all(one.startswith("person") for one in found[3:])


def test_no_option_is_the_answer_in_other_words(choices):
    words = ["Six", "6", "six.", "It has six of them", "seven", "eight", "nine", "NINE"]
    asked = sample("How many?", "six")
    pool = choices.Pool([asked, *(sample(f"q {one}", one) for one in words)], ())
    right, *others = pool.options(asked)
    assert right == "six"
    assert {one.lower() for one in others} == {"seven", "eight", "nine"}


def test_too_few_answers_make_no_choice(choices):
    asked = sample("How many?", "six")
    assert choices.Pool([asked, *(sample(n, n) for n in ("two", "ten"))], ()).options(asked) == ()
    three = [sample(n, n) for n in ("two", "ten", "one")]
    assert len(choices.Pool([asked, *three], ()).options(asked)) == choices.FEWEST


def test_the_order_of_a_build_changes_no_option(choices):
    samples = [sample(f"What is {n}?", f"number {n}") for n in range(100, 160)]
    mixed = random.sample(samples, len(samples))
    first, second = choices.Pool(samples, ()), choices.Pool(mixed, ())
    assert [first.options(s) for s in samples] == [second.options(s) for s in samples]
    assert len({first.options(s)[1:] for s in samples}) > 30, "not the same for all"


def test_options_were_all_taught_or_are_all_new(choices):
    taught = [sample(f"What is {n}?", f"number {n}") for n in range(100, 110)]
    new = [sample(f"Who is {n}?", f"person {n}") for n in range(200, 209)]
    pool = choices.Pool(taught, new)
    assert all(one.startswith("person") for one in pool.options(new[0]))
    assert all(one.startswith("number") for one in pool.options(taught[0]))
    again = sample("Name 103.", "Number 103.")  # a taught answer, asked in new words
    assert all(one.lower().startswith("number") for one in pool.options(again))


# The general questions


@pytest.fixture(scope="module")
def general():
    from training.evaluate import general

    return general


def test_the_general_questions_that_are_shipped(general, choices):
    report = Report()
    found = general.read(general.SHIPPED, report)
    assert not report.diagnostics
    assert len(found) >= 100
    assert len({one.sample.branch for one in found}) >= 6
    assert not any(one.speak for one in found)
    for one in found:
        assert len(one.options) >= choices.FEWEST
        assert one.options[0] == one.sample.answer
        assert "?" in one.sample.question or one.sample.question.endswith(".")


GOOD = {"question": "What?", "answer": "a", "distractors": ["b", "c", "d"]}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "the line is no JSON"),
        ("[]", "the line is no object"),
        ({**GOOD, "question": " "}, "`question` is no text"),
        ({**GOOD, "answer": 3}, "`answer` is no text"),
        ({**GOOD, "topic": 3}, "`topic` is no text"),
        ({**GOOD, "distractors": "b"}, "`distractors` is no list of texts"),
        ({**GOOD, "distractors": ["b", "c"]}, "there are 2 distractors"),
        ({**GOOD, "distractors": ["b", "c", "A."]}, "two of the answer and the distractors are"),
        ({**GOOD, "question": "what ?"}, "the question stands in line 1 already"),
    ],
)
def test_a_line_that_is_no_question(general, tmp_path, line, why):
    path, report = tmp_path / "q.jsonl", Report()
    text = line if isinstance(line, str) else json.dumps(line)
    path.write_text(f"{json.dumps(GOOD)}\n\n{text}\n")
    assert general.read(path, report) is None
    (found,) = report.diagnostics
    assert (found.code.id, found.span.path, found.span.line) == ("E712", str(path), 3)
    assert found.message.startswith(why)


def test_files_without_questions(general, tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("empty", "binary", "absent", "."):
        report = Report()
        assert general.read(tmp_path / name, report) is None
        assert [one.code.id for one in report.diagnostics] == ["E712"], name
    (tmp_path / "good").write_text(json.dumps(GOOD) + "\n")
    (found,) = general.read(tmp_path / "good", Report())
    assert found.options == ("a", "b", "c", "d")


# What was seen in training


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("What eats a wren?", "what  EATS\n“a wren”", True),
        ("What eats a wren?", "Ｗhat eats\u200b a wren ?", True),
        ("Straße 3?", "STRASSE 3", True),
        ("What is 3 - 4?", "What is 3-4?", True),
        ("What is 3-4?", "What is 3/4?", False),
        ("What is 1.5?", "What is 15?", False),
        ("What eats a wren?", "What eats wrens?", False),
        ("???", "!!!", False),
    ],
)
def test_marks_of_questions(left, right, same):
    assert (seen.mark(left) == seen.mark(right)) is same


def test_what_was_taught_is_not_asked(build, general, tmp_path):
    from training.ask import Question
    from training.evaluate.questions import gather

    planted, other = build.heldout[0], build.heldout[1]
    shouted = {"role": "user", "content": f" {planted.question.upper()} !"}
    taught = replace(build.phase2[0], id="x", messages=(shouted, build.phase2[0].messages[-1]))
    cheat = replace(build, phase2=(*build.phase2, taught), validation=(planted,))
    known = general.read(general.SHIPPED, Report())
    known = (*known[:2], Question(planted, ("a", "b"), speak=False))
    report = Report()
    sets, left = gather(cheat, known, seen.marks([other]), report)
    assert left == {"validation": 1, "heldout": 2, "general": 1}
    assert [one.sample for one in sets["heldout"]] == list(build.heldout[2:])
    assert sets["validation"] == ()
    assert [one.code.id for one in report.diagnostics] == ["E708"] * 3
    assert f"heldout: 2 of {len(build.heldout)} questions stood in training" in "".join(
        one.message for one in report.diagnostics
    )
    honest = Report()
    sets, left = gather(build, known, frozenset(), honest)
    assert (left, honest.diagnostics) == ({}, ()), "the control: nothing is planted"
    assert len(sets["heldout"]) == len(build.heldout)
    assert gather(build, known, frozenset(), honest, own=False)[0]["trained"] == ()


def test_marks_are_kept_in_a_file(build, tmp_path):
    assert seen.read(tmp_path) is None
    seen.write(tmp_path, build.phase1)
    assert seen.read(tmp_path) == seen.marks(build.phase1)
    assert len(seen.marks(build.phase1)) == len({one.question for one in build.phase1})
    assert not seen.marks(build.phase1) & seen.marks(build.heldout)
    assert isinstance(build, Build)
