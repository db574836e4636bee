"""The page to explore a build: its numbers are the files', hostile text stays text, and in a real
browser it can be searched and loads nothing."""

import html.parser
import json
import math
import os
import random
import re
import shutil
from collections import Counter
from itertools import combinations, pairwise

import pytest
from typer.testing import CliRunner

from compiler.builds import Build
from compiler.cli.app import make_app
from compiler.diagnostics import Report
from compiler.journal import Journal, Kept
from compiler.leaf import words
from compiler.page import write
from compiler.page.books import balance
from compiler.page.entries import ALWAYS, LEFT_OUT, LOST, Entries, safe
from compiler.page.variety import look
from compiler.story import find, tell
from compiler.teacher import Reply
from tests.browser import Browser

HOSTILE = (
    """</script><script>window.pwned = 1</script><img src=x onerror='window.pwned=1'><!-- &lt;"""
)
LEAVES = ("knowledge/moons/io", "foundational_skills/sums", "compositional_skills/haiku")
BY = {LEAVES[0]: "ada", LEAVES[1]: "ada", LEAVES[2]: f"<b>grace {HOSTILE}"}
CODES = {"D501": "answer", "D512": "answer", "D507": "keep", "D511": "keep", "D503": "sift"}
CODES |= {"D540": "select"}
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan yew".split()
PRICES = {
    "teacher": {"prompt": 2.0, "completion": 6.0},
    "judge": {"prompt": 1.0, "completion": 3.0},
}


