"""Every pipeline folder loads and its example holds; mistakes are found before a token is spent."""

import re
from dataclasses import replace

import pytest

from compiler.diagnostics import Report
from compiler.example import compare, play, read_example
from compiler.lower import COLUMNS
from compiler.pipeline import Draw, Folder, folders, load
from compiler.prompt import render
from compiler.resources import PIPELINES
from compiler.source import WorkTree
from compiler.teacher.scripted import lines_of

FOLDERS = list(folders().values())


def test_all_pipelines_are_seen():
    names = [
        *("alpaca", "best-of-n", "evol-instruct", "evol-knowledge", "exercise"),
        *("knowledge-dialogue", "knowledge-long", "knowledge-qa", "oss-instruct", "self-instruct"),
        *("skill-freeform", "skill-grounded", "textbook", "textbook-skill"),
    ]
    assert [folder.name for folder in FOLDERS] == names
    assert sorted(path.parent.name for path in PIPELINES.rglob("pipeline.yaml")) == names


def played(folder, lines=None):
    report = Report()
    pipeline = load(folder, report)
    tree = read_example(folder, report)
    made = play(tree, pipeline, report, lines)
    assert report.errors == 0, [(d.code.id, d.message, d.span) for d in report.diagnostics]
    return pipeline, tree, made


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_example_holds(folder):
    pipeline, tree, made = played(folder)
    report = Report()
    compare(tree, pipeline, made, report)
    assert [(d.message, d.span.line) for d in report.diagnostics] == []
    assert made.samples
    assert made.drops


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_always_pass_judge_keeps_what_the_example_drops(folder):
    """The control: the drops come from the judges, not from somewhere else."""
    pipeline, tree, strict = played(folder)
    best = {
        stage.id: str(stage.writes[0].choices[-1]) for stage in pipeline.generates if stage.judge
    }
    lines = [
        replace(line, text=best.get(line.stage, line.text))
        for line in lines_of(tree.value["teacher"])
    ]
    _, _, mild = played(folder, lines)
    assert len(mild.samples) > len(strict.samples) or not best


def opening(a, b):
    """How many characters two prompts have in common from the start, system text first."""
    texts = ["\n".join(m.content for m in messages) for messages in (a, b)]
    pairs = enumerate(zip(*texts, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(map(len, texts)))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_prompts_share_comes_first(folder):
    """So that a server with a prefix cache reads a document, or a task, once for all of them."""
    pipeline = load(folder, Report())
    shared = "document" if pipeline.takes == ("knowledge",) else "task"
    long = "Moss grows on the north side of stones. " * 20
    example = {"context": "C.", "question": "Q?", "answer": "A."}
    columns = dict.fromkeys(COLUMNS[pipeline.takes[0]], "x") | {shared: long, "count": 3}
    columns |= pipeline.settings.defaults
    draws = [d for s in pipeline.every() if isinstance(s, Draw) for d in s.draws]
    columns |= {d.name: [] if d.number else d.values[0] if d.values else "drawn" for d in draws}
    columns["parent"] = example
    columns |= {f.name: f"written {f.name}" for s in pipeline.generates for f in s.writes}
    one = {**columns, "seed": example, "examples": [example]}
    other_example = {key: f"Other {text}" for key, text in example.items()}
    two = {**one, "seed": other_example, "examples": [other_example]}
    stages = {s.id: s for s in pipeline.generates if shared in s.prompt.reads}
    if "lines" in pipeline.draws_from:
        return  # what its prompts share is the window, which no other unit has
    assert len(stages) >= 2
    first = render(next(iter(stages.values())).prompt, one)
    for stage in stages.values():
        mine = render(stage.prompt, one)
        end = "\n".join(m.content for m in mine).index(long.strip()) + len(long.strip())
        assert opening(mine, first) >= end, f"{stage.id} begins otherwise"
        assert opening(mine, render(stage.prompt, two)) >= end
        last = mine[-1].content.splitlines()[-1]
        if stage.judge:
            *others, best = map(str, stage.writes[0].choices)
            assert re.fullmatch(rf"Answer with one \w+: {', '.join(others)} or {best}", last)
    assert opening(render(stage.prompt, one), render(stage.prompt, {**one, shared: "Other."})) < end


MISTAKES = {
    "P201": ("pipeline.yaml", "takes: freeform\n", ""),
    "P202": ("answer.j2", "{{ question }}", "{{ qestion }}"),
    "P203": ("rating.j2", "{{ answer }}", "{{ answer }"),
    "P204": ("pipeline.yaml", "asks: 5", "asks: 5\naks: 5"),
    "P205": ("pipeline.yaml", "asks: 5", "asks: many"),
    "P206": ("pipeline.yaml", "prompt: rating.j2", "prompt: ratings.j2"),
    "P207": ("pipeline.yaml", "else: D511", "else: T105"),
}


def broken(name, right, wrong):
    """The freeform pipeline, as a taxonomy's own, with one change."""
    files = dict(folders()["skill-freeform"].files)
    text = files[name].decode()
    assert right in text
    files[name] = text.replace(right, wrong, 1).encode()
    return Folder("mine", "pipelines/mine", files)


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_is_found_at_its_place(code):
    name, right, wrong = MISTAKES[code]
    report = Report()
    assert load(broken(name, right, wrong), report) is None
    (found,) = report.diagnostics
    assert found.code.id == code
    assert found.span.path == f"pipelines/mine/{name}"
    if wrong:
        line = report.texts[found.span.path].splitlines()[found.span.line - 1]
        assert wrong.split("\n")[-1].split()[0].strip("{}") in line, (found, line)


@pytest.mark.parametrize(
    "name, right, wrong",
    [
        ("pipeline.yaml", "rating >= keep_min", "question.__class__.__mro__[1].__subclasses__()"),
        ("pipeline.yaml", "rating >= keep_min", "question >= 2"),
        ("answer.j2", "{{ example.answer }}", "{{ example.anser }}"),
        ("pipeline.yaml", "rating: [1, 2, 3]", 'rating: ["n/a", 1, 2]'),
    ],
)
def test_what_would_fail_in_the_run_fails_at_load(name, right, wrong):
    """A condition cannot reach Python, or compare words with numbers, or read what is not there."""
    report = Report()
    assert load(broken(name, right, wrong), report) is None
    assert [d.code.id for d in report.diagnostics] == ["P208"]


def test_a_taxonomy_brings_its_own_pipeline(tmp_path):
    own = tmp_path / "pipelines" / "mine"
    own.mkdir(parents=True)
    for name, data in folders()["skill-freeform"].files.items():
        (own / name).write_bytes(data)
    found = folders(WorkTree(tmp_path))
    assert found["mine"].shown == "pipelines/mine"
    assert load(found["mine"], Report()).digest == load(found["skill-freeform"], Report()).digest
    assert "mine" not in folders()
