"""`fix` repairs what it names and nothing else; what it cannot be sure of it leaves."""

import os
import random
import re
import subprocess
from collections import Counter

import hypothesis
import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from compiler.codes import CATALOGUE, S003
from compiler.diagnostics import Report
from compiler.fix import fix
from compiler.fix.longtext import layout
from compiler.fix.sheet import Change, Edit, begin, exact, settle
from compiler.format import read_tree
from compiler.source import SourceFile
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill

HEAD = "version: 3\ncreated_by: ada\ntask_description: Rhyme.\nseed_examples:\n"
SEEDS = [f"  - question: What rhymes with {n}?\n    answer: Word {n}.\n" for n in "abcde"]
LEAF = HEAD + "".join(SEEDS)
LONG = (
    "A start-up trains a chat bot on articles that others wrote, and publishes what it makes: " * 2
)


def errors(data, path=SKILL):
    report = Report()
    read_tree(SourceFile(path, data), report)
    return report.errors, {d.code.id for d in report.diagnostics}


def fixed(text, path=SKILL):
    """What became of a text, after a look at what must hold for every text."""
    data = text if isinstance(text, bytes) else text.encode()
    done = fix(SourceFile(path, data))
    assert fix(SourceFile(path, done.data)).data == done.data
    assert (done.data == data) == (not done.repairs)
    before, after = errors(data, path), errors(done.data, path)
    if not before[1] & {"S001", "S005"}:
        assert after[0] <= before[0]
        assert after[1] <= before[1]
    return done


def become(text, path=SKILL):
    return fixed(text, path).data.decode()


def names(done):
    return [(r.code.id if r.code else None, r.span.line, r.message) for r in done.repairs]


def example(lines):
    """A leaf whose first example has these lines, indented as they are."""
    return HEAD + lines + "".join(SEEDS[1:])


@pytest.mark.parametrize("value, path", [(skill(), SKILL), (knowledge(), KNOWLEDGE)])
def test_a_good_leaf_stays_as_it_is(value, path):
    done = fixed(yaml.safe_dump(value, sort_keys=False), path)
    assert done.repairs == ()
    assert done.diff() == ""


TEXT = [
    ("spaces", LEAF.replace("ada\n", "ada  \n"), LEAF, ("S003", 2)),
    ("a lone space", LEAF.replace("- question", "-  question"), None, None),
    ("no line end", LEAF.rstrip("\n"), LEAF, ("S004", 14)),
    ("blank end", LEAF + "\n \n\n", LEAF, (None, 14)),
    ("spaces at the end", LEAF.rstrip("\n") + "  \n", LEAF, ("S003", 14)),
    ("spaces, no line end", LEAF.rstrip("\n") + "  ", LEAF, ("S004", 14)),
    ("comment", LEAF + "# the end \n", LEAF + "# the end\n", ("S003", 15)),
    ("mixed", LEAF.replace("ada\n", "ada\r\n"), LEAF, (None, 2)),
    ("windows", LEAF.replace("\n", "\r\n"), None, None),
    ("windows, no line end", LEAF.replace("\n", "\r\n")[:-2], LEAF.replace("\n", "\r\n"), None),
]


@pytest.mark.parametrize("before, after, said", [t[1:] for t in TEXT], ids=[t[0] for t in TEXT])
def test_lines_end_as_the_format_asks(before, after, said):
    done = fixed(before)
    assert done.data.decode() == (after or before)
    if said:
        assert [name[:2] for name in names(done)] == [said]


def test_spaces_in_a_text_are_removed_by_name_only_where_they_are_an_error():
    text = example("  - question: |\n      One  \n      two\n        \n\n    answer: A\n")
    done = fixed(text)
    assert ("S003", 6, "white space at line ends removed from the text of `question`") in names(
        done
    )
    assert yaml.safe_load(done.data)["seed_examples"][0]["question"] == "One\ntwo\n"
    old = text.replace("version: 3\n", "").replace(SEEDS[4], "")
    assert become(old) == old, "version 1 has no such rule, and four examples fit no later one"
    kept = example("  - question: |+\n      One\n\n    answer: A\n")
    assert become(kept) == kept
    only = example("  - question: A\n    answer: |2\n          \n")
    assert become(only) == only, "an empty text is an error of its own"


