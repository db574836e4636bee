"""What is drawn, how often, and from where; and the checks that look at what came of it."""

import os
import pickle
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import chisquare

import compiler
from compiler.draw import (
    FILTERS,
    TESTS,
    BrokenDraw,
    Pool,
    Text,
    background,
    completed,
    draws,
    parses,
    reextract,
    same_code,
    tokens,
    vocabulary,
)
from tests.conftest import SEED

CHANCE = random.Random(os.environ[SEED])
SIX = ["constrain", "deepen", "concrete", "steps", "complicate", "broaden"]
UNLIKELY = 1e-6  # of a chi-square test that chance alone fails


def one(said, files=None):
    return draws({"column": said}, files or {})[0]


def seeds(number):
    """Seeds that no run has seen."""
    return [CHANCE.randbytes(8) for _ in range(number)]


def example(n):
    return {"context": "", "question": f"Question {n}?", "answer": f"Answer {n}."}


def test_each_of_six_operators_is_drawn_as_often_as_the_others():
    drawn = one({"from": SIX})
    counts = Counter(drawn.draw(Pool(), seed) for seed in seeds(6000))
    assert set(counts) == set(SIX)
    assert chisquare(list(counts.values())).pvalue > UNLIKELY
    assert chisquare([1200, *[960] * 5]).pvalue < UNLIKELY  # a control: a fifth too often for one


def test_weights_are_kept_to_and_a_zero_is_never_drawn():
    drawn = one({"from": ["a", "b", "c"], "weights": [1, 3, 0]})
    counts = Counter(drawn.draw(Pool(), seed) for seed in seeds(4000))
    assert set(counts) == {"a", "b"}
    assert chisquare([counts["a"], counts["b"]], [1000, 3000]).pvalue > UNLIKELY
    assert chisquare([counts["a"], counts["b"]]).pvalue < UNLIKELY


def test_several_are_different_and_no_more_than_there_are():
    pool = Pool([example(n) for n in range(10)], [example(n) for n in (11, 12)])
    six, made = draws(
        {"shown": {"from": "seeds", "number": 6}, "made": {"from": "pool", "number": 4}}, {}
    )
    for seed in seeds(20):
        shown = [each["question"] for each in six.draw(pool, seed)]
        assert len(set(shown)) == 6
        assert len(made.draw(pool, seed)) == 2
    assert made.draw(Pool(), b"") == []
    assert one({"from": "words"}).draw(Pool(), b"") is None


def test_the_same_seed_draws_the_same_and_columns_do_not_follow_each_other():
    both = draws({"a": {"from": SIX}, "b": {"from": SIX}}, {})
    pairs = [[d.draw(Pool(), seed) for d in both] for seed in seeds(100)]
    assert any(a != b for a, b in pairs)
    again = pickle.loads(pickle.dumps(both))
    assert again == both
    assert [d.draw(Pool(), b"seed") for d in again] == [d.draw(Pool(), b"seed") for d in both]


def test_a_draw_stays_what_it_is_on_every_machine():
    """Journals rest on it: change this only with a reason to ask everything again."""
    assert [one({"from": SIX}).draw(Pool(), bytes([n])) for n in range(6)] == [
        "concrete",
        "concrete",
        "broaden",
        "steps",
        "steps",
        "broaden",
    ]


def test_lists_come_from_files_by_line_and_as_yaml():
    files = {
        "audiences.txt": "# who reads it\nchildren\n\n  nurses \n".encode("utf-8-sig"),
        "kinds.yaml": b"- {name: deepen, how: Ask for more.}\n- 3\n",
    }
    assert one({"from": "audiences.txt"}, files).values == ("children", "nurses")
    kinds = one({"from": "kinds.yaml", "weights": [0, 1]}, files)
    assert kinds.values == ({"name": "deepen", "how": "Ask for more."}, 3)
    assert kinds.draw(Pool(), b"") == 3
    assert kinds.file == "kinds.yaml"


