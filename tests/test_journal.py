"""The journal: every reply once, whatever process asks, whatever breaks, and out and in again."""

import asyncio
import gzip
import json
import os
import pickle
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.cli import app
from compiler.codes import R401, R404
from compiler.journal import Journal, JournalError, Kept, key_of
from compiler.pipeline import Field, Sampling
from compiler.prompt import Message
from compiler.story import tell
from compiler.teacher import Failure, Reply, Request

SEED = int(os.environ["TRIVIUM_TEST_SEED"])
ROOT = Path(__file__).parent.parent
DAY = 86_400


class Endpoint:
    """A teacher for keys: nobody asks it."""

    def __init__(self, model="tiny", by_rule=False):
        self.model, self.by_rule, self.extra = model, by_rule, {}


@pytest.fixture
def chance():
    return random.Random(SEED)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "journal.sqlite"


def key(chance):
    return f"{chance.getrandbits(128):032x}"


def reply(chance):
    """A reply as odd as they come."""
    letters = 'ab \n\t\0é\u2028\U0001f600"\\<>{}'
    text = "".join(chance.choice(letters) for _ in range(chance.choice([0, 5, 80, 5000])))
    counts = [chance.choice([0, 1, chance.randrange(10**6)]) for _ in range(3)]
    tokens = {chance.choice(letters) + str(i): chance.random() for i in range(chance.randrange(4))}
    finish = chance.choice(["stop", "length"])
    return Reply(text, finish, *counts, tokens, chance.choice([0.0, chance.random() * 100]))


def fill(path, chance, number, models=("tiny", "large")):
    """A journal of odd replies, the oldest first, a day between two."""
    now = int(time.time())
    kept = [
        Kept(key(chance), chance.choice(models), now - (number - i) * DAY - 60, reply(chance))
        for i in range(number)
    ]
    with Journal(path) as journal:
        assert journal.put_many(kept) == number
    return kept


def same(one, other):
    """Equal, and in what equality leaves out."""
    return one == other and getattr(one, "seconds", 0) == getattr(other, "seconds", 0)


def trivium(*words, code=0, stdin=None):
    result = CliRunner().invoke(app, list(map(str, words)), input=stdin)
    assert result.exit_code == code, result.output
    return result.output


def repeat(what, times):
    for _ in range(times):
        what()


def everything(path):
    with Journal(path) as journal:
        return list(journal.all())


# The key


def request(**changes):
    writes = (Field("answer", ()),)
    messages = (Message("system", "Be brief."), Message("user", "What do wrens eat? é"))
    made = Request(messages, Sampling(0.7, 1.0, 256), 3, "answers", writes)
    return replace(made, **changes)


def test_the_key_of_a_request_never_changes():
    assert key_of(Endpoint(), request()) == "6d7bc6415e03a6ebbd94fd6b1d07ca5c"
    assert (
        key_of(Endpoint("rules", True), request(columns={"a": "b"}))
        == "82ae703c0cfecdafd58362040d62168d"
    )


def test_the_key_depends_on_what_the_answer_depends_on_and_on_nothing_else(chance):
    known = key_of(Endpoint(), request())
    rank, columns = chance.randrange(10**6), {key(chance): chance.random()}
    assert key_of(Endpoint(), request(rank=rank, columns=columns, stage="other")) == known
    assert key_of(Endpoint(), request(writes=(Field("other", ()),))) == known
    choice = request(form="choice", writes=(Field("fit", ("yes", "no")),))
    ruled = Endpoint(by_rule=True)
    others = [
        key_of(Endpoint("tiny2"), request()),
        key_of(Endpoint(), request(index=4)),
        key_of(Endpoint(), request(sampling=Sampling(0.8, 1.0, 256))),
        key_of(Endpoint(), request(messages=(Message("user", "What do wrens eat?"),))),
        key_of(Endpoint(), request(form="json")),
        key_of(Endpoint(), request(form="json", many=True)),
        key_of(Endpoint(), choice),
        key_of(Endpoint(), replace(choice, writes=(Field("fit", ("yes", "maybe")),))),
        key_of(ruled, request()),
        key_of(ruled, request(columns=columns)),
        key_of(ruled, request(stage="other")),
        key_of(ruled, request(writes=(Field("other", ()),))),
    ]
    assert len({known, *others}) == len(others) + 1


