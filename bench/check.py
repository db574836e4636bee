"""What `trivium check` costs and whether it is right: beside InstructLab's validator, and itself.

The reference is instructlab-schema 0.4.2 with yamllint, in an environment of its own that is made
once (`.venv/reference`), on the same files in the same run. As released it starts a yamllint for
every file of version 2 or later and a `yq` for every error; a stub that prints `1` is its `yq`
here, the fastest there can be. Files: those of real pull requests where `../shared/real` lies
beside the checkout, those of `--files DIR`, or leaves made at random. Every figure is the median of
interleaved runs, each in a fresh process; only the ratios mean something on another machine. Exit
status 1 where a goal is missed. Run it with `python bench/check.py`.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from goals import Goals, fresh

from compiler.cache import Cache
from compiler.diagnostics import Report
from compiler.front import check
from compiler.render import RENDERERS
from compiler.source import leaf_files, open_source

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "real"
REFERENCE = ("instructlab-schema==0.4.2", "yamllint==1.38.0")
ONE_FILE = "taxonomy/compositional_skills/writing/plain_language/qna.yaml"
FASTER, AGREE, CACHED, START, LINEAR, MEMORY = 50, 0.995, 5, 1.5, 1.3, 400
KINDS = ("knowledge", "compositional_skills", "foundational_skills")

THEIRS = """
import json, pathlib, sys, time
from instructlab.schema.taxonomy import TaxonomyParser, TaxonomyReadingException
parser, failed = TaxonomyParser(schema_version=0), []
files = json.loads(pathlib.Path(sys.argv[1]).read_text())
start = time.perf_counter()
for file in files:
    try:
        errors = parser.parse(file).errors
    except TaxonomyReadingException:
        errors = 1
    if errors:
        failed.append(file)
told = [time.perf_counter() - start, failed]
pathlib.Path(sys.argv[2]).write_text(json.dumps(told))
"""


def real_files(folder):
    """What people sent, each file under the number of its pull request."""
    asked = [json.loads(line) for line in (REAL / "verdicts.jsonl").open()]
    bare = folder.with_suffix(".git")
    subprocess.run(["git", "clone", "-q", "--bare", REAL / "taxonomy.bundle", bare], check=True)
    names = "".join(f"{one['branch']}:{one['path']}\n" for one in asked)
    told = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=bare, input=names.encode(), capture_output=True
    ).stdout
    for n, one in enumerate(asked):
        head, _, told = told.partition(b"\n")
        size = int(head.split()[-1])
        branch, _, rest = one["path"].rpartition("/")[0].partition("/")
        file = folder / branch / f"pr{n}" / rest / Path(one["path"]).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(told[:size])
        told = told[size + 1 :]


def made_files(folder, count, seed):
    """Leaves of random words: three branches and versions, a fault in every fifth."""
    rng = random.Random(seed)
    parts = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    known = ["".join(rng.choices(parts, k=rng.randint(2, 4))) for _ in range(20_000)]
    weights = [0.0]
    for n in range(len(known)):
        weights.append(weights[-1] + 1 / (n + 10))

    def words(n):
        return " ".join(rng.choices(known, cum_weights=weights[1:], k=n)).capitalize()

    def pair(indent):
        fault = rng.choice(("key", "space", "colon")) if faulty and rng.random() < 0.1 else ""
        asked.append(rng.choice(asked) if asked and rng.random() < 0.002 else words(12))
        key = "anser" if fault == "key" else "question"
        colon, space = ": so" if fault == "colon" else "", "  " if fault == "space" else ""
        return f"{indent}- {key}: {asked[-1]}{colon}?\n{indent}  answer: {words(30)}.{space}\n"

    asked = []
    for n in range(count):
        faulty = n % 5 == 0
        kind = KINDS[n % 3]
        place = folder / kind / f"part{n % 89}" / f"leaf{n}"
        place.mkdir(parents=True)
        version = 3 if kind == "knowledge" else rng.choice((1, 2, 3))
        text = f"version: {version}\ncreated_by: person{n % 211}\n"
        if kind == "knowledge":
            contexts = [words(100) for _ in range(5)]
            text += f"domain: {words(1)}\ndocument_outline: {words(8)}\nseed_examples:\n"
            for context in contexts:
                text += f"  - context: |\n      {context}.\n    questions_and_answers:\n"
                text += "".join(pair("      ") for _ in range(3))
            repo, name = f"https://example.org/person{n}/notes", "notes.md"
            if n % 10 == 0:  # a document of the taxonomy itself, which is looked into
                repo, name = ".", f"documents/leaf{n}.md"
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(". ".join((words(200), *contexts)))
            text += f"document:\n  repo: {repo}\n  commit: {rng.randbytes(20).hex()}\n"
            text += f"  patterns:\n    - {name}\n"
        else:
            text += f"task_description: {words(8)}\nseed_examples:\n"
            text += "".join(pair("  ") for _ in range(5))
        (place / "qna.yaml").write_text(text)
        (place / "attribution.txt").write_text(f"Title of work: {words(3)}\nLicense: CC-BY-4.0\n")


def ours(folder, kept=None):
    """Seconds, files with an error, megabytes at most: the whole front end, as text to print."""
    start = time.perf_counter()
    report = Report()
    with Cache(kept) as cache:
        check(open_source(folder), report, cache=cache)
    RENDERERS["concise"](report)
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, report.broken, most


def theirs(python, folder, paths, scratch):
    """Seconds and files with an error, by InstructLab's validator."""
    asked, told, bin = (scratch / name for name in ("asked", "told", "bin"))
    bin.mkdir(exist_ok=True)
    (bin / "yq").write_text("#!/bin/sh\necho 1\n")
    (bin / "yq").chmod(0o755)
    asked.write_text(json.dumps([str(folder / path) for path in paths]))
    env = {**os.environ, "PATH": f"{bin}:{python.parent}:{os.environ['PATH']}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([python, "-c", THEIRS, asked, told], env=env, check=True, **quiet)
    seconds, failed = json.loads(told.read_text())
    return seconds, {Path(file).relative_to(folder).as_posix() for file in failed}


def reference():
    """The Python that holds InstructLab's validator."""
    place = ROOT / ".venv" / "reference"
    python = place / "bin" / "python"
    if not (place / "bin" / "yamllint").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REFERENCE], check=True)
    return python


