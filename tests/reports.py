"""Reports for tests: what a check really finds, one finding, and what an attacker would like."""

from compiler.codes import CATALOGUE, T105, T123
from compiler.diagnostics import Note, Report, Span
from compiler.resources import PAGES
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, skill

HERE = "compositional_skills/rhyme"
CODES = [code for code in CATALOGUE.values() if (PAGES / f"{code.id}.md").is_file()]


def faulty(folder):
    """What a check finds in a taxonomy with many faults, and one place of several lines."""
    twice = skill()
    twice["seed_examples"][3]["question"] = twice["seed_examples"][0]["question"]
    bare = skill(tusk_description="x")
    del bare["seed_examples"][1]["answer"], bare["task_description"]
    files = {
        SKILL: twice,
        f"{HERE}/bare/qna.yaml": bare,
        f"{HERE}/copied/qna.yaml": skill(),
        f"{HERE}/Big Ideas/qna.yaml": skill(created_by="  "),
        f"{HERE}/spaces/qna.yaml": "version: 3\ncreated_by: ada  \ntask_description: x   \n",
        f"{HERE}/broken/qna.yaml": "version: 3\nseed_examples: 'x\n  y\n",
        f"{HERE}/attribution.yaml": "x: 1\n",
        KNOWLEDGE: knowledge(),
    }
    report = read(folder, files)[1]
    note = Note("the first example", Span(SKILL, 4, 1, 5, 3))
    report.add(T123, "the example is long", Span(SKILL, 6, 1, 8, 3), "shorten it", [note])
    assert len(report.diagnostics) > 12
    assert len({d.code for d in report.diagnostics}) > 6
    assert any(d.notes for d in report.diagnostics)
    return report


def one(line, start, end, before=3, after="", end_line=None, code=T105):
    """A report of one finding in one line of a file; `start`, `end` are 0-based characters."""
    report = Report(texts={"q.yaml": "x\n" * before + line + "\n" + after})
    at = before + 1
    span = Span("q.yaml", at, start + 1, end_line or at, end + 1)
    report.add(code, "it is wrong", span, "mend it")
    return report


ALPHABET = (
    "aZ9 漢é\u0301`|<>&%,:;[](){}#@!\\'\"_*~-="
    "\n\r\t\0\x07\x1b\x7f\x85\x9b\u200b\u200f\u202e\u2028\u2066\ufeff\ufffe\ud800\udce9\U000e0041"
)
SMUGGLED = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://evil.example\x07here",
    "##[stop-commands]x",
    "##vso[task.setvariable variable=PATH]x",
    "x\n::add-mask::secret",
    "::error::x",
    " ::set-output name=x::y",
    "]]></failure><!--",
    "%0A::error::x",
    "[click](https://evil.example)",
    "\u202etxt.exe",
)


def hostile(chance, longest=40):
    drawn = "".join(chance.choice(ALPHABET) for _ in range(chance.randrange(1, longest)))
    return drawn if chance.random() < 0.5 else drawn + chance.choice(SMUGGLED) + drawn[:3]


def hostile_report(chance):
    paths = [hostile(chance).strip("/") or "x" for _ in range(3)]
    report = Report(texts={p: "\n".join(hostile(chance, 300) for _ in range(4)) for p in paths})
    report.files = [*paths, hostile(chance)]

    def span():
        if chance.random() < 0.2:
            return Span(chance.choice(paths))
        line, column = chance.randrange(1, 6), chance.randrange(1, 200)
        end = (line, column + chance.randrange(9)) if chance.random() < 0.6 else (line + 2, 3)
        return Span(chance.choice(paths), line, column, *end)

    for _ in range(6):
        notes = [Note(hostile(chance), span()) for _ in range(chance.randrange(3))]
        place = span() if chance.random() < 0.9 else None
        report.add(chance.choice(CODES), hostile(chance), place, hostile(chance), notes)
    return report
