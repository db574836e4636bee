"""The comment on a pull request: what it says, and that nobody can speak through it."""

import os
import random
import re

import pytest
from markdown_it import MarkdownIt

from compiler.codes import CATALOGUE, S003, T105, T121, T135, T142
from compiler.diagnostics import Report, Span, clean
from compiler.journal import Journal
from compiler.plan import plan
from compiler.program import prepare
from compiler.prompt import Message
from compiler.source import WorkTree
from compiler.summary import MARK, Addition, Preview, additions, preview, summarise
from compiler.teacher.extractive import Extractive
from tests.conftest import SEED
from tests.reports import faulty, hostile
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

LIMIT = 65_536
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = re.compile(
    r"<!-- trivium check -->\s*|<details>\s<summary>[\w ]+</summary>\s*|</details>\s*"
)
INERT = {
    f"{name}{end}"
    for name in "heading paragraph bullet_list list_item table thead tbody tr th td strong".split()
    for end in ("_open", "_close")
} | {"inline", "text", "softbreak", "hardbreak", "code_inline", "fence", "html_block"}
# What GitHub or GitLab would make a mention, a reference or a link of, outside of code.
ALIVE = re.compile(r"[@#<>~!$\\]|://|www\.|[a-z]\.[a-z]|\bGH-\d|[0-9a-f]{7}|:\w+:", re.I)


@pytest.fixture
def chance():
    return random.Random(os.environ[SEED])


def flat(tokens):
    for token in tokens:
        yield token
        yield from flat(token.children or ())


def alive(markdown):
    """Whatever in a comment is more than text, code and our own frame."""
    found = []
    for token in flat(PARSER.parse(markdown)):
        is_ours = token.type == "html_block" and OURS.fullmatch(token.content)
        if token.type not in INERT or (token.type == "html_block" and not is_ours):
            found.append((token.type, token.content))
        if token.type == "text" and ALIVE.search(token.content):
            found.append(("text", token.content))
    return found


def codes(markdown):
    return [t.content for t in flat(PARSER.parse(markdown)) if t.type in ("code_inline", "fence")]


def rows(markdown):
    """The table's rows as texts."""
    found = []
    in_cell = False
    for token in PARSER.parse(markdown):
        if token.type == "tr_open":
            found.append([])
        if token.type == "inline" and in_cell:
            found[-1].append("".join(t.content for t in token.children))
        in_cell = token.type in ("td_open", "th_open")
    return found[1:]


ATTACKS = (
    "@everyone",
    "`@everyone`",
    "``` @everyone",
    "x`` ` @everyone `` y",
    "![x](https://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "</details><script>alert(1)</script>",
    "<!--",
    "a | b | c |",
    "a \\| `@b` \\",
    "\n\n# @everyone\n\n- x",
    "\n```\n@everyone\n````\n</details>",
    "https://evil.example www.evil.example evil.example",
    "evil.example",
    "closes #1",
    "closes GH-1",
    "0123456789abcdef",
    ":tada:",
    "&lt;b&gt; &commat;everyone",
    "[x]: https://evil.example",
    "~~x~~ **x** _x_ :tada:",
    "\u202eenoyreve@",
)


def attacked(chance):
    """A report and what it would add, every text of which somebody else wrote."""

    def text():
        drawn = chance.choice(ATTACKS) if chance.random() < 0.7 else hostile(chance)
        return f"{drawn} {chance.choice(ATTACKS)}" if chance.random() < 0.3 else drawn

    files = sorted({f"{text()}/{number}/qna.yaml" for number in range(4)})
    report = Report(files=files)
    for path in files[:3]:
        for line in (3, 5):
            said = chance.choice(
                [f"the key `{text()}` is odd", f"{text()} is odd", f"`{text()}` or `{text()}`"]
            )
            code = chance.choice((S003, T105, T121))
            report.add(code, said, Span(path, line, 1, line, 2), f"try `{text()}`")
    added = [
        Addition(path, text(), tuple(text() for _ in range(chance.randrange(6))), 1, 2, 3, 4)
        for path in files
    ]
    messages = (Message("system", text()), Message("user", f"{text()}\n{text()}"))
    return report, added, Preview(files[0], text(), messages)