def test_the_key_is_the_same_in_every_process():
    code = (
        "from tests.test_journal import *\n"
        "columns = {'b': 1, 'a': ['x', {'d': 1, 'c': 2}]}\n"
        "print(key_of(Endpoint('r', True), request(columns=columns)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


# Replies go in and come out


def test_a_reply_comes_out_as_it_went_in(tmp_path, chance):
    replies = {key(chance): reply(chance) for _ in range(60)}
    with Journal(tmp_path / "j") as journal:
        for one, said in replies.items():
            assert journal.get(one) is None
            assert journal.put(one, "m", said)
    with Journal(tmp_path / "j") as journal:
        assert all(same(journal.get(one), said) for one, said in replies.items())
        asked = [*replies, *(key(chance) for _ in range(1500))]
        chance.shuffle(asked)
        assert journal.get_many(iter(asked)) == replies


def test_the_first_reply_of_a_key_stays(tmp_path):
    with Journal(tmp_path / "j") as journal:
        assert journal.put("k", "m", Reply("first"))
        assert not journal.put("k", "m", Reply("second"))
        assert asyncio.run(journal.keep("k", "m", Reply("third"))) == Reply("first")
        assert asyncio.run(journal.keep("l", "m", Reply("new"))) == Reply("new")
        assert journal.get("k") == Reply("first")


def test_of_failures_only_what_no_teacher_can_ever_do_is_kept(tmp_path):
    cannot, away = Failure(R404, "no rule"), Failure(R401, "away")
    with Journal(tmp_path / "j") as journal:
        assert asyncio.run(journal.keep("a", "m", cannot)) == cannot
        assert asyncio.run(journal.keep("b", "m", away)) == away
        assert journal.put("c", "m", pickle.loads(pickle.dumps(cannot)))
        assert (journal.get("a"), journal.get("b"), journal.count()) == (cannot, None, 2)


def test_half_a_character_does_not_stop_a_run(tmp_path):
    with Journal(tmp_path / "j") as journal:
        counts = asyncio.run(journal.keep("k", "m", Reply("a\ud800b")))
        assert counts == journal.get("k") == Reply("a?b")


# Several processes


def write_many(path, seed, shared, own):
    """What one process does: puts shared keys, each with its own text, and keys of its own."""
    chance = random.Random(seed)
    keys = [f"{i:032x}" for i in range(shared)]
    chance.shuffle(keys)
    with Journal(path) as journal:
        counted = {k: asyncio.run(journal.keep(k, "m", Reply(f"{seed}"))).text for k in keys}
        for i in range(own):
            assert journal.put(f"{seed}-{i}", "m", Reply("own"))
    return counted


@pytest.fixture(scope="module")
def pool():
    """Three processes that share nothing with this one."""
    with ProcessPoolExecutor(3, get_context("spawn")) as made:
        yield made


def test_processes_that_write_at_once_agree_and_lose_nothing(tmp_path, pool):
    shared, own, seeds = 120, 60, [1, 2, 3]
    jobs = [pool.submit(write_many, tmp_path / "j", s, shared, own) for s in seeds]
    counted = [job.result() for job in jobs]
    assert all(one == counted[0] for one in counted)
    with Journal(tmp_path / "j") as journal:
        assert journal.count() == shared + own * len(seeds)
        assert {k: r.text for k, r in journal.get_many(counted[0]).items()} == counted[0]


FIRST_FORM = """
create table replies (key text primary key, model text not null, text text not null,
finish text not null, prompt_tokens integer not null, completion_tokens integer not null)
without rowid
"""


def first_form(path, chance, number):
    """A journal as the first form of the program wrote it."""
    path.parent.mkdir(exist_ok=True)
    base = sqlite3.connect(path)
    base.execute("pragma journal_mode = wal")
    base.execute(FIRST_FORM)
    kept = {key(chance): replace(reply(chance), cached=0, odds={}) for _ in range(number)}
    for one, said in kept.items():
        row = (one, "m", said.text, said.finish, said.prompt_tokens, said.completion_tokens)
        base.execute("insert into replies values (?, ?, ?, ?, ?, ?)", row)
    kept["f"] = Failure(R404, "cannot")
    base.execute("insert into replies values ('f', 'rules', 'cannot', 'R404', 0, 0)")
    base.commit()
    base.close()
    return kept


def test_a_journal_of_the_first_form_is_taken_over_by_several_at_once(tmp_path, chance, pool):
    kept = first_form(tmp_path / "j", chance, 200)
    list(pool.map(write_many, [tmp_path / "j"] * 3, range(3), [0] * 3, [5] * 3))
    with Journal(tmp_path / "j") as journal:
        assert journal.count() == len(kept) + 15
        assert journal.get_many(kept) == kept
        assert all(time.time() - 60 < share.oldest for share in journal.shares())


def test_a_take_over_that_is_stopped_leaves_the_first_form(tmp_path, chance, monkeypatch):
    kept = first_form(tmp_path / "j", chance, 20)
    with monkeypatch.context() as broken:
        broken.setattr("compiler.journal.table._TAKE_OVER", "insert into nowhere values (?)")
        with pytest.raises(JournalError):
            Journal(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal.get_many(kept) == kept


def test_a_process_that_is_killed_loses_nothing_that_it_stored(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from compiler.journal import Journal\n"
        "from compiler.teacher import Reply\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for i in range(50): journal.put(f'{i}', 'm', Reply('x'))\n"
        "os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "j")]
    assert subprocess.run(words, cwd=ROOT).returncode == -9
    with Journal(tmp_path / "j") as journal:
        assert journal.count() == 50


# What breaks


def test_a_full_disk_is_told_and_loses_nothing(tmp_path, chance):
    with Journal(tmp_path / "j") as journal:
        journal._base.execute("pragma max_page_count = 40")
        stored = {}

        def put_more():
            one, said = key(chance), Reply("x" * 2000)
            journal.put(one, "m", said)
            stored[one] = said

        with pytest.raises(JournalError, match="full") as told:
            repeat(put_more, 1000)
        journal._base.execute("pragma max_page_count = 50")
        assert (told.value.code.id, "free some space" in told.value.hint) == ("B903", True)
        with pytest.raises(JournalError):
            journal.put_many([Kept(key(chance), "m", 1, Reply(size * "x")) for size in (1, 10**6)])
    with Journal(tmp_path / "j") as journal:
        assert journal.get_many(stored) == stored
        assert journal.count() == len(stored) > 5
        assert journal.put("more", "m", Reply("x"))


def test_of_many_replies_all_are_stored_or_none(tmp_path, chance):
    good = Kept(key(chance), "m", 1, Reply("x"))
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(UnicodeEncodeError):
            journal.put_many([good, replace(good, key=key(chance), model="\ud800")])
        assert journal.count() == 0
        assert journal.put_many([good, good]) == journal.count() == 1


def test_a_file_that_cannot_be_written_is_told(tmp_path, chance):
    fill(tmp_path / "j", chance, 3)
    with Journal(tmp_path / "j") as journal:
        journal._base.execute("pragma query_only = true")
        with pytest.raises(JournalError, match="readonly") as told:
            journal.put("k", "m", Reply("x"))
        assert told.value.code.id == "B903"
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.hint) == (str(told.value), told.value.hint)


def test_a_journal_that_another_holds_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("compiler.journal.store.WAIT", 0.05)
    with Journal(tmp_path / "j") as one, Journal(tmp_path / "j") as other:
        one._base.execute("begin immediate")
        with pytest.raises(JournalError, match="locked") as told:
            other.put("k", "m", Reply("x"))
        assert "another process" in told.value.hint
        assert other.get("k") is None
        one._base.execute("rollback")
        assert other.put("k", "m", Reply("x"))


@pytest.mark.parametrize("command", ["stats", "export", "import", "gc"])
def test_what_is_no_journal_is_told_by_every_command(home, chance, command):
    words = {"export": ["f"], "import": ["f"], "gc": ["--older-than", "1"]}.get(command, [])
    Path("f").write_text("")
    home.parent.mkdir()
    home.write_bytes(chance.randbytes(9000))
    output = trivium("journal", command, *words, code=1)
    assert "error[E705] damaged-journal: the journal `home/journal.sqlite`: file is not" in output
    assert home.stat().st_size == 9000


@pytest.mark.parametrize(
    "made", ["create table t (a)", "create table replies (key)", "pragma user_version = 99"]
)
def test_a_database_of_another_program_is_left_alone(home, made):
    home.parent.mkdir()
    base = sqlite3.connect(home)
    base.execute(made)
    base.close()
    before = home.read_bytes()
    assert "E705" in trivium("journal", "stats", code=1)
    assert home.read_bytes() == before


def test_a_torn_page_is_told_where_it_is_read_and_by_a_compile(home, chance):
    fill(home, chance, 400)
    with Journal(home) as journal:
        journal._base.execute("pragma wal_checkpoint(truncate)")
    data = bytearray(home.read_bytes())
    for start in range(3 * 4096, len(data), 4096):
        data[start : start + 4096] = chance.randbytes(4096)
    home.write_bytes(data)
    assert "E705" in trivium("journal", "export", "f", code=1)
    assert list(Path().glob("f*")) == []
    taxonomy = Path("compositional_skills/rhyme")
    taxonomy.mkdir(parents=True)
    seeds = "".join(f"  - {{question: 'Rhyme {n}?', answer: 'Word {n}.'}}\n" for n in range(6))
    (taxonomy / "qna.yaml").write_text(
        f"version: 3\ncreated_by: ada\ntask_description: Rhyme.\nseed_examples:\n{seeds}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "compiler.cli", "compile"], capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.startswith("error[E705] damaged-journal: the journal `home/journal.sqlite`:")
    assert "   = help: move" in done.stderr


# Runs


def test_the_rate_is_that_of_the_last_long_runs(tmp_path):
    with Journal(tmp_path / "j") as journal:
        assert journal.rate("m") is None
        journal.note_run("m", 49, 0, 1000, 4.9)
        journal.note_run("m", 0, 0, 0, 100.0)
        journal.note_run("m", 60, 0, 60, 0.0)
        journal.note_run("other", 100, 0, 1, 1.0)
        assert journal.rate("m") is None
        journal.note_run("m", 1000, 0, 10**9, 6.0)
        for _ in range(3):
            journal.note_run("m", 50, 0, 500, 2.0)
        journal.note_run("m", 10, 0, 100, 10.0)
        journal.note_run("m", 40, 0, 900, 24.0)
        rate = journal.rate("m")
        assert (rate.tokens, rate.requests) == (2500 / 40, 200 / 40)
        assert [run.asked for run in journal.runs(2)] == [40, 10]


# The commands


def test_stats_add_up(home, chance):
    kept = fill(home, chance, 30)
    with Journal(home) as journal:
        journal.note_run("tiny", 80, 10, 1000, 4.0)
        shares = {share.model: share for share in journal.shares()}
    for model, share in shares.items():
        mine = [k.reply for k in kept if k.model == model]
        timed = [r.seconds for r in mine if r.seconds]
        assert share.replies == len(mine)
        assert share.prompt_tokens == sum(r.prompt_tokens for r in mine)
        assert share.cached == sum(r.cached for r in mine)
        assert share.completion_tokens == sum(r.completion_tokens for r in mine)
        assert share.seconds == pytest.approx(sum(timed) / len(timed) if timed else 0)
    output = trivium("journal", "stats")
    assert "journal.sqlite: 30 replies" in output
    assert f"oldest {time.strftime('%Y-%m-%d', time.gmtime(kept[0].created))}" in output
    assert all(model in output for model in shares)
    assert output.rstrip().endswith("250")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_an_export_goes_in_again_and_out_with_the_same_bytes(home, chance, name, monkeypatch):
    kept = fill(home, chance, 60)
    with Journal(home) as journal:
        journal.put(key(chance), "rules", Failure(R404, "cannot"))
    whole = everything(home)
    assert "wrote 61 replies" in trivium("journal", "export", name)
    text = Path(name).read_bytes()
    assert name.endswith("l") or text[3:8] == bytes(5), "no name and no time in it"
    lines = [json.loads(line) for line in opened(name).decode().split("\n")[:-1]]
    assert [line["key"] for line in lines] == sorted(line["key"] for line in lines)
    assert {k.key for k in kept} < {line["key"] for line in lines}
    monkeypatch.setenv("TRIVIUM_HOME", "elsewhere")
    assert "took 61 replies; 0 were known" in trivium("journal", "import", name)
    again = everything(Path("elsewhere/journal.sqlite"))
    assert again == whole
    assert all(same(a.reply, b.reply) for a, b in zip(again, whole, strict=True))
    assert "took 0 replies; 61 were known" in trivium("journal", "import", name)
    trivium("journal", "export", f"b{name}")
    assert Path(f"b{name}").read_bytes() == text


def opened(name):
    data = Path(name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def test_an_import_changes_nothing_that_is_there(home):
    with Journal(home) as journal:
        journal.put("0" * 32, "m", Reply("mine"))
    line = {"key": "0" * 32, "model": "m", "finish": "stop", "text": "theirs"}
    Path("f").write_text(json.dumps(line) + "\n" + json.dumps({**line, "key": "1" * 32}))
    assert "took 1 reply; 1 were known" in trivium("journal", "import", "f")
    assert [k.reply.text for k in everything(home)] == ["mine", "theirs"]


BROKEN = [
    b"{",
    b"[]",
    b'"\xff"',
    b"[" * 100_000,
    {"key": "A" * 32},
    {"key": "0" * 31},
    {"text": None},
    {"text": "\ud800"},
    {"model": 3},
    {"finish": None},
    {"prompt_tokens": -1},
    {"prompt_tokens": True},
    {"completion_tokens": 2**63},
    {"cached": 1.5},
    {"created": "now"},
    {"seconds": float("nan")},
    {"odds": [1]},
    {"odds": {"a": "b"}},
]


def test_broken_lines_are_named_and_the_others_are_taken(home, chance):
    good = {"model": "m", "finish": "stop", "text": "t"}
    lines, wrong = [], []
    for broken in BROKEN:
        for _ in range(chance.randrange(3)):
            lines.append(json.dumps({**good, "key": key(chance)}).encode())
        wrong.append(len(lines) + 1)
        whole = {**good, "key": key(chance)}
        is_bytes = isinstance(broken, bytes)
        lines.append(broken if is_bytes else json.dumps({**whole, **broken}).encode())
    lines.append(json.dumps({**good, "key": key(chance)}).encode())
    Path("f").write_bytes(b"\n".join(lines))
    output = trivium("journal", "import", "f", code=1)
    assert f"took {len(lines) - len(wrong)} repl" in output
    named = [int(line.split(":")[1]) for line in output.splitlines() if "--> f:" in line]
    assert named == wrong
    assert len(everything(home)) == len(lines) - len(wrong)


def test_a_file_of_something_else_is_told_in_a_few_lines(home):
    Path("f").write_text("no reply\n" * 5000)
    output = trivium("journal", "import", "f", code=1)
    assert "4,980 more lines from here on are no reply" in output
    assert len(output.splitlines()) < 120


def test_a_compressed_export_that_is_cut_gives_what_is_whole(home, chance):
    fill(home, chance, 300)
    trivium("journal", "export", "a.gz")
    data = Path("a.gz").read_bytes()
    Path("b.gz").write_bytes(data[: len(data) // 2])
    with Journal(home) as journal:
        journal.remove(list(journal.keys()))
    output = trivium("journal", "import", "b.gz", code=1)
    assert "ends too soon" in output
    assert 0 < len(everything(home)) < 300


def test_an_import_that_is_stopped_keeps_what_it_counted(home, chance, monkeypatch):
    monkeypatch.setattr("compiler.journal.exchange._AT_ONCE", 10)
    fill(home, chance, 25)
    trivium("journal", "export", "a")
    monkeypatch.setenv("TRIVIUM_HOME", "elsewhere")
    put_many, parts = Journal.put_many, []

    def stopped(self, many):
        parts.append(many)
        if len(parts) == 2:
            raise KeyboardInterrupt
        return put_many(self, many)

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "put_many", stopped)
        assert "stopped; 10 replies of it are here" in trivium("journal", "import", "a", code=130)
    assert len(everything(Path("elsewhere/journal.sqlite"))) == 10
    assert "took 15 replies; 10 were known" in trivium("journal", "import", "a")


# Deleting


def build(name, samples, drops):
    """A finished build, as far as its replies go."""
    Path(name).mkdir()
    files = {
        "samples.jsonl": [{"id": "x", "origin": {"replies": keys}} for keys in samples],
        "drops.jsonl": [{"code": "D501", "replies": keys} for keys in drops],
    }
    for file, values in files.items():
        Path(name, file).write_text("".join(json.dumps(value) + "\n" for value in values))
    counts = {file: {"count": len(values)} for file, values in files.items()}
    Path(name, "manifest.json").write_text(json.dumps({"files": counts}))


def test_gc_spares_what_the_named_builds_are_made_of(home, chance):
    keys = [kept.key for kept in fill(home, chance, 40)]
    build("a", [keys[:3], keys[2:9]], [keys[9:12], []])
    build("b", [[]], [keys[20:25]])
    words = ["journal", "gc", "--keep", "a", "--keep", "b"]
    assert "23 of 40 replies are to go" in trivium(*words, "--dry-run")
    assert len(everything(home)) == 40
    assert "deleted 23 replies" in trivium(*words)
    assert {k.key for k in everything(home)} == {*keys[:12], *keys[20:25]}
    assert "0 of 17 replies" in trivium(*words)


def test_gc_by_age_and_model_takes_what_meets_all(home, chance):
    kept = fill(home, chance, 40)
    build("a", [[k.key for k in kept[:10]]], [])
    words = ["journal", "gc", "--older-than", "20", "--model", "tiny", "--keep", "a"]
    trivium(*words)
    gone = {k.key for k in kept[10:21] if k.model == "tiny"}
    assert {k.key for k in everything(home)} == {k.key for k in kept} - gone
    trivium("journal", "gc", "--older-than", "0")
    assert everything(home) == []


def test_gc_gives_the_room_back_unless_another_uses_the_journal(home, chance):
    fill(home, chance, 800)
    with Journal(home) as other:
        reading = iter(other._base.execute("select key from replies"))
        next(reading)
        output = trivium("journal", "gc", "--model", "tiny")
        assert "new replies will take their room" in output
        reading.close()
    before = home.stat().st_size
    assert "MB are free again" in trivium("journal", "gc", "--model", "large")
    assert home.stat().st_size < before / 10


def test_gc_deletes_nothing_where_a_build_is_not_whole(home, chance):
    keys = [kept.key for kept in fill(home, chance, 8)]
    build("a", [keys[:2], keys[2:4]], [])
    Path("none").mkdir()
    lines = Path("a/samples.jsonl").read_text().splitlines(keepends=True)
    for broken in (lines[0], lines[0] + "{\n", lines[0] + "{}\n", None):
        if broken is None:
            Path("a/samples.jsonl").unlink()
        else:
            Path("a/samples.jsonl").write_text(broken)
        assert "F605" in trivium("journal", "gc", "--keep", "a", code=1)
    assert "F605" in trivium("journal", "gc", "--keep", "none", code=1)
    assert len(everything(home)) == 8


def test_gc_wants_a_condition_and_a_model_that_there_is(home, chance):
    fill(home, chance, 8, ["tiny"])
    assert "say which" in trivium("journal", "gc", "--yes", code=2)
    assert "did you mean `tiny`?" in trivium("journal", "gc", "--model", "tinny", code=2)
    assert len(everything(home)) == 8


@pytest.mark.parametrize("answer, words, left", [("n\n", [], 8), ("y\n", [], 0), ("", ["-y"], 0)])
def test_gc_asks_on_a_terminal(home, chance, monkeypatch, answer, words, left):
    fill(home, chance, 8, ["tiny"])
    monkeypatch.setattr("compiler.cli.journal.on_terminal", lambda: True)
    code = 1 if left else 0
    output = trivium("journal", "gc", "--model", "tiny", *words, stdin=answer, code=code)
    assert ("delete them?" in output) == bool(answer)
    assert len(everything(home)) == left


def test_a_wrong_word_in_the_group_is_guessed(home):
    assert "Did you mean 'stats'?" in trivium("journal", "stat", code=2)
    assert "export" in trivium("journal", "--help")


# The story of a sample


def test_the_story_tells_what_each_reply_took(tmp_path):
    origin = dict.fromkeys(("file", "blob", "contributor", "unit", "prompts", "judge"), "x")
    origin |= {"kind": "synthetic", "licences": [], "seeds": [], "document": "", "pipeline": "p"}
    sample = {"id": "1", "leaf": "l", "branch": "b", "messages": [], "scores": {}}
    sample["origin"] = {**origin, "teacher": "t", "replies": ["a", "b", "c"]}
    with Journal(tmp_path / "j") as journal:
        journal.put("a", "m", Reply("A.", "length", 1200, 30, 1000, {}, 1.234))
        journal.put("b", "m", Reply("yes", "stop", 9, 1, 0, {"yes": 0.75, "no": 0.25}))
        text = tell(sample, ("samples",), journal)
    assert "  A.\ntokens       1,200 of its prompt, 1,000 of them cached, 30 of the reply\n" in text
    assert "took         1.23 s\nended by     length" in text
    assert "odds         'yes' 0.750, 'no' 0.250" in text
    assert "reply c (not in this journal)" in text
