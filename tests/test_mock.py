"""The mock teacher: it answers what is asked, in the form asked for, and fails as it is told."""

import http.client
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import jsonschema
import pytest

from compiler.diagnostics import Report
from compiler.documents.chunk import estimate_tokens
from compiler.mock import running
from compiler.mock.options import FAULTS
from compiler.pipeline import Sampling, folders, load
from compiler.prompt import render
from compiler.reply import odds_of, parse_reply, repaired
from compiler.teacher import Reply, Request, wire
from tests.pipelines import columns_of

DRAW = random.Random(int(os.environ["TRIVIUM_TEST_SEED"]))
WORDS = "robin heron finch wren swift crane stork raven lark owl hawk kite".split()


def words(count):
    return " ".join(DRAW.choices(WORDS, k=count))


def example():
    return {
        "question": f"{words(DRAW.randint(8, 14))}?",
        "answer": f"{words(DRAW.randint(6, 20))}.",
        "context": f"{words(40)}.",
    }


def columns(count):
    examples = [example() for _ in range(3)]
    texts = {name: words(9) for name in ("title", "outline", "domain", "task")}
    own = example()
    return {
        **texts, **own, "document": words(150), "examples": examples, "seed": own, "count": count,
    }  # fmt: skip


PIPELINES = {name: load(folder, Report()) for name, folder in folders().items()}
STAGES = [(name, stage) for name, made in PIPELINES.items() for stage in made.generates]
LAB = ("knowledge-qa", "skill-freeform", "skill-grounded")
ASKED = [
    (name, stage, dialect)
    for name, stage in STAGES
    for dialect in (wire.DIALECTS if name in LAB else DRAW.sample(sorted(wire.DIALECTS), 1))
]


def asked(name, stage, form, count):
    every = columns_of(PIPELINES[name], lambda _: f"{words(9)}.")
    return Request(
        render(stage.prompt, {**every, **columns(count)}),
        Sampling(),
        writes=stage.writes,
        many=stage.many,
        form=form,
    )


def post(url, body, path="/chat/completions", timeout=5):
    """Status and body of one request on a connection of its own."""
    place = urlsplit(url)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout)
    try:
        line.request("POST", place.path + path, json.dumps(body))
        answer = line.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        line.close()


def get(url, path):
    place = urlsplit(url)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=5)
    try:
        line.request("GET", path)
        return line.getresponse().read()
    finally:
        line.close()


def say(text, **more):
    return {"model": "mock", "messages": [{"role": "user", "content": text}], **more}


def text(url, body):
    status, data, _ = post(url, body)
    assert status == 200, data
    return json.loads(data)["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def mock():
    with running() as made:
        yield made


@pytest.mark.parametrize("name, stage, dialect", ASKED, ids=[f"{n}-{s.id}" for n, s, _ in ASKED])
def test_every_stage_of_every_pipeline_gets_what_it_asks_for(mock, name, stage, dialect):
    judges = len(stage.writes) == 1 and stage.writes[0].choices
    count = DRAW.randint(2, 9)
    for form in ("tags", "json", "choice") if judges else ("tags", "json"):
        request = asked(name, stage, form, count)
        status, data, _ = post(mock.url, wire.body(request, "mock", dialect, {}))
        assert status == 200, data
        reply = wire.read(json.loads(data))
        assert isinstance(reply, Reply)
        records, broken = parse_reply(reply, request)
        assert not broken, (form, reply.text)
        if not stage.most:
            assert len(records) == (count if stage.many else 1), (form, reply.text)
        if stage.many and "question" in records[0]:
            assert len({record["question"] for record in records}) == len(records)
        if judges:
            choices = stage.writes[0].choices
            assert records[0][stage.writes[0].name] == choices[-1]
        if form == "choice" and dialect == "vllm":
            assert 0.5 < odds_of(reply, request)[f"{stage.writes[0].name}_odds"] < 1


def test_a_reply_that_could_not_be_read_is_written_again(mock):
    for name, stage in STAGES:
        request = repaired(asked(name, stage, "tags", 1), Reply("I would rather not."))
        status, data, _ = post(mock.url, wire.body(request, "mock", "none", {}))
        assert status == 200
        assert parse_reply(wire.read(json.loads(data)), request)[1] == []


def test_texts_are_about_as_long_as_the_examples(mock):
    _, stage = next((n, s) for n, s in STAGES if n == "knowledge-qa" and s.many)
    wanted = got = 0
    for _ in range(20):
        shown = columns(5)
        settings = PIPELINES["knowledge-qa"].settings.defaults
        prompt = render(stage.prompt, {**settings, "language": "", **shown})
        request = Request(prompt, Sampling(), writes=stage.writes, many=True)
        reply = text(mock.url, wire.body(request, "mock", "none", {}))
        records, _ = parse_reply(Reply(reply), request)
        got += sum(estimate_tokens(str(value)) for r in records for value in r.values())
        one = [estimate_tokens(e[name]) for e in shown["examples"] for name in r_names(stage)]
        wanted += 5 * sum(one) / 3
    assert 0.9 < got / wanted < 1.1


def r_names(stage):
    return [field.name for field in stage.writes]


def test_the_same_request_has_the_same_answer_and_another_seed_another():
    body = say(f"Write 3 questions on {words(20)} as <question>...</question>")
    with running(seed=1) as one, running(seed=2) as two:
        assert text(one.url, body) == text(one.url, body) != text(two.url, body)
        assert text(one.url, {**body, "temperature": 0.5}) != text(one.url, body)
        assert one.stats()["repeats"] == 2


SCHEMA = {
    "type": "object",
    "required": ["name", "marks", "kind", "tree"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 30, "maxLength": 35},
        "marks": {"type": "array", "minItems": 3, "items": {"type": "integer", "minimum": 7}},
        "kind": {"enum": ["a", "b", 3]},
        "tree": {"$ref": "#/$defs/tree"},
        "odds": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "$defs": {
        "tree": {
            "type": "object",
            "required": ["leaf"],
            "properties": {"leaf": {"type": ["string", "null"]}, "next": {"$ref": "#/$defs/tree"}},
        }
    },
}


@pytest.mark.parametrize(
    "form",
    [
        {"structured_outputs": {"json": SCHEMA}},
        {"guided_json": json.dumps(SCHEMA)},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            }
        },
    ],
)
def test_json_satisfies_its_schema(mock, form):
    made = json.loads(text(mock.url, say(words(20), **form)))
    jsonschema.validate(made, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**made, "marks": made["marks"][:2]}, SCHEMA)