def test_nothing_that_a_contributor_wrote_comes_alive(chance):
    for _ in range(150):
        report, added, prompt = attacked(chance)
        text = summarise(report, added, prompt)
        assert alive(text) == []
        assert len(rows(text)) == len(report.files)
        assert {len(row) for row in rows(text)} == {7}
        assert text.count("<details>\n<summary>") >= 1
        assert PARSER.parse(text)[-1].content.strip() == "</details>"
        shown = "\n".join(codes(text))
        for message in prompt.messages:
            assert "\n".join(map(clean, message.content.split("\n"))) in shown


def test_the_watch_sees_what_it_watches_for(chance):
    naive = (lambda text: f"- {text}\n", lambda text: f"- `{text}`\n", lambda text: f"|{text}|\n")
    seen = [attack for attack in ATTACKS if any(alive(shown(attack)) for shown in naive)]
    assert len(seen) >= 18
    assert not alive("### Ours\n\n- plain, and `code @x`\n")


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_shown_as_it_was_typed(attack):
    report = Report(files=["x/qna.yaml"])
    report.add(T105, f"`{attack}` is odd", Span("x/qna.yaml", 3, 1, 3, 2), f"not `{attack}`")
    text = summarise(report)
    assert alive(text) == []
    assert sum(clean(attack).strip() in code for code in codes(text)) == 2


def test_a_message_of_ours_reads_like_one():
    report = Report()
    report.add(T105, "seed example 2 has no `answer`", Span(SKILL, 7, 1, 7, 2), "add `answer:`")
    text = summarise(report)
    assert "\n- error `T105 missing-answer` on line 7: seed example 2 has no `answer`" in text
    assert f"\n**`{SKILL}`**\n" in text
    assert "help: add `answer:`" in text
    assert text.startswith(f"{MARK}\n")


@pytest.mark.parametrize("letter", ["x", "`", "漢", "\x1b", "|", "\U0001f600", "` "])
def test_a_comment_is_never_too_long(letter):
    long = letter * 20_000
    files = [f"{number}{long}" for number in range(300)]
    report = Report(files=files)
    for path in files:
        for code in (S003, T105, T121):
            report.add(code, long, Span(path, 3, 1, 3, 2), long)
    added = [Addition(path, long, (long,) * 9, *(10**12,) * 4) for path in files]
    text = summarise(report, added, Preview(long, long, (Message("user", f"{long}\n{long}"),)))
    assert len(text.encode("utf-16-le")) / 2 < LIMIT
    assert alive(text) == []
    assert len(rows(text)) == 12
    inline = [t.content for t in flat(PARSER.parse(text)) if t.type == "code_inline"]
    assert max(map(len, inline)) <= 200
    assert "880 more findings" in text
    assert "288 more leaf files" in text


def test_the_verdict(tmp_path):
    assert "### Trivium: no findings\n\nNothing is wrong in 0 leaf files." in summarise(
        Report(files=[])
    )
    warned = Report(files=["x"])
    warned.add(T121, "copied", Span("x", 1, 1, 1, 2))
    assert "### Trivium: no errors\n\n1 warning in 1 leaf file" in summarise(warned)
    report = faulty(tmp_path)
    text = summarise(report)
    assert f"### Trivium: {report.errors} errors to mend\n" in text
    shown = re.findall(r"^- (error|warning) `(\w+) ", text, re.M)
    errors = [d for d in report.diagnostics if d.severity == "error"]
    assert sorted(c for s, c in shown if s == "error") == sorted(d.code.id for d in errors)
    more = len(report.diagnostics) - len(shown)
    assert (f"{more} more finding" in text) == (more > 0)


