"""Every kind of checker tells planted wrong answers from right ones, and no wording moves it."""

import asyncio
import json
import os
import pickle
import random
import time
from decimal import Decimal
from fractions import Fraction

import jsonschema
import pytest

from compiler.resources import SCHEMAS
from compiler.sandbox import walls
from compiler.verify import KINDS, BrokenChecker, agreed, checker
from compiler.verify.arithmetic import NoArithmetic, value_of
from compiler.verify.units import measure

SEED = int(os.environ["TRIVIUM_TEST_SEED"])
SCHEMA = json.loads((SCHEMAS / "verify.json").read_text())
SAID = jsonschema.Draft202012Validator(SCHEMA)
WORDS = "robin owl wren heron swift finch magpie jay crow raven tern gull plover snipe rail".split()


def made(files=None, **said):
    SAID.validate(said)
    return checker(said, files or {})


def verdicts(one, rows):
    return [one.check(row) == "" for row in rows]


def wrap(chance, shown, other):
    """A number as teachers write answers, with another number before it."""
    return chance.choice(
        [
            "{x}",
            "The answer is {x}.",
            "First {y}, then {x}",
            "{y} birds come, so the total = {x}",
            "We add {y}.\n#### {x}",
            "So \\boxed{{{x}}}",
            "**Answer:** {x}, because we take away {y}.",
            "Die Antwort ist {x}.",
        ]
    ).format(x=shown, y=other)


def shown_forms(chance, value):
    """Texts of one exact value, made by Decimal's and Python's own formatting."""
    forms = [f"{value.numerator}/{value.denominator}"]
    whole, rest = divmod(abs(value.numerator), value.denominator)
    sign = "-" if value < 0 else ""
    if rest and whole:
        forms.append(f"{sign}{whole} {rest}/{value.denominator}")
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if Fraction(exact) == value:
        forms += [f"{exact:f}", f"{exact:,f}", f"{exact:e}", f"{exact * 100:f}%"]
    return chance.choice(forms)


@pytest.mark.parametrize("turn", range(3))
def test_numeric_against_fractions(turn):
    chance = random.Random(f"{SEED} numeric {turn}")
    one = made(numeric={"equals": "result"})
    right, wrong = [], []
    for _ in range(30):
        below = chance.choice([1, 1, 2, 3, 4, 5, 7, 8, 16])
        value = Fraction(chance.randrange(-99_999, 99_999), below)
        off = value + Fraction(chance.choice([-1, 1]) * chance.randrange(1, 50), below)
        for rows, answer in ((right, value), (wrong, off)):
            text = wrap(chance, shown_forms(chance, answer), chance.randrange(9))
            rows.append({"answer": text, "result": shown_forms(chance, value)})
    assert [r for r in right if one.check(r)] == []
    assert [r for r in wrong if not one.check(r)] == []
    blind = made(numeric={"equals": "result", "tolerance": float("inf")})
    assert all(verdicts(blind, wrong))  # the control: the answers are wrong only to a checker


CASES = [
    ("1/3", "0.333", 0.001, True),
    ("1/3", "0.333", 0, False),
    ("0.333", "1/3", 0.001, True),
    ("33.3%", "1/3", 0.001, True),
    ("33.3 percent", "0.333", 0, True),
    ("33.3", "33.3%", 0.001, False),
    ("1e3", "1,000", 0, True),
    ("1,000", "1e3", 0, True),
    ("1 000", "1000", 0, True),
    ("1,5", "1.5", 0, False),
    ("-4", "4", 0, False),
    ("x = - 4", "-4", 0, True),
    ("10 - 4", "4", 0, True),
    ("−4", "-4", 0, True),
    ("3 1/2", "3.5", 0, True),
    ("3½", "7/2", 0, True),
    ("$\\frac{2}{5}$", "0.4", 0, True),
    ("3 × 10^8", "3e8", 0, True),
    ("3 \\times 10^{-2}", "0.03", 0, True),
    ("$1,200.50", "1200.5", 0, True),
    ("The answer is 7, since x = 3.", "7", 0, True),
    ("The answer is 3 + 4 = 7.", "7", 0, True),
    ("#### 12\n\n(see page 9)", "12", 0, True),
    ("It is not 12 but 13", "12", 0, False),
    ("H2O", "2", 0, False),
    ("version 1.2.3", "3", 0, False),
    ("twelve", "12", 0, False),
    ("", "12", 0, False),
    ("1/0", "0", 0, False),
    ("12", "(2 + 4) * 2", 0, True),
    ("1024", "2^10", 0, True),
    ("12", "2 ** 9 ** 9 ** 9", 0, False),
    ("12", "__import__('os').getpid()", 0, False),
    ("12", "no number", 0, False),
    ("12", None, 0, False),
    ("12", 12, 0, True),
]


