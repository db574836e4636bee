"""A real vLLM on this machine's CPU, with a small model of random weights.

It writes nonsense; what is tested is all around that. `make test-vllm` installs it and runs this.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from urllib.request import ProxyHandler, build_opener
from urllib.request import Request as Call

import psutil
import pytest
import yaml
from tokenizers import Tokenizer

from compiler.codes import CATALOGUE
from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.pipeline import Field, Sampling, folders, load
from compiler.program import prepare
from compiler.prompt import Message
from compiler.reply import odds_of, parse_reply
from compiler.source import WorkTree
from compiler.teacher import Reply, Request
from compiler.teacher.managed import Managed
from tests import taxonomies
from tests.conftest import SEED
from training import student

# A cache of 3,072 tokens stands for one that is small beside the work, as all caches are.
ARGS = ("--enforce-eager", "--block-size=32", "--num-gpu-blocks-override=96")
CHUNKS, UNITS_OF_A_CHUNK = 20, 3
WORDS = (
    "amber birch cedar drift ember frost grove heath inlet jetty knoll ledge marsh north".split()
)


@pytest.fixture(autouse=True, scope="module")
def surroundings(vllm_python, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIVIUM_VLLM_PYTHON", str(vllm_python))
        patch.setenv("TRIVIUM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_SERVER_DEV_MODE", "1")  # for `/reset_prefix_cache`
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def extra(small_model):
    """Makes the tokens likely that end a text or a string: random weights would never end one."""
    known = Tokenizer.from_file(str(small_model / "tokenizer.json"))
    return {"logit_bias": {str(known.token_to_id(end)): 5.5 for end in (student.END, '"')}}


def asked(text, **more):
    return Request((Message("user", text),), Sampling(max_tokens=24), **more)


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def ended(family, seconds):
    """Whether all of these processes end within some seconds."""
    until = time.monotonic() + seconds
    left = list(family)
    while left and time.monotonic() < until:
        left = [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.05)
    return not left


def call(teacher, path, method="GET"):
    url = f"http://127.0.0.1:{teacher._server.port}{path}"
    with build_opener(ProxyHandler({})).open(Call(url, method=method)) as answer:
        return answer.read().decode()


def counted(teacher, name):
    """The sum of a counter of vLLM's own metrics."""
    lines = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", call(teacher, "/metrics"), re.M)
    assert lines, f"vLLM has no counter {name}"
    return sum(map(float, lines))


PIPELINE = """
version: 1
about: A question on a document and a verdict, each short.
takes: {takes}
asks: 1
stages:
  - do: generate
    id: question
    prompt: question.j2
    writes: {{question: text}}
    sampling: {{temperature: 1, max_tokens: 48}}
  - do: generate
    id: fitting
    prompt: fitting.j2
    judge: true
    reply: choice
    writes: {{fitting: ["no", "yes"]}}
    sampling: {{temperature: 0, max_tokens: 8}}
  - do: say
    user: "{{{{ question }}}}"
    assistant: "{{{{ fitting }}}}"
"""


def write_pipeline(folder, takes, shared):
    """Adds a pipeline that a model of random weights can please."""
    place = folder / "pipelines" / "short"
    place.mkdir(parents=True)
    (place / "pipeline.yaml").write_text(PIPELINE.format(takes=takes))
    ends = {"question": "Ask like {{ examples[0].question }}", "fitting": "{{ question }}"}
    for name, end in ends.items():
        text = f"{{% block user %}}\n{shared}\n\n{end}\n{{% endblock %}}\n"
        (place / f"{name}.j2").write_text(text)


def trivium(*words):
    return [sys.executable, "-m", "training.cli", *map(str, words)]