def test_the_last_line_end_may_be_part_of_a_text():
    text = HEAD + "".join(SEEDS[1:]) + "  - question: A\n    answer: |\n      B"
    done = fixed(text)
    assert done.data.decode() == text + "\n"
    kept = text.replace("|", "|-")
    assert yaml.safe_load(fixed(kept).data) == yaml.safe_load(kept)


def test_encodings_that_are_certain():
    assert become(b"\xef\xbb\xbf" + LEAF.encode()) == LEAF
    wide = fixed(LEAF.encode("utf-16"))
    assert wide.data.decode() == LEAF
    assert [name[:2] for name in names(wide)] == [("S005", 1)]
    for guess in (
        LEAF.replace("ada", "adé").encode("latin-1"),
        LEAF.encode("utf-32"),
        b"\xff\xfe\0",
    ):
        assert fixed(guess).data == guess


@pytest.mark.parametrize(
    "typed, right",
    [
        ("anser", "answer"),
        ("Answer", "answer"),
        ("anwser", "answer"),
        ('"answers"', "answer"),
        ("contex", "context"),
        ("reply", "reply"),
        ("questoin", "questoin"),
    ],
)
def test_typos_of_the_one_key_that_is_missing(typed, right):
    text = example(f"  - question: A # why\n    {typed}: B\n")
    assert become(text) == text.replace(typed, right)


def test_typos_at_the_top():
    text = LEAF.replace("created_by", "createdby").replace("seed_examples", "Seed Example")
    done = fixed(text)
    assert done.data.decode() == LEAF
    assert names(done) == [
        ("T102", 2, "the key `createdby` spelt `created_by`"),
        ("T102", 4, "the key `Seed Example` spelt `seed_examples`"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "  - question: A\n    anser: B\n    Answer: C\n",
        "  - question: A\n    answer: B\n    anser: C\n",
        "  - question: A\n    anser: 3\n",
        "  - question: A\n    anser: [B]\n",
        "  - question: A\n    anser: B\n    anser: C\n",
    ],
)
def test_doubtful_typos_stay(lines):
    assert become(example(lines)) == example(lines)


def test_a_version_is_added_where_the_leaf_fits_it():
    bare = LEAF.removeprefix("version: 3\n")
    assert become(bare) == LEAF
    assert [name[0] for name in names(fixed(bare))] == ["T101"]
    assert become(bare.replace("\n", "\r\n")) == LEAF.replace("\n", "\r\n")
    few = bare.replace(SEEDS[4], "")
    assert become(few) == few
    wrong = bare.replace("Word c.", "").replace("answer", "attribution", 1)
    assert "version" not in become(wrong)
    spaced = bare.replace("Word c.", "|\n      Word  \n      c.")
    assert become(spaced) == LEAF.replace("Word c.", "|\n      Word\n      c.")
    top = yaml.safe_dump(knowledge(), sort_keys=False).removeprefix("version: 3\n")
    assert errors(top.encode(), KNOWLEDGE)[1] == {"T109"}
    assert become(top, KNOWLEDGE) == f"version: 3\n{top}"
    assert become(LEAF.replace("version: 3", "version:")) == LEAF


def test_a_version_stays_with_the_right_comment():
    bare = LEAF.removeprefix("version: 3\n")
    about = "# who wrote it\n"
    assert become(f"---\n{about}{bare}") == f"---\nversion: 3\n{about}{bare}"
    editor = "# yaml-language-server: $schema=x.json\n"
    assert become(editor + bare) == editor + LEAF
    assert become(f"{about}\n{bare}") == f"{about}\n{LEAF}"


def test_a_version_is_a_number():
    done = fixed(LEAF.replace("version: 3", "version: '3' # now"))
    assert done.data.decode() == LEAF.replace("version: 3", "version: 3 # now")
    assert [name[:2] for name in names(done)] == [("T103", 1)]
    for other in ("'4'", "three", "3.5"):
        text = LEAF.replace("version: 3", f"version: {other}")
        assert become(text) == text


def test_keys_move_with_their_comments():
    text = (
        "---\n"
        "created_by: ada # me\n"
        "\n"
        "# the examples\n"
        "# of this leaf\n"
        "seed_examples:\n" + SEEDS[0] + "  # two\n" + "".join(SEEDS[1:]) + "  # last\n"
        "task_description: |\n"
        "  Rhyme.\n"
        "version: 3\n"
    )
    head, _, rest = text.partition("\n# the")
    seeds, _, _ = rest.partition("task")
    assert become(text) == (
        "---\nversion: 3\ncreated_by: ada # me\ntask_description: |\n  Rhyme.\n" + "\n# the" + seeds
    )
    assert head


