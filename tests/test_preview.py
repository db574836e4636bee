"""A preview: the prompts of a compile letter for letter, and samples that it need not ask again."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.cli import app
from compiler.diagnostics import Report
from compiler.documents.chunk import estimate_tokens
from compiler.driver import expand
from compiler.expand import Local
from compiler.journal import Journal
from compiler.preview import program_of, prompts, try_out
from compiler.program import prepare
from compiler.source import WorkTree
from compiler.teacher.extractive import Extractive
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

GROUNDED = "compositional_skills/headline/qna.yaml"


def grounded():
    seeds = [
        {
            "context": f"The pool on hill {n} is closed.",
            "question": f"A headline, {n}?",
            "answer": n,
        }
        for n in "abcde"
    ]
    return skill(task_description="Write a headline.", seed_examples=seeds)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A taxonomy of one leaf of each kind as the current folder, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / ".home"))
    return write(tmp_path, {SKILL: skill(), KNOWLEDGE: knowledge(), GROUNDED: grounded()})


def run(*words):
    return CliRunner().invoke(app, ["preview", *map(str, words)])


class Spy(Extractive):
    """The embedded teacher, and what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        return await super().ask(request)


def compiled(folder, journal=None):
    """What a compile of the whole taxonomy asks, and its program."""
    program = prepare(WorkTree(folder), folder / ".home", Report())
    spy = Spy()
    with journal or Journal(Path(":memory:")) as kept:
        asyncio.run(expand(program, Local(spy, spy, kept), Report(), lambda outcome: None))
    return spy.asked


def previewed(folder, file):
    program = program_of(file, WorkTree(folder), folder / ".home", Report())
    return [
        prompt
        for unit in program.units
        for prompt in prompts(unit, program.pipelines[unit.pipeline])
    ]


def first_stage(folder, file):
    stage = previewed(folder, file)[0].stage
    return {prompt.messages for prompt in previewed(folder, file) if prompt.stage == stage}


@pytest.mark.parametrize("file", [SKILL, KNOWLEDGE, GROUNDED])
def test_the_first_prompts_are_those_of_a_compile(here, file):
    asked = {request.messages for request in compiled(here)}
    assert first_stage(here, file)
    assert first_stage(here, file) <= asked
    changed = {SKILL: skill(task_description="Rime."), KNOWLEDGE: knowledge(domain="fish")}
    write(here, {file: changed.get(file) or {**grounded(), "task_description": "Title it."}})
    assert not first_stage(here, file) & asked


def test_what_another_leaf_holds_out_is_in_no_prompt(here):
    other = skill()
    held_out = other["seed_examples"][-1]
    mine = skill(task_description="Rhyme more.")
    mine["seed_examples"][0] = held_out
    mine["seed_examples"][1:] = [
        {"question": f"And on {n}?", "answer": f"Verse {n}."} for n in "vwxyz"
    ]
    write(here, {"compositional_skills/more/qna.yaml": mine})
    asked = {request.messages for request in compiled(here)}
    shown = first_stage(here, "compositional_skills/more/qna.yaml")
    assert shown <= asked
    assert held_out["question"] not in str(shown)
    (here / SKILL).unlink()
    assert held_out["question"] in str(first_stage(here, "compositional_skills/more/qna.yaml"))


def test_later_prompts_name_their_stand_ins(here):
    by_stage = {prompt.stage: prompt for prompt in previewed(here, KNOWLEDGE)[:4]}
    assert by_stage["questions"].stand_ins == ()
    assert by_stage["faithful"].stand_ins == ("answer", "question")
    assert by_stage["standalone"].stand_ins == ("question",)
    assert not by_stage["questions"].to_judge
    assert by_stage["faithful"].to_judge
    assert [by_stage[name].calls for name in ("questions", "faithful")] == [1, 5]
    assert all(
        prompt.tokens == sum(estimate_tokens(m.content) for m in prompt.messages) > 0
        for prompt in by_stage.values()
    )
    output = run(KNOWLEDGE).stdout
    assert "stand-ins: `answer`, `question`" in output
    assert "Tokens are estimates" in output


def test_the_totals_are_those_of_the_plan(here):
    planned = CliRunner().invoke(app, ["plan"]).stdout
    line = next(one for one in planned.split("\n") if one.startswith("knowledge/"))
    _, chunks, units, _, calls, prompt, reply, *_ = line.split()
    shown = run("knowledge/birds/robin").stdout
    assert f"{chunks} chunk" in shown
    assert f"{units} unit" in shown
    assert f"at most {calls} calls, {prompt} tokens of prompts, {reply} of replies" in shown


