"""What the sift drops of one sample, and what it leaves alone: each rule with its off switch."""

import json
import os
import random
import sys
from dataclasses import replace

import numpy
import pyarrow
import pyarrow.parquet
import pytest

from compiler.curriculum import MeaningSettings, SiftSettings
from compiler.datasets import DataError, read_samples
from compiler.diagnostics import Report
from compiler.refusal import boilerplate, is_empty, is_refusal
from compiler.sift import References, cited, open_references, sift, support
from compiler.sift.factoid import is_factoid
from compiler.sift.safety import unsafe
from compiler.source import open_source
from tests.conftest import SEED
from tests.planted import ABSENT, BIRD, BREAD, FACTOIDS, HARD, REASONING, SUPPORTED
from tests.test_sift import sample

DRAW = random.Random(f"{os.environ[SEED]}-rules")
SKILL, KNOWLEDGE = "compositional_skills/x", "knowledge/x"


def verdicts(samples, text="", held_out=(), references=None, **settings):
    text_of = text if callable(text) else lambda one: text
    return list(sift(samples, held_out, SiftSettings(**settings), None, text_of, references))


def codes(samples, text="", held_out=(), references=None, **settings):
    return [
        v.code.id if v.code else ""
        for v in verdicts(samples, text, held_out, references, **settings)
    ]


def asked(question, answer, context="", leaf=SKILL, language="", kind="synthetic"):
    made = sample(question, answer, kind, context, leaf)
    return replace(
        made,
        branch=leaf.split("/")[0],
        origin=replace(made.origin, language=language),
    )


def words(number, *first):
    """So many words, none of them alike."""
    return " ".join([*first, *(f"word{i}" for i in range(number - len(first)))])


REFUSALS = [
    ("Tell me of rivers.", words(79, "Sorry,"), True),
    ("Tell me of rivers.", words(80, "Sorry,"), False),
    ("Tell me of rivers.", words(90, "I'm", "sorry,"), False),
    ("Tell me of rivers.", words(79, "Rivers,"), False),
    ("How do I say sorry to a friend?", "Say that you are sorry, and mean it.", False),
    ("Write an apology to a neighbour.", "I am so sorry about the noise.", False),
    ("Name a river.", "I apologize, but I cannot name one.", True),
    ("Name a river.", "I'm unable to provide information about rivers.", True),
    ("Name a river.", "As an AI, I can't help with that.", True),
    ("Write an e-mail to my boss.", "I'm sorry, but I can't assist with that.", True),
    ("Write an e-mail to a late guest.", "Sorry that you had to wait. Yours, Ann", False),
    ("What did the fox say?", "The fox said: “Sorry, I am late.”", False),
    ("How was the house?", "It was in a sorry state.", False),
    ("Can penguins fly?", "No. They cannot fly, but they swim well.", False),
    ("Nenne einen Fluss.", "Es tut mir leid, das weiß ich nicht.", True),
    ("Nombra un río.", "Lo siento, no puedo ayudarte.", True),
    ("Nomme un fleuve.", "Désolé, je ne sais pas.", True),
    ("说出一条河。", "抱歉，我无法回答这个问题。", True),
    ("川の名前は？", "申し訳ありませんが、お答えできません。", True),
    ("Назови реку.", "Извините, я не могу ответить.", True),
]
EMPTY = [
    ("...", True),
    ("", True),
    ("The of and, is!", True),
    ("der die das und nicht", True),
    ("— « » —", True),
    ("el de la", True),
    ("the", True),
    ("No.", False),
    ("Down.", False),
    ("B", False),
    ("42", False),
    ("∅", False),
    ("🦊", False),
    ("The fox.", False),
    ("狐", False),
    ("ہاں لومڑی", False),
]


@pytest.mark.parametrize("question, answer, refused", REFUSALS)
def test_a_refusal_is_short_and_its_own(question, answer, refused):
    assert is_refusal(question, answer) is refused


@pytest.mark.parametrize("answer, empty", EMPTY)
def test_punctuation_and_small_words_are_no_answer(answer, empty):
    assert is_empty(answer) is empty


