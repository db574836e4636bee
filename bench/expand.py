"""What the expansion costs, and whether it asks exactly what it has to: beside a bare loop.

A server of ours in another process answers (`trivium mock-teacher`). The baseline is a bare aiohttp
loop that posts the same bodies and does nothing else. Throughput and client CPU are medians of
interleaved runs, each in a fresh process; only the ratios mean something on another machine. The
table of what an edit, a kill or a fault asks again counts requests at the server, so it is exact.
The parts `size`, `served` (a real vLLM) and `peers` (other tools) are programs of their own beside
this one. Exit status 1 where a goal is missed. Run it with `python bench/expand.py [--only PART]`.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from goals import Goals, fresh

from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report
from compiler.expand import Local
from compiler.journal import Journal
from compiler.mock import running
from compiler.program import prepare
from compiler.prompt import render
from compiler.source import open_source
from compiler.teacher.make import make_teacher

TRIVIUM = Path(sys.executable).with_name("trivium")
WORDS = [a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("l", "m", "nd", "r", "st")]

QUESTION = """{% block system %}You write exercises.{% endblock %}{% block user %}
The skill: {{ task }}

<question>{{ seed.question }}</question>
<answer>{{ seed.answer }}</answer>

Write one more in the same form.
{% endblock %}"""
ONLY_QUESTION = """{% block user %}The skill: {{ task }}

<question>{{ seed.question }}</question>

Write one more in the same form.
{% endblock %}"""
ANSWER = """{% block user %}The skill: {{ task }}

<question>{{ question }}</question>

Reply with

<answer>{{ seed.answer }}</answer>
{% endblock %}"""
RATING = """{% block user %}<question>{{ question }}</question>
<answer>{{ answer }}</answer>

Grade the answer from 1 (wrong) to 3 (good). Reply with one of 1, 2, 3.
{% endblock %}"""
ONE = """version: 1
about: One stage.
takes: freeform
asks: 1
stages:
  - {do: generate, id: pair, prompt: question.j2, writes: {question: text, answer: text}}
  - {do: say, user: "{{ question }}", assistant: "{{ answer }}"}
"""
THREE = """version: 1
about: Three stages.
takes: freeform
asks: 1
stages:
  - {do: generate, id: question, prompt: question.j2, writes: {question: text}}
  - {do: generate, id: answer, prompt: answer.j2, writes: {answer: text}}
  - {do: generate, id: rating, prompt: rating.j2, reply: choice, writes: {rating: [1, 2, 3]}}
  - {do: say, user: "{{ question }}", assistant: "{{ answer }}"}