def test_units_are_shown_as_many_as_asked_for(here):
    assert len(re.findall("^unit ", run(SKILL).stdout, re.M)) == 1
    assert len(re.findall("^unit ", run(SKILL, "--units", 3).stdout, re.M)) == 3
    assert len(re.findall("^unit ", run(SKILL, "--units", 0).stdout, re.M)) == 0
    every = previewed(here, SKILL)
    whole = run(SKILL, "--units", 99).stdout
    assert len(re.findall("^stage ", whole, re.M)) == len(every)
    for prompt in every:
        for message in prompt.messages:
            for text in filter(None, message.content.split("\n")):
                assert f"  {text}".rstrip() in whole.split("\n")


def test_a_pipeline_may_have_columns_of_its_own(here):
    stages = [
        {"do": "generate", "id": "idea", "prompt": "idea.j2", "writes": {"idea": "text"}},
        {"do": "generate", "id": "ask", "prompt": "ask.j2", "writes": {"question": "text"}},
        {"do": "say", "user": "{{ question }}", "assistant": "{{ idea }}"},
    ]
    own = {"version": 1, "about": "x", "takes": "freeform", "asks": 1, "stages": stages}
    pipeline = {
        "pipelines/own/pipeline.yaml": yaml.safe_dump(own),
        "pipelines/own/idea.j2": "Have an idea for: {{ task }}",
        "pipelines/own/ask.j2": "Ask about {{ idea }}",
        "curriculum.yaml": "routes: [{pipeline: own, kind: freeform}]\n",
    }
    write(here, pipeline)
    result = run(SKILL)
    assert result.exit_code == 0
    assert "stand-ins: `idea`\nuser:\n  Ask about [idea]" in result.stdout
    assert CliRunner().invoke(app, ["plan"]).exit_code == 0
    write(here, {"pipelines/own/ask.j2": "{{ 7 // (task | length - 6) }}"})
    result = run(SKILL)
    assert result.exit_code == 0
    assert "it fails when it is rendered: integer division" in result.stdout


# Which leaf


@pytest.mark.parametrize(
    "path",
    ["knowledge/birds/robin", "knowledge/birds/robin/", KNOWLEDGE, "knowledge", "./knowledge/"],
)
def test_a_path_names_one_leaf(here, path):
    result = run(path)
    assert (result.exit_code, result.stdout.split("\n")[0]) == (0, "knowledge/birds/robin")


def test_a_path_of_several_leaves_or_none(here):
    several = run("compositional_skills")
    assert (several.exit_code, "holds 2 leaves" in several.stderr) == (2, True)
    missing = run("knowledge/birds/robbin")
    assert missing.exit_code == 1
    assert "error[T111]" in missing.stdout
    assert "did you mean `knowledge/birds/robin`?" in missing.stdout


def test_a_path_is_seen_from_here_or_from_the_taxonomy(here, monkeypatch):
    monkeypatch.chdir(here / "knowledge")
    for words in (
        ("birds/robin",),
        ("birds/robin", "--taxonomy", ".."),
        (KNOWLEDGE, "--taxonomy", ".."),
    ):
        assert run(*words).stdout.startswith("knowledge/birds/robin\n"), words
    monkeypatch.chdir(here.parent)
    assert run(f"{here.name}/{KNOWLEDGE}").stdout.startswith("knowledge/birds/robin\n")


# Leaves with findings


def test_other_leaves_do_not_matter(here):
    before = run(KNOWLEDGE).stdout
    write(here, {"knowledge/bad/qna.yaml": "a: [", SKILL: skill(seed_examples=[])})
    result = run(KNOWLEDGE)
    assert (result.exit_code, result.stdout) == (0, before)


def test_a_leaf_with_too_few_examples_is_shown_with_its_findings(here):
    few = skill(seed_examples=skill()["seed_examples"][:3])
    write(here, {SKILL: few})
    result = run(SKILL, "--ask", 3)
    assert result.exit_code == 1
    assert "stage questions: asks the teacher" in result.stdout
    assert "error[T106] too-few-examples" in result.stdout
    assert "nothing is asked while the leaf has errors" in result.stdout
    assert asked_in(here) == 0


def test_a_warning_that_the_settings_raise_does_not_hide_the_prompts(here):
    (here / "curriculum.yaml").write_text("check: {raise: [missing-attribution]}\n")
    (here / "compositional_skills" / "rhyme" / "attribution.txt").unlink()
    result = run(SKILL)
    assert result.exit_code == 1
    assert "error[T127]" in result.stdout
    assert "stage questions" in result.stdout


@pytest.mark.parametrize(
    "value, code",
    [("a: [", "S001"), (skill(task_description=""), "T104"), (skill(extra="x"), "T102")],
)
def test_a_leaf_without_a_clear_meaning_has_findings_only(here, value, code):
    write(here, {SKILL: value})
    result = run(SKILL)
    assert (result.exit_code, f"error[{code}]" in result.stdout) == (1, True)
    assert "stage" not in result.stdout