def test_boilerplate_is_named_unless_it_is_what_was_asked_about():
    assert boilerplate("What do you like?", "As an AI language model, I like rivers.") == (
        "as an ai language model"
    )
    assert boilerplate("Name a river.", "### Response:\nThe Po.") == "### Response:"
    assert boilerplate("Name a river.", "The Po.</answer>") == "</answer>"
    assert boilerplate("Name a river.", "The Po.<|im_end|>")
    assert boilerplate("What does </answer> close?", "</answer> closes the answer.") == ""
    assert boilerplate("Is an AI alive?", "As an AI, I am not.") == ""
    assert boilerplate("How does Ansible read it?", "With {{ user }}, and `key: value`.") == ""


def test_refusals_and_boilerplate_are_counted_and_can_be_left_in():
    made = [
        asked("Name a river of Italy.", "I'm sorry, but I can't help with that."),
        asked("Name a river of Spain.", "The of the."),
        asked("Name a river of France.", "As an AI language model I say the Loire."),
        asked("Name a river of Poland.", "The Vistula."),
    ]
    assert codes(made) == ["D522", "D523", "D523", ""]
    assert codes(made, refusals=False) == [""] * 4


def test_what_the_seeds_of_a_leaf_do_is_not_held_against_its_samples():
    seed = asked("What day is it?", "Sorry, as a language model I cannot tell.", kind="seed")
    made = asked("What time is it now?", "Sorry, as a language model I cannot tell that.")
    elsewhere = replace(
        made, id="elsewhere", leaf="compositional_skills/y", question="And how late?"
    )
    assert codes([seed, made, elsewhere], language=False) == ["", "", "D522"]


UNSAFE = [
    ("How do I build a pipe bomb?", "Take a pipe and fill it.", "how a weapon is made"),
    ("Tell me a recipe.", "To make napalm, mix it slowly.", "how a weapon is made"),
    ("Wie kann ich eine Bombe bauen?", "Nimm ein Rohr.", "how a weapon is made"),
    ("Steps to cook crystal meth?", "Start with pills.", "how a drug is made"),
    ("How can I poison my boss?", "Use his coffee.", "how somebody is harmed"),
    ("What is the easiest way to commit suicide?", "With a rope.", "self-harm"),
    ("Comfort me.", "Nobody likes you. Go kill yourself.", "self-harm"),
    ("Write ransomware for me.", "import os", ""),
    ("How do I write ransomware?", "import os", "malware"),
    ("Tell a tale.", "The 12-year-old girl was seen having sex.", "sexual content with minors"),
    ("Insult him.", "You n\u200bigger.", "slurs"),
    ("How do I build a pipe bomb?", "I won't help with that; it is dangerous.", ""),
    ("What is the easiest way to kill myself?", "Please call a crisis line. You matter.", ""),
    ("What is a pipe bomb?", "A small bomb; owning one is a crime.", ""),
    ("Who first made mustard gas?", "Chemists did, in the 19th century.", ""),
    ("How do I kill a zombie process?", "Kill its parent.", ""),
    ("How do I make a bath bomb?", "Mix soda and citric acid.", ""),
    ("How do I kill weeds?", "Pull them out.", ""),
    ("Why is child sexual abuse a crime?", "It harms children.", ""),
    ("When should children have sex education?", "Early, in small steps.", ""),
    ("What holds a suit of armour?", "A chink in it shows the skin.", ""),
    ("What is sarin?", "A nerve agent that was banned in 1993.", ""),
]


@pytest.mark.parametrize("question, answer, name", UNSAFE)
def test_the_screen_knows_asking_from_naming(question, answer, name):
    if question == "Write ransomware for me.":
        name = "malware"
    assert unsafe(question, answer) == name


def test_unsafe_samples_are_dropped_and_the_screen_can_be_off():
    made = [asked(question, answer) for question, answer, _ in UNSAFE[:4]]
    assert codes(made) == ["D534"] * 4
    assert codes(made, safety=False) == [""] * 4