@pytest.mark.parametrize("answer, expected, tolerance, passes", CASES)
def test_numeric_edges(answer, expected, tolerance, passes):
    one = made(numeric={"equals": "result", "tolerance": tolerance})
    reason = one.check({"answer": answer, "result": expected})
    assert (reason == "") is passes, reason


def test_numeric_with_another_decimal_mark():
    one = made(numeric={"equals": 1000.5, "decimal_mark": ","})
    assert one.check({"answer": "Das Ergebnis ist 1.000,5"}) == ""
    assert one.check({"answer": "1,000.5"}) == "`1,000.5` is no number with the decimal mark `,`"
    assert made(numeric={"equals": 1000.5}).check({"answer": "1,000.5"}) == ""


def test_the_wider_of_two_tolerances_counts():
    near = made(numeric={"equals": 200, "tolerance": 1, "relative": 0.01})
    assert verdicts(near, [{"answer": a} for a in ("198", "202", "197.9", "202.1")]) == [
        *(True, True),
        *(False, False),
    ]


# what SI and the international yard and pound say, as decimals
IN_METRES = {"km": "1000", "cm": "0.01", "mile": "1609.344", "feet": "0.3048", "inches": "0.0254"}


def test_units_against_decimals():
    chance = random.Random(f"{SEED} units")
    one = made(numeric={"equals": "m", "units": ["m", *IN_METRES], "tolerance": 1e-9})
    strict = made(numeric={"equals": "m", "units": "m", "tolerance": 1e-9})
    right, wrong, other = [], [], []
    for _ in range(30):
        unit, size = chance.choice(list(IN_METRES.items()))
        value = Decimal(chance.randrange(1, 9999)) / 8
        metres = value * Decimal(size)
        right.append({"answer": f"It is {value} {unit} long.", "m": str(metres)})
        wrong.append({"answer": f"It is {value} {unit} long.", "m": str(metres + 1)})
        other.append({"answer": f"It is {metres} kg long.", "m": str(metres)})
    assert all(verdicts(one, right))
    assert not any(verdicts(one, wrong))
    assert not any(verdicts(one, other))
    assert not any(verdicts(strict, right))  # the number is not in the unit that was asked for
    bare = {"answer": "It is 5 long.", "m": 5}
    assert one.check(
        bare
    ) == "found 5 without a unit, expected m or km or cm or mile or feet or " + ("inches")
    assert made(numeric={"equals": "m"}).check(bare) == ""


@pytest.mark.parametrize(
    "units, expected, answer, passes",
    [
        (["km/h", "m/s"], 36, "10 m/s", True),
        (["km/h", "m/s"], 36, "36 kilometres per hour", True),
        (["km/h", "mph"], 100, "62.14 mph", True),
        ("m/s^2", 9.81, "g = 9.81 m/s^2", True),
        ("m/s^2", 9.81, "9.81 m s⁻²", True),
        ("m/s^2", 9.81, "9.81 m/s", False),
        (["°C", "°F", "K"], 25, "77 °F", True),
        (["°C", "K"], 25, "298.15 K", True),
        ("°C", 25, "25 °F", False),
        (["min", "s", "h"], 90, "1.5 hours", True),
        (["m^2", "square feet"], 9.29, "100 square feet", True),
        (["L", "m^3"], 2000, "2 m³", True),
        (["kWh", "J"], 1, "3,600,000 J", True),
        ("€", 5, "€5", True),
        ("€", 5, "5 euros", True),
        ("€", 5, "$5", False),
        (["dollars", "cents"], 2.5, "250 cents", True),
        ("%", 33.3, "33.3%", True),
        ("%", 33.3, "33.3", False),
        ("kg", 5, "5 in the morning", False),
    ],
)
def test_units_that_people_write(units, expected, answer, passes):
    one = made(numeric={"equals": expected, "units": units, "relative": 0.001})
    reason = one.check({"answer": answer})
    assert (reason == "") is passes, reason