def test_broken_settings_are_said(here):
    (here / "curriculum.yaml").write_text("sampels_per_leaf: 3\n")
    result = run(SKILL)
    assert (result.exit_code, "error[M302]" in result.stdout) == (1, True)
    (here / "curriculum.yaml").write_text("routes: [{pipeline: none}]\n")
    result = run(SKILL)
    assert (result.exit_code, "error[M304]" in result.stdout) == (1, True)


def test_a_document_that_is_not_there_is_said(here):
    document = {"repo": ".", "commit": "HEAD", "patterns": ["documents/none.md"]}
    write(here, {KNOWLEDGE: knowledge(document=document)})
    result = run(KNOWLEDGE)
    assert (result.exit_code, "T142" in result.stdout) == (1, True)


def test_no_text_steers_the_terminal(here):
    task = "Say \x1b[31mred\x07 and \u202eback\r\nagain."
    file = here / SKILL
    file.write_text(json.dumps(skill(task_description=task)))
    output = run(SKILL).stdout
    assert "\\x1b[31mred\\x07 and \\u202eback" in output
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", output)


# Real samples


def asked_in(folder):
    """How many replies the journal holds."""
    import sqlite3

    journal = folder / ".home" / "journal.sqlite"
    if not journal.is_file():
        return 0
    with sqlite3.connect(journal) as base:
        return base.execute("select count(*) from replies").fetchone()[0]


@pytest.mark.parametrize("file", [SKILL, KNOWLEDGE, GROUNDED])
def test_a_compile_does_not_ask_again_what_a_preview_asked(here, file):
    result = run(file, "--ask", 2)
    assert result.exit_code == 0
    assert len(re.findall("^sample ", result.stdout, re.M)) == 2
    known = asked_in(here)
    assert known > 0
    again = run(file, "--ask", 2).stdout
    assert "asked 0 questions" in again
    assert asked_in(here) == known
    whole = len(compiled(here))
    rest = len(compiled(here, Journal(here / ".home" / "journal.sqlite")))
    assert rest == whole - known


def test_no_more_is_asked_than_the_samples_need(here):
    program = program_of(SKILL, WorkTree(here), here / ".home", Report())
    spy = Spy()

    async def trial(wanted):
        with Journal(Path(":memory:")) as journal:
            return await try_out(program, spy, spy, journal, wanted)

    few = asyncio.run(trial(1))
    assert (few.units, len(few.samples) >= 1, few.failure) == (1, True, None)
    every = asyncio.run(trial(10_000))
    assert every.units == len(program.units)


def test_the_samples_are_those_of_the_compile(here):
    result = run(SKILL, "--ask", 3)
    CliRunner().invoke(app, ["compile", "--out", "build"])
    lines = (here / "build" / "samples.jsonl").read_text().splitlines()
    said = [json.loads(line)["messages"] for line in lines]
    shown = re.findall(r"^user:\n  (.+)\nassistant:\n  (.+)$", result.stdout, re.M)
    assert len(shown) == 3
    for question, answer in shown:
        assert [question, answer] in [[m["content"] for m in messages] for messages in said]


def script(folder, lines):
    (folder / "script.yaml").write_text(yaml.safe_dump({"teacher": lines}))
    return "scripted:script.yaml"


def test_what_is_dropped_is_shown_with_its_reason(here):
    asked = "".join(
        f"<question>{q}</question>"
        for q in ("How tall is it?", "What rhymes with a?", "What rhymes with e?", "Say a rhyme.")
    )
    teacher = script(
        here,
        [
            {"stage": "questions", "text": asked},
            {"stage": "fitting", "contains": "How tall", "text": "no"},
            {"stage": "fitting", "text": "yes"},
            {"stage": "answer", "text": "<answer>Word \x1b[31m.</answer>"},
            {"stage": "rating", "text": "3"},
        ],
    )
    result = run(SKILL, "--ask", 1, "--teacher", teacher)
    assert result.exit_code == 0
    after = result.stdout.split("dropped: ")[1]
    assert after.startswith("3\n")
    for code, text in (("D510", "How tall"), ("D505", "with a"), ("D506", "with e")):
        assert re.search(rf"^{code} .+\n  .*{text}", after, re.M), code
    assert "Say a rhyme." in result.stdout.split("sample 1")[1]
    assert "\x1b" not in result.stdout


def test_a_teacher_that_refuses_is_said(here):
    teacher = script(here, [{"stage": "questions", "refuse": True}])
    result = run(SKILL, "--ask", 3, "--teacher", teacher)
    assert result.exit_code == 1
    assert "error[R402]" in result.stdout
    assert "0 samples" in result.stdout


@pytest.mark.parametrize("words", [("--teacher", "nobody"), ("--at", "nowhere"), ("--ask", "-1")])
def test_wrong_usage_is_status_2(here, words):
    assert run(SKILL, *words).exit_code == 2
