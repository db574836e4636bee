"""Does `trivium check` fail the same files as InstructLab's own validator?

    pip install instructlab-schema==0.4.2 yamllint
    python bench/verdicts.py FOLDER                  every leaf file under FOLDER
    python bench/verdicts.py FOLDER --mutate 1000    and so many damaged copies of them

Prints each file that the two judge differently, and at the end how many they judge alike. The
reference runs here, in this process, at each file's own version; a file that it cannot read counts
as failed. Its yamllint runs in this process too, unless `--subprocess` asks for its own way.
"""

import argparse
import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

from instructlab.schema.taxonomy import TaxonomyParser, TaxonomyReadingException
from yamllint import linter
from yamllint.config import YamlLintConfig

from compiler.diagnostics import Report
from compiler.format import read_tree
from compiler.source import SourceFile

SPECIAL = [*"\t:#-?*&!|>'\"%@`{}[],~=<\\ \x00\x07\u00a0\u0085\u2028\ufeff\u201c\U0001f600"]
SPECIAL += [": ", " #", "- ", "\n", "\r\n", "\r", "---\n", "...\n", "%YAML 1.1\n", "<<: ", "!!str "]
SPECIAL += ["# yamllint disable\n", "  # yamllint disable-line rule:trailing-spaces", "&a ", "*a"]
WORDS = ["null", "yes", "1", "1.0", "2001-01-01", "0x1", "1:30", "''", "[]", "{}", "~", "|", ".nan"]


class Reference(TaxonomyParser):
    """InstructLab's validator as it runs by default, quiet and without a process per file."""

    def __init__(self, in_subprocess):
        super().__init__(schema_version=0, message_format="standard")
        self.yq_available = False
        self.in_subprocess = in_subprocess
        self.conf = YamlLintConfig(self.yamllint_config)

    def _yamllint(self, text, taxonomy):
        if self.in_subprocess:
            super()._yamllint(text, taxonomy)
            return
        for problem in linter.run(io.BytesIO(text.encode()), self.conf, ""):
            if problem.level == "error":
                taxonomy.error(problem.message)

    def fails(self, path, data):
        """Whether it counts an error, or breaks, and what it says."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said):
                    return self.parse(file).errors > 0, said.getvalue()
            except TaxonomyReadingException as wrong:
                return True, f"unreadable: {wrong.__cause__}"


def ours(path, data):
    """The same of us."""
    report = Report()
    read_tree(SourceFile(path, data), report)
    return report.errors > 0, "".join(
        f"{d.severity} {d.code} {d.message}\n" for d in report.diagnostics
    )


def damaged(draw, text):
    """`text` after one to three small accidents."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        lines = text.split("\n")
        i, j = (draw.randrange(len(lines)) for _ in "ij")
        line = lines[i]
        at = draw.randrange(len(line) + 1)
        words = line.split(" ")
        match draw.randrange(14):
            case 0:
                del lines[i]
            case 1:
                lines.insert(j, line)
            case 2:
                lines[i], lines[j] = lines[j], line
            case 3:
                lines[i] = " " * draw.randint(1, 3) + line
            case 4:
                lines[i] = line.removeprefix(" " * draw.randint(1, 3))
            case 5 | 6 | 7:
                lines[i] = line[:at] + draw.choice(SPECIAL) + line[at:]
            case 8:
                lines[i] = line.replace(draw.choice("'\":-|> "), "", 1)
            case 9:
                lines[i:] = [line[:at]]
            case 10:
                lines[i] = line[:at] + line[at + 1 :]
            case 11:
                lines[i] = f"{line.partition(':')[0]}: {draw.choice(WORDS)}"
            case 12:
                lines[i] = line + draw.choice([" ", "\t", "  # x", "\r", "\\"])
            case 13:
                lines[i] = " ".join([*words[:-1], draw.choice(WORDS)])
        text = "\n".join(lines)
    return text


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("folder", type=Path)
    parse.add_argument("--mutate", type=int, default=0, metavar="N")
    parse.add_argument("--largest", type=int, default=8000, metavar="BYTES", help="to mutate")
    parse.add_argument("--seed", default="0")
    parse.add_argument("--subprocess", action="store_true")
    asked = parse.parse_args()
    files = [f for f in sorted(asked.folder.rglob("*")) if f.suffix in (".yaml", ".yml")]
    cases = [(f.relative_to(asked.folder).as_posix(), f.read_bytes()) for f in files if f.is_file()]
    if asked.mutate:
        draw = random.Random(asked.seed)
        small = [case for case in cases if len(case[1]) < asked.largest]
        chosen = (draw.choice(small) for _ in range(asked.mutate))
        cases = [
            (path, damaged(draw, data.decode("utf-8", "replace")).encode()) for path, data in chosen
        ]
    reference = Reference(asked.subprocess)
    equal = failed = 0
    for path, data in cases:
        theirs, they_say = reference.fails(path, data)
        verdict, we_say = ours(path, data)
        failed += theirs
        equal += theirs == verdict
        if theirs != verdict:
            print(f"{path}: reference {'fails' if theirs else 'passes'}")
            print(f"  reference: {they_say.strip()[:300]}\n  trivium: {we_say.strip()[:300]}")
            if asked.mutate:
                kept = Path(tempfile.mkdtemp(prefix="verdict-"), "qna.yaml")
                kept.write_bytes(data)
                print(f"  kept as {kept}")
    print(f"{equal} of {len(cases)} alike; the reference fails {failed}")
    sys.exit(equal != len(cases))


if __name__ == "__main__":
    main()
