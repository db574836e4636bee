"""What a compile costs as it grows: CPU per unit and memory at most, for 1,000 units and more.

A taxonomy is made at random, with pipelines of its own that ask once for each unit; the teacher
answers at once, in the process, so that only the compiler is measured. A third of the questions
follow one template, and one in fifty nearly repeats another. Each size runs in a fresh process.
Exit status 1 where a goal is missed. Run it with `python bench/size.py`.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import random
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from compiler.diagnostics import Report, Severity
from compiler.driver import expand
from compiler.emit import emit
from compiler.expand import Local
from compiler.journal import Journal
from compiler.program import prepare
from compiler.source import open_source
from compiler.teacher import Reply, Unconnected

SIZES = (1_000, 10_000, 100_000)
MEMORY, GROWTH = 600, 1.2  # MB; cost per unit at the largest size over that at the middle one
PER_LEAF = 40
PARTS = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]

PIPELINE = """version: 1
about: One question and its answer.
takes: {kind}
asks: 1
stages:
  - do: generate
    id: pair
    prompt: pair.j2
    writes: {{question: text, answer: text}}
    sampling: {{temperature: 0.8, max_tokens: 512}}
  - do: say
    user: "{{{{ question }}}}"
    assistant: "{{{{ answer }}}}"
"""
PROMPT = """{{% block system %}}You write questions.{{% endblock %}}
{{% block user %}}{texts}
{{% for example in examples %}}
<question>{{{{ example.question }}}}</question><answer>{{{{ example.answer }}}}</answer>
{{% endfor %}}
Write {{{{ count }}}} more.{{% endblock %}}
"""
TEXTS = {
    "knowledge": "<document>{{ document }}</document> {{ title }} {{ domain }} {{ outline }}",
    "freeform": "<task>{{ task }}</task> {{ seed.question }}",
}


class Words:
    """Random words, the first of a vocabulary far more often than the last."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        made = random.Random(1)
        self.known = list(
            dict.fromkeys("".join(made.choices(PARTS, k=made.randint(2, 4))) for _ in range(30_000))
        )
        self.weights, total = [], 0.0
        for n in range(len(self.known)):
            total += 1 / (n + 10)
            self.weights.append(total)

    def __call__(self, n):
        return " ".join(self.draw.choices(self.known, cum_weights=self.weights, k=n)).capitalize()


class Instant(Unconnected):
    """A teacher that answers at once, the same question always the same."""

    model, in_flight, by_rule, extra = "instant", 64, False, {}

    def __init__(self):
        self.words = Words(0)

    async def ask(self, request):
        text = request.messages[-1].content + str(request.index)
        self.words.draw.seed(hashlib.sha256(text.encode()).digest())
        kind = self.words.draw.randrange(50)
        question = f"{self.words(14)}?"
        if kind < 16:
            question = f"What is the meaning of the word {self.words(2)} in the text above?"
        elif kind == 16:
            end = self.words(1)
            self.words.draw.seed(self.words.draw.randrange(200))
            question = f"{self.words(26)} {end}?"
        answer = self.words(30)
        return Reply(
            f"<question>{question}</question><answer>{answer}.</answer>",
            prompt_tokens=300,
            completion_tokens=60,
        )


def make(folder, units):
    """A taxonomy of about `units` units: half knowledge, half skills."""
    words = Words(units)
    for kind, texts in TEXTS.items():
        pipeline = folder / "pipelines" / f"one-{kind}"
        pipeline.mkdir(parents=True)
        (pipeline / "pipeline.yaml").write_text(PIPELINE.format(kind=kind))
        (pipeline / "pair.j2").write_text(PROMPT.format(texts=texts))
    (folder / "curriculum.yaml").write_text(
        f"samples_per_leaf: {PER_LEAF}\n"
        "routes:\n  - {kind: knowledge, pipeline: one-knowledge}\n"
        "  - {kind: freeform, pipeline: one-freeform}\n"
    )
    (folder / "documents").mkdir()
    for n in range(units // PER_LEAF):
        leaf = {"version": 3, "created_by": f"person{n % 211}"}
        if n % 2:
            branch = "knowledge"
            contexts = [f"{words(60)}." for _ in range(5)]
            document = [f"{words(120)}." for _ in range(8)]
            (folder / f"documents/{n}.md").write_text("\n\n".join([*contexts, *document]))
            leaf |= {
                "domain": words(2),
                "document_outline": words(8),
                "document": {"repo": ".", "commit": "HEAD", "patterns": [f"documents/{n}.md"]},
                "seed_examples": [
                    {
                        "context": context,
                        "questions_and_answers": [
                            {"question": f"{words(12)}?", "answer": f"{words(20)}."}
                            for _ in range(3)
                        ],
                    }
                    for context in contexts
                ],
            }
        else:
            branch = ("compositional_skills", "foundational_skills")[n // 2 % 2]
            leaf |= {
                "task_description": words(8),
                "seed_examples": [
                    {"question": f"{words(12)}?", "answer": f"{words(20)}."} for _ in range(6)
                ],
            }
        place = folder / branch / f"part{n % 89}" / f"leaf{n}"
        place.mkdir(parents=True)
        (place / "qna.yaml").write_text(json.dumps(leaf, indent=1) + "\n")  # JSON is YAML
        (place / "attribution.txt").write_text(
            f"Title of work: {words(3)}\nLicense of the work: CC-BY-4.0\n"
        )


def measure(folder):
    """Compiles; the number of units and samples, CPU seconds of each part, megabytes at most."""
    report, teacher = Report(), Instant()
    clock = [time.process_time()]
    program = prepare(open_source(folder / "taxonomy"), folder / "documents", report)
    assert program, [d.message for d in report.diagnostics if d.severity is Severity.ERROR]
    clock.append(time.process_time())
    with Journal(folder / "journal.sqlite") as journal:
        made = expand(program, Local(teacher, teacher, journal), report, lambda outcome: None)
        product = asyncio.run(made)
    clock.append(time.process_time())
    manifest = emit(product, folder / "out")
    clock.append(time.process_time())
    status = Path("/proc/self/status").read_text()
    most = next(int(li.split()[1]) for li in status.splitlines() if li.startswith("VmHWM"))
    samples = manifest["files"]["samples.jsonl"]["count"]
    seconds = [b - a for a, b in pairwise(clock)]
    return len(program.units), samples, seconds, most / 1024


def main():
    """Prints a line for each size, and whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="UNITS")
    sizes = parser.parse_args().sizes
    fresh = multiprocessing.get_context("spawn")
    print(f"{'units':>9} {'samples':>9} {'MB':>5} {'ms/unit':>8}   ms/unit of front, expand, emit")
    costs = []
    for units in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder / "taxonomy", units)
            with fresh.Pool(1) as pool:
                number, samples, seconds, most = pool.apply(measure, (folder,))
        parts = ", ".join(f"{1000 * s / number:.3f}" for s in seconds)
        costs.append(sum(seconds) / number)
        print(
            f"{number:>9,} {samples:>9,} {most:>5.0f} {1000 * costs[-1]:>8.3f}   {parts}",
            flush=True,
        )
    growth = costs[-1] / costs[-2] if len(costs) > 1 else 1.0
    print(
        f"memory at most {most:.0f} MB (goal {MEMORY}); cost per unit x{growth:.2f} (goal {GROWTH})"
    )
    return int(most > MEMORY or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