def test_a_question_stands_before_its_answer():
    text = example("  - answer: |\n      B\n\n      C\n\n    # why\n    question: A # so\n")
    assert become(text) == text, "a comment cannot stand behind the dash"
    text = text.replace("    # why\n", "")
    after = become(text)
    assert after == example("  - question: A # so\n\n    answer: |\n      B\n\n      C\n")
    top = yaml.safe_dump(knowledge(), sort_keys=True)
    assert yaml.safe_load(become(top, KNOWLEDGE)) == knowledge()
    assert list(yaml.safe_load(become(top, KNOWLEDGE))) != sorted(knowledge())


@pytest.mark.parametrize(
    "text",
    [
        example("  - answer: B\n    question: A\n    source: C\n"),
        example("  - answer: B\n      # whose\n\n    # is this\n\n    question: A\n"),
        example("  - answer: B\n    question: A\n    # the end\n"),
        example("  - {answer: B, question: A}\n"),
        example("  - answer: |+\n      B\n\n    question: A\n"),
        example("  - answer: B\n    question: A\n    question: C\n"),
        "# a head, or about the author?\n" + "".join(LEAF.splitlines(True)[1:]) + "version: 3\n",
        LEAF.replace("  -", "-").replace("    ", "  ").replace("task_description: Rhyme.\n", "")
        + "# - question: an old one\ntask_description: Rhyme.\n",
        example("  - answer: &b B\n    question: A\n  - question: *b\n    answer: C\n"),
    ],
)
def test_in_doubt_keys_stay(text):
    assert become(text) == text


def test_long_texts_are_folded():
    done = fixed(example(f"  - question: {LONG.strip().replace(':', ';')}\n    answer: B\n"))
    (repair,) = done.repairs
    assert (repair.code, repair.span.line) == (None, 5)
    assert max(map(len, done.data.decode().splitlines())) <= 100
    assert b"question: >-\n      A start-up" in done.data
    assert yaml.safe_load(done.data)["seed_examples"][0]["question"] == LONG.strip().replace(
        ":", ";"
    )


def test_texts_with_escaped_lines_are_written_out():
    text = example('  - question: "One\\n\\n  - \\"two\\"\\n"\n    answer: B\n')
    assert become(text) == example('  - question: |\n      One\n\n        - "two"\n    answer: B\n')


@pytest.mark.parametrize(
    "said",
    [
        f'"{LONG.strip()}" # why',
        f'&a "{LONG.strip()}"',
        f'!!str "{LONG.strip()}"',
        '"One \\ntwo"',
        '" One\\ntwo"',
        '"One\\n\\n"',
        '"One\\ttwo\\n"',
        '"One\\u2028two\\n"',
        '"One\\x07\\n"',
        '"x" ',
        "w" * 150,
    ],
)
def test_texts_that_no_layout_holds_stay(said):
    text = example(f"  - question: {said}\n    answer: B\n")
    assert become(text).rstrip() == re.sub(" +\n", "\n", text).rstrip()


def test_a_long_text_of_another_key_or_in_a_list_in_brackets_stays():
    for text in (
        LEAF.replace("ada", LONG.replace(":", "")[:150]),
        example(f'  - {{question: "{LONG.strip()}", answer: B}}\n'),
    ):
        assert become(text) == re.sub(" +\n", "\n", text)


@hypothesis.example("\n 0", 2)
@given(st.text(), st.integers(2, 30))
def test_a_layout_holds_the_text_to_the_letter(text, indent):
    if written := layout(text, indent, "\n", True):
        assert yaml.safe_load(f"a:\n{' ' * (indent - 1)}b: {written}\n") == {"a": {"b": text}}


SLIPS = [
    ("  - question: What is this: a test?\n", "What is this: a test?"),
    ("  - question: Why do we say it's: so?\n", "Why do we say it's: so?"),
    ("  - question: @ada asks why\n", "@ada asks why"),
    ("  - question: `ls` does what?\n", "`ls` does what?"),
    ("  - question: % of what?\n", "% of what?"),
    ("  - question: *Who* was it?\n", "*Who* was it?"),
    ("  - question: [Here](x.md) stands what?\n", "[Here](x.md) stands what?"),
    ('  - question: "Robin" is what?\n', '"Robin" is what?'),
    ("  - question: 'Ada's cat is what?'\n", "Ada's cat is what?"),
    ("  - question:What is it?\n", "What is it?"),
    ("  - question: |What is it?\n", "What is it?\n"),
    ("  - question: |- What is it?\n", "What is it?"),
    ("  - question: | What is it?\n        And why?\n", "What is it?\nAnd why?\n"),
    ("  - question: |\n  What is it?\n", "What is it?\n"),
    (
        "  - question: |\n      What is it?\n\nAnd why?\n   Or who?\n",
        "What is it?\n\nAnd why?\n   Or who?\n",
    ),
]