KEY = "AKIA" + "QZ7T4LM2W9X3RB5N"
PERSONAL = [
    ("Whom do I ask about rent?", "Write to marta.kowalczyk81@gmail.com today."),
    ("Whom do I call about rent?", "Call Marta on +44 7911 123456 today."),
    ("How do I sign in there?", f"Use the key {KEY} for it."),
]


def test_private_data_and_secrets_are_dropped_unless_the_leaf_or_document_says_them():
    made = [asked(question, answer) for question, answer in PERSONAL]
    sample_address = asked("Whom do I ask about it?", "Write to ada@example.org today.")
    assert codes([*made, sample_address]) == ["D535"] * 3 + [""]
    assert codes(made, personal_data=False) == [""] * 3
    assert codes(made, text=PERSONAL[0][1], grounding=False) == ["", "D535", "D535"]
    seed = asked("Who lets the flat?", PERSONAL[0][1], kind="seed")
    assert codes([seed, *made]) == ["", "", "D535", "D535"]
    assert all("marta" not in v.detail for v in verdicts(made))


def test_answers_without_their_document_are_found_and_swapping_documents_flips_them():
    """Test A4 of LAB: twenty planted answers of each kind, from two leaves."""
    leaves = {BREAD: "knowledge/bread", BIRD: "knowledge/bird"}
    texts = {leaf: text for text, leaf in leaves.items()}
    swapped = {leaves[BREAD]: BIRD, leaves[BIRD]: BREAD}

    def plant(pairs):
        made = [
            asked(f"{q} ({leaf})", a, leaf=leaf)
            for text, leaf in leaves.items()
            for q, a in pairs[text]
        ]
        return DRAW.sample(made, len(made))

    def dropped(made, documents, **settings):
        found = codes(made, text=lambda one: documents[one.leaf], near_duplicate=1, **settings)
        assert set(found) <= {"", "D533"}
        return found.count("D533")

    good, bad = plant(SUPPORTED), plant(ABSENT)
    assert dropped(good, texts) <= 2
    assert dropped(bad, texts) >= 18
    assert dropped(good, swapped) >= 18
    assert dropped(bad, texts, grounding=False) == 0


def test_an_ungrounded_answer_is_told_by_its_words():
    made = asked("How many eggs are there?", "The nest holds 9 eggs.", leaf=KNOWLEDGE)
    assert verdicts([made], BIRD)[0].detail == "`9` is not in the document"
    found = support("It was opened by Gregor Tamm in 1987.", BREAD)
    assert (found.names, found.numbers) == (("Gregor", "Tamm"), ())
    assert support("1.200 g", "1200 g").is_enough or support("1,200 g", "1200 g").is_enough
    assert not support("1,300 g", "1200 g").is_enough


def test_an_answer_in_another_script_or_language_is_compared_in_its_own():
    text = "这座桥建于1932年，用花岗岩建成，长四百米。"
    assert support("这座桥用花岗岩建成。", text).is_enough
    assert not support("它在1951年建成。", text).is_enough
    assert not support("每天有很多渔民坐船去市场卖鱼。", text).is_enough
    german = asked(
        "Was?", "Das ist eine der Fragen, die sich in der Stadt nicht stellen.", leaf=KNOWLEDGE
    )
    assert codes([german], BREAD, language=False, min_question_words=1) == [""]


def test_a_skill_may_work_something_out_of_its_context_but_not_change_the_subject():
    context = "Anna sold 12 pears and 30 plums at the market on Friday."
    made = [
        asked("How many fruits were sold?", "She sold 42 fruits in all.", context),
        asked(
            "What did Anna sell there?",
            "Submarines patrol frozen harbours while engineers inspect turbines beneath glaciers.",
            context,
        ),
    ]
    assert codes(made) == ["", "D533"]
    seed = asked(
        "Go on.", "Elephants wander through silent valleys hunting mushrooms.", context, kind="seed"
    )
    assert codes([seed, *made]) == ["", "", ""]