def test_arithmetic_against_fractions():
    chance = random.Random(f"{SEED} arithmetic")

    def expression(depth):
        if not depth:
            number = chance.randrange(1, 50)
            return str(number), Fraction(number)
        (a, x), (b, y) = expression(depth - 1), expression(depth - 1)
        sign = chance.choice("+-*/" if y else "+-*")
        value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else 0}[sign]
        return f"({a} {sign} {b})", value

    for _ in range(60):
        text, value = expression(chance.randrange(1, 4))
        assert value_of(text) == value
    assert (value_of("2 ** -2"), value_of("1,000 ÷ 8"), value_of("9 ^ 0.5")) == (
        Fraction(1, 4),
        125,
        3,
    )
    for text in (
        "9**9**9",
        "1/0",
        "a",
        "1 if 1 else 2",
        "[1]",
        "(" * 150,
        "f(1)",
        "1" * 301,
        "True",
    ):
        with pytest.raises(NoArithmetic):
            value_of(text)


def test_exact_texts():
    chance = random.Random(f"{SEED} exact")
    one = made(exact={"equals": "wanted"})
    right, wrong = [], []
    for _ in range(30):
        words = chance.sample(WORDS, 3)
        text = " ".join(words)
        right.append(
            chance.choice(
                [text.upper(), f"  {text}.", f"“{text}”", "\n".join(words), f"**{text}**!"]
            )
        )
        wrong.append(
            chance.choice(
                [text[:-1], f"{text} {words[0]}", text.replace(" ", ""), " ".join(words[::-1])]
            )
        )
        right[-1] = {"answer": right[-1], "wanted": text}
        wrong[-1] = {"answer": wrong[-1], "wanted": text}
    assert all(verdicts(one, right))
    assert not any(verdicts(one, wrong))
    assert verdicts(made(exact={"equals": ["yes", "Ｙｅａｈ"]}), [{"answer": "yeah"}]) == [True]
    kept = [("-5", "5"), ("C++", "C"), ("5%", "5"), (".5", "5"), ("f(x)", "f(x"), ("", "")]
    assert not any(verdicts(one, [{"answer": a, "wanted": b} for a, b in kept]))


def test_patterns():
    chance = random.Random(f"{SEED} regex")
    one = made(regex={"pattern": r"[A-Z]{2}-\d{4}", "full": True})
    letters = "ABCDEFGHIJ"
    right = [
        "".join(chance.choices(letters, k=2)) + f"-{chance.randrange(10**4):04}" for _ in range(30)
    ]
    wrong = [
        chance.choice([code.lower(), code + "7", f"it is {code}", code.replace("-", "")])
        for code in right
    ]
    assert all(verdicts(one, [{"answer": a} for a in right]))
    assert not any(verdicts(one, [{"answer": a} for a in wrong]))
    loose = made(regex={"pattern": r"[a-z]{2}-?\d{4}", "ignore_case": True})
    assert all(verdicts(loose, [{"answer": a} for a in wrong]))


def test_a_pattern_that_never_ends_is_a_failure():
    one = made(regex={"pattern": r"(?:a|aa)+$"})
    started = time.process_time()
    assert one.check({"answer": "a" * 60 + "b"}) == "the pattern took more than 0.5 s on the answer"
    assert time.process_time() - started < 2
    assert one.check({"answer": "a" * 60}) == ""