@pytest.mark.parametrize("line, told", SLIPS)
@pytest.mark.parametrize("at", [0, 4])
def test_certain_slips_of_syntax(line, told, at):
    lines = f"{line}    answer: 'B'   # kept\n"
    text = HEAD + "".join(SEEDS[:at]) + lines + "".join(SEEDS[at + 1 :])
    assert "S001" in errors(text.encode())[1]
    done = fixed(text)
    value = yaml.safe_load(done.data)
    expected = yaml.safe_load(LEAF)
    expected["seed_examples"][at] = {"question": told, "answer": "B"}
    assert value == expected
    assert {r.code.id for r in done.repairs} == {"S001"}
    assert done.repairs[0].span.line in range(5 + 2 * at, 5 + 2 * at + lines.count("\n"))
    kept = set(text.splitlines()) - set(lines.splitlines())
    assert kept <= set(done.data.decode().splitlines())
    assert "    answer: 'B'   # kept" in done.data.decode()


@pytest.mark.parametrize(
    "line",
    [
        "  - question: 'Ada' and 'Bob'\n    and: x: y\n",
        "  - question: 'Who are 'Ada' and Bob'\n",
        '  - question: "Who is it?\n',
        "  - question: | a | b |\n",
        "  - question: > 5 or less?\n",
        "  - question: What is this: a # test?\n",
        "  - question: What is this: a test,\n      on two lines?\n",
        "  - question: |\n  Ingredients:\n  eggs and: flour\n  salt\n",
        "  - source: What is this: a test?\n    question: A\n",
        "  - question: [a, b\n    - c\n",
        "  - question: What is this        answer: a test\n",
        "  - question: 'What's this     answer: a test'\n",
        "  - question: 'What' is this     answer: a test\n",
        "  - question: |What is this     answer: a test\n",
        "  - question: A\n    context: |\n      B\n   \t answer: C\n",
        "  - question: What: this\n    answer: B\n   created: x\n",
    ],
)
def test_other_slips_of_syntax_stay(line):
    text = example(f"{line}    answer: B\n")
    assert "S001" in errors(text.encode())[1]
    assert become(text) == text


def test_tabs_in_indents_where_their_width_does_not_matter():
    tabbed = LEAF.replace("  - q", "\t- q").replace("    a", "\t  a")
    assert yaml.safe_load(become(tabbed)) == yaml.safe_load(LEAF)
    code = tabbed.replace("Word c.", "|\n\t\t\tif x:\n\t\t\t\ty")
    assert become(code) == code, "here the text would depend on it"


def test_many_slips_in_one_file():
    text = LEAF.replace("What rhymes with", "It is: what")
    assert yaml.safe_load(become(text))["seed_examples"][4]["question"] == "It is: what e?"
    assert len(fixed(text).repairs) == 5


def test_a_change_that_breaks_its_promise_is_not_made():
    sheet = begin(SKILL, LEAF)
    at = LEAF.index("Word c.")
    for edit in (Edit(at, at + 4, ("Wort",)), Edit(at, at + 7), Edit(at, at, ("[",))):
        assert settle(sheet, [Change(None, "", at, (edit,))]) is sheet
    named = Change(
        None,
        "",
        at,
        (Edit(at, at + 7, ("''",)),),
        lambda v: v["seed_examples"][2].update(answer=""),
    )
    assert settle(sheet, [named]) is sheet, "the value is as named, but T104 is new"
    good = Change(S003, "", at, (Edit(at, at + 7, ("'Word c.'",)),))
    both = settle(sheet, [good, Change(None, "", 0, (Edit(0, 0, ("x: y\n",)),))])
    assert both.text == LEAF.replace("Word c.", "'Word c.'")
    assert settle(sheet, [good, good]) is sheet, "two changes of one place"


