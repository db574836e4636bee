"""What a plan says is what a compile then asks: counted by hand, by a run, and by a tokenizer."""

import asyncio
import io
import json
import os
import random
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from compiler.cli import app, costs, offer
from compiler.codes import R401
from compiler.cost import Money, pair, price_of, seconds_of
from compiler.curriculum import Prices, TeacherSpec
from compiler.diagnostics import Report
from compiler.documents.chunk import estimate_tokens
from compiler.expand import Expander
from compiler.journal import Journal, Rate
from compiler.mock import running
from compiler.plan import Load, plan, probes, scale_of
from compiler.program import prepare
from compiler.progress import Progress, say
from compiler.prompt import Message
from compiler.source import WorkTree
from compiler.teacher import Failure, Reply, Unconnected
from compiler.teacher.counting import count
from compiler.teacher.extractive import Extractive
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

SEED = int(os.environ.get("TRIVIUM_TEST_SEED", random.randrange(2**32)))
GROUNDED = "compositional_skills/grounded/label/qna.yaml"
LEAVES = {
    SKILL: skill(),
    KNOWLEDGE: knowledge(),
    GROUNDED: skill(
        task_description="Label it.",
        seed_examples=[
            {"context": f"Box {n} is red.", "question": f"What is {n}?", "answer": f"{n} is red."}
            for n in "abcde"
        ],
    ),
}


def program_of(folder, settings="samples_per_leaf: 10\nmix: {validation: 0}\n"):
    write(folder, {**LEAVES, "curriculum.yaml": settings})
    program = prepare(WorkTree(folder), folder / "cache", Report())
    assert program
    return program


class Willing(Unconnected):
    """A language model that writes what is asked, as long as the examples, and passes all."""

    by_rule, in_flight = False, 8

    def __init__(self, model="willing", most=10**9):
        self.model, self.most = model, most
        self.asked = []

    async def ask(self, request):
        if len(self.asked) >= self.most:
            return Failure(R401, "gone")
        self.asked.append(request)
        columns = request.columns
        if request.form == "choice":
            text = str(request.writes[0].choices[-1])
        else:
            example = columns["examples"][0]
            number = columns["count"] if request.many else 1
            base = 1000 * request.index + len(self.asked) * 10
            text = "\n".join(
                f"<{f.name}>{example[f.name][:-3]} {base + i}</{f.name}>"
                for i in range(number)
                for f in request.writes
            )
        prompt = sum(estimate_tokens(m.content) for m in request.messages)
        return Reply(text, "stop", prompt, estimate_tokens(text) + 1)


def ran(program, teacher, journal, judge=None):
    async def run():
        expander = Expander(teacher, judge or teacher, journal)
        outcomes = [o async for o in expander.run(program.units, program.pipelines)]
        return sum(len(o.samples) for o in outcomes), expander.tally

    return asyncio.run(run())


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as made:
        yield made


def near(planned, actual, share=0.1):
    return abs(planned - actual) <= share * actual


def test_a_plan_is_what_a_willing_teacher_is_asked(tmp_path, journal):
    """By hand: 2 units of 5 in two leaves, 4 units of 3 in the grounded one."""
    program = program_of(tmp_path)
    made = plan(program.units, program.pipelines, Willing(), journal)
    calls = {line.leaf.rpartition("/")[2]: line.calls for line in made.lines}
    assert calls == {"rhyme": 2 * 16, "robin": 2 * 16, "label": 4 * 11}
    assert (made.total("samples"), made.total("units")) == (10 + 10 + 12, 8)
    teacher = Willing()
    samples, tally = ran(program, teacher, journal)
    assert (samples, tally.asked) == (made.total("samples"), made.total("calls"))
    assert near(made.total("prompt_tokens"), tally.prompt_tokens)
    assert near(made.total("completion_tokens"), tally.completion_tokens)
    judged = sum(request.form == "choice" for request in teacher.asked)
    assert made.load("judge").calls == judged


@pytest.mark.parametrize("settings", [5, 20, 35])
def test_more_samples_are_planned_as_they_come(tmp_path, journal, settings):
    program = program_of(tmp_path, f"samples_per_leaf: {settings}\n")
    made = plan(program.units, program.pipelines, Willing(), None)
    samples, tally = ran(program, Willing(), journal)
    assert samples == made.total("samples")
    assert near(made.total("calls"), tally.asked + tally.journaled)