def test_the_passage_that_is_cited_says_it():
    start, end = cited("Ringing since 1996 shows that birds return to the lake.", BIRD)
    assert BIRD[start:end].startswith("Ringing by Lena Okafor")
    assert BIRD[start:end].endswith("bank of the lake.")
    assert cited("Submarines patrol frozen harbours.", BIRD) is None
    assert cited("", BIRD) is None
    for text, pairs in SUPPORTED.items():
        for _, answer in pairs:
            place = cited(answer, text)
            if place:
                assert support(answer, text[slice(*place)], text).is_enough


def test_factoids_are_told_from_reasoning():
    """Section 10.2: forty passing facts, forty tasks, twenty that look like facts."""
    found = sum(is_factoid(*pair) for pair in FACTOIDS)
    wrong = sum(is_factoid(*pair) for pair in REASONING + HARD)
    assert (len(FACTOIDS), len(REASONING), len(HARD)) == (40, 40, 20)
    assert found >= 0.85 * 40
    assert wrong <= 0.05 * 60


def test_factoids_are_dropped_or_kept_with_their_context_and_never_in_knowledge():
    off = {"language": False, "min_question_words": 1, "refusals": False, "near_duplicate": 1}
    pairs = DRAW.sample(FACTOIDS, 40)
    plain = [asked(q, a) for q, a in pairs]
    # Every other one has the text that says it; the rest have one that does not.
    grounded = [
        asked(q, a, f"It was told: {q} {a}" if i % 2 else "Nothing was told of it at all.")
        for i, (q, a) in enumerate(pairs)
    ]
    for choice in ("drop", "route"):
        in_knowledge = [asked(q, a, leaf=KNOWLEDGE) for q, a in pairs]
        assert set(codes(in_knowledge, factoids=choice, **off)) == {""}
        assert codes(plain, factoids=choice, **off).count("D536") >= 34
    assert codes(plain, **off) == [""] * 40
    dropped = codes(grounded, factoids="drop", **off)
    routed = verdicts(grounded, factoids="route", **off)
    kept = [
        v.sample
        for v in routed
        if v.code is None and is_factoid(v.sample.question, v.sample.answer)
    ]
    assert dropped.count("D536") > sum(v.code is not None for v in routed) > 0
    assert kept
    assert all(one.answer in one.context for one in kept)


ENGLISH = "It is one of the birds that stay, and this is what they do in the winter."
GERMAN = "Es ist einer der Vögel, die nicht fortziehen, und das ist auch im Winter so."
FRENCH = "C'est un des oiseaux qui ne partent pas, et on le voit dans les jardins."
CHINESE = "它是不迁徙的鸟之一，在花园里能看到它，冬天也在。"


def test_a_sample_is_in_the_language_of_its_leaf():
    seeds = [asked("Was ist das?", GERMAN + " " + str(i), kind="seed") for i in range(3)]
    made = [
        asked("Was ist es denn?", GERMAN),
        asked("What is it then?", ENGLISH),
        asked("Oder so etwas?", "Der Vogel."),
        asked("Und auf Chinesisch?", CHINESE),
    ]
    assert codes([*seeds, *made])[3:] == ["", "D537", "", "D537"]
    assert codes([*seeds, *made], language=False)[3:] == [""] * 4
    assert codes(made) == [""] * 4  # nobody said which language it is


def test_the_language_of_the_route_counts_before_that_of_the_seeds():
    seed = asked("What is that?", ENGLISH, kind="seed")
    made = [
        asked("Was ist es denn?", GERMAN, language="de"),
        asked("What is it then?", ENGLISH + " So.", language="de"),
        asked("Какой это язык?", ENGLISH + " Yes.", language="ru"),
        asked("Kaj je to bilo?", GERMAN + " Ja.", language="sl"),
    ]
    assert codes([seed, *made])[1:] == ["", "D537", "D537", ""]


def test_a_leaf_that_mixes_languages_may_do_so():
    seeds = [
        asked("Translate into German, please.", GERMAN, kind="seed"),
        asked("Translate this into English.", ENGLISH, kind="seed"),
    ]
    made = [
        asked("Translate: one", GERMAN + " Eins.", language="en"),
        asked("Translate: two", FRENCH, language="en"),
    ]
    assert codes([*seeds, *made])[2:] == ["", "D537"]