"""


def make_taxonomy(folder, leaves, per_leaf, stages=1, seed=0):
    """`leaves` leaves of random words with six seeds each, of which five are shown; a unit asks for
    one sample.
    """
    chance = random.Random(seed)

    def words(n):
        return " ".join(chance.choices(WORDS, k=n)).capitalize()

    pipeline = folder / "pipelines" / "bench"
    pipeline.mkdir(parents=True)
    files = {"pipeline.yaml": THREE, "question.j2": ONLY_QUESTION, "answer.j2": ANSWER}
    files |= {"rating.j2": RATING}
    files = files if stages == 3 else {"pipeline.yaml": ONE, "question.j2": QUESTION}
    for name, text in files.items():
        (pipeline / name).write_text(text)
    settings = f"samples_per_leaf: {per_leaf}\nroutes: [{{pipeline: bench}}]\n"
    (folder / "curriculum.yaml").write_text(settings)
    for n in range(leaves):
        place = folder / "compositional_skills" / f"leaf{n:05}"
        place.mkdir(parents=True)
        lines = ["version: 3", "created_by: ada", f"task_description: {words(12)}"]
        lines += ["seed_examples:"]
        for _ in range(6):
            lines += [f"  - question: {words(20)}?", f"    answer: {words(40)}."]
        (place / "qna.yaml").write_text("\n".join(lines) + "\n")
    return folder


# ---- a pass against a bare loop ----


def whole_pass(folder, home, url, in_flight):
    """Seconds, CPU seconds, requests and samples of a pass: render, ask, journal, parse, sample."""
    program = prepare(open_source(folder), home, Report())
    tuned = {"in_flight": in_flight} if in_flight else {}
    spec = TeacherSpec("openai", ((url, 1.0),), "mock", **tuned)
    teacher = make_teacher(spec, folder, lambda text: None)

    async def go():
        with Journal(home / f"{random.SystemRandom().randrange(2**60):x}.sqlite") as journal:
            engine = Local(teacher, teacher, journal)
            assert await engine.open() is None
            wall, cpu = time.perf_counter(), time.process_time()
            samples = 0
            async for outcome in engine.run(program.units, program.pipelines):
                samples += len(outcome.samples)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            await engine.close()
            return *spent, engine.tally.asked, samples

    return asyncio.run(go())


def bare_loop(bodies, url, in_flight):
    """The same for a loop that posts these bodies, `in_flight` at once, and reads the answers."""

    async def go():
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:
            left = iter(bodies)

            async def worker():
                for body in left:
                    async with session.post(f"{url}/chat/completions", json=body) as answer:
                        await answer.json()

            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(worker() for _ in range(in_flight)))
            return time.perf_counter() - wall, time.process_time() - cpu, len(bodies), 0

    return asyncio.run(go())


def bodies_of(folder, home):
    """What the first stage of every unit asks, as a bare loop would post it."""
    program = prepare(open_source(folder), home, Report())
    made = []
    for unit in program.units:
        stage = program.pipelines[unit.pipeline].generates[0]
        messages = [message.as_json() for message in render(stage.prompt, unit.columns)]
        made.append({"model": "mock", "messages": messages, **stage.sampling.as_json()})
    return made


def throughput(goals, scratch, rounds):
    for name, stages, options in (
        ("50 ms", 1, {}),
        ("50 ms, 2% take 1 s", 1, {"straggle": "0.02:1"}),
        ("50 ms, three stages", 3, {}),
    ):
        folder = make_taxonomy(scratch / name.replace(" ", ""), 400, 5, stages)
        home = scratch / f"home-{name}"
        home.mkdir()
        bodies = bodies_of(folder, home) * stages
        ours, bare, busy = [], [], []
        with running(latency=0.05, slots=64, **options) as server:
            for _ in range(rounds):
                bare.append(fresh(bare_loop, bodies, server.url, 64))
                server.reset()
                ours.append(fresh(whole_pass, folder, home, server.url, 64))
                busy.append(server.stats()["mean_95"] / 64)
        (mine, cpu), (theirs, _) = (
            [statistics.median(run[i] / run[2] for run in runs) for i in (0, 1)]
            for runs in (ours, bare)
        )
        about = f"{1 / mine:,.0f} and {1 / theirs:,.0f} requests/s, {ours[0][3]} samples"
        goals.say(f"{name}: of a bare loop's throughput", theirs / mine, 0.9, True, about=about)
        goals.say(f"{name}: client CPU for a request", 1000 * cpu, 1, unit=" ms")
        share = 100 * statistics.median(busy)
        about = "until the last 5% of the requests"
        goal = 85 if stages == 3 else None  # of one stage the throughput says it
        goals.say(f"{name}: mean slots busy", share, goal, True, "%", about)


def slow_server(goals, scratch, rounds):
    folder = make_taxonomy(scratch / "slow", 200, 5)
    home = scratch / "home-slow"
    home.mkdir()
    bodies = bodies_of(folder, home)
    ours, bare = [], []
    with running(latency=1.0, slots=128) as server:
        for _ in range(rounds):
            bare.append(fresh(bare_loop, bodies, server.url, 128)[0])
            ours.append(fresh(whole_pass, folder, home, server.url, 0)[0])
    mine, theirs = statistics.median(ours), statistics.median(bare)
    about = f"{mine:.1f} and {theirs:.1f} s, 1,000 units, 128 slots, no setting given"
    goals.say("1 s: time of a bare loop's", mine / theirs, 1.1, about=about)


# ---- what is asked again ----


def compile_(folder, home, url, *more, check=True):
    words = [TRIVIUM, "compile", "--taxonomy", folder, "--out", home / "build"]
    env = {**os.environ, "TRIVIUM_HOME": str(home)}
    done = subprocess.run(
        [*words, "--teacher", f"{url}#mock", *more], env=env, capture_output=True, text=True
    )
    if check and done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done


def asked(server):
    """How many requests came since this was asked last."""
    count = server.stats()["requests"]
    server.reset()
    return count


def answered(server):
    return sum(server.stats()["statuses"].values())


def samples_of(home):
    lines = (home / "build" / "samples.jsonl").read_text().splitlines()
    return [s for s in map(json.loads, lines) if s["origin"]["kind"] == "synthetic"]


def asked_again(goals, scratch):
    """200 units: 40 leaves, five each; every cell counts requests that reached the server."""

    def begin(name, stages=1):
        folder = make_taxonomy(scratch / f"again-{name}", 40, 5, stages)
        return folder, scratch / f"again-{name}-home"

    def cell(name, figure, wanted, about=""):
        goals.say(name, figure, wanted, about=about)
        goals.missed |= figure != wanted

    with running(latency=0.02, slots=64) as server:
        folder, home = begin("edit")
        compile_(folder, home, server.url)
        cell("fresh", asked(server), 200)
        compile_(folder, home, server.url)
        cell("unchanged", asked(server), 0)
        before = {s["id"] for s in samples_of(home)}
        leaf = next(folder.glob("compositional_skills/leaf00007/qna.yaml"))
        text = leaf.read_text()
        leaf.write_text(text.replace("question: ", "question: What of ", 1))
        compile_(folder, home, server.url)
        cell("one seed edited", asked(server), 1)
        samples = samples_of(home)
        stale = [s for s in samples if s["id"] in before]
        about = f"{len(samples)} samples, {len(stale)} as before"
        cell("one seed edited: samples that stayed", len(stale), len(before) - 1, about)
        prompt = folder / "pipelines" / "bench" / "question.j2"
        prompt.write_text(prompt.read_text().replace("one more", "another"))
        compile_(folder, home, server.url)
        cell("prompt edited", asked(server), 200)

        folder, home = begin("stages", 3)
        compile_(folder, home, server.url)
        cell("three stages, fresh", asked(server), 600)
        rating = folder / "pipelines" / "bench" / "rating.j2"
        rating.write_text(rating.read_text().replace("Grade", "Judge"))
        compile_(folder, home, server.url)
        cell("the last prompt edited", asked(server), 200)

    with running(latency=0.05, slots=8) as server:
        folder, home = begin("kill")
        words = [TRIVIUM, "compile", "--taxonomy", folder, "--out", home / "build"]
        env = {**os.environ, "TRIVIUM_HOME": str(home)}
        run = subprocess.Popen([*words, "--teacher", f"{server.url}#mock"], env=env)
        while answered(server) < 100:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
        with sqlite3.connect(home / "journal.sqlite") as base:
            (kept,) = base.execute("select count(*) from replies").fetchone()
        time.sleep(0.2)
        server.reset()
        compile_(folder, home, server.url)
        again = asked(server)
        cell("killed at half: asked by the next run", again, 200 - kept, f"{kept} were journaled")

    folder, home = begin("refused")
    doomed = (folder / "compositional_skills" / "leaf00003" / "qna.yaml").read_text()
    question = doomed.split("question: ")[1].split("\n")[0]
    with running(latency=0.02, fault=[f"refuse:always:{question}"]) as server:
        done = compile_(folder, home, server.url, check=False)
        cell("one unit always refused: samples", len(samples_of(home)), 199)
        cell("one unit always refused: R402", done.stdout.count("error[R402]"), 1)
    for fault in ("429", "429-retry-after", "500"):
        folder, home = begin(f"fault{fault}")
        faulty = {"latency": 0.02, "fault": [f"{fault}:0.05"]}
        with running(**faulty) as one, running(**faulty) as other:
            compile_(folder, home, one.url)
            about = f"{asked(one)} requests"
            cell(f"5% {fault}: samples", len(samples_of(home)), 200, about)
            folder, home = begin(f"fault{fault}-two")
            compile_(folder, home, f"{one.url},{other.url}")
            about = f"{asked(one)} and {asked(other)} requests"
            cell(f"5% {fault}, two endpoints: samples", len(samples_of(home)), 200, about)


def resumed(goals, scratch):
    folder = make_taxonomy(scratch / "resumed", 50, 200)
    home = scratch / "resumed-home"
    with running(latency=0.005, slots=256) as server:
        compile_(folder, home, server.url)
        calls = asked(server)
        start = time.perf_counter()
        compile_(folder, home, server.url)
        seconds = time.perf_counter() - start
        goals.say(f"a finished compile of {calls:,} calls again: calls", asked(server), 0)
        goals.say("a finished compile again: seconds", seconds, unit=" s")


def beside(goals, name):
    """Runs a comparison that has a file of its own."""
    print(f"{name}:", flush=True)
    done = subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")])
    goals.missed |= done.returncode != 0


PARTS = {
    "throughput": lambda goals, scratch, rounds: throughput(goals, scratch, rounds),
    "slow": lambda goals, scratch, rounds: slow_server(goals, scratch, rounds),
    "again": lambda goals, scratch, rounds: asked_again(goals, scratch),
    "resumed": lambda goals, scratch, rounds: resumed(goals, scratch),
    "size": lambda goals, scratch, rounds: beside(goals, "size"),
    "served": lambda goals, scratch, rounds: beside(goals, "served"),
    "peers": lambda goals, scratch, rounds: beside(goals, "peers"),
}


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--only", choices=PARTS, action="append", help="one part; repeatable")
    asked.add_argument("--rounds", type=int, default=5)
    said = asked.parse_args()
    goals = Goals()
    with tempfile.TemporaryDirectory() as top:
        for name in said.only or PARTS:
            PARTS[name](goals, Path(top), said.rounds)
    print(json.dumps({"rounds": said.rounds}))
    sys.exit(goals.missed)


if __name__ == "__main__":
    main()