def test_places_are_those_of_the_file_as_it_was():
    text = (
        "seed_examples:\n" + "".join(SEEDS[:4]) + '  - anser: "B\\nC"\n    question: A\n'
        "task_description: Rhyme.  \ncreated_by: ada\nversion: '3'"
    )
    lines = text.splitlines()
    for code, line, message in names(fixed(text)):
        if "anser" in message or "line by line" in message:
            assert "anser" in lines[line - 1]
        if code == "S003":
            assert lines[line - 1].endswith("  ")
        if code in ("T103", "S004"):
            assert lines[line - 1].startswith("version")
    assert {"S003", "S004", "T102", "T103", None} == {name[0] for name in names(fixed(text))}


def test_what_is_no_leaf_or_too_large_stays():
    for path in ("curriculum.yaml", "knowledge/x/robin.yaml"):
        assert fixed(LEAF + "\n\n", path).repairs == ()
    large = LEAF + "# \n" * 400_000
    assert fixed(large).repairs == ()
    nested = "a: " + "[" * 5000 + " \n"
    assert fixed(nested).repairs == ()
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert fixed(bomb + " \n\n").repairs == ()


@pytest.mark.parametrize("end", ["", "\n", "\n\n  ", "\r\n"])
def test_the_diff_is_one_that_git_applies(tmp_path, end):
    text = (
        "seed_examples:\n" + "".join(SEEDS) + "task_description: Größe  \ncreated_by: ada"
    ).replace("\n", "\r\n" if "\r" in end else "\n") + end
    done = fixed(text)
    file = tmp_path / SKILL
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode())
    apply = ["git", "apply", "--whitespace=nowarn", "-"]
    subprocess.run(apply, cwd=tmp_path, input=done.diff().encode(), check=True)
    assert file.read_bytes() == done.data != text.encode()


STYLES = [
    LEAF,
    yaml.safe_dump(knowledge(), sort_keys=True),
    yaml.safe_dump(skill(task_description=LONG), width=1000, default_style='"'),
    HEAD.replace("version: 3\n", "# head\n")
    + "".join(
        f"- answer: |\n    One  \n\n    two {n}\n  # why\n  question: >-\n    Who\n    is {n}?\n\n"
        for n in "abcde"
    ),
]
BITS = [
    "\n",
    "\r\n",
    "\r",
    " ",
    "  ",
    "\t",
    ": ",
    "- ",
    "# c\n",
    "|",
    ">",
    "'",
    '"',
    "&a ",
    "*a",
    "\ufeff",
    "\x85",
    "\u2028",
    "é",
    "🐦",
    "\\n",
    "{",
    "]",
    "---\n",
    "anser: x\n",
    "<<: *a\n",
    "\0",
    "!!int ",
]


def mutated(text, draw):
    for _ in range(draw.randint(1, 6)):
        lines = text.splitlines(keepends=True) or [""]
        at, line = draw.randint(0, len(text)), draw.randrange(len(lines))
        kind = draw.randrange(6)
        if kind == 0:
            text = text[:at] + draw.choice(BITS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + draw.randint(1, 8) :]
        else:
            other = draw.randrange(len(lines))
            lines[line] = {
                2: "",
                3: lines[line] * 2,
                4: " " * draw.randint(1, 3) + lines[line],
                5: lines[other],
            }[kind]
            text = "".join(lines)
    return text


@seed(int(os.environ["TRIVIUM_TEST_SEED"]))
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.sampled_from(STYLES))
def test_no_text_breaks_it_and_no_value_changes_unnamed(number, text):
    text = mutated(text, random.Random(number))
    path = KNOWLEDGE if "domain" in text else SKILL
    done = fixed(text, path)
    for repair in done.repairs:
        assert repair.code is None or repair.code is CATALOGUE[repair.code.id]
    if not any(repair.code for repair in done.repairs):
        assert exact(value(done.data)) == exact(value(text.encode()))
    if "S001" not in errors(text.encode(), path)[1]:
        told = words(" ".join(repair.message for repair in done.repairs))
        before, after = words(value(text.encode())), words(value(done.data))
        assert not {*(before - after), *(after - before)} - {*told}


def value(data):
    """What YAML's own loader reads; why, where it reads nothing."""
    try:
        return yaml.safe_load(data.decode().removeprefix("\ufeff"))
    except Exception as wrong:
        return type(wrong).__name__


def words(read):
    """How often each word stands in the keys and values that were read."""
    if isinstance(read, dict):
        read = [*read, *read.values()]
    if isinstance(read, list):
        return sum(map(words, read), Counter())
    return Counter(re.findall(r"[^\W_]+", "" if read is None else str(read)))