@pytest.mark.parametrize(
    "said, path, message",
    [
        (
            {"from": "sedes"},
            "from",
            "`sedes` is no file of the folder, and none of `lines`, `pool`",
        ),
        ({"from": "empty.txt"}, "from", "`empty.txt` holds no list of values"),
        ({"from": "map.yaml"}, "from", "`map.yaml` holds no list of values"),
        ({"from": "open.yaml"}, "from", "`open.yaml` is no YAML"),
        ({"from": "latin.txt"}, "from", "`latin.txt` is not UTF-8"),
        ({"from": "pool"}, "from", "the pool of the first round is empty"),
        (
            {"from": ["a", "b"], "weights": [1]},
            "weights",
            "2 values have 2 weights, and here are 1",
        ),
        ({"from": ["a", "b"], "weights": [0, 0]}, "weights", "a weight above 0 is missing"),
        ({"from": "seeds", "weights": [1]}, "weights", "a draw from `seeds` has no `weights`"),
        ({"from": ["a"], "least": 3}, "least", "a draw from a list has no `least`"),
        ({"from": "lines", "least": 9, "most": 3}, "least", "at least 9 lines are more than at"),
    ],
)
def test_a_draw_that_cannot_be_made_is_told_with_its_place(said, path, message):
    files = {
        "empty.txt": b"# nobody\n",
        "map.yaml": b"a: 1\n",
        "open.yaml": b"- [1\n",
        "latin.txt": b"caf\xe9\n",
    }
    with pytest.raises(BrokenDraw, match=re.escape(message)) as wrong:
        one(said, files)
    assert wrong.value.path == ("column", path)


def sources(number):
    """Files of this project: real text, with empty lines, blanks and letters of other scripts."""
    paths = sorted(Path(compiler.__file__).parent.rglob("*.py"))
    return [
        Text(path.name, f"blob{n}", path.read_text("utf-8"))
        for n, path in enumerate(CHANCE.sample(paths, number))
        if path.stat().st_size
    ]


def test_windows_have_every_length_of_1_to_15_lines_and_can_be_cut_out_again():
    texts = sources(20)
    pool = Pool(texts=texts)
    known = {one.blob: one.text for one in texts}
    drawn = one({"from": "lines", "least": 1, "most": 15})
    lengths = Counter()
    for seed in seeds(1500):
        found = drawn.draw(pool, seed)
        lengths[found["end"] - found["start"] + 1] += 1
        text = known[found["blob"]]
        assert reextract(text, found["start"], found["end"]).encode() == found["text"].encode()
        assert found["text"].strip()
        assert found == drawn.draw(pool, seed)
        assert reextract(text, found["start"] + 1, found["end"] + 1) != found["text"] or (
            len(set(text.split("\n")[found["start"] - 1 : found["end"] + 1])) == 1
        )
    assert sorted(lengths) == list(range(1, 16))
    assert chisquare([lengths[n] for n in range(1, 16)]).pvalue > UNLIKELY


def test_windows_of_short_and_blank_texts():
    blank, short = Text("b", "b", " \n\n\n\n\n"), Text("s", "s", "one\n\n\ntwo")
    pool = Pool(texts=[blank, short, Text("e", "e", "")])
    drawn = one({"from": "lines"})
    found = [drawn.draw(pool, seed) for seed in seeds(300)]
    assert {each["path"] for each in found} == {"s"}
    places = {(each["start"], each["end"]) for each in found}
    every = {(a, b) for a in range(1, 5) for b in range(a, 5)}
    assert places == every - {(2, 2), (3, 3), (2, 3)}
    assert one({"from": "lines", "least": 5}).draw(pool, b"") is None
    assert one({"from": "lines"}).draw(Pool(texts=[blank]), b"") is None
    several = one({"from": "lines", "number": 3}).draw(pool, b"")
    assert len({(each["start"], each["end"]) for each in several}) == 3


BIRDS = (
    "The robin's song is heard in the garden at dawn. "
    "Robins eat worms, and the song of a robin is loud at dawn."
)
SHIPS = (
    "The captain of the ship sails at dawn. The ship's sails are white, and the ship sails well."
)