def seconds_of(*words, **more):
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=False, **more)
    return time.perf_counter() - start


def beside_the_reference(goals, folder, python, scratch, rounds):
    paths = leaf_files(open_source(folder).paths)
    fast, slow = [], []
    for _ in range(rounds):
        fast.append(fresh(ours, folder))
        slow.append(theirs(python, folder, paths, scratch))
    mine, other = (statistics.median(run[0] for run in runs) for runs in (fast, slow))
    rates = f"{len(paths) / mine:,.0f} and {len(paths) / other:,.1f} files/s, {len(paths)} files"
    goals.say("times the reference's files per second", other / mine, FASTER, True, about=rates)
    differ = sorted(fast[0][1] ^ slow[0][1])
    same = 1 - len(differ) / len(paths)
    errors = f"errors in {len(fast[0][1])} and {len(slow[0][1])} files"
    goals.say("verdicts as the reference's", 100 * same, 100 * AGREE, True, "%", errors)
    for path in differ[:10]:
        print(f"    {'only ours' if path in fast[0][1] else 'only theirs'}: {path}")


def with_the_cache(goals, folder, scratch, rounds):
    first, second = [], []
    for n in range(rounds):
        kept = scratch / f"cache{n}.sqlite"
        first.append(fresh(ours, folder, kept)[0])
        second.append(fresh(ours, folder, kept)[0])
    before, after = statistics.median(first), statistics.median(second)
    about = f"{1000 * before:.0f} and {1000 * after:.0f} ms"
    goals.say("times faster, nothing changed since", before / after, CACHED, True, about=about)


def from_a_cold_shell(goals, home, rounds):
    trivium = Path(sys.executable).with_name("trivium")
    env = {**os.environ, "TRIVIUM_HOME": str(home)}
    mine = {"words": (trivium, "check", ONE_FILE), "env": env, "cwd": ROOT}
    bare = {"words": (sys.executable, "-c", "import yaml, jsonschema"), "env": env, "cwd": ROOT}
    runs = [
        [seconds_of(*run["words"], env=run["env"], cwd=run["cwd"]) for run in (mine, bare)]
        for _ in range(rounds + 1)
    ][1:]
    ours, theirs = (statistics.median(times) for times in zip(*runs, strict=True))
    about = f"{1000 * ours:.0f} and {1000 * theirs:.0f} ms"
    goals.say("`check ONE_FILE` / `import yaml, jsonschema`", ours / theirs, START, about=about)


def in_size(goals, folder, sizes, seed, rounds):
    for size in sizes:
        made_files(folder / str(size), size, seed)
    times, most = {size: [] for size in sizes}, 0.0
    for _ in range(rounds):
        for size in sizes:
            seconds, _, most = fresh(ours, folder / str(size))
            times[size].append(1000 * seconds / size)
    each = {size: statistics.median(runs) for size, runs in times.items()}
    *small, large = each.values()
    about = ", ".join(f"{cost:.2f} ms at {size:,}" for size, cost in each.items())
    goals.say("per file, largest / smallest taxonomy", large / min(small), LINEAR, about=about)
    goals.say(f"memory at {sizes[-1]:,} files", most, MEMORY, unit=" MB")


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--quick", action="store_true", help="small and once: a minute")
    asked.add_argument("--files", type=Path, metavar="DIR", help="a taxonomy to compare on")
    asked.add_argument("--reference", type=Path, metavar="PYTHON", help="one that holds it")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    said = asked.parse_args()
    rounds, goals = (1 if said.quick else 3), Goals()
    with tempfile.TemporaryDirectory() as top:
        scratch = Path(top)
        folder = said.files or scratch / "files"
        if said.files is None and REAL.is_dir() and not said.quick:
            real_files(folder)
        elif said.files is None:
            made_files(folder, 100 if said.quick else 600, said.seed)
        python = said.reference or reference()
        beside_the_reference(goals, folder, python, scratch, rounds)
        with_the_cache(goals, folder, scratch, max(3, rounds))
        from_a_cold_shell(goals, scratch / "home", 5 if said.quick else 15)
        sizes = (200, 1_000, 4_000) if said.quick else (1_000, 5_000, 20_000)
        in_size(goals, scratch / "made", sizes, said.seed, rounds)
    print(json.dumps({"seed": said.seed, "rounds": rounds, "reference": REFERENCE}))
    sys.exit(goals.missed)


if __name__ == "__main__":
    main()