@pytest.fixture
def skills(tmp_path, small_model, extra, monkeypatch):
    """A taxonomy of one skill, and a journal of its own."""
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    folder = taxonomies.write(tmp_path / "taxonomy", {taxonomies.SKILL: taxonomies.skill()})
    write_pipeline(folder, "freeform", "{{ task }}")
    settings = {
        "samples_per_leaf": 20,
        "teacher": {
            "kind": "vllm",
            "model": str(small_model),
            "context": 2048,
            "args": list(ARGS),
            "extra": extra,
        },
        "routes": [{"pipeline": "short"}],
        "check": {"allow": ["empty-phase"]},
    }
    (folder / "curriculum.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_a_whole_compile_and_a_second_one_that_asks_nothing(skills, tmp_path, small_model):
    def compile_(out):
        words = trivium("compile", "--taxonomy", skills, "--out", tmp_path / out)
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    first = compile_("a")
    assert first.stderr.count("vllm: ready after ") == 1, "teacher and judge are one server"
    samples = [json.loads(line) for line in (tmp_path / "a/samples.jsonl").open()]
    made = [sample for sample in samples if sample["origin"]["kind"] == "synthetic"]
    assert made
    assert all(0 < sample["scores"]["fitting_odds"] <= 1 for sample in made)
    assert {s["origin"]["teacher"].partition("@")[0] for s in made} == {small_model.name}
    manifest = json.loads((tmp_path / "a/manifest.json").read_text())
    for books in manifest["passes"]:
        assert books["in"] == books["kept"] + sum(books["dropped"].values())
    begun = time.monotonic()
    second = compile_("b")
    print(f"\n{first.stderr}\n{first.stdout}\nthe second time {time.monotonic() - begun:.1f} s")
    assert "asked 0 questions" in second.stdout
    assert "vllm" not in second.stderr, "no server is started for nothing"
    for name in ("samples.jsonl", "drops.jsonl", "phase1.jsonl", "phase2.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    "how, until", [(signal.SIGINT, "starting the engine"), (signal.SIGKILL, "ready after")]
)
def test_nothing_is_left_of_a_compile_that_is_stopped(skills, tmp_path, how, until):
    words = trivium("compile", "--taxonomy", skills, "--out", tmp_path / "out")
    if how is signal.SIGINT:
        model = yaml.safe_load((skills / "curriculum.yaml").read_text())["teacher"]["model"]
        words += ["--teacher", f"vllm:{model}"]
    trivium_ = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert any(until in line for line in trivium_.stderr), "it comes as far as that"
        family = psutil.Process(trivium_.pid).children(recursive=True)
        assert any("VLLM" in one.name() for one in family), "its engine is there"
    finally:
        os.killpg(trivium_.pid, how)  # as the terminal does: to the whole group
    assert trivium_.wait(20) == (130 if how is signal.SIGINT else -signal.SIGKILL)
    assert ended(family, 15)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def teacher(runner, small_model, extra, said):
    """A running vLLM; after the last test nothing of it may be left."""
    spec = TeacherSpec(
        "vllm", model=str(small_model), context=2048, args=ARGS, in_flight=4, extra=extra
    )
    made = Managed(spec, Path(), said.append)
    assert runner.run(made.open()) is None
    assert isinstance(runner.run(made.ask(asked("Hello?"))), Reply)
    family = psutil.Process().children(recursive=True)
    port = made._server.port
    assert is_open(port)
    yield made
    begun = time.monotonic()
    runner.run(made.close())
    assert ended(family, 1), "nothing is left once it is closed"
    assert not is_open(port)
    print(f"\nstopped in {time.monotonic() - begun:.1f} s")


def test_it_says_what_it_does_while_it_starts(teacher, said):
    assert said[0].startswith("vllm: starting ")
    steps = [line.partition(": ")[2].partition(" (")[0] for line in said[1:-1]]
    assert "starting the engine" in steps
    seconds = re.fullmatch(r"vllm: ready after (\d+) s", said[-1])
    print(f"\nready after {seconds[1]} s")
    log = Path(said[0].partition("its log is ")[2])
    assert "Application startup complete" in log.read_text()


def test_a_chat(teacher, runner):
    reply = runner.run(teacher.ask(asked("What is a frost?")))
    assert reply.finish in ("stop", "length")
    assert reply.prompt_tokens > 0
    assert reply.completion_tokens > 0
    assert reply.odds == {}


def test_a_choice_is_one_of_the_choices_and_tells_its_odds(teacher, runner):
    choices = (0, 1, 2)
    request = asked("Rate it.", writes=(Field("rating", choices),), form="choice")
    reply = runner.run(teacher.ask(request))
    assert reply.text in map(str, choices)
    assert sum(reply.odds.values()) == pytest.approx(1, abs=0.01)
    odds = odds_of(reply, request)
    assert odds == {"rating_odds": pytest.approx(reply.odds[reply.text], abs=1e-3)}
    assert parse_reply(reply, request) == ([{"rating": int(reply.text)}], [])
    free = runner.run(teacher.ask(asked("Rate it.", writes=(Field("rating", choices),))))
    assert free.text.strip() not in map(str, choices), "the control: nothing binds it"


def test_json_has_its_form(teacher, runner):
    fields = (Field("question"), Field("kind", ("why", "what")))
    messages = (Message("user", "Ask."),)
    request = Request(messages, Sampling(max_tokens=1000), writes=fields, form="json")
    reply = runner.run(teacher.ask(request))
    record = json.loads(reply.text)
    assert list(record) == ["question", "kind"]
    assert record["kind"] in ("why", "what")
    records, _ = parse_reply(reply, request)
    said = {**record, "question": record["question"].strip()}
    assert records == ([said] if said["question"] else [])
    free = runner.run(teacher.ask(Request(messages, Sampling(max_tokens=60), writes=fields)))
    with pytest.raises(ValueError):  # the control: nothing binds it
        json.loads(free.text)


LAB = {
    "knowledge-qa": "knowledge/birds/robin",
    "knowledge-long": "knowledge/birds/wren",
    "knowledge-dialogue": "knowledge/birds/dipper",
    "skill-freeform": "compositional_skills/rhyme",
    "skill-grounded": "compositional_skills/headline",
}
FIELDS = ("context", "question", "answer", "follow_up", "reply")
GOOD = ("yes", "2", "3")


def lab_files():
    """A leaf for each of LAB's pipelines, and the documents of the first three."""
    headlines = [
        {"context": f"The {word} is closed.", "question": f"Head {word}.", "answer": f"No {word}."}
        for word in WORDS[:5]
    ]
    files = {
        f"{LAB['skill-freeform']}/qna.yaml": taxonomies.skill(),
        f"{LAB['skill-grounded']}/qna.yaml": taxonomies.skill(
            task_description="Find a headline.", seed_examples=headlines
        ),
    }
    for leaf in list(LAB.values())[:3]:
        bird = leaf.rpartition("/")[2]

        def about(text, bird=bird):
            return text.replace("robin", bird).replace("Robin", bird.title())

        files[f"{leaf}/qna.yaml"] = json.loads(about(json.dumps(taxonomies.knowledge())))
        files[f"documents/{bird}.md"] = about(taxonomies.DOCUMENT)
    return files


def lab_settings(teacher, small_model):
    """One server twice: as a teacher whose every reply has all tags, and as a judge that leans
    towards what lets a record pass, so that the last stage is reached too.
    """
    words = "[a-z]{3,6}( [a-z]{3,6}){4}"
    tagged = "".join(f"<{name}>{words}</{name}>" for name in FIELDS)
    known = Tokenizer.from_file(str(small_model / "tokenizer.json"))
    starts = {choice[:end] for choice in GOOD for end in range(1, len(choice) + 1)}
    lean = {str(number): 8.0 for start in starts if (number := known.token_to_id(start))}
    url = f"http://127.0.0.1:{teacher._server.port}/v1"
    spec = {"kind": "openai", "url": url, "model": teacher.model, "context": 2048, "in_flight": 4}
    routes = [{"leaves": leaf, "pipeline": name} for name, leaf in LAB.items()]
    routes[-1]["with"] = {"persona": "creative"}
    return {
        "samples_per_leaf": 10,
        "chunk_tokens": 100,
        "routes": routes,
        "teacher": spec | {"extra": {"structured_outputs": {"regex": tagged}, "max_tokens": 400}},
        "judge": spec | {"extra": {"logit_bias": lean}},
        "check": {"allow": ["empty-phase"]},
    }


def test_labs_pipelines_are_asked_to_the_end(teacher, small_model, tmp_path, monkeypatch):
    """What it says is nonsense in tags; all around that is as with a model that means something."""
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    folder = taxonomies.write(tmp_path / "taxonomy", lab_files())
    settings = lab_settings(teacher, small_model)
    (folder / "curriculum.yaml").write_text(yaml.safe_dump(settings))
    words = trivium("compile", "--taxonomy", folder, "--out", tmp_path / "out")
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    print(f"\n{done.stderr}\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr

    samples, drops = (
        [json.loads(line) for line in (tmp_path / f"out/{name}.jsonl").open()]
        for name in ("samples", "drops")
    )
    made = [sample for sample in samples if sample["origin"]["kind"] == "synthetic"]
    assert all(drop["code"] in CATALOGUE for drop in drops)
    run, manifest = (
        json.loads((tmp_path / f"out/{name}.json").read_text()) for name in ("run", "manifest")
    )
    assert run["failed"] == 0
    assert run["prompt_tokens"] > 0
    passes = {books["name"]: books for books in manifest["passes"]}
    for books in passes.values():
        assert books["in"] == books["kept"] + sum(books["dropped"].values())
    assert not passes["ask"]["dropped"], "every unit was answered"
    assert passes["expand"]["in"] == len(made) + len(drops), "and every record has its end"

    ended = defaultdict(list)
    for one in (*made, *drops):
        ended[one["leaf"]].append(one["scores"])
    for name, leaf in LAB.items():
        pipeline = load(folders()[name], Report())
        judges = [stage.writes[0] for stage in pipeline.generates if stage.judge]
        for field in judges:
            verdicts = [scores for scores in ended[leaf] if field.name in scores]
            assert verdicts, f"`{field.name}` of {name} was never asked"
            for scores in verdicts:
                assert scores[field.name] in field.choices
                assert 0 < scores[f"{field.name}_odds"] <= 1


def found_and_asked(teacher):
    """The prompt tokens that the prefix cache held, and all that were looked for in it."""
    return [counted(teacher, f"vllm:prefix_cache_{name}_total") for name in ("hits", "queries")]


def test_our_order_is_served_from_the_prefix_cache(teacher, runner, tmp_path):
    """Each document is read by several requests; in a shuffled order, the control, it is thrown
    out of the cache in between.
    """
    draw = random.Random(os.environ[SEED])
    parts = [" ".join(draw.choices(WORDS, k=120)) for _ in range(CHUNKS)]
    text = "\n\n".join(f"## Part {n}\n\n{part}." for n, part in enumerate(parts))
    leaf = taxonomies.knowledge(document={"repo": ".", "commit": "HEAD", "patterns": ["d.md"]})
    folder = taxonomies.write(tmp_path, {taxonomies.KNOWLEDGE: leaf, "d.md": text})
    write_pipeline(folder, "knowledge", "{{ document }}")
    dial = {"samples_per_leaf": CHUNKS * UNITS_OF_A_CHUNK, "chunk_tokens": 200}
    routes = [{"pipeline": "short", "branch": "knowledge"}]
    (folder / "curriculum.yaml").write_text(yaml.safe_dump({**dial, "routes": routes}))
    report = Report()
    program = prepare(WorkTree(folder), tmp_path / "cache", report)
    assert program, report.diagnostics
    units = program.units
    shuffled = list(range(len(units)))
    draw.shuffle(shuffled)
    shares, seconds = {}, {}
    for name, order in (("ours", None), ("shuffled", shuffled)):
        call(teacher, "/reset_prefix_cache", "POST")
        before = found_and_asked(teacher)
        expander = Expander(teacher, teacher, Journal(tmp_path / name))
        begun = time.monotonic()
        ends = runner.run(walk(expander, units, program.pipelines, order))
        seconds[name] = time.monotonic() - begun
        after = found_and_asked(teacher)
        hits, queries = (now - then for now, then in zip(after, before, strict=True))
        shares[name] = hits / queries
        assert not [end for end in ends if end.failure]
        assert hits == expander.tally.cached_tokens, "every reply says what it found"
        assert queries == expander.tally.prompt_tokens
        print(
            f"\n{name}: {shares[name]:.0%} of {queries:,.0f} prompt tokens from the cache, "
            f"{expander.tally.asked / seconds[name]:.1f} requests/s"
        )
    assert shares["ours"] > 0.5
    assert shares["ours"] > shares["shuffled"] + 0.1


async def walk(expander, units, pipelines, order):
    return [outcome async for outcome in expander.run(units, pipelines, order)]