def test_the_vocabulary_holds_what_a_leaf_speaks_of_and_others_do_not():
    elsewhere = background([[BIRDS], [SHIPS], ["At dawn the sun is red."]])
    birds = vocabulary([BIRDS], elsewhere)
    assert birds[0] == "robin"
    assert {"song", "garden", "worms"} <= set(birds)
    assert not {"the", "is", "at", "and", "ship", "don"} & set(birds)
    assert birds.index("dawn") > birds.index("song")
    plain = vocabulary([BIRDS], background([]))  # a control: without the others it is frequent
    assert plain.index("dawn") < plain.index("song")
    assert vocabulary([BIRDS], elsewhere, most=3) == birds[:3]


def test_the_vocabulary_knows_other_languages_and_scripts():
    none = background([])
    german = "Der Igel ist ein Tier und die Igel sind in der Nacht auf der Suche nach Futter."
    assert vocabulary([german], none)[0] == "Igel"
    assert not {"der", "ist", "sind", "nach"} & set(vocabulary([german], none))
    hindi = "पक्षी पेड़ पर बैठता है। पक्षी गीत गाता है।"
    assert vocabulary([hindi], none)[0] == "पक्षी"
    chinese = vocabulary(["机器学习是人工智能的一个分支。机器学习需要数据。"], none)
    assert {"人工智能", "机器学习", "数据"} <= set(chinese)
    assert all("的" not in word and "是" not in word for word in chinese)
    assert "プログラム" in vocabulary(["このプログラムは数を数える。"], none)
    assert vocabulary(["1234 5678 https://example.org/robin snake_case x"], none) == ()


def test_tuples_of_words_audience_and_format_are_hardly_ever_the_same():
    letters = "abcdefghijklmnopqrstuvwxyz"
    said = " ".join("".join(CHANCE.choices(letters, k=7)) for _ in range(120))
    pool = Pool(words=vocabulary([said], background([])))
    stage = draws(
        {
            "words": {"from": "words", "number": 3},
            "audience": {"from": ["children", "nurses", "sailors"]},
            "format": {"from": ["a lesson", "an exercise", "a dialogue"]},
        },
        {},
    )

    def prompts(number):
        for seed in seeds(number):
            columns = [drawn.draw(pool, seed) for drawn in stage]
            yield tuple(columns[0]), *columns[1:]

    made = list(prompts(1000))
    assert len(set(made)) >= 0.95 * len(made)

    def attentive(words, audience, kind):
        return f"{kind} for {audience}: {', '.join(words)}."

    def blind(*_):
        return "A lesson on birds."

    assert len({attentive(*each) for each in made}) >= 0.95 * len(made)
    assert len({blind(*each) for each in made}) == 1  # a control: who does not look, repeats
    assert all(TESTS["holds_all"](attentive(*each), each[0]) for each in made)
    assert not any(TESTS["holds_all"](blind(*each), each[0]) for each in made)


@pytest.mark.parametrize(
    "text, required, missing",
    [
        ("A Robin sings.", ["robin"], []),
        ("Two robins sing.", ["robin"], ["robin"]),
        ("A robin's song", ["robin"], ["robin"]),
        ("binary-search trees", ["binary search"], []),
        ("search a binary tree", ["binary search"], ["binary search"]),
        ("STRASSE", ["Straße"], []),
        ("cafe\u0301", ["café"], []),
        ("机器学习需要数据", ["数据", "模型"], ["模型"]),
        ("1,000 birds", ["000"], ["000"]),
        ("C++ and C", ["++", "--"], ["--"]),
        ("anything", [], []),
        ("a robin", "robin", []),
        ("a robin ", ["", " ", "robin"], ["", " "]),
    ],
)
def test_required_words_count_as_whole_words(text, required, missing):
    assert FILTERS["missing"](text, required) == missing
    assert TESTS["holds_all"](text, required) == (not "".join(missing).strip())