def dump(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return {"count": len(values)}


class Maker:
    """A made-up build, with hostile text wherever a contributor or a model can write."""

    def __init__(self, seed, each=12, dropped=40):
        self.draw = random.Random(seed)
        self.replies = {}
        self.samples = [self.sample(leaf, n) for leaf in LEAVES for n in range(each)]
        self.samples[0]["messages"][0]["content"] = f"Why {HOSTILE} \u2028 \ud800?"
        self.drops = [self.drop(self.draw.choice(LEAVES)) for _ in range(dropped)]
        self.heldout = [self.sample(leaf, 0) for leaf in LEAVES]
        self.aside = [s for s in self.samples if s["origin"]["kind"] == "synthetic"][::7]

    def say(self, number):
        return " ".join(self.draw.choices(WORDS, k=number)).capitalize()

    def reply(self, model, text, odds=None):
        key = f"{self.draw.getrandbits(128):032x}"
        tokens = self.draw.randrange(100, 900), self.draw.randrange(1, 90)
        self.replies[key] = Kept(key, model, 0, Reply(text, "stop", *tokens, 0, odds or {}, 1.5))
        return key

    def sample(self, leaf, n):
        by_people = n < 3
        asked, answered = f"{self.say(6)}?", f"{self.say(self.draw.randrange(3, 30))}."
        origin = {"kind": "seed", "file": f"{leaf}/qna.yaml", "blob": "b" * 40}
        origin |= {"contributor": BY[leaf], "licences": ["MIT"], "seeds": [f"{leaf}#{n}"]}
        origin |= {"document": "", "document_blob": "", "start": 0, "end": 0, "generation": 0}
        origin |= dict.fromkeys(("unit", "pipeline", "prompts", "teacher", "judge"), "")
        origin |= {"replies": [], "parent": "", "language": "", "drawn": [], "lines": []}
        if not by_people:
            replies = [
                self.reply("big", f"<question>{asked}</question>"),
                self.reply("big", f"<answer>{answered}{HOSTILE}</answer>"),
                self.reply("wise", "yes", {"yes": 0.75, "no": 0.25}),
            ]
            origin |= {"kind": "synthetic", "unit": f"{n // 3:016x}", "pipeline": f"qa{n % 2}"}
            origin |= {"prompts": "c" * 16, "teacher": "big", "judge": "wise", "generation": 1}
            origin |= {"replies": replies, "document": f"documents/{HOSTILE}"}
            origin |= {"document_blob": "d" * 40, "start": 10, "end": 90}
            origin |= {"drawn": [f"word={HOSTILE}"], "parent": "a" * 16}
        return {
            "id": f"{self.draw.getrandbits(64):016x}",
            "messages": [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answered},
            ],
            "branch": leaf.partition("/")[0],
            "leaf": leaf,
            "unmask": False,
            "origin": origin,
            "scores": {} if by_people else {"faithful": "yes", "faithful_odds": 0.75, "rate": 2},
        }

    def drop(self, leaf):
        code = self.draw.choice(sorted(CODES))
        replies = [self.reply("big", f"raw {self.say(4)} {HOSTILE}")]
        drop = {"code": code, "name": "x", "detail": "no: it is not", "leaf": leaf}
        return drop | {"stage": CODES[code], "text": f"{self.say(5)} {HOSTILE}", "replies": replies}

    def write(self, folder, home):
        folder.mkdir(parents=True)
        home.mkdir(parents=True, exist_ok=True)
        aside = {sample["id"] for sample in self.aside}
        placed = [sample for sample in self.samples if sample["id"] not in aside]
        phases = [[], []]
        for sample in placed:
            phases[sample["leaf"] == LEAVES[2]].append({**sample, "replay": False})
        phases[1] += [{**sample, "replay": True} for sample in phases[0][:5]]
        files = {"samples": self.samples, "drops": self.drops, "heldout": self.heldout}
        files |= {"validation": self.aside, "phase1": phases[0], "phase2": phases[1]}
        pairs = [self.preference(sample) for sample in self.samples[4:10]]
        of = {pair["id"]: pair["rivals"] for pair in pairs}
        files["samples"] = [
            {**sample, "rivals": of[sample["id"]]} if sample["id"] in of else sample
            for sample in self.samples
        ]
        files |= {"preferences": pairs}
        counts = {f"{name}.jsonl": dump(folder / f"{name}.jsonl", of) for name, of in files.items()}
        manifest = {"trivium": "0.1.0", "fingerprint": "f" * 16, "taxonomy": {"revision": ""}}
        manifest |= {"teacher": "big", "judge": "wise", "files": counts, "pipelines": {}}
        manifest |= {"curriculum": {"seed": 0, "sift": {"near_duplicate": 0.85}}}
        manifest |= {"leaves": [self.leaf(name) for name in LEAVES], "passes": self.passes()}
        four = {"count": 30, "utility": 25.7, "similarity": 0.9, "leaves": 3, "coverage": 0.943}
        chance = {**four, "utility": 14.01}
        manifest |= {"selection": {"selection": four, "random": chance, "curve": []}}
        worth = {"share": 0.5, "labels": 70, "auc": 0.61, "control": 0.66, "threshold": None}
        manifest |= {"worth": {**worth, "reason": "the forest learnt nothing"}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "run.json").write_text(json.dumps({"prices": PRICES, "seconds": 3.21}))
        with Journal(home / "journal.sqlite") as journal:
            journal.put_many(list(self.replies.values()))
        return folder

    def preference(self, sample):
        """Four rivals, of which the one with the best proxy is a bad one."""
        scores = [[4.0, 0.0], [3.0, 3.0], [2.0, 2.0], [1.0, 1.0]]
        return {
            "id": sample["id"],
            "leaf": sample["leaf"],
            "prompt": [],
            "chosen": [],
            "rejected": [{"role": "assistant", "content": f"worse {HOSTILE}"}],
            "rivals": scores,
        }

    def leaf(self, name):
        kinds = Counter(s["origin"]["kind"] for s in self.samples if s["leaf"] == name)
        return {
            "leaf": name,
            "branch": name.partition("/")[0],
            "blob": "b" * 40,
            "contributor": BY[name],
            "licences": ["MIT"],
            "documents": [],
            "chunks": 2,
            "units": 4,
            "synthetic": kinds["synthetic"],
            "human": kinds["seed"],
            "held_out": 1,
            "dropped": dict(Counter(d["code"] for d in self.drops if d["leaf"] == name)),
            "skipped": "",
        }

    def passes(self):
        by = {name: Counter() for name in ("expand", "sift", "select")}
        for drop in self.drops:
            by.get(drop["stage"], by["expand"])[drop["code"]] += 1
        human = sum(sample["origin"]["kind"] == "seed" for sample in self.samples)
        selected = len(self.samples)
        sifted = selected + by["select"].total()
        made = sifted + by["sift"].total() - human
        aside = Counter(D514=len(self.aside))
        return [
            {"name": name, "in": kept + of.total(), "kept": kept, "dropped": dict(of)}
            for name, kept, of in (
                ("leaves", 3, Counter()),
                ("ask", 12, Counter()),
                ("expand", made, by["expand"]),
                ("sift", sifted, by["sift"]),
                ("select", selected, by["select"]),
                ("mix", selected - len(self.aside), aside),
            )
        ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A build, the folder of its journal, and what it was made of."""
    root = tmp_path_factory.mktemp("page")
    maker = Maker(os.environ["TRIVIUM_TEST_SEED"])
    return maker.write(root / "build", root / "home"), root / "home", maker


@pytest.fixture(scope="module")
def page(made):
    build, home, _ = made
    report = Report()
    with Journal(home / "journal.sqlite") as journal:
        assert write(build, journal, build / "explore.html", report)
    return (build / "explore.html").read_text("utf-8")


class Scripts(html.parser.HTMLParser):
    """What a browser would make of a page: its elements, and the texts of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.places, self._inside = Counter(), [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.places += [value for name, value in attrs if name in ("src", "href")]
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data):
        if self._inside:
            attrs, before = self.scripts[-1]
            self.scripts[-1] = attrs, before + data

    def handle_endtag(self, tag):
        self._inside = False


def pieces(text):
    """The samples, drops, keys and replies that a page holds."""
    found = {"samples": [], "drops": [], "keys": [], "replies": [], "leaves": []}
    for attrs, inside in Scripts(text).scripts:
        if "data-piece" in attrs:
            piece = json.loads(inside)
            for name, values in found.items():
                values += piece[name]
    return found


def plain(text):
    """The words of a page as one reads them."""
    text = re.sub(r"<(script|style).*?</\1>|<wbr>", "", text, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return " ".join(text.replace("\u202f", "").replace("\u00a0", " ").split())


def test_the_page_holds_every_sample_and_drop_with_its_replies(made, page):
    _, _, maker = made
    found = pieces(page)
    assert {s[0] for s in found["samples"]} == {s["id"] for s in maker.samples + maker.heldout}
    told = [(found["leaves"][d[0]], d[1], d[3], d[4], d[5]) for d in found["drops"]]
    assert told == [(d["leaf"], d["code"], d["stage"], d["detail"], d["text"]) for d in maker.drops]
    raw = {key[:12]: kept.reply.text for key, kept in maker.replies.items()}
    used = {k for s in maker.samples + maker.heldout for k in s["origin"]["replies"]}
    used |= {key for drop in maker.drops for key in drop["replies"]}
    assert {k: r[0] for k, r in zip(found["keys"], found["replies"], strict=True)} == {
        key[:12]: raw[key[:12]] for key in used
    }
    said = {s[0]: s[6][1::2] for s in found["samples"]}
    assert all(
        said[s["id"]] == [m["content"].replace("\ud800", "?") for m in s["messages"]]
        for s in maker.samples
    )


def test_the_drops_on_the_page_add_up_to_the_manifest(made, page):
    build, _, _ = made
    manifest = json.loads((build / "manifest.json").read_text())
    found = Counter((drop[2], drop[1]) for drop in pieces(page)["drops"])
    for step in manifest["passes"]:
        assert step["in"] == step["kept"] + sum(step["dropped"].values())
        if step["name"] in ("expand", "sift", "select"):
            assert step["dropped"] == {
                c: n for (name, c), n in found.items() if name == step["name"]
            }
            assert f"{step['in']} in = {step['kept']} kept" in plain(page)


def test_the_books_of_the_leaves_add_up_to_the_passes(made):
    build, home, maker = made
    with Journal(home / "journal.sqlite") as journal:
        books = balance(Build(build), journal)
    passes = {step["name"]: step for step in maker.passes()}
    total = books.total
    assert total.made == passes["expand"]["in"]
    assert total.verified == passes["expand"]["kept"]
    assert total.kept + total.human == passes["select"]["kept"]
    unread = sum(drop["code"] in ("D501", "D512") for drop in maker.drops)
    assert total.made - total.parsed == unread
    for name in ("made", "parsed", "verified", "kept", "human", "calls", "prompt_tokens"):
        assert sum(getattr(leaf, name) for leaf in books.leaves) == getattr(total, name)
        assert sum(getattr(who, name) for who in books.contributors) == getattr(total, name)
    assert {who.name: who.leaves for who in books.contributors} == Counter(BY.values())


def test_the_money_is_that_of_each_reply_by_who_wrote_it(made):
    build, home, maker = made
    with Journal(home / "journal.sqlite") as journal:
        books = balance(Build(build), journal)
    used = {k for s in maker.samples for k in s["origin"]["replies"]}
    used |= {key for drop in maker.drops for key in drop["replies"]}
    by = {"big": PRICES["teacher"], "wise": PRICES["judge"]}
    spent = sum(
        by[kept.model]["prompt"] * kept.reply.prompt_tokens
        + by[kept.model]["completion"] * kept.reply.completion_tokens
        for key, kept in maker.replies.items()
        if key in used
    )
    assert books.total.calls == len(used)
    assert math.isclose(books.total.money, spent / 1e6)
    teacher_only = sum(
        2 * kept.reply.prompt_tokens + 6 * kept.reply.completion_tokens
        for key, kept in maker.replies.items()
        if key in used
    )
    assert not math.isclose(books.total.money, teacher_only / 1e6)  # the judge has its own price


def test_a_reply_of_two_samples_is_paid_once(tmp_path):
    maker = Maker(1)
    first, second, *_ = (s["origin"] for s in maker.samples if s["origin"]["replies"])
    second["replies"][0] = first["replies"][0]
    build = maker.write(tmp_path / "build", tmp_path / "home")
    with Journal(tmp_path / "home/journal.sqlite") as journal:
        books = balance(Build(build), journal)
    named = [k for s in maker.samples for k in s["origin"]["replies"]]
    named += [key for drop in maker.drops for key in drop["replies"]]
    assert books.total.calls == len(set(named)) == len(named) - 1


def test_entropy_and_likeness_are_those_of_brute_force(made):
    build, _, maker = made
    found = look(Build(build))
    counts = Counter(s["leaf"] for s in maker.samples if s["origin"]["kind"] == "synthetic")
    shares = [n / counts.total() for n in counts.values()]
    assert math.isclose(found.entropy, -sum(s * math.log2(s) for s in shares))
    assert math.isclose(found.highest, math.log2(3))

    def pairs(sample):
        said = ["", *words(sample["messages"][0]["content"]), ""]
        return set(pairwise(said))

    alike = {}
    for one, other in combinations(maker.samples, 2):
        a, b = pairs(one), pairs(other)
        alike[frozenset((one["id"], other["id"]))] = len(a & b) / len(a | b)
    assert math.isclose(found.likeness.pairs[0][0], max(alike.values()))
    for value, first, second in found.likeness.pairs:
        assert math.isclose(value, alike[frozenset((first, second))])
    assert sum(found.likeness.bins) == found.likeness.probes == len(maker.samples)


def test_one_context_does_not_make_questions_alike(tmp_path):
    maker = Maker(2)
    context = " ".join(maker.draw.choices(WORDS, k=200))
    for number, sample in enumerate(maker.samples):
        ask = f"number{number} word{number} thing{number}"
        sample["messages"][0]["content"] = f"{context}\n\n{ask}"
    build = maker.write(tmp_path / "build", tmp_path / "home")
    assert look(Build(build)).likeness.pairs == ()
    for sample in maker.samples[:2]:
        sample["messages"][0]["content"] = f"{context}\n\nthe very same"
    shutil.rmtree(build)
    assert look(Build(maker.write(build, tmp_path / "home"))).likeness.pairs[0][0] == 1.0


def test_the_page_tells_of_selection_and_of_a_proxy_that_misleads(page):
    told = plain(page)
    assert "It dropped nothing: the forest learnt nothing." in told
    assert "marks that it learnt from 70 AUC on marks that it did not see 0.610" in told
    assert "25.700 14.010" in told
    assert "From the best of 1 on only the score that chose rises" in told
    # of four, the best of two by proxy: 1/2 of the pairs hold the bad one, 1/3 the 3, 1/6 the 2
    assert (
        f"2 {math.log(2) - 0.5:.3f} {(4 * 3 + 3 * 2 + 2) / 6:.3f} {(0 * 3 + 3 * 2 + 2) / 6:.3f} 6"
        in told
    )


def test_nothing_that_a_sample_says_is_more_than_text(page):
    seen = Scripts(page)
    assert seen.tags["img"] == seen.tags["b"] - page.count("<b>") == 0
    assert len(seen.scripts) == 3
    assert sum("pwned" in text for attrs, text in seen.scripts if not attrs) == 0
    raw = f"<script>{json.dumps({'x': HOSTILE})}</script>"
    assert Scripts(raw).tags["img"] == 1  # what would be, were it not written safely
    assert Scripts(f"<script>{safe({'x': HOSTILE})}</script>").tags == {"script": 1}
    assert "default-src 'none'" in page
    assert all(place.startswith("#") for place in seen.places)


def test_same_build_and_replies_same_page(made, page, tmp_path):
    build, home, _ = made
    shutil.copytree(build, tmp_path / "elsewhere" / "build")
    shutil.copytree(home, tmp_path / "home")
    run = tmp_path / "elsewhere/build/run.json"
    run.write_text(json.dumps({"prices": PRICES, "seconds": 99.9}))
    with Journal(tmp_path / "home/journal.sqlite") as journal:
        assert write(run.parent, journal, tmp_path / "page.html", Report())
    assert (tmp_path / "page.html").read_text("utf-8") == page
    assert str(build.parent) not in page
    other = Maker(3).write(tmp_path / "other", tmp_path / "home3")
    with Journal(tmp_path / "home3/journal.sqlite") as journal:
        write(other, journal, tmp_path / "other.html", Report())
    assert (tmp_path / "other.html").read_text("utf-8") != page


def listed(build, home, *room):
    """What of a build a page has room for."""
    with Journal(home / "journal.sqlite") as journal:
        entries = Entries(Build(build), journal, balance(Build(build), journal).texts, *room)
        found = [json.loads(piece) for piece in entries.pieces()]
    return entries.shown, found


def test_what_there_is_no_room_for_is_left_out_evenly_and_said(tmp_path):
    maker = Maker(4, each=200, dropped=200)
    build = maker.write(tmp_path / "build", tmp_path / "home")
    whole, _ = listed(build, tmp_path / "home")
    assert (whole.samples, whole.drops) == (whole.of_samples, whole.of_drops) == (603, 200)
    assert whole.replies == whole.of_replies
    size = sum((build / f"{name}.jsonl").stat().st_size for name in ("samples", "drops", "heldout"))
    half, found = listed(build, tmp_path / "home", size // 2)
    assert 0.4 < half.samples / half.of_samples < 0.7
    leaves = [name for piece in found for name in piece["leaves"]]
    each = Counter(leaves[sample[1]] for piece in found for sample in piece["samples"])
    assert min(each.values()) >= ALWAYS
    texts = sum(len(kept.reply.text) for kept in maker.replies.values())
    few, found = listed(build, tmp_path / "home", 10 * size, texts // 3)
    told = [reply for piece in found for reply in piece["replies"]]
    assert 0 < few.replies < few.of_replies
    assert sum(len(reply[0]) for reply in told if reply != LEFT_OUT) <= texts / 2
    of_drops = [reply for drop in found[0]["drops"] for reply in drop[6]]
    assert all(told[place] != LEFT_OUT for place in of_drops)  # those of drops come first


def test_replies_that_are_nowhere_are_said(made, tmp_path):
    build, _, _ = made
    shown, found = listed(build, tmp_path)
    assert shown.lost == shown.of_replies > 0
    assert {reply for piece in found for reply in piece["replies"]} == {LOST}
    with Journal(tmp_path / "journal.sqlite") as journal:
        write(build, journal, tmp_path / "page.html", Report())
    told = plain((tmp_path / "page.html").read_text("utf-8"))
    assert "are not in the journal that this page was made with" in told
    assert "nobody knows what it cost" in told


def test_data_sets_are_counted_apart_from_people(made, page, tmp_path):
    maker = Maker(5)
    for sample in maker.samples[:2]:
        sample["origin"]["kind"] = "source"
    build = maker.write(tmp_path / "build", tmp_path / "home")
    with Journal(tmp_path / "home/journal.sqlite") as journal:
        write(build, journal, tmp_path / "page.html", Report())
    said = "of the samples are of data sets that were given"
    assert f"2 {said}" in plain((tmp_path / "page.html").read_text("utf-8"))
    assert said not in plain(page)


COMMANDS = {name: f"compiler.cli.{name}:{name}" for name in ("explore", "grade", "show", "value")}


def trivium(home, *words):
    app = make_app(COMMANDS)
    return CliRunner().invoke(app, [*map(str, words)], "q\n", env={"TRIVIUM_HOME": str(home)})


def explore(home, *words):
    return trivium(home, "explore", *words)


def test_the_command_writes_the_page_beside_the_manifest(made, page, tmp_path):
    build, home, _ = made
    done = explore(home, build, "--out", tmp_path / "new/page.html")
    assert (done.exit_code, done.output.strip()) == (0, str(tmp_path / "new/page.html"))
    assert (tmp_path / "new/page.html").read_text("utf-8") == page
    assert explore(home, tmp_path).exit_code == 1
    assert "F605" in explore(home, tmp_path).output


def test_a_damaged_build_is_named_with_its_line(made, tmp_path):
    build, home, _ = made
    shutil.copytree(build, tmp_path / "build")
    (tmp_path / "build/explore.html").unlink(missing_ok=True)
    drops = (tmp_path / "build/drops.jsonl").read_text().splitlines()
    (tmp_path / "build/drops.jsonl").write_text("\n".join([*drops[:2], drops[2][:30]]))
    done = explore(home, tmp_path / "build")
    assert done.exit_code == 1
    assert "F605" in done.output
    assert f"--> {tmp_path}/build/drops.jsonl:3:1\n" in done.output
    left = [path.name for path in (tmp_path / "build").iterdir() if "html" in path.name]
    assert left == []


def edited(change):
    """JSON with a change in it, which gets the value and may return another."""

    def edit(data):
        value = json.loads(data)
        changed = change(value)
        return json.dumps(value if changed is None else changed).encode()

    return edit


def without(name):
    return edited(lambda value: value.pop(name) and None)


def with_(**parts):
    return edited(lambda value: value.update(parts))


OF_VALUE = [5, {"method": "x"}, {"environments": "7"}, {"truncation": []}]
DAMAGE = {
    "manifest.json": [
        *(with_(leaves=5), with_(leaves=[{}]), with_(passes=["x"]), with_(files=[])),
        *(without("teacher"), with_(curriculum=[]), edited(lambda value: [value])),
        *(edited(lambda v, x=x: v["curriculum"].update(select={"value": x})) for x in OF_VALUE),
        *(edited(lambda v, x=x: v["curriculum"].update(seed=x)) for x in (-5, "1")),
        lambda data: data[:90],
        lambda data: data.decode().encode("utf-16"),
    ],
    "samples.jsonl": [
        *(without("origin"), without("id"), without("scores"), without("leaf")),
        *(with_(messages="abc"), with_(messages=[]), with_(scores={"a": math.nan})),
        *(edited(lambda value: [value]), lambda data: data[:30], lambda data: b"\xff\xfe" + data),
        lambda data: b"[" * 9999,
        lambda data: None,
    ],
    "drops.jsonl": [without("code"), with_(replies=None), lambda data: b"", lambda data: None],
}
READ = {"manifest.json": ("explore", "value"), "drops.jsonl": ("explore", "grade")}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_command_tells_the_same_of_damage(name, tmp_path, monkeypatch):
    maker = Maker(6, each=4, dropped=4)
    maker.write(tmp_path / "build", tmp_path / "home")
    (tmp_path / "taxonomy/knowledge").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    id = maker.samples[0]["id"]
    words = {command: (command, "build") for command in READ.get(name, COMMANDS)}
    words |= {"show": ("show", id, "--data", "build")} if "show" in words else {}
    for command in words.keys() - {"value"}:  # `test_value` does what takes its time
        assert trivium("home", *words[command]).exit_code == 0
    file = tmp_path / "build" / name
    *before, last = file.read_bytes().splitlines(keepends=True)
    where = f"build/{name}:{len(before) + 1}:1\n" if before else f"build/{name}\n"
    for damage in DAMAGE[name]:
        edit = damage(last)
        file.unlink(missing_ok=True)
        if edit is not None:
            file.write_bytes(b"".join(before) + (edit or b"\n"))
        for command, said in words.items():
            done = trivium("home", *said)
            assert (done.exit_code, "error[F605]" in done.output) == (1, True), (command, edit)
            is_told = "finished build" if name == "manifest.json" else f"no `{name}`"
            assert (is_told if edit is None else f"--> {where}") in done.output


def test_half_characters_and_damaged_prices_stop_no_page(tmp_path):
    maker = Maker(7, each=4, dropped=4)
    maker.samples[0]["leaf"] = maker.drops[0]["code"] = maker.drops[1]["leaf"] = "\ud800"
    build = maker.write(tmp_path / "build", tmp_path / "home")
    for prices in ("abc", {"teacher": {"x": 1}}, {"teacher": {"prompt": "x"}}, {"judge": [1]}):
        (build / "run.json").write_text(json.dumps({"prices": prices}))
        assert explore(tmp_path / "home", build).exit_code == 0


# In a real browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


READY = "document.querySelector('#samples')?.dataset.ready === 'yes'"
STATUS = "document.querySelector('#samples .status').textContent"
STORY = "document.querySelector('.story').innerText"


@pytest.fixture
def opened(browser, made, page):
    browser.open((made[0] / "explore.html").as_uri())
    browser.until(READY)
    yield browser
    assert browser.wrong == []
    assert [place for place in browser.asked if not place.startswith("file:")] == []
    assert browser.ask("window.pwned") is None


def shows(browser, count, of):
    """Waits for the number of those that match."""
    browser.until(f"{STATUS} === '{count} of {of} match'")


def test_search_narrows_the_list_and_a_click_opens_the_story(opened, made):
    build, home, maker = made
    whole = len(maker.samples) + len(maker.heldout) + len(maker.drops)
    sample = next(s for s in maker.samples if s["origin"]["replies"])
    first = sample["messages"][0]["content"].lower()
    opened.press("/")
    opened.type(f'"{first}"')
    texts = [s["messages"][0]["content"] for s in maker.samples + maker.heldout]
    texts += [drop["text"] for drop in maker.drops]
    shows(opened, sum(first in text.lower() for text in texts), whole)
    opened.click(".option")
    told = opened.until(f"{STORY}.includes('{sample['id']}') && {STORY}")
    with Journal(home / "journal.sqlite") as journal:
        story = tell(*find(Build(build), sample["id"]), journal)
    on_page = set(re.findall(r"[^\W_]+", told)) | {key[:32] for key in sample["origin"]["replies"]}
    for line in story.splitlines()[1:]:
        if not line.startswith("took"):  # no clock on the page
            assert set(re.findall(r"[^\W_]+", line)) - {"score"} <= on_page, line
    assert opened.ask("location.hash").startswith("#samples?")


def test_a_drop_shows_its_reason_and_raw_text(opened, made):
    _, _, maker = made
    code, count = Counter(drop["code"] for drop in maker.drops).most_common(1)[0]
    whole = len(maker.samples) + len(maker.heldout) + len(maker.drops)
    opened.ask(f"document.querySelector('.funnel a[href*={code}]').click()")
    shows(opened, count, whole)
    drop = next(drop for drop in maker.drops if drop["code"] == code)
    told = opened.until(f"{STORY}.includes('{code}') && {STORY}")
    assert drop["detail"] in told
    assert drop["text"] in told
    assert maker.replies[drop["replies"][0]].reply.text in told
    assert HOSTILE in told  # as text, and nothing of it ran
    assert opened.ask("document.querySelectorAll('.story img, .story script').length") == 0


def test_facets_count_what_the_files_hold(opened, made):
    _, _, maker = made
    found = opened.ask("[...document.querySelector('[name=leaf]').options].map(o => o.textContent)")
    counts = Counter(line["leaf"] for line in maker.samples + maker.heldout + maker.drops)
    assert set(found[1:]) == {f"{leaf} ({n})" for leaf, n in counts.items()}


def test_the_keys_go_through_the_list(opened):
    opened.ask("document.querySelector('[role=listbox]').focus()")
    for key in ("End", "ArrowUp", "ArrowDown"):
        opened.press(key)
    at = "document.querySelector('[aria-selected=true]')"
    last = opened.until(f"{at}?.getAttribute('aria-posinset')")
    assert last == opened.ask(f"{at}.getAttribute('aria-setsize')")
    active = opened.ask(
        "document.querySelector('[role=listbox]').getAttribute('aria-activedescendant')"
    )
    assert active == opened.ask(f"{at}.id")
    opened.press("Enter")
    assert opened.ask("document.activeElement.closest('.story') !== null")
    opened.press("Escape")
    assert opened.ask("document.activeElement.getAttribute('role')") == "listbox"


def test_only_what_is_in_sight_is_drawn_and_a_phone_has_no_room_to_scroll_sideways(opened, made):
    drawn = opened.ask("document.querySelectorAll('[role=option]').length")
    assert 0 < drawn < 30 < len(made[2].samples)
    opened.open((made[0] / "explore.html").as_uri(), 400, 800)
    opened.until(READY)
    assert opened.ask("document.documentElement.scrollWidth") <= 400


def test_the_browser_sees_what_a_bad_page_does(browser, tmp_path):
    """The control: complaints, requests and scripts of a bad page are noticed."""
    bad = tmp_path / "bad.html"
    raw = json.dumps({"x": HOSTILE})
    loads = "<script>nothing()</script><img src='http://127.0.0.1:65000/x.png'>"
    bad.write_text(f"{loads}<script type='application/json'>{raw}</script>")
    browser.open(bad.as_uri())
    browser.until("document.readyState === 'complete' && window.pwned === 1")
    browser.until("document.readyState === 'complete'")
    assert browser.wrong
    assert any(place.startswith("http:") for place in browser.asked)
