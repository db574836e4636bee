"""What a real vLLM makes of our order, and what a judge costs: with a small model on this machine.

The knowledge pipeline's prompts over 20 chunks of a document, 60 units, with a prefix cache that
cannot hold all chunks: the share of prompt tokens that the cache served (vLLM's /metrics), with our
order of units and shuffled. Then 60 verdicts as one-token choices, and as explanations of 64
tokens. The weights are random, so the words mean nothing; tokens and time do. vLLM's Python is that
of `TRIVIUM_VLLM_PYTHON`, or of `make test-vllm`. Run it with `python bench/served.py`.
"""

import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import yaml
from goals import Goals

from compiler.curriculum import TeacherSpec
from compiler.diagnostics import Report
from compiler.expand import Expander
from compiler.journal import Journal
from compiler.pipeline import Field, Sampling
from compiler.program import prepare
from compiler.prompt import Message
from compiler.source import WorkTree
from compiler.teacher import Failure
from compiler.teacher import Request as Asked
from compiler.teacher.managed import Managed
from tests import taxonomies
from tests.small import save_small_model

ROOT = Path(__file__).resolve().parent.parent
CHUNKS, UNITS_OF_A_CHUNK, VERDICTS, ROUNDS = 20, 3, 60, 3
ARGS = ("--enforce-eager", "--block-size=32", "--num-gpu-blocks-override=96")
WORDS = (
    "amber birch cedar drift ember frost grove heath inlet jetty knoll ledge marsh north".split()
)


def call(teacher, path, method="GET"):
    url = f"http://127.0.0.1:{teacher._server.port}{path}"
    with build_opener(ProxyHandler({})).open(Request(url, method=method)) as answer:
        return answer.read().decode()


def counter(teacher, name):
    lines = re.findall(rf"^vllm:{name}(?:{{.*}})? (\S+)$", call(teacher, "/metrics"), re.M)
    return sum(map(float, lines))


def make_program(folder, chance):
    """The units of a knowledge leaf whose document has 20 chunks; a stage each of the shipped
    pipeline's first prompt and first verdict.
    """
    shipped = ROOT / "compiler" / "pipelines" / "knowledge-qa"
    place = folder / "pipelines" / "short"
    place.mkdir(parents=True)
    for name in ("questions.j2", "faithful.j2"):
        (place / name).write_text((shipped / name).read_text())
    stages = [
        {
            "do": "generate",
            "id": "questions",
            "prompt": "questions.j2",
            "writes": {"question": "text"},
            "sampling": {"temperature": 1, "max_tokens": 32},
        },
        {
            "do": "generate",
            "id": "faithful",
            "prompt": "faithful.j2",
            "judge": True,
            "reply": "choice",
            "writes": {"faithful": ["no", "yes"]},
            "sampling": {"temperature": 0, "max_tokens": 8},
        },
        {"do": "say", "user": "{{ question }}", "assistant": "{{ faithful }}"},
    ]
    faithful = (place / "faithful.j2").read_text().replace("{{ answer }}", "{{ outline }}")
    (place / "faithful.j2").write_text(faithful)
    about = {"version": 1, "about": "Two stages.", "takes": "knowledge", "asks": 1}
    (place / "pipeline.yaml").write_text(yaml.safe_dump({**about, "stages": stages}))
    parts = [" ".join(chance.choices(WORDS, k=120)) for _ in range(CHUNKS)]
    text = "\n\n".join(f"## Part {n}\n\n{part}." for n, part in enumerate(parts))
    leaf = taxonomies.knowledge(document={"repo": ".", "commit": "HEAD", "patterns": ["d.md"]})
    taxonomies.write(folder, {taxonomies.KNOWLEDGE: leaf, "d.md": text})
    dial = {"samples_per_leaf": CHUNKS * UNITS_OF_A_CHUNK, "chunk_tokens": 200}
    routes = [{"pipeline": "short", "branch": "knowledge"}]
    (folder / "curriculum.yaml").write_text(yaml.safe_dump({**dial, "routes": routes}))
    report = Report()
    program = prepare(WorkTree(folder), folder / "cache", report)
    assert program, report.diagnostics
    return program