def test_words_are_counted_in_every_script():
    assert FILTERS["words"]("It isn't 1,000.5 km -- really!") == 5
    assert FILTERS["words"]("पक्षी गाता है") == 3
    assert FILTERS["words"]("机器学习") == 4
    assert FILTERS["words"]("") == 0
    assert FILTERS["grew"]("one two three four", "one two") == 2
    assert FILTERS["grew"]("one", "one two") == -1
    assert tokens("Ein Haus_boot") == ["ein", "haus_boot"]


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("Why", True),
        ("  Ärger", True),
        ("为什么", True),
        ("1. Why", False),
        ("- a", False),
        ("", False),
    ],
)
def test_what_an_instruction_begins_with(text, verdict):
    assert TESTS["starts_with_letter"](text) == verdict


CODE = "def add(a, b):\n    return a + b\n"
FENCED = f"```python\n{CODE}```"


@pytest.mark.parametrize(
    "problem, solution, copied",
    [
        (f"Add two numbers.\n\n{FENCED}", f"Here:\n\n{FENCED}\n", True),
        (f"Add.\n{FENCED}", "~~~\ndef add(a,b):\n\n  return a+b\n~~~", True),
        (f"Add.\n{FENCED}", CODE, True),
        (CODE, CODE, True),
        (f"Mend this.\n{FENCED}", f"It was\n{FENCED}\nand is\n```\n{CODE.upper()}```", False),
        ("Add two numbers.", FENCED, False),
        (f"Add.\n{FENCED}", "```\n```", False),
        (f"Add.\n{FENCED}", "Nothing to do.", False),
    ],
)
def test_a_copied_solution_is_found(problem, solution, copied):
    assert same_code(problem, solution) == copied
    assert TESTS["same_code"](problem, solution) == copied


SIGNATURE = 'import math\n\n\ndef area(r):\n    """The area of a circle."""\n'
BODY = "    if r < 0:\n        raise ValueError(r)\n    return math.pi * r * r"


@pytest.mark.parametrize(
    "problem, solution",
    [
        (SIGNATURE, BODY),
        (SIGNATURE, BODY.replace("\n    ", "\n").removeprefix("    ")),
        (SIGNATURE, BODY.lstrip()),
        (SIGNATURE, f"```python\n{BODY}\n```"),
        (SIGNATURE, f"```\n{SIGNATURE}{BODY}\n```"),
        (SIGNATURE, f"def area(r):\n{BODY}"),
        (f"Complete the function.\n\n{SIGNATURE}", BODY),
        (f"Complete it:\n\n```python\n{SIGNATURE}```\nThank you.", BODY),
        ("import math\n@print\n@property\ndef area(r):", f"def area(r):\n{BODY}"),
        ("import math\ndef area(r):", BODY),
        ("import math\ndef area(r): ...", BODY),
        ('import math\ndef area(r):\n    """Not\n    def this(x): it.\n    """', BODY),
        (SIGNATURE, BODY.replace("    if", '    note = """\nat\n"""\n    if')),
    ],
)
def test_a_completed_function_runs(problem, solution):
    source = completed(problem, solution)
    assert parses(source)
    if "@" not in problem:
        found = {}
        exec(compile(source, "x", "exec"), found)
        assert round(found["area"](2), 3) == 12.566
        with pytest.raises(ValueError):
            found["area"](-1)


METHOD = 'class Circle:\n    """A circle."""\n\n    def twice(self, r):\n        """Twice r."""\n'


@pytest.mark.parametrize(
    "solution",
    [
        "return 2 * r",
        "        return 2 * r",
        "def twice(self, r):\n    return 2 * r",
        "    def twice(self, r):\n        return 2 * r",
        "class Circle:\n    def twice(self, r):\n        return 2 * r",
    ],
)
def test_a_completed_method_runs(solution):
    found = {}
    exec(compile(completed(METHOD, solution), "x", "exec"), found)
    assert found["Circle"]().twice(4) == 8


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "def f(:", "I cannot do that.", "x = '\0'", "(" * 5000, "-" * 100_000 + "1"],
)
def test_what_is_no_python_is_told(text):
    assert not parses(text)
    if text not in ("", "# nothing"):
        assert not parses(completed(SIGNATURE, text))