def test_json_against_another_validator():
    chance = random.Random(f"{SEED} json")
    schema = {
        "type": "object",
        "required": ["name", "legs"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "legs": {"type": "integer", "minimum": 0},
            "eats": {"type": "array", "items": {"enum": ["seeds", "worms"]}},
        },
    }
    one = made({"bird.json": json.dumps(schema).encode()}, json_schema={"file": "bird.json"})
    oracle = jsonschema.Draft202012Validator(schema)
    right, wrong = [], []
    while len(right) < 30 or len(wrong) < 30:
        value = {
            "name": chance.choice([*WORDS, "Robin", 3]),
            "legs": chance.choice([2, 2, 2, -1, 2.5, "2"]),
            "eats": chance.choice([[], ["seeds"], ["worms", "seeds"], ["cars"], "seeds"]),
        }
        value.pop(chance.choice(["eats", "eats", "name", "wings"]), None)
        text = json.dumps(value, indent=chance.choice([None, 2]))
        row = {"answer": chance.choice([text, f"Here:\n```json\n{text}\n```\nDone."])}
        (right if oracle.is_valid(value) else wrong).append(row)
    assert all(verdicts(one, right))
    assert not any(verdicts(one, wrong))
    anything = made(json_schema={"schema": True})
    assert all(verdicts(anything, right + wrong))
    for text in ("{", "NaN", '{"a": 1, "a": 2}', "", "It is 5", "[" * 10_000):
        assert anything.check({"answer": text}).startswith("not JSON: ")


def test_citations():
    chance = random.Random(f"{SEED} citation")
    one = made(citation={"in": "document"})
    marks = [("“", "”"), ('"', '"'), ("„", "“"), ("«", "»"), ("\n> ", "\n\n")]
    right, wrong = [], []
    for _ in range(30):
        words = chance.choices(WORDS, k=30)
        start = chance.randrange(20)
        span = words[start : start + 5]
        other = [*span[:2], "penguin", *span[2:]]
        opens, closes = chance.choice(marks)
        document = chance.choice([" ", "\n"]).join(words)
        for rows, said in ((right, span), (wrong, other)):
            answer = f"The text says {opens}{' '.join(said)}{closes} and so it is."
            rows.append({"answer": answer, "document": document})
    assert all(verdicts(one, right))
    assert not any(verdicts(one, wrong))
    swapped = [dict(r, document=w) for r, w in zip(right, [" ".join(WORDS)] * 30, strict=True)]
    assert not all(verdicts(one, swapped))  # the document decides, not the wording
    text = {"document": "The so-called ‘robin’ eats worms, mostly."}
    whole = made(citation={"quoted": False})
    assert verdicts(
        whole, [dict(text, answer=a) for a in ("eats  worms.", "eats worm", "eats")]
    ) == [
        *(True, False),
        True,
    ]
    assert one.check(dict(text, answer="It is \"so-called 'robin',\" I read.")) == ""
    assert one.check(dict(text, answer="It eats worms.")) == "0 quotations, expected at least 1"
    assert one.check(dict(text, answer='"eats cars"')) == "`eats cars` is not in the document"


@pytest.mark.skipif(walls.missing() != "", reason=walls.missing())
def test_python_tests():
    """Of 30 random right and 30 random wrong functions, with the values that Python gives."""
    chance = random.Random(f"{SEED} python")
    one = made(python_tests={"code": "code", "tests": "tests", "function": "f", "seconds": 20})
    rows, expected = [], []
    for number in range(60):
        a, b, c = (chance.randrange(2, 20) for _ in range(3))
        sign = chance.choice(["+", "-", "*", "//", "%"])
        body = f"return (x * {a} {sign} {b}) + {c}"
        found = [eval(body.removeprefix("return "), {"x": x}) for x in range(3)]
        slip = 0 if number % 2 else chance.choice([-1, 1])
        asserts = "\n".join(f"assert f({x}) == {y + slip * (x == 2)}" for x, y in enumerate(found))
        rows.append({"code": f"```python\ndef f(x):\n    {body}\n```", "tests": asserts})
        expected.append(slip == 0)

    async def all_at_once():
        return await asyncio.gather(*(one.run(row) for row in rows))

    reasons = asyncio.run(all_at_once())
    assert [reason == "" for reason in reasons] == expected
    assert all("does not hold" in reason for reason in reasons if reason)