def test_a_choice_and_its_odds(mock):
    status, data, _ = post(
        mock.url,
        say("Good?", guided_choice=["bad", "fair", "good"], logprobs=True, top_logprobs=2),
    )
    choice = json.loads(data)["choices"][0]
    (token,) = choice["logprobs"]["content"]
    odds = [math.exp(one["logprob"]) for one in token["top_logprobs"]]
    assert (status, choice["message"]["content"], token["token"]) == (200, "good", "good")
    assert len(odds) == 2
    assert odds[0] > 0.5 > odds[1]
    assert sum(odds) < 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_yield_is_the_share_of_best_choices(share):
    with running(yield_=share) as mock:
        bodies = [say(f"{n} {words(3)}", guided_choice=["no", "so", "yes"]) for n in range(150)]
        said = [text(mock.url, body) for body in bodies]
    assert abs(said.count("yes") / 150 - share) <= (0.15 if share == 0.5 else 0)
    assert set(said) >= ({"no", "so"} if share < 1 else {"yes"})


def ask_at_once(url, bodies):
    done = []
    threads = [threading.Thread(target=lambda b=b: done.append(post(url, b))) for b in bodies]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done, time.monotonic() - start


def test_slots_make_others_wait_and_stats_say_how_full_it_was():
    bodies = [say(str(n)) for n in range(6)]
    with running(latency=0.1) as free, running(latency=0.1, slots=2) as full:
        _, quick = ask_at_once(free.url, bodies)
        _, slow = ask_at_once(full.url, bodies)
        assert 0.1 <= quick < 0.28 < slow
        for mock in (free, full):
            stats = mock.stats()
            assert (stats["most"], stats["in_flight"], stats["statuses"]) == (6, 0, {"200": 6})
            assert 2 < stats["mean"] <= 6
        full.reset()
        assert full.stats()["requests"] == 0


def test_stragglers_and_long_replies_take_longer():
    with running(straggle="0.5:0.08") as mock:
        spans = [ask_at_once(mock.url, [say(str(n))])[1] for n in range(16)]
        assert 2 <= sum(span >= 0.08 for span in spans) <= 14
    with running(tokens_per_second=100) as mock:
        _, span = ask_at_once(mock.url, [say(words(30))])
        tokens = mock.stats()["completion_tokens"]
        assert tokens / 100 <= span < tokens / 100 + 0.2


def content(data):
    return json.loads(data)["choices"][0]["message"]["content"]


def is_error(data):
    return set(json.loads(data)["error"]) >= {"message", "type", "code"}


SEEN = {
    "429": lambda s, d, h: s == 429 and is_error(d) and "Retry-After" not in h,
    "429-retry-after": lambda s, d, h: s == 429 and is_error(d) and h["Retry-After"] == "1",
    "500": lambda s, d, h: s == 500 and is_error(d),
    "reset": ConnectionResetError,
    "hang": TimeoutError,
    "truncated": lambda s, d, h: s == 200 and int(h["Content-Length"]) == len(d) and broken(d),
    "html": lambda s, d, h: s == 200 and d.startswith(b"<!DOCTYPE html>"),
    "html-502": lambda s, d, h: s == 502 and d.startswith(b"<!DOCTYPE html>"),
    "empty": lambda s, d, h: s == 200 and json.loads(d)["choices"] == [],
    "length": lambda s, d, h: json.loads(d)["choices"][0]["finish_reason"] == "length",
    "refuse": lambda s, d, h: s == 400 and is_error(d),
    "wrong-model": lambda s, d, h: s == 404 and is_error(d),
    "huge": lambda s, d, h: s == 200 and len(content(d)) >= 10_000_000,
    "duplicate": lambda s, d, h: json.loads(d)["id"] == "chatcmpl-0" and content(d),
    "refusal": lambda s, d, h: content(d) is None,
}


