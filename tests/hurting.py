"""Leaf files that were made to hurt, and a program that measures what each of them takes.

    python -m tests.hurting

Prints for each the codes of what was found, the seconds of CPU, and the most memory so far in MB.
"""

import re
import time
from pathlib import Path

from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.source import SourceFile

HEAD = "version: 3\ncreated_by: a\ntask_description: t\n"
HURTING = {
    "quadratic aliases": lambda: "a: &a " + "x" * 900_000 + "\nb: [" + "*a, " * 9000 + "]\n",
    "key aliases": lambda: f"? &a {'k' * 99_000}\n: 1\n" + "? *a\n: 1\n" * 900,
    "merge bomb": lambda: (
        "a0: &a0 {}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 12}]}}\n" for i in range(1, 10))
    ),
    "merge chain": lambda: (
        "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}}}\n" for i in range(1, 900))
    ),
    "open brackets": lambda: "a: " + "[" * 1_900_000,
    "ten thousand lists": lambda: "a: " + "[" * 10_000 + "]" * 10_000,
    "ten thousand mappings": lambda: "a: " + "{a: " * 10_000 + "}" * 10_000,
    "deep indents": lambda: "\n".join(" " * i + "a:" for i in range(1900)),
    "deep items": lambda: "- " * 900_000 + "x\n",
    "deep keys": lambda: "? " * 900_000 + "x\n",
    "deep after a mark": lambda: "a: \ufeff\nb: " + "[" * 40_000,
    "tags": lambda: "a: " + "!x " * 600_000 + "\n",
    "directives": lambda: "".join(f"%TAG !{i}! x\n" for i in range(120_000)) + "---\na: 1\n",
    "anchors": lambda: "a:\n" + "".join(f"- &a{i} x\n" for i in range(100_000)),
    "keys": lambda: "".join(f"k{i}: 1\n" for i in range(170_000)),
    "one key": lambda: "a: 1\n" * 5000,
    "colliding numbers": lambda: (
        "a:\n"
        + "".join(
            "- {" + ", ".join(f"{(2**61 - 1) * i}: 1" for i in range(999)) + "}\n" for _ in range(4)
        )
    ),
    "digits": lambda: HEAD.replace("3", "9" * 1_900_000, 1),
    "hexadecimal digits": lambda: HEAD.replace("3", "0x" + "f" * 1_900_000, 1),
    "sixties": lambda: HEAD.replace("3", "1" + ":1" * 900_000, 1),
    "zeros": lambda: "\0" * 2_000_000,
    "spaces": lambda: HEAD + "a: b" + (" " * 999 + "x") * 1900 + " \n",
    "lines of spaces": lambda: HEAD + " \n" * 400_000,
    "empty lines": lambda: HEAD + "\n" * 900_000,
    "comments": lambda: HEAD + "#\t\n" * 200_000,
    "comments to the linter": lambda: HEAD + "# yamllint disable\n" * 30_000,
    "tabs": lambda: HEAD + "a: [" + '"\t",' * 9000 + "]\n",
    "marks": lambda: "a: \ufeff" + "x " * 24_000 + "\n",
    "empty texts": lambda: HEAD + "seed_examples:\n" + "- {question: '', answer: ''}\n" * 1500,
    "empty items": lambda: HEAD + "seed_examples:\n" + "-\n" * 5000,
    "unknown keys": lambda: HEAD + "seed_examples:\n" + "- {a: 1, b: 2, c: 3}\n" * 1200,
    "repeated items": lambda: HEAD + "seed_examples:\n" + "- {question: a, answer: b}\n" * 2000,
    "long keys": lambda: HEAD + "".join(f"? {'k' * 1900}{i}\n: 1\n" for i in range(900)),
    "an open quote": lambda: "a: '" + "x\n" * 900_000,
    "a lost line": lambda: "a: |\n" + "  x\n" * 200_000 + "x\ny\n",
    "colons": lambda: "a" + ": b" * 600_000,
    "commas": lambda: "a: [" + "1," * 900_000 + "]\n",
    "halves": lambda: 'a: "' + "\\ud83d" * 8000 + '"\n',
    "half the bytes": lambda: ("é" * 900_000).encode("latin-1"),
    "shift-jis": lambda: ("a: 日本\n" * 200_000).encode("shift-jis"),
    "utf-16": lambda: ("a: b\n" * 190_000).encode("utf-16"),
    "utf-32-le": lambda: ("a: b\n" * 90_000).encode("utf-32-le"),
    "a hundred megabytes": lambda: b"x" * 100_000_000,
}


def main():
    for name, make in HURTING.items():
        made = make()
        data = made if isinstance(made, bytes) else made.encode()
        start = time.process_time()
        report = Report()
        read_tree(SourceFile("compositional_skills/a/qna.yaml", data), report)
        seconds = time.process_time() - start
        codes = ",".join(sorted({d.code.id for d in report.diagnostics}))
        print(f"{name}: {codes or 'nothing'} {seconds:.2f} {megabytes()}")


def megabytes():
    """The most memory so far; unlike `ru_maxrss` it leaves out what the parent process had."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024


if __name__ == "__main__":
    main()
