"""The same requests by other tools: distilabel and sdg-hub, each in an environment of its own.

2,000 prompts, one request each, 64 in flight, a server that answers after 50 ms with 64 slots. A
tool's setup and imports are not counted; the CPU is that of all its processes. Trivium's figure is
that of its whole pass (render, ask, journal, parse, sample). Medians of interleaved runs.
The environments are made once (`.venv/peers/`, some 500 MB each). data-designer 0.9.7 is left out:
it asks for a version of certifi that its index does not have. Run it with `python bench/peers.py`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from expand import bare_loop, bodies_of, make_taxonomy, whole_pass
from goals import fresh

from compiler.mock import running

HOME = Path(__file__).resolve().parent.parent / ".venv" / "peers"
PEERS = {
    "distilabel": ("distilabel[openai]==1.5.3", "requests"),
    "sdg-hub": ("sdg-hub==0.9.4",),
}
FRAME = """
import json, os, pathlib, resource, sys, time
URL, PROMPTS, TOLD = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text()), sys.argv[3]

def cpu():
    return sum(sum(resource.getrusage(who)[:2])
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

def measured(run):
    wall, spent = time.perf_counter(), cpu()
    made = run()
    told = [time.perf_counter() - wall, cpu() - spent, made]
    pathlib.Path(TOLD).write_text(json.dumps(told))
"""
DISTILABEL = (
    FRAME
    + """
from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

def main():
    with Pipeline("bench") as pipeline:
        load = LoadDataFromDicts(data=[{"instruction": p} for p in PROMPTS], batch_size=500)
        llm = OpenAILLM(model="mock", base_url=URL, api_key="none")
        load >> TextGeneration(llm=llm, input_batch_size=64)
    measured(lambda: len(pipeline.run(use_cache=False)["default"]["train"]))

if __name__ == "__main__":
    main()
"""
)
SDG_HUB = (
    FRAME
    + """
import pandas
from sdg_hub.core.blocks.llm.llm_chat_block import LLMChatBlock

table = pandas.DataFrame({"messages": [[{"role": "user", "content": p}] for p in PROMPTS]})
block = LLMChatBlock(block_name="ask", input_cols="messages", output_cols="reply",
                     model="hosted_vllm/mock", api_base=URL, api_key="none", async_mode=True)
measured(lambda: len(block.generate(table, _flow_max_concurrency=64)))
"""
)
SCRIPTS = {"distilabel": DISTILABEL, "sdg-hub": SDG_HUB}


def python_of(name):
    """The Python of a tool's environment, which is made where it is not there."""
    place = HOME / name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
        (place / "ready").touch()
    return python


def by_peer(name, python, prompts, url, scratch):
    script, asked, told = (scratch / f"ask-{name}.{end}" for end in ("py", "asked", "told"))
    script.write_text(SCRIPTS[name])
    asked.write_text(json.dumps(prompts))
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch), "HOME": str(scratch)}
    done = subprocess.run(
        [python, script, url, asked, told], env=env, cwd=scratch, capture_output=True, text=True
    )
    if done.returncode or not told.exists():
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return json.loads(told.read_text())


def main():
    said = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    said.add_argument("--rounds", type=int, default=3)
    rounds = said.parse_args().rounds
    with tempfile.TemporaryDirectory() as top, running(latency=0.05, slots=64) as server:
        scratch = Path(top)
        folder = make_taxonomy(scratch / "taxonomy", 400, 5)
        home = scratch / "home"
        home.mkdir()
        bodies = bodies_of(folder, home)
        prompts = ["\n".join(m["content"] for m in body["messages"]) for body in bodies]
        pythons = {name: python_of(name) for name in PEERS}
        runs = {"bare loop": [], "trivium": [], **{name: [] for name in PEERS}}
        for _ in range(rounds):
            runs["bare loop"].append(fresh(bare_loop, bodies, server.url, 64))
            runs["trivium"].append(fresh(whole_pass, folder, home, server.url, 64))
            for name, python in pythons.items():
                runs[name].append(by_peer(name, python, prompts, server.url, scratch))
    wall, cpu = (
        {name: statistics.median(run[i] for run in some) for name, some in runs.items()}
        for i in (0, 1)
    )
    for name in runs:
        print(
            f"{name:12} {len(bodies) / wall[name]:7,.0f} requests/s "
            f"({wall[name] / wall['trivium']:5.1f} times trivium's time)  "
            f"{1000 * cpu[name] / len(bodies):6.2f} ms CPU for a request "
            f"({cpu[name] / cpu['trivium']:5.1f} times)",
            flush=True,
        )
    print(json.dumps({"requests": len(bodies), "rounds": rounds, "peers": PEERS}))


if __name__ == "__main__":
    main()