def broken(data):
    try:
        json.loads(data)
    except ValueError:
        return True
    return False


@pytest.fixture(scope="module")
def faulty():
    with running(fault=[f"{name}:always:hit {name}!" for name in FAULTS]) as made:
        yield made


@pytest.mark.parametrize("name", SEEN)
def test_a_fault_hits_the_requests_that_hold_its_text_and_no_others(faulty, name):
    well = post(faulty.url, say(f"hit {name} {words(5)}"))
    assert (well[0], bool(content(well[1]))) == (200, True)
    hit = say(f"hit {name}! {words(5)}")
    seen = SEEN[name]
    if isinstance(seen, type):
        with pytest.raises(seen):
            post(faulty.url, hit, timeout=0.3)
    else:
        assert seen(*post(faulty.url, hit))
        assert not seen(*well)


def test_a_drip_keeps_the_connection_busy_and_is_not_done(faulty):
    assert set(FAULTS) == {*SEEN, "drip"}
    place = urlsplit(faulty.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as line:
        data = json.dumps(say(f"hit drip! {words(5)}")).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
        line.sendall(head.encode() + b"\r\n" + data)
        came, until = [], time.monotonic() + 0.5
        while time.monotonic() < until:
            came.append(line.recv(65536))
    assert len(came) >= 3
    assert all(came)
    assert len(b"".join(came).partition(b"\r\n\r\n")[2]) < 20


def test_a_share_is_drawn_anew_for_each_try_and_is_the_same_after_a_reset():
    with running(fault=["429:0.2", "500:0.2"]) as mock:
        bodies = [say(f"{n} {words(4)}") for n in range(20)] * 12
        first = [post(mock.url, body)[0] for body in bodies]
        mock.reset()
        assert [post(mock.url, body)[0] for body in bodies] == first
        stats = mock.stats()
        assert stats["faults"] == {"429": first.count(429), "500": first.count(500)}
    assert all(0.1 < first.count(status) / len(first) < 0.3 for status in (429, 500))
    assert all(200 in first[n::20] for n in range(20))


def test_it_dies_and_comes_back_on_the_same_port():
    with running(die_after=3) as mock:
        for n in range(3):
            assert post(mock.url, say(str(n)))[0] == 200
        mock.process.wait(5)
        with pytest.raises(OSError):
            post(mock.url, say("3"))
        with running(port=urlsplit(mock.url).port) as again:
            assert again.url == mock.url
            assert post(again.url, say("3"))[0] == 200


def test_what_else_a_server_tells(mock, tmp_path):
    assert json.loads(get(mock.url, "/v1/models"))["data"][0]["id"] == "mock"
    assert get(mock.url, "/health") == b""
    told = json.loads(post(mock.url.removesuffix("/v1"), {"prompt": "one two"}, "/tokenize")[1])
    assert (told["count"], len(told["tokens"])) == (2, 2)
    assert b'vllm:num_requests_running{model_name="mock"} 0' in get(mock.url, "/metrics")
    wrong = [say("x", stream=True), {"model": "mock"}, {"messages": [1]}, [1]]
    assert [post(mock.url, body)[0] for body in wrong] == [400] * 4
    assert post(mock.url, {**say("x"), "model": "other"})[0] == 404
    assert json.loads(post(mock.url, say("x", n=3))[1])["choices"][2]["index"] == 2


def test_a_reply_ends_at_its_limit_of_tokens(mock):
    _, data, _ = post(mock.url, say("Talk.", max_tokens=5))
    answer = json.loads(data)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] <= 6


def command(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "compiler.cli", "mock-teacher", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_where_it_listens_and_at_the_end_what_it_saw(tmp_path):
    with command("--port", "0", "--record", str(tmp_path / "asked.jsonl")) as process:
        url = process.stdout.readline().split()[-1]
        bodies = [say(words(5)) for _ in range(3)]
        for body in bodies:
            post(url, body)
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=10)
    assert (process.returncode, wrong) == (0, "")
    assert "3 of 200" in said
    lines = (tmp_path / "asked.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == bodies


@pytest.mark.parametrize("option", ["--fault=429", "--fault=rain:0.5", "--straggle=x", "--yield=2"])
def test_a_wrong_option_is_a_usage_error(option):
    with command("--port", "0", option) as process:
        _, wrong = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "Traceback" not in wrong