async def in_order(teacher, program, journal, order):
    """Share of prompt tokens from the cache, and seconds."""
    call(teacher, "/reset_prefix_cache", "POST")
    before = [counter(teacher, f"prefix_cache_{name}_total") for name in ("hits", "queries")]
    expander, start = Expander(teacher, teacher, Journal(journal)), time.perf_counter()
    async for outcome in expander.run(program.units, program.pipelines, order):
        assert outcome.failure is None, outcome.failure
    seconds = time.perf_counter() - start
    after = [counter(teacher, f"prefix_cache_{name}_total") for name in ("hits", "queries")]
    hits, queries = (now - then for now, then in zip(after, before, strict=True))
    return hits / queries, seconds


async def verdicts(teacher, units, form, wanted, most):
    """Reply tokens and seconds of one verdict, all of them asked at once."""
    writes = (Field("faithful", ("no", "yes")),)
    requests = [
        Asked(
            (Message("user", f"{unit.columns['document']}\n\nIs it so? {wanted} ({n})"),),
            Sampling(0, 1, most),
            n,
            "faithful",
            writes,
            form=form,
        )
        for n, unit in enumerate(units[:VERDICTS])
    ]
    start = time.perf_counter()
    replies = await asyncio.gather(*map(teacher.ask, requests))
    seconds = time.perf_counter() - start
    assert not any(isinstance(reply, Failure) for reply in replies), replies
    odds = sum(bool(reply.odds) for reply in replies)
    return statistics.mean(r.completion_tokens for r in replies), seconds / len(replies), odds


async def measure(goals, scratch):
    chance = random.Random()
    program = make_program(scratch / "taxonomy", chance)
    model = save_small_model(scratch / "small", chance.randrange(2**32))
    spec = TeacherSpec("vllm", model=str(model), context=2048, in_flight=8, args=ARGS)
    teacher = Managed(spec, scratch, lambda text: print(f"    {text}", flush=True))
    if failure := await teacher.open():
        sys.exit(failure.detail)
    try:
        await verdicts(teacher, program.units[:2], "tags", "Say something.", 4)  # starts it
        runs = {"ours": [], "shuffled": []}
        for n in range(ROUNDS):
            shuffled = chance.sample(range(len(program.units)), len(program.units))
            for name, order in (("ours", None), ("shuffled", shuffled)):
                run = await in_order(teacher, program, scratch / f"{name}{n}", order)
                runs[name].append(run)
        share, seconds = (
            {name: statistics.median(run[i] for run in some) for name, some in runs.items()}
            for i in (0, 1)
        )
        about = "of the prompt tokens, from vLLM's /metrics"
        goals.say("prefix cache, our order", 100 * share["ours"], unit="%", about=about)
        goals.say("prefix cache, shuffled", 100 * share["shuffled"], unit="%", about=about)
        goals.say("time, our order / shuffled", seconds["ours"] / seconds["shuffled"])
        choice = await verdicts(teacher, program.units, "choice", "Answer no or yes.", 8)
        why = "Explain in two sentences, then write <faithful>yes</faithful> or no."
        told = await verdicts(teacher, program.units, "tags", why, 64)
        goals.say("a verdict as a choice: reply tokens", choice[0], about=f"{choice[2]} with odds")
        goals.say("a verdict as an explanation: reply tokens", told[0])
        goals.say("time, explanation / choice", told[1] / choice[1])
    finally:
        await teacher.close()


def main():
    python = ROOT / ".venv" / "vllm" / "bin" / "python"
    os.environ.setdefault("TRIVIUM_VLLM_PYTHON", str(python))
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_SERVER_DEV_MODE": "1"}
    os.environ |= {"HF_HUB_OFFLINE": "1"}
    goals = Goals()
    with tempfile.TemporaryDirectory() as top:
        os.environ["TRIVIUM_HOME"] = top
        asyncio.run(measure(goals, Path(top)))
    print(json.dumps({"chunks": CHUNKS, "units": CHUNKS * UNITS_OF_A_CHUNK, "rounds": ROUNDS}))


if __name__ == "__main__":
    main()