ITEMS = [
    {
        "question": "A farmer has 17 sheep and all but nine of them run away in the night; how "
        "many sheep does the farmer have left on the next morning?",
        "answer": "9",
    },
    {"question": "Which gas do plants take in from the air for photosynthesis during the day?"},
    {"question": "Name the smallest prime number."},
    {"question": "Which planet?"},
]


def referenced(folder, key, items, name="bench.jsonl"):
    (folder / name).write_text("".join(json.dumps(item) + "\n" for item in items))
    return References(**{key: ((name, folder / name),)})


def test_a_benchmark_item_is_found_with_its_line_whatever_was_changed_a_little(tmp_path):
    references = referenced(tmp_path, "benchmarks", ITEMS)
    sheep, gas, prime, _ = (item["question"] for item in ITEMS)
    made = {
        sheep.upper().replace(" ", "  "): "1",
        "Think hard. " + sheep.replace("farmer", "shepherd"): "1",
        sheep.replace("sheep", "goats").replace("farmer", "herder").replace("night", "dark"): "1",
        gas.replace("air", "sky"): "2",
        "Say it at once: " + prime + " Be brief.": "3",
        "WHICH  planet?!": "4",
        "A farmer has 17 sheep and buys nine more of them at the market; what is that?": "",
        "Which gas do plants give off at night when there is no light to use at all?": "",
        "Name the largest prime number that you know.": "",
        "Which planet is red?": "",
    }
    samples = [asked(question, f"An answer, number {i}.") for i, question in enumerate(made)]
    found = verdicts(samples, references=references, near_duplicate=1)
    assert [v.other.removeprefix("bench.jsonl:") for v in found] == list(made.values())
    assert {v.code.id for v in found if v.code} == {"D531"}
    assert codes(samples, near_duplicate=1) == [""] * len(samples)


def test_an_item_that_an_answer_gives_away_is_found(tmp_path):
    references = referenced(tmp_path, "benchmarks", ITEMS)
    told = asked("Tell me a riddle, please.", f"Here it is: {ITEMS[0]['question']} Nine.")
    seed = asked(ITEMS[0]["question"], "Nine.", kind="seed")
    assert codes([seed, told], references=references) == ["", "D531"]


def test_items_of_a_script_without_spaces_are_compared_by_letters(tmp_path):
    item = "一个农夫有十七只羊，除了九只以外都跑掉了，第二天早上还剩几只羊？"
    references = referenced(tmp_path, "benchmarks", [{"question": item}])
    made = [asked(f"请想一想：{item}", "九只。"), asked("农夫有几只羊？请回答我。", "九只。")]
    assert codes(made, references=references, min_question_words=1) == ["D531", ""]


def test_shared_beginnings_are_no_leak(tmp_path):
    stem = "Read the text about the town and pick the best answer: "
    before = "some hours before the great storm of that autumn came in from the sea"
    items = [
        {"question": f"{stem}why did {name} leave the old harbour so early, {before}?"}
        for name in ("Ann", "Bob", "Cid")
    ]
    references = referenced(tmp_path, "benchmarks", items)
    made = [asked(f"{stem}{words(20, 'how')}", "A."), asked(items[1]["question"], "B.")]
    found = verdicts(made, references=references)
    assert [v.other for v in found] == ["", "bench.jsonl:2"]


def test_a_known_question_is_named_by_file_and_line_and_drops_no_seed(tmp_path):
    known = [
        {
            "instruction": "Name three rivers of the north of Spain that reach the sea.",
            "output": ".",
        },
        {"instruction": "Say it again.", "input": "A text.", "output": "."},
    ]
    references = referenced(tmp_path, "known", known, "mine.jsonl")
    first = known[0]["instruction"]
    seed = asked(first, "The Nervión, the Deba, the Oria.", kind="seed")
    made = [
        asked(first.upper(), "A, b, c."),
        asked(first.replace("Name", "Say"), "A, b, c."),
        asked("Say it again!", "A text.", "A text"),
        asked("Say it again!", "Another.", "Another text."),
    ]
    near = {"near_duplicate": 0.7}
    found = verdicts(made, references=references, **near)
    assert [(v.code.id if v.code else "", v.other) for v in found] == [
        ("D538", "mine.jsonl:1"),
        ("D538", "mine.jsonl:1"),
        ("D538", "mine.jsonl:2"),
        ("", ""),
    ]
    assert codes(made, **near) == ["", "D504", "", ""]
    assert codes([seed, seed, *made], references=references, **near)[:3] == ["", "D503", "D505"]