def test_what_the_journal_holds_is_not_asked(tmp_path, journal):
    program = program_of(tmp_path)
    whole = plan(program.units, program.pipelines, Willing(), journal)
    assert (whole.total("journaled"), whole.total("left")) == (0, whole.total("calls"))
    most = random.Random(SEED).randrange(5, whole.total("calls") - 10)
    ran(program, Willing(most=most), journal)
    half = plan(program.units, program.pipelines, Willing(), journal)
    assert half.total("journaled") == most, SEED
    assert half.total("calls") == whole.total("calls")
    assert plan(program.units, program.pipelines, Willing("other"), journal).total("journaled") == 0
    _, tally = ran(program, Willing(), journal)
    assert tally.journaled == most
    assert abs(half.total("left") - tally.asked) <= 3, SEED
    done = plan(program.units, program.pipelines, Willing(), journal)
    assert (done.total("journaled"), done.total("left")) == (whole.total("calls"), 0)
    assert done.load("teacher_left", "judge_left") == Load()


def test_a_judge_of_its_own_is_planned_apart(tmp_path, journal):
    program = program_of(tmp_path)
    teacher, judge, other = Willing("a"), Willing("b"), Willing("c")
    ran(program, teacher, journal, judge)
    done = plan(program.units, program.pipelines, teacher, journal, judge)
    assert done.total("left") == 0
    with_other = plan(program.units, program.pipelines, teacher, journal, other)
    assert with_other.load("judge_left").calls == with_other.load("judge").calls
    first = sum(not r.columns.get("question") for r in teacher.asked)
    assert first <= with_other.total("journaled") < len(teacher.asked)


def test_of_many_units_a_share_stands_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr("compiler.plan._MOST_RENDERED", 150)
    program = program_of(tmp_path)
    units = [replace(u, index=u.index + 10 * i) for i in range(1000) for u in program.units]
    few = plan(program.units, program.pipelines, Willing(), None)
    many = plan(units, program.pipelines, Willing(), None)
    for name in ("units", "calls", "samples"):
        assert many.total(name) == 1000 * few.total(name)
    assert near(many.total("prompt_tokens"), 1000 * few.total("prompt_tokens"), 0.02)


def test_money_and_time_by_hand():
    load = Load(1000, 2_000_000, 500_000)
    assert price_of(load, Prices(1.5, 6.0, 0.5)) == Money(6.0, 3.0)
    assert price_of(load, Prices()) == Money(0.0, 0.0)
    assert seconds_of(load, Rate(250.0, 0.0)) == 2000.0
    assert seconds_of(load, Rate(250.0, 0.1)) == 10_000.0, "the slower of the two"
    assert (pair("a", "a"), pair("a", "b")) == ("a", "a, judged by b")


# Tokenizers