def test_errors_are_shown_where_not_everything_can_be():
    report = Report()
    for number in range(50):
        report.add(T121, "copied", Span(f"a/{number}", 1, 1, 1, 2))
    report.add(T105, "no answer", Span("z", 1, 1, 1, 2))
    text = summarise(report)
    assert text.index("**`z`**") < text.index("**`a/")
    assert len(re.findall(r"^- ", text, re.M)) == 20
    assert "31 more findings" in text


def test_what_each_leaf_would_add():
    report = Report(files=["a", "b", "c", "d"])
    for line in (1, 2):
        report.add(T105, "no answer", Span("b", line, 1, line, 2))
    report.add(T121, "copied", Span("a", 1, 1, 1, 2))
    report.add(T135, "nearly", Span("a", 2, 1, 2, 2))
    added = [
        Addition("a", "ada", ("CC0-1.0", "MIT"), 40, 160, 30_000, 5000),
        Addition("c", "bob", (), 0, 0, 0, 0, T142.id),
    ]
    text = summarise(report, added)
    assert rows(text) == [
        ["a", "ada", "CC0-1.0, MIT", "40", "160", "30,000", "5,000"],
        ["b", "", "", "nothing: 2 errors", "", "", ""],
        ["c", "bob", "none named", f"nothing: {T142}", "", "", ""],
        ["d", "", "", "not known", "", "", ""],
    ]
    assert "at most 40 samples of 1 leaf file, for 160 teacher calls" in text
    assert "some 30,000 prompt and 5,000 reply tokens" in text
    assert "2 findings of copied, or nearly copied, questions." in text
    assert "could not be worked out" in summarise(report)


@pytest.fixture
def program(tmp_path):
    """The two clean leaves, and one more, of which nothing is asked."""
    other = skill(created_by="eve", task_description="Other.")
    for seed in other["seed_examples"]:
        seed["question"] += " In French?"
    folder = write(
        tmp_path / "taxonomy",
        {SKILL: skill(), KNOWLEDGE: knowledge(), "compositional_skills/other/qna.yaml": other},
    )
    made = prepare(WorkTree(folder), tmp_path / "home", Report(), [SKILL, KNOWLEDGE])
    (tmp_path / "home").mkdir(exist_ok=True)
    with Journal(tmp_path / "home" / "journal.sqlite") as journal:
        return made, plan(made.units, made.pipelines, Extractive(), journal)


def test_additions_are_those_of_the_compilers_own_plan(program):
    made, planned = program
    added = additions(made, planned, [SKILL, KNOWLEDGE, "nothing/qna.yaml"])
    assert [each.file for each in added] == [SKILL, KNOWLEDGE]
    for each in added:
        (line,) = (line for line in planned.lines if f"{line.leaf}/qna.yaml" == each.file)
        assert (each.contributor, each.licences, each.skipped) == ("ada", ("CC-BY-4.0",), "")
        assert (each.samples, each.calls) == (line.samples, line.calls)
        assert each.prompt_tokens == line.prompt_tokens > each.calls
        assert each.completion_tokens == line.completion_tokens > each.samples
    assert [each.file for each in additions(made, planned, [SKILL])] == [SKILL]


def test_the_preview_is_the_first_prompt_and_holds_nothing_held_out(program):
    made, _ = program
    shown = preview(made, [SKILL])
    text = "\n".join(message.content for message in shown.messages)
    assert (shown.file, shown.messages[-1].role) == (SKILL, "user")
    assert "What rhymes with a?" in text
    assert "What rhymes with e?" not in text
    assert preview(made, ["nothing/qna.yaml"]) is None
    comment = summarise(Report(files=[SKILL]), (), shown)
    assert any(text.splitlines()[-1] in code for code in codes(comment))


def test_a_code_that_skips_a_leaf_is_in_the_catalogue():
    assert T142.id in CATALOGUE
    with pytest.raises(KeyError):
        summarise(Report(files=["a"]), [Addition("a", "x", (), 0, 0, 0, 0, "T000")])