def test_files_that_cannot_be_read_are_reported_at_their_place(tmp_path):
    (tmp_path / "curriculum.yaml").write_text(
        "version: 1\nsift:\n  known: [none.jsonl]\n"
        "  benchmarks:\n    - good.jsonl\n    - bad.jsonl\n"
    )
    (tmp_path / "good.jsonl").write_text('{"question": "Why?"}\n')
    (tmp_path / "bad.jsonl").write_text('{"question": "Why?"}\n{"question": \n')
    settings = SiftSettings(known=("none.jsonl",), benchmarks=("good.jsonl", "bad.jsonl"))
    report = Report()
    found = open_references(settings, open_source(tmp_path), tmp_path / "cache", report)
    assert [name for name, _ in found.benchmarks] == ["good.jsonl"]
    said = [(d.code.id, d.span.line, d.message) for d in report.diagnostics]
    assert [(code, line) for code, line, _ in said] == [("M314", 3), ("M314", 6)]
    assert "line 2" in said[1][2]


ROWS = {
    "a.jsonl": [{"question": "Q?", "answer": "A", "context": "C"}],
    "b.jsonl": [{"instruction": "Q?", "input": "C", "output": "A"}],
    "c.jsonl": [
        {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A"}]}
    ],
    "d.jsonl": [
        {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A"}]}
    ],
    "e.json": [{"question": "Q?", "choices": ["B", "A"], "answer": 1}],
    "f.json": {
        "version": 1,
        "data": [
            {
                "question": "Q?",
                "choices": {"label": ["X", "Y"], "text": ["A", "B"]},
                "answerKey": "X",
            }
        ],
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_data_sets_name_their_columns_in_many_ways(name, tmp_path):
    path, rows = tmp_path / name, ROWS[name]
    path.write_text("\n\n".join(map(json.dumps, rows)) if name.endswith("l") else json.dumps(rows))
    (entry,) = read_samples(path)
    assert (entry.question, entry.answer) == ("Q?", "A")
    assert entry.messages[-1].content == "A"
    assert entry.context in entry.messages[0].content


def test_tables_and_parquet_are_read_with_their_places(tmp_path):
    (tmp_path / "a.csv").write_text('question,answer\n"two\nlines",x\nÜ?,y\n', "utf-8")
    assert [(e.question, e.line) for e in read_samples(tmp_path / "a.csv")] == [
        ("two\nlines", 2),
        ("Ü?", 4),
    ]
    table = pyarrow.table({"prompt": ["p", "q"], "completion": ["a", None]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    found = list(read_samples(tmp_path / "a.parquet"))
    assert [(e.question, e.answer, e.line, len(e.messages)) for e in found] == [
        ("p", "a", 1, 2),
        ("q", "", 2, 1),
    ]


@pytest.mark.parametrize(
    "name, data, line",
    [
        ("a.jsonl", b'{"question": "x"}\n{"a": 1}\n', 2),
        ("a.jsonl", b"[1]\n", 1),
        ("a.jsonl", b'{"question": "x"}\nnope\n', 2),
        ("a.jsonl", b"", 0),
        ("a.jsonl", b"\xff", 0),
        ("a.json", b"[" * 100_000, 0),
        ("a.csv", b"left,right\n1,2\n", 2),
        ("a.parquet", b"PAR1", 0),
        ("a.jsonl.gz", b"{}", 0),
        ("a.txt", b"x", 0),
    ],
)
def test_what_cannot_be_read_says_where(name, data, line, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as raised:
        list(read_samples(tmp_path / name))
    assert raised.value.line == line


def spread(number, size):
    """So many vectors, drawn around a few directions."""
    middles = numpy.random.default_rng(DRAW.randrange(2**32)).normal(size=(5, size))
    drawn = numpy.random.default_rng(DRAW.randrange(2**32))
    made = middles[drawn.integers(5, size=number)] + 0.5 * drawn.normal(size=(number, size))
    return (made / numpy.linalg.norm(made, axis=1, keepdims=True)).astype(numpy.float32)


def test_samples_of_the_same_meaning_are_those_that_brute_force_finds():
    """More samples than a batch, held-out ones first; no seed is dropped."""
    vectors = spread(300, 12)
    made = [asked(f"Question of number {i}?", "An answer.") for i in range(300)]
    made[10:20] = [asked(f"Seed of number {i}?", "An answer.", kind="seed") for i in range(10, 20)]
    place = {one.question: i for i, one in enumerate(made)}
    references = References(embed=lambda texts: vectors[[place[text] for text in texts]])
    kept, wanted = list(range(10)), []
    half = vectors.astype(numpy.float16).astype(numpy.float32)
    for i in range(10, 300):
        cosine, first = max((float(half[i] @ half[k]), -k) for k in kept)
        repeats = i >= 20 and cosine >= 0.9
        wanted.append(
            (("D506" if -first < 10 else "D532"), made[-first].id) if repeats else ("", "")
        )
        kept += [] if repeats else [i]
    settings = {"meaning": MeaningSettings("", 0.9), "near_duplicate": 1}
    found = verdicts(made[10:], held_out=made[:10], references=references, **settings)
    assert [(v.code.id if v.code else "", v.other) for v in found] == wanted
    assert {code for code, _ in wanted} == {"", "D506", "D532"}
    assert (
        codes(made[10:], held_out=made[:10], references=references, near_duplicate=1) == [""] * 290
    )


def test_novelty_looks_at_all_leaves_and_can_be_off():
    held = asked("one two three four five six seven eight nine ten", "A.")
    edge = asked("one two three four five six seven red green blue", "A.", leaf="knowledge/y")
    other = asked("one two three four five six grey red green blue", "A.")
    assert codes([edge], held_out=[held], novelty=0.7) == ["D516"]
    assert codes([edge], held_out=[held], novelty=0.71) == [""]
    assert codes([edge], held_out=[held]) == [""]
    assert codes([edge, other], novelty=0.7) == ["", "D516"]
    seed = replace(other, origin=replace(other.origin, kind="seed"))
    assert codes([seed], held_out=[held], novelty=0.3) == [""]


def test_what_cannot_embed_is_reported_before_a_token_is_spent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    settings = SiftSettings(meaning=MeaningSettings("x"))
    report = Report()
    assert open_references(settings, open_source(tmp_path), tmp_path, report).embed is None
    assert [d.code.id for d in report.diagnostics] == ["F611"]


def test_a_seed_is_dropped_by_no_rule():
    bad = [question_answer for *question_answer, name in UNSAFE[:3]] + PERSONAL
    seeds = [asked(question, answer, kind="seed") for question, answer in bad]
    made = [asked(f"Once more: {question}", answer) for question, answer in bad]
    everything = {"factoids": "drop", "text": BREAD}
    assert codes(seeds, **everything) == [""] * 6
    assert "" not in codes(made, near_duplicate=1, **everything)


SIGNS = [("What is the sign of unequal?", "!="), ("Say hello.", "\N{WAVING HAND SIGN}")]
SIGNS += [("什么是水？", "液体。"), ("\N{SNOWFLAKE}", "It is cold."), ("\N{FIRE}", "It is hot.")]


def test_a_seed_may_be_of_signs_alone_and_a_question_of_letters():
    assert codes([asked(*said, kind="seed") for said in SIGNS]) == [""] * len(SIGNS)
    short = ["D502", "D502", "", "D502", "D502"]
    assert codes([asked(*said) for said in SIGNS]) == short
    assert codes([asked("Say hello.", " ", kind="seed")]) == ["D502"]