@contextmanager
def serving(answer):
    """A server; `answer` takes a path and a body and gives a JSON value, or None for 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            size = int(self.headers.get("Content-Length") or 0)
            value = answer(self.path, json.loads(self.rfile.read(size) or b"{}"))
            data = json.dumps(value if value is not None else {"error": "no"}).encode()
            self.send_response(404 if value is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


PROMPTS = [[Message("system", "a b"), Message("user", "c " * n + "d")] for n in range(1, 12)]


def words(messages):
    return sum(len(m["content"].split()) + 3 for m in messages)


def as_vllm(path, body):
    if path == "/v1/models":
        return {"data": [{"id": "m", "owned_by": "vllm"}]}
    if path == "/tokenize" and body.get("model") == "m" and "messages" in body:
        return {"count": words(body["messages"]), "max_model_len": 9, "tokens": []}
    return None


def as_llama(path, body):
    if path == "/v1/models":
        return {"data": [{"id": "m", "owned_by": "llamacpp"}]}
    if path == "/apply-template":
        return {"prompt": " ".join(f"<x> {m['content']} </x> ." for m in body["messages"])}
    if path == "/tokenize":
        return {"tokens": list(range(len(body.get("content", "").split())))}
    return None


@pytest.mark.parametrize("answer", [as_vllm, as_llama])
def test_a_server_counts_with_its_template(answer, tmp_path):
    with serving(answer) as url:
        spec = TeacherSpec("openai", ((url, 1.0),))
        found = asyncio.run(count(spec, tmp_path, "m", PROMPTS))
    assert found == [words([m.as_json() for m in prompt]) for prompt in PROMPTS]


def test_without_a_tokenizer_nobody_counts(tmp_path):
    asked = []

    def stranger(path, body):
        asked.append(path)
        return {"data": [{"id": "m", "owned_by": "somebody"}]} if path == "/v1/models" else None

    with serving(stranger) as url:
        assert (
            asyncio.run(count(TeacherSpec("openai", ((url, 1.0),)), tmp_path, "m", PROMPTS)) is None
        )
    assert asked == ["/v1/models"], "prompts go to nobody who may not know what to do with them"
    gone = TeacherSpec("openai", ((url, 1.0),))
    assert asyncio.run(count(gone, tmp_path, "m", PROMPTS)) is None
    assert (
        asyncio.run(count(TeacherSpec("vllm", model=str(tmp_path)), tmp_path, "m", PROMPTS)) is None
    )
    assert asyncio.run(count(TeacherSpec(), tmp_path, "m", PROMPTS)) is None


def test_the_tokenizer_of_a_folder_counts(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    found = asyncio.run(count(TeacherSpec("vllm", model=str(tmp_path)), tmp_path, "m", PROMPTS))
    assert found == [words([m.as_json() for m in prompt]) + 2 for prompt in PROMPTS]


def test_the_scale_makes_the_plan_exact_for_any_tokenizer(tmp_path, journal):
    """A tokenizer of three times as many tokens, and ten for the template."""
    program = program_of(tmp_path, "samples_per_leaf: 30\n")
    probed = probes(program.units, program.pipelines, 64)
    assert {name for name, _ in probed} == set(program.pipelines)
    assert 30 <= sum(map(len, probed.values())) <= 64

    def exact(prompt):
        return 3 * sum(estimate_tokens(m.content) for m in prompt) + 10

    scale = scale_of(probed, {key: sum(map(exact, some)) for key, some in probed.items()})
    made = plan(program.units, program.pipelines, Willing(), None, scale=scale)
    teacher = Willing()
    ran(program, teacher, journal)
    tokens = sum(exact(request.messages) for request in teacher.asked)
    assert near(made.total("prompt_tokens"), tokens, 0.05)
    plain = plan(program.units, program.pipelines, Willing(), None)
    assert not near(plain.total("prompt_tokens"), tokens, 0.5), "the control: without a scale"


# Through the command


@pytest.fixture(scope="module")
def mock():
    with running() as server:
        yield server.url


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


def trivium(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def rows_of(text):
    """The numbers of the table of a compile."""
    found = re.findall(
        r"^(calls|prompt tokens|reply tokens|samples) +([\d,]+) +([\d,]+)$", text, re.M
    )
    return {name: (int(a.replace(",", "")), int(b.replace(",", ""))) for name, a, b in found}


def test_plan_against_actual_is_within_a_tenth_on_the_mock(at_home, mock):
    folder = at_home / "taxonomy"
    settings = (
        "samples_per_leaf: 15\nteacher: {kind: openai, url: URL, prices: "
        "{prompt: 2, completion: 10, batch: 0.5}}\n"
    )
    program_of(folder, settings.replace("URL", f'"{mock}"'))
    before = trivium("plan", "--taxonomy", folder)
    assert before.exit_code == 0, before.output
    assert "tokens by the teacher's tokenizer, measured on" in before.stdout
    assert "time: not known before a first compile" in before.stdout
    money = re.search(r"money: about ([\d.]+) at list price, ([\d.]+) in batches", before.stdout)
    timed = trivium("plan", "--taxonomy", folder, "--rate", "100")
    assert re.search(r"time: about \d+s, at 100 reply tokens a second", timed.stdout)
    done = trivium("compile", "--taxonomy", folder, "--out", at_home / "build")
    assert done.exit_code == 0, done.output
    rows = rows_of(done.stdout)
    assert len(rows) == 4
    assert all(near(planned, actual) for planned, actual in rows.values()), rows
    run = json.loads((at_home / "build" / "run.json").read_text())
    assert [(r["planned"], r["actual"]) for r in run["plan"]] == list(rows.values())
    assert run["asked"] + run["journaled"] + run["joined"] == rows["calls"][1]
    assert run["prompt_tokens"] == rows["prompt tokens"][1]
    spent = (run["prompt_tokens"] * 2 + run["completion_tokens"] * 10) / 1e6
    assert near(float(money[1]), spent, 0.2)
    assert "run.json" not in json.loads((at_home / "build" / "manifest.json").read_text())["files"]
    with Journal(at_home / "home" / "journal.sqlite") as journal:
        (noted,) = journal.runs(5)
    assert (noted.model, noted.asked) == ("mock", run["asked"])
    after = trivium("plan", "--taxonomy", folder).stdout
    (all_leaves,) = re.findall(r"^all leaves.*$", after, re.M)
    journaled, left = map(int, all_leaves.split()[-2:])
    assert journaled >= run["asked"]
    assert left == 0
    assert "measured in earlier runs" in after
    assert "money: about 0.00" in after
    again = trivium("compile", "--taxonomy", folder, "--out", at_home / "build")
    assert "asked 0 questions" in again.stdout


def test_without_a_model_nothing_is_measured(at_home):
    """By rule there are no tokens to plan, and nothing of a run in what is printed."""
    program_of(at_home / "taxonomy")
    said = trivium("plan", "--taxonomy", at_home / "taxonomy").stdout
    assert "tokenizer" not in said
    assert "time:" not in said
    done = trivium("compile", "--taxonomy", at_home / "taxonomy", "--out", at_home / "build")
    assert rows_of(done.stdout) == {}
    assert json.loads((at_home / "build" / "run.json").read_text())["prompt_tokens"] == 0


def chatty(talks_first):
    """A server whose judge talks until it is asked again."""

    def answer(path, body):
        if path != "/v1/chat/completions":
            return {"data": [{"id": "chatty"}]} if path == "/v1/models" else None
        last = body["messages"][-1]["content"]
        text = f"<question>{last[-40:-30]} {hash(last)}?</question><answer>It is.</answer>"
        asked = body["messages"][1]["content"]
        if "Answer with one" in asked:
            talks = len(body["messages"]) == 2 and talks_first
            good = asked.split()[-1]
            text = f"I think so, {good}." if talks else good
        message = {"role": "assistant", "content": text}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    return answer


@pytest.mark.parametrize("talks", [True, False])
def test_many_replies_that_cannot_be_read_are_a_warning(at_home, talks):
    write(at_home / "taxonomy", {SKILL: LEAVES[SKILL], "curriculum.yaml": "samples_per_leaf: 5\n"})
    with serving(chatty(talks)) as url:
        done = trivium(
            "compile", "--teacher", url, "--out", at_home / "b", "--taxonomy", at_home / "taxonomy"
        )
    said = re.search(
        r"replies that could not be read: (\d+) of (\d+) \(([\d.]+)%\), (\d+) mended", done.stdout
    )
    assert bool(said) == ("warning[R408] many-unparsable" in done.stdout) == talks
    if said:
        bad, total, percent, mended = said.groups()
        assert int(bad) == int(mended) > 0
        assert float(percent) == pytest.approx(100 * int(bad) / int(total), abs=0.06)


def test_endpoints_are_offered_where_no_teacher_is_named(at_home, monkeypatch):
    from compiler.teacher import found

    assert tuple(port for _, port in found.PLACES) == offer.PORTS
    program_of(at_home / "taxonomy")
    with serving(
        lambda path, body: {"data": [{"id": "m"}]} if path == "/v1/models" else None
    ) as url:
        port = int(url.split(":")[2].removesuffix("/v1"))
        monkeypatch.setattr(offer, "PORTS", (port,))
        monkeypatch.setattr(found, "PLACES", (("vLLM", port),))
        said = trivium("plan", "--taxonomy", at_home / "taxonomy")
        assert said.stderr.splitlines() == [
            f"vLLM answers on this machine; to ask it: --teacher http://127.0.0.1:{port}/v1#m"
        ]
        assert "teacher: extractive" in said.stdout
        named = trivium("plan", "--taxonomy", at_home / "taxonomy", "--teacher", "extractive")
        assert named.stderr == ""
        settings = at_home / "taxonomy" / "curriculum.yaml"
        settings.write_text("teacher: {kind: extractive}\n")
        assert trivium("plan", "--taxonomy", at_home / "taxonomy").stderr == ""
        settings.write_text("# teacher: of no account\n")
        assert trivium("plan", "--taxonomy", at_home / "taxonomy").stderr != "", "the control"
    settings.write_text("")
    assert trivium("plan", "--taxonomy", at_home / "taxonomy").stderr == ""


def test_the_judge_is_named_as_the_teacher_is(at_home):
    program_of(at_home / "taxonomy")
    script = at_home / "judge.yaml"
    script.write_text("teacher:\n  - {text: 'no', stage: ''}\n")
    done = trivium(
        "compile",
        *("--taxonomy", at_home / "taxonomy", "--out", at_home / "b"),
        *("--judge", f"scripted:{script}"),
    )
    manifest = json.loads((at_home / "b" / "manifest.json").read_text())
    assert manifest["judge"].startswith("scripted@")
    assert manifest["teacher"].startswith("extractive@")
    assert "off-task (D510)" in done.stdout


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_is_said_above_the_one_that_moves(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Progress("unit", 10) as progress:
        progress._shown -= 1
        progress.step()
        shown = terminal.getvalue().rpartition("\x1b[K")[2]
        assert shown.startswith("unit 1 of 10")
        say("vllm: loading\x1b[2J")
        screen = terminal.getvalue().splitlines()
        assert screen[-2].endswith("\x1b[Kvllm: loading\\x1b[2J") or "\x1b[2J" not in screen[-2]
        assert screen[-1] == shown, "the line that moves is there again"
    say("after")
    assert terminal.getvalue().endswith("\x1b[Kafter\n")


def test_a_plan_of_rules_needs_no_journal(tmp_path):
    program = program_of(tmp_path)
    made = plan(program.units, program.pipelines, Extractive(), None)
    assert made.total("left") == made.total("calls")
    assert costs.scale(program, TeacherSpec(), tmp_path, "x") == ({}, 0)