def test_agreement_against_a_count():
    chance = random.Random(f"{SEED} agreement")
    one = made(agreement={"of": 5, "least": 3})
    forms = ["{}", "{}.0", " {} ", "The answer is \\boxed{{{}}}.", "#### {}", "**{}**"]
    right, wrong = [], []
    while len(right) < 30 or len(wrong) < 30:
        numbers = [chance.randrange(4) for _ in range(5)]
        best = max(map(numbers.count, numbers))
        texts = [chance.choice(forms).format(number) for number in numbers]
        assert agreed(texts)[1] == best
        shuffled = chance.sample(texts, 5)
        assert agreed(shuffled) == agreed(texts)
        (right if best >= 3 else wrong).append({"answer": texts})
    assert all(verdicts(one, right))
    assert not any(verdicts(one, wrong))
    assert all(verdicts(made(agreement={"of": 5, "least": 1}), wrong))
    assert agreed(["1/3", "0.33333333", "0.33"]) == ("1/3", 2)
    assert agreed(["5 kg", "5000 g", "5"]) == ("5 kg", 2)
    assert agreed(["Paris.", "paris", "Lyon"]) == ("paris", 2)
    assert agreed(["b", "a"]) == ("a", 1)
    assert agreed(["In 1990 it fell", "It fell in 1990"])[1] == 1
    assert agreed(["", " "]) == ("", 0)


BROKEN = [
    ({"numeric": {}}, ("numeric",), "`numeric` needs `equals`"),
    ({"numeric": {"equals": "r", "tolerence": 1}}, ("numeric", "tolerence"), "`tolerance`"),
    (
        {"numeric": {"equals": "r", "units": "parsek"}},
        ("numeric", "units"),
        "unknown unit `parsek`",
    ),
    ({"numeric": {"equals": "r", "units": ["kg", "m"]}}, ("numeric", "units", 1), "converted"),
    ({"numeric": {"equals": "r", "tolerance": -1}}, ("numeric", "tolerance"), "at least 0"),
    ({"exact": {"equals": []}}, ("exact", "equals"), "list of texts"),
    ({"regex": {"pattern": "("}}, ("regex", "pattern"), "does not compile"),
    ({"json_schema": {"schema": {"type": "objekt"}}}, ("json_schema", "schema"), "no JSON Schema"),
    (
        {"json_schema": {"schema": {"$ref": "http://127.0.0.1:1/x"}}},
        ("json_schema", "schema"),
        "no",
    ),
    ({"json_schema": {"file": "bird.jsn"}}, ("json_schema", "file"), "did you mean `bird.json`"),
    ({"json_schema": {}}, ("json_schema",), "either"),
    ({"citation": {"least": -1}}, ("citation", "least"), "whole number"),
    ({"python_tests": {"tests": "gone.py"}}, ("python_tests", "tests"), "no file `gone.py`"),
    ({"python_tests": {"tests": "bad.py"}}, ("python_tests", "tests"), "not valid Python"),
    ({"python_tests": {"tests": "t", "function": "a b"}}, ("python_tests", "function"), "no name"),
    ({"agreement": {"of": 3, "least": 4}}, ("agreement", "least"), "more than `of`"),
    ({"numerik": {}}, ("numerik",), "did you mean `numeric`"),
    ({"exact": {"equals": "a"}, "regex": {"pattern": "a"}}, (), "exactly one kind"),
]


@pytest.mark.parametrize("said, path, message", BROKEN, ids=str)
def test_what_cannot_work_is_said_at_its_place(said, path, message):
    files = {"bird.json": b"{}", "bad.py": b"def f(:"}
    with pytest.raises(BrokenChecker) as raised:
        checker(said, files)
    assert raised.value.path == path
    assert message in str(raised.value)


EVERY = {
    "numeric": ({"equals": "result"}, ("answer", "result")),
    "exact": ({"value": "word", "equals": ["a"]}, ("word",)),
    "regex": ({"pattern": "a"}, ("answer",)),
    "json_schema": ({"schema": {"type": "object"}}, ("answer",)),
    "citation": ({"in": "context"}, ("answer", "context")),
    "python_tests": ({"tests": "tests"}, ("answer", "tests")),
    "agreement": ({"of": 3}, ("answer",)),
}


def test_every_kind_says_what_it_reads_and_travels():
    assert list(EVERY) == list(KINDS) == list(SCHEMA["properties"])
    for kind, (said, reads) in EVERY.items():
        one = made(**{kind: said})
        assert one.reads == reads
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert again.check({}) != ""
        assert asyncio.run(again.run({})) == again.check({})
        assert one.asks == (3 if kind == "agreement" else 1)


def test_no_unit_means_two_things():
    assert measure("furlong") is None
    assert measure("") is None
    for text in ("km/h", "kilometres per hour", "km h^-1", "km h⁻¹"):
        assert measure(text) == measure("kph")
