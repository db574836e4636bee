"""Keeping the best of n answers: what goes on, what it is worth, and what a proxy hides."""

import asyncio
import hashlib
import json
import math
import os
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from compiler.bestof import kl
from compiler.cli import app
from compiler.diagnostics import Report
from compiler.driver import expand
from compiler.emit import emit
from compiler.expand import Expander, Local
from compiler.journal import Journal
from compiler.leaf import make_leaf
from compiler.lower import Ground, lower
from compiler.pipeline import folders, load
from compiler.program import prepare
from compiler.rivals import groups, report
from compiler.source import SourceFile, WorkTree
from compiler.teacher import Reply, Unconnected
from compiler.tree import parse
from compiler.verify import checker
from tests.conftest import SEED
from tests.taxonomies import SKILL, skill, write

PASSES = {"regex": {"pattern": "good"}}


def pipeline(name):
    made = load(folders()[name], Report())
    assert made
    return made


def draw(text):
    """A number from 0 to 1 that depends on the text, and on the seed of this run."""
    digest = hashlib.sha256(f"{os.environ[SEED]} {text}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


class Rivals(Unconnected):
    """Answers otherwise at each index; what the judge says of an answer is `rates`."""

    model, by_rule, in_flight = "rivals", False, 8

    def __init__(self, answers=None, rates=lambda text: 1 + int(3 * draw(text))):
        self.rates = rates
        self.answers = answers or (lambda key: f"{'good' if draw(key) < 0.5 else 'bad'} {key}")
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        if request.stage == "questions":
            key = f"{request.messages} {request.index}"
            made = (f"Ask {draw(f'{key} {i}')}?" for i in range(5))
            return Reply("".join(f"<question>{text}</question>" for text in made))
        if request.stage == "fitting":
            return Reply("yes" if draw(request.columns["question"]) < 0.9 else "no")
        if request.stage == "rating":
            return Reply(str(self.rates(request.columns["answer"])))
        key = f"{request.columns['question']} {request.index}"
        return Reply(f"<answer>{self.answers(key)}</answer>")


def walk(name, teacher, samples=20, verify=None, **settings):
    said = checker(verify, {}) if verify else None
    file = SourceFile(SKILL, yaml.safe_dump(skill()).encode())
    made, leaf = pipeline(name), make_leaf(parse(file, Report()), None)
    units = lower(leaf, (), name, made.asks, samples, Report(), Ground(settings, checker=said))

    async def run():
        expander = Expander(teacher, teacher, Journal(Path(":memory:")))
        return [o async for o in expander.run(units, {name: made})]

    outcomes = sorted(asyncio.run(run()), key=lambda o: o.number)
    for outcome in outcomes:
        assert outcome.records == len(outcome.samples) + len(outcome.drops)
    return outcomes


def samples_of(outcomes):
    return [sample for outcome in outcomes for sample in outcome.samples]


def plain(sample):
    """A sample without the names of its pipeline and unit."""
    origin = replace(sample.origin, unit="", pipeline="", prompts="")
    return replace(sample, origin=origin)


@pytest.mark.parametrize("verify", [None, PASSES])
@pytest.mark.parametrize("persona", ["precise", "creative"])
def test_the_best_of_one_is_the_plain_pipeline(verify, persona):
    teachers = [Rivals(), Rivals(), Rivals()]
    names = ["skill-freeform", "best-of-n", "best-of-n"]
    settings = [{}, {"n": 1}, {"n": 2}]
    before, one, two = (
        [plain(s) for s in samples_of(walk(name, t, verify=verify, persona=persona, **with_))]
        for name, t, with_ in zip(names, teachers, settings, strict=True)
    )
    assert before
    assert one == before, "ids, scores, and the keys of the replies"
    assert [s.id for s in two] != [s.id for s in before], "the control"
    asked = [{(r.stage, r.messages, r.sampling, r.index) for r in t.asked} for t in teachers]
    assert asked[0] == asked[1] != asked[2]


def test_a_checker_outranks_the_judge():
    likes_bad = Rivals(rates=lambda text: 3 if "bad" in text else 2)
    outcomes = walk("best-of-n", likes_bad, verify=PASSES, n=6)
    made = samples_of(outcomes)
    assert made
    assert all(s.answer.startswith("good") for s in made)
    assert all(s.rivals[0] == (2, 1) for s in made)
    assert all(s.rejected.startswith("bad") for s in made if s.rejected)
    assert not any("bad" in r.columns["answer"] for r in likes_bad.asked if r.stage == "rating")
    control = samples_of(walk("best-of-n", Rivals(rates=likes_bad.rates), n=6))
    assert any(s.answer.startswith("bad") for s in control), "without a checker the judge chooses"
    hopeless = Rivals(answers=lambda key: f"bad {key}")
    drops = [d for o in walk("best-of-n", hopeless, verify=PASSES, n=3) for d in o.drops]
    details = {d.code.id: d.detail for d in drops if d.code.id != "D510"}
    assert details == {"D528": "0 against 0", "D515": "the checker fails all of 3 answers"}


def is_first(request):
    return request.stage.startswith("answer") and request.index % 4 == 0


def test_the_first_of_equals_is_the_best_whatever_the_order_of_replies():
    class Slow(Rivals):
        async def ask(self, request):
            for _ in range(random.Random(f"{request.stage} {request.index}").randrange(9)):
                await asyncio.sleep(0)
            return await super().ask(request)

    for teacher in (Rivals(rates=lambda text: 2), Slow(rates=lambda text: 2)):
        made = samples_of(walk("best-of-n", teacher, n=4))
        first = {r.columns["question"]: r for r in teacher.asked if is_first(r)}
        assert made
        for sample in made:
            index = first[sample.question].index
            assert sample.answer.endswith(f"{sample.question} {index}")
            assert sample.rejected == "", "equals are no pair"


def build(folder, teacher, **settings):
    """The folder of a build of one leaf with a checker."""
    route = {"kind": "freeform", "pipeline": "best-of-n", "with": settings, "verify": PASSES}
    told = {"version": 1, "samples_per_leaf": 60, "routes": [route]}
    write(folder, {SKILL: skill(), "curriculum.yaml": yaml.safe_dump(told).encode()})
    findings = Report()
    program = prepare(WorkTree(folder), folder / ".home", findings)
    assert program, findings.diagnostics
    engine = Local(teacher, teacher, Journal(Path(":memory:")))
    product = asyncio.run(expand(program, engine, findings, lambda outcome: None, folder))
    emit(product, folder / "build")
    return folder / "build"


def lines_of(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_report_shows_where_a_proxy_leads_astray(tmp_path):
    """The judge likes what is polished; from some point on, what is polished is wrong."""

    def polish(text):
        return draw(re.sub("^(good|bad) ", "", text))

    def answers(key):
        right = draw(f"truth {key}") < (0.9 if 0.4 < polish(key) < 0.92 else 0.05)
        return f"{'good' if right else 'bad'} {key}"

    def rates(text):
        return 1 + (polish(text) > 0.4) + (polish(text) > 0.92)

    def points(folder, **settings):
        lines = report(build(folder, Rivals(answers, rates), **settings))
        found = [re.findall(r"[\d.]+", line) for line in lines if re.match(r" *\d+ +\d\.", line)]
        return lines, [tuple(map(float, row)) for row in found]

    lines, rows = points(tmp_path / "judge", n=16, scorer="judge")
    assert [row[0] for row in rows] == [1, 2, 4, 8, 16]
    proxies, verified = [row[1] for row in rows], [row[2] for row in rows]
    assert proxies == sorted(proxies)
    assert verified[0] < max(verified[1:3]), "it helps at first"
    assert verified[-1] < verified[0] - 0.1
    assert [row[3] for row in rows] == [round(kl(n), 2) for n in (1, 2, 4, 8, 16)]
    assert any("only the proxy's rises" in line for line in lines)
    prompts = int(rows[0][4])
    assert lines[-1] == f"{16 * prompts:,} answers were written and scored for {prompts} prompts"
    lines, rows = points(tmp_path / "checker", n=8)
    verified = [row[2] for row in rows]
    assert verified == sorted(verified), "the control: a checker is no proxy"
    assert not any("only the proxy's rises" in line for line in lines)


def test_the_curve_counts_answers_that_were_dropped(tmp_path):
    folder = build(tmp_path, Rivals(), n=4, scorer="judge")
    kept = list(groups(lines_of(folder / "samples.jsonl")))
    gone = list(groups(lines_of(folder / "drops.jsonl")))
    assert all(group[0][1] == 1 for group in kept), "a checker lets none of the others stay"
    assert any(group[0][1] == 0 for group in gone)
    assert all(len(group) == 4 for group in kept + gone)
    assert report(folder)[-1].startswith(f"{4 * len(kept + gone):,} answers")


def test_a_curve_keeps_to_prompts_of_as_many_answers(tmp_path):
    few, many = [(1.0, 1.0), (2.0, 0.0)], [(3.0, 1.0)] * 4
    lines = [{"rivals": group} for group in [few] * 5 + [many] * 4 + [many[:3]] + [[]]]
    texts = [json.dumps(line) for line in lines]
    (tmp_path / "samples.jsonl").write_text("\n".join(texts[:6]))
    (tmp_path / "drops.jsonl").write_text("\n".join(texts[6:]))
    rows = [line.split() for line in report(tmp_path)]
    counts = [(int(row[0]), int(row[4])) for row in rows if row[0] in "1234" and len(row) == 5]
    assert counts == [(1, 5), (2, 5), (1, 1), (2, 1), (3, 1), (1, 4), (2, 4), (4, 4)]


def test_a_build_without_rivals_reports_none(tmp_path):
    assert report(build(tmp_path, Rivals(), n=1)) == []


def test_pairs_are_what_preference_trainers_read(tmp_path):
    folder = build(tmp_path, Rivals(), n=4)
    pairs = lines_of(folder / "preferences.jsonl")
    by_id = {sample["id"]: sample for sample in lines_of(folder / "samples.jsonl")}
    assert pairs
    for pair in pairs:
        assert [m["role"] for m in pair["prompt"]] == ["user"]
        (chosen,), (rejected,) = pair["chosen"], pair["rejected"]
        assert chosen["role"] == rejected["role"] == "assistant"
        assert chosen["content"] != rejected["content"]
        assert [*pair["prompt"], chosen] == by_id[pair["id"]]["messages"]
        proxies = [proxy for proxy, _ in pair["rivals"]]
        assert proxies[0] == max(proxies) > min(proxies)


def test_the_command_ends_with_the_curve(tmp_path, monkeypatch):
    script = [
        {"stage": "questions", "text": "<question>What rhymes with soap?</question>"},
        {"stage": "fitting", "text": "yes"},
        {"stage": "answer-variously", "text": "<answer>Hope.</answer>"},
        {"stage": "rating", "text": "3"},
    ]
    route = {"kind": "freeform", "pipeline": "best-of-n", "with": {"n": 3}}
    settings = {"version": 1, "samples_per_leaf": 5, "routes": [route]}
    files = {SKILL: skill(), "curriculum.yaml": yaml.safe_dump(settings).encode()}
    write(tmp_path, {**files, "teacher.yaml": yaml.safe_dump(script).encode()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / ".home"))
    said = CliRunner().invoke(app, ["compile", "--teacher", "scripted:teacher.yaml"]).stdout
    end = said[said.index("best of") :].splitlines()
    assert end[0].split() == ["best", "of", "proxy", "verified", "KL", "prompts"]
    assert [line.split()[0] for line in end[1:4]] == ["1", "2", "3"]
    assert end[4] == "3 answers were written and scored for 1 prompt"
    assert math.isclose(float(end[3].split()[3]), kl(3), abs_tol=0.005)
