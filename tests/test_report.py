"""The page: its numbers are the files', hostile text stays text, it loads nothing."""

import hashlib
import html.parser
import json
import random
import re
from collections import Counter, defaultdict

import jinja2
import pytest

from compiler.diagnostics import Report
from training import report
from training.metrics import normalise
from training.report import plots
from training.shown import fixed

HOSTILE = """</script><script>alert("x")</script><img src=x onerror='alert(1)'>{{ 7*7 }}&amp;"""
LEAVES = ("knowledge/moons/io", "foundational_skills/sums", "compositional_skills/writing/haiku")
STAGES = ("base", "phase1", "phase2", "control")
SKILL = {"base": (0.0, 0.0), "phase1": (0.8, 0.05), "phase2": (0.75, 0.9), "control": (0.1, 0.9)}
WITHOUT = ("models", "comparisons", "gates", "general", "order", "choice")
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan yew".split()


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False))


def dump_lines(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def a_sample(draw, leaf, i, **more):
    text = f"Which {draw.choice(WORDS)} number {i}?"
    return {
        "id": hashlib.sha256(f"{leaf}{i}".encode()).hexdigest()[:16],
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": " ".join(draw.sample(WORDS, 4)).capitalize() + "."},
        ],
        "branch": leaf.split("/")[0],
        "leaf": leaf,
        "unmask": False,
        "origin": {
            "kind": "synthetic" if i % 4 else "seed",
            "contributor": HOSTILE,
            "licences": ["CC-BY-4.0"],
            "document": f"documents/{HOSTILE}" if leaf.startswith("knowledge") else "",
            "start": 10,
            "end": 90,
            "pipeline": "qa",
            "teacher": "extractive@0",
        },
        "scores": {"faithful": HOSTILE},
        **more,
    }


def make_build(folder, seed=0, each=20, dropped=7, teacher="extractive@0"):
    """A small build with hostile text wherever a contributor or a teacher can write."""
    draw = random.Random(seed)
    samples = [a_sample(draw, leaf, i) for leaf in LEAVES for i in range(each)]
    samples[0]["messages"][0]["content"] = HOSTILE + " \u2028 \ud800"
    heldout = [a_sample(draw, leaf, 1000 + i) for leaf in LEAVES for i in range(3)]
    aside = [a_sample(draw, leaf, 2000 + i) for leaf in LEAVES for i in range(2)]
    codes = draw.choices(("D503", "D505", "D509"), k=dropped)
    drops = [
        {
            "code": c,
            "name": "x",
            "detail": HOSTILE,
            "leaf": LEAVES[0],
            "stage": "sift",
            "text": HOSTILE,
        }
        for c in codes
    ]
    phase1 = [s for s in samples if not s["leaf"].startswith("comp")]
    phase2 = [s for s in samples if s["leaf"].startswith("comp")]
    phase2 = [{**s, "replay": False} for s in phase2] + [{**s, "replay": True} for s in phase1[:6]]
    files = {"samples": samples, "drops": drops, "heldout": heldout, "validation": aside}
    files |= {"phase1": phase1, "phase2": phase2}
    for name, lines in files.items():
        dump_lines(folder / f"{name}.jsonl", lines)
    leaf = {"file": "f", "blob": "b" * 40, "contributor": HOSTILE, "licences": [HOSTILE, "MIT"]}
    leaf |= {"pipeline": "qa", "chunks": 3, "units": 5, "synthetic": each - each // 4}
    document = {
        "path": HOSTILE,
        "repo": f"https://x/{HOSTILE}",
        "commit": "c" * 40,
        "blob": "d" * 40,
    }
    counted = dict(sorted(Counter(codes).items()))
    manifest = {
        "trivium": "0.1.0",
        "fingerprint": f"{seed:016x}",
        "taxonomy": {"revision": ""},
        "teacher": teacher,
        "judge": "",
        "leaves": [
            {
                **leaf,
                "leaf": name,
                "branch": name.split("/")[0],
                "documents": [document] if name.startswith("knowledge") else [],
                "human": each // 4,
                "held_out": 3,
                "dropped": counted if name == LEAVES[0] else {},
                "skipped": "",
            }
            for name in LEAVES
        ]
        + [
            {**leaf, "leaf": "knowledge/lost", "branch": "knowledge", "documents": [], "human": 0}
            | {"synthetic": 0, "held_out": 0, "dropped": {}, "skipped": "T142"}
        ],
        "passes": [
            {"name": "sift", "in": len(samples) + dropped, "kept": len(samples), "dropped": counted}
        ],
        "files": {f"{name}.jsonl": {"count": len(lines)} for name, lines in files.items()},
    }
    dump(folder / "manifest.json", manifest)
    return folder


def make_student(build, folder, seed=0, steps=300):
    """What training and evaluation would leave for `build`: a student that learns by heart."""
    draw = random.Random(seed)

    def read(name):
        return [json.loads(line) for line in (build / f"{name}.jsonl").open()]

    taught = defaultdict(list)
    for sample in read("samples"):
        taught[sample["leaf"]].append(sample)
    asked = {"trained": [s for group in taught.values() for s in group[:16]]}
    asked |= {name: read(name) for name in ("validation", "heldout")}
    answers, sets = [], {}
    for name, samples in asked.items():
        rows = []
        for sample in samples:
            late = sample["branch"] == "compositional_skills"
            reference = sample["messages"][-1]["content"]
            words, given, scores = reference.split(), {}, {}
            for stage in STAGES:
                able = SKILL[stage][late] * (1.0 if name == "trained" else 0.4)
                right, near = draw.random() < able, draw.random() * able
                some = words[: int(near * len(words))]
                given[stage] = (
                    reference.lower() if right else " ".join([*some, "zz"] if some else [])
                )
                f1 = 1.0 if right else 2 * len(some) / (len(words) + len(some) + 1)
                scores[stage] = (float(right), f1, 7.3 - 7 * able * draw.random())
            row = {key: sample[key] for key in ("id", "leaf", "branch")} | {"set": name}
            row |= {"question": sample["messages"][0]["content"], "reference": reference}
            answers.append({**row, "answers": given})
            rows.append((row, scores))
        sets[name] = {stage: _by(rows, stage) for stage in STAGES}
    fingerprint = json.loads((build / "manifest.json").read_text())["fingerprint"]
    result = {"fingerprint": fingerprint, "stages": STAGES, "sets": sets, "answers": answers}
    dump_lines(folder / "evaluation.json", [result])
    phases = [{"name": name, "data": name, "stop_at_loss": 0.03} for name in STAGES[1:3]]
    student = {"layers": 3, "hidden": 128, "heads": 4, "vocabulary": 1500}
    done = []
    for stage, count in (("phase1", steps), ("phase2", steps // 3), ("control", steps // 5)):
        log, start = [], 7.2 if stage == "phase1" else 3.0
        for step in range(1, count + 1):
            loss = start * 0.02 ** (step / count) * draw.uniform(0.7, 1.4)
            log.append({"step": step, "loss": round(loss, 5), "tokens": 509 * step})
        dump_lines(folder / stage / "log.jsonl", log)
        account = {"kept": 281, "dropped": {"F606": 2} if stage == "phase1" else {}}
        done.append(
            {"stage": stage, "steps": count, "tokens": 509 * count, "seconds": count * 0.07}
        )
        done[-1] |= {"loss": log[-1]["loss"], "why": "loss", "samples": account}
    recipe = {"student": student, "phases": phases, "threads": 1}
    dump(folder / "run.json", {"fingerprint": fingerprint, "recipe": recipe, "stages": done})
    return folder


def _by(rows, stage):
    def mean(chosen):
        columns = zip(*(scores[stage] for _, scores in chosen), strict=True)
        means = [round(sum(column) / len(chosen), 4) for column in columns]
        return {"n": len(chosen), **dict(zip(("exact_match", "f1", "loss"), means, strict=True))}

    found = {"all": mean(rows)}
    for key, name in (("branch", "branches"), ("leaf", "leaves")):
        values = sorted({row[key] for row, _ in rows})
        found[name] = {v: mean([pair for pair in rows if pair[0][key] == v]) for v in values}
    return found


class Page(html.parser.HTMLParser):
    """What a browser would make of the page: its tags, its text, its tables, its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.cells, self.text = [], [], [], []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else self.inside
        if tag == "script":
            self.scripts.append("")
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self.inside = "cell"

    def handle_endtag(self, tag):
        self.inside = "cell" if self.inside == "cell" and tag not in ("td", "th") else ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
            return
        self.text.append(data)
        if self.inside == "cell":
            self.cells[-1][-1] += data.strip()

    def rows(self, first):
        return [row[1:] for row in self.cells if row and row[0] == first]


@pytest.fixture
def build(tmp_path, seed):
    return make_build(tmp_path / "build", seed)


@pytest.fixture
def student(tmp_path, build, seed):
    return make_student(build, tmp_path / "student", seed)


@pytest.fixture
def seed():
    return random.randrange(1000)


def page_of(build, student, out):
    return Page(written(build, student, out).read_text("utf-8"))


def written(build, student, out):
    found = Report()
    assert report.write(build, student, out, found), found.diagnostics
    return out


def test_the_scores_are_those_of_the_evaluation(build, student, tmp_path):
    page = page_of(build, student, tmp_path / "r.html")
    sets = json.loads((student / "evaluation.json").read_text())["sets"]
    labels = ("before", "after phase 1", "after phase 2", "control, no replay")
    for stage, label in zip(STAGES, labels, strict=True):
        rows = page.rows(label)
        for row, branch in zip(
            rows, (None, *sorted(sets["trained"][stage]["branches"])), strict=True
        ):
            wanted = []
            for by_stage in sets.values():
                by = by_stage[stage]
                score = by["branches"][branch] if branch else by["all"]
                wanted += [f"{fixed(score['exact_match'], 0, 100)}\xa0%"]
                wanted += [fixed(score["f1"]), fixed(score["loss"], 3)]
            assert row == wanted


def test_the_headline_of_replay_is_counted_from_the_answers(build, student, tmp_path):
    answers = json.loads((student / "evaluation.json").read_text())["answers"]
    early = [a for a in answers if a["set"] == "trained" and not a["branch"].startswith("comp")]
    text = "".join(page_of(build, student, tmp_path / "r.html").text)
    shares = [
        sum(normalise(a["answers"][s]) == normalise(a["reference"]) for a in early)
        for s in ("control", "phase2")
    ]
    said = re.search(rf"(\d+)\xa0% \| (\d+)\xa0%of {len(early)} questions of phase 1", text)
    for shown, share in zip(said.groups(), shares, strict=True):
        assert abs(int(shown) - 100 * share / len(early)) <= 0.51


def test_the_funnel_and_the_yields_are_those_of_the_manifest(build, tmp_path):
    page = page_of(build, None, tmp_path / "r.html")
    manifest = json.loads((build / "manifest.json").read_text())
    (sift,) = manifest["passes"]
    names = {"D503": "exact-duplicate", "D505": "seed-echo", "D509": "not-standalone"}
    lost = "".join(f" + {n} {names[c]} ({c})" for c, n in sift["dropped"].items())
    assert f"{sift['in']} in = {sift['kept']} kept{lost}" in "".join(page.text)
    assert sift["in"] == sift["kept"] + sum(sift["dropped"].values())
    assert page.rows(LEAVES[1])[0] == ["3", "5", "15", "5", "3", "–", "–"]
    assert page.rows("knowledge/lost")[0][-1] == "missing-document (T142)"


def difference(value, n=40, verdict="regressed"):
    ends = {"low": round(value - 0.1, 4), "high": round(value + 0.1, 4)}
    few = {"low": None, "high": None}
    more = few if verdict == "too few" else ends
    return {"difference": value, **more, "verdict": verdict, "n": n, "units": n, "by": "question"}


def measure_more(student):
    """Adds what training and evaluation also write: gates, comparisons, choices, order, exports."""
    path = student / "evaluation.json"
    found = json.loads(path.read_text())
    for by_stage in found["sets"].values():
        for i, score in enumerate(by_stage.values()):
            score["all"] |= {"choice": 0.25 + i / 8, "chance": 0.25}
    general = {"n": 60, "choice": 0.31, "chance": 0.25, "loss": 6.5, "perplexity": 665.14}
    empty = {"branches": {}, "leaves": {}}
    found["sets"]["general"] = {stage: {"all": general, **empty} for stage in STAGES}
    found["sets"]["trained"]["ours"] = found["sets"]["trained"]["base"]
    for name in ("validation", "heldout", "general"):
        found["sets"][name]["ours"] = found["sets"][name]["base"]
    found["models"] = [{"name": name} for name in STAGES] + [{"name": "ours", "where": "/home/x"}]
    parts = {
        "all": {"exact_match": difference(0.42, verdict="improved")},
        "branches": {"knowledge": {"exact_match": difference(-0.31)}},
        "leaves": {
            LEAVES[0]: {"exact_match": difference(-0.35)},
            LEAVES[1]: {"exact_match": difference(0.02, verdict="no change")},
            LEAVES[2]: {"exact_match": difference(0.5, 3, "too few")},
        },
    }
    sets = dict.fromkeys(("trained", "validation", "heldout"), parts)
    found["comparisons"] = [
        {"model": "phase2", "against": "phase1", "sets": sets | {"general": {"all": {}, **empty}}},
        {"model": "phase1", "against": "base", "sets": {}},
    ]
    gate = {"measure": "exact_match", "stage": "phase2", "limit": 0.05, "why": "", "lost": []}
    lost = {"where": LEAVES[0], "kind": "leaves", **difference(-0.35)}
    found["gates"] = [
        {**gate, "name": "facts", "what": "facts of phase 1", "against": "phase1", "held": False}
        | {"n": 80, "difference": -0.27, "low": -0.37, "high": -0.17, "lost": [lost]},
        {**gate, "name": "general", "what": "general questions", "against": "base", "held": None}
        | {"why": "3 questions are too few to tell", "n": 3}
        | dict.fromkeys(("difference", "low", "high")),
    ]
    dump_lines(path, [found])
    path = student / "run.json"
    run = json.loads(path.read_text())
    candidates = [{"step": i, "new": i / 9, "retained": None if i == 1 else 0.8} for i in (1, 2)]
    for stage in run["stages"]:
        replayed = stage["stage"] == "phase2"
        stage["order"] = {"own": 4, "replayed": 2 * replayed, "share": 0.5 * replayed}
        stage["choice"] = {"candidates": candidates, "kept": 2, "reason": "new 0.22, <b>the best"}
        rows = [["a", "b", "c"], ["d", "a", "b"]]
        steps = [{"step": i, "samples": row, "replayed": replayed} for i, row in enumerate(rows)]
        dump_lines(student / stage["stage"] / "order.jsonl", steps)
    dump(path, run)
    drop = {"branch": "knowledge", "n": 9, "exact_match": [0.9, 0.6], "loss": [0.1, 0.4]}
    export = {"stage": "phase2", "to": "int4", "max_drop": 0.05, "lost": [{**drop, "lost": 0.3}]}
    folder = student.with_name("student-int4.failed")
    dump(folder / "export.json", export)
    (folder / "model.safetensors").write_bytes(b"0" * 1500)
    return student


def test_gates_say_what_was_lost_and_where(build, student, tmp_path):
    page = page_of(build, measure_more(student), tmp_path / "r.html")
    facts = "Facts of phase 1exact match, after phase 2 against after phase 1"
    assert page.rows(facts) == [["not held", "−0.27", "−0.37 to −0.17", "0.05", "80"]]
    assert page.rows(LEAVES[0])[0] == ["lost", "−0.35", "−0.45 to −0.25", "", "40"]
    general = "General questionsexact match, after phase 2 against before"
    (row,) = page.rows(general)
    assert row[:2] == ["not measured: 3 questions are too few to tell", "–"]
    assert "A gate did not hold: facts of phase 1, after phase 2" in "".join(page.text)


def test_what_became_worse_is_listed_with_its_interval(build, student, tmp_path):
    page = page_of(build, measure_more(student), tmp_path / "r.html")
    assert "After phase 2 against after phase 1" in "".join(page.text)
    assert page.rows("All branches")[1] == ["+0.42+0.32 to +0.52"] * 3
    assert page.rows("Knowledge")[1] == ["−0.31−0.41 to −0.21"] * 3
    assert page.rows(LEAVES[0])[1] == ["−0.35−0.45 to −0.25"] * 3
    changed = [row for row in page.cells if row and row[-1].startswith(("+0.02", "+0.50"))]
    assert not changed, "a leaf without a sure change is only counted"
    assert page.rows("Leaves") == [["1 worse,1 unsure,1 too few"] * 3]


def test_choices_models_and_general_questions_are_shown(build, student, tmp_path):
    page = page_of(build, measure_more(student), tmp_path / "r.html")
    assert page.rows("Stage")[0] == ["Exact", "F1", "Choice", "Loss"] * 3
    assert page.rows("after phase 2")[0][2] == "50\xa0%"
    assert page.rows("after phase 2")[-1] == ["31\xa0%", "6.500"]
    assert page.rows("ours")[0] == page.rows("before")[0]
    text = "".join(page.text)
    assert "Guessing would choose 25\xa0% right" in text
    assert "/home/x" not in text


def test_the_order_is_counted_from_the_steps(build, student, tmp_path):
    page = page_of(build, measure_more(student), tmp_path / "r.html")
    phase2 = ["4 of 281", "1 to 2", "33.3\xa0%", "33.3\xa0%"]
    assert page.rows("phase2")[1] == phase2
    assert page.rows("phase1")[1][2:] == ["0.0\xa0%", "0.0\xa0%"]
    assert page.rows("2") == [["0.22", "0.80", "kept"]] * 3
    assert page.rows("1") == [["0.11", "–", ""]] * 3
    assert "step 2 is kept: new 0.22, <b>the best" in "".join(page.text)
    rows = page.rows("student-int4.failed")
    assert rows[0][:5] == ["1.5 kB", "knowledge", "9", "90\xa0% → 60\xa0%", "0.100 → 0.400"]
    assert rows[0][5:] == ["0.30", "0.05", "not held"]


@pytest.mark.parametrize(
    "without", ["models", "comparisons", "gates", "general", "order", "choice"]
)
def test_the_page_does_without_what_was_not_measured(build, student, tmp_path, without):
    measure_more(student)
    evaluation, run = (
        json.loads((student / f"{n}.json").read_text()) for n in ("evaluation", "run")
    )
    evaluation.pop(without, None)
    evaluation["sets"].pop(without, None)
    for stage in run["stages"]:
        stage.pop(without, None)
        if without == "order":
            (student / stage["stage"] / "order.jsonl").unlink()
    dump_lines(student / "evaluation.json", [evaluation])
    dump(student / "run.json", run)
    ids = {attrs.get("id") for _, attrs in page_of(build, student, tmp_path / "r.html").tags}
    gone = {"comparisons": "change-1", "models": "-"}.get(without, without)
    others = {"gates", "general", "change-1", "order", "choice", "exports"} - {gone}
    assert others <= ids
    assert gone not in ids


def test_an_export_that_cannot_be_read_is_left_out(build, student, tmp_path):
    measure_more(student)
    (student.with_name("student-int4.failed") / "export.json").write_text('{"to": 3')
    ids = {attrs.get("id") for _, attrs in page_of(build, student, tmp_path / "r.html").tags}
    assert "exports" not in ids


def test_hostile_text_stays_text(build, student, tmp_path):
    page = page_of(build, student, tmp_path / "r.html")
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    own = (report.PAGE / "page.js").read_text("utf-8")
    types = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    assert types == ["application/json", "application/json", None]
    assert page.scripts[2] == own
    samples, drops = map(json.loads, page.scripts[:2])
    assert any(row["texts"][0][1].startswith(HOSTILE) for row in samples)
    assert {row["texts"][0][1] for row in drops} == {HOSTILE}
    assert not re.search(r"[<>&]", page.scripts[0] + page.scripts[1])
    assert "\\ud800" not in page.scripts[0]  # half a character stops some browsers
    text = "".join(page.text)
    assert HOSTILE in text
    assert "49" not in re.findall(r"onerror='alert\(1\)'>(\d+)", text)


def test_without_escaping_the_hostile_text_would_get_through(build, tmp_path, monkeypatch):
    """The control of the test above."""
    made = jinja2.Environment
    monkeypatch.setattr(
        report.jinja2, "Environment", lambda **options: made(**{**options, "autoescape": False})
    )
    page = page_of(build, None, tmp_path / "r.html")
    assert [tag for tag, _ in page.tags if tag == "img"]


def test_the_page_allows_only_its_own_script(build, tmp_path):
    page = page_of(build, None, tmp_path / "r.html")
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    digest = hashlib.sha256(page.scripts[-1].encode()).digest()
    assert f"script-src 'sha256-{report.base64.b64encode(digest).decode()}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_is_loaded(build, student, tmp_path):
    page = page_of(build, student, tmp_path / "r.html")
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not {"src", "srcset", "data", "action", "xlink:href", "style"} & set(attrs)
        assert attrs.get("href", "#").startswith("#")
    style = (report.PAGE / "page.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"https?:", style + page.scripts[-1])
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in page.tags if a.get("href", "").startswith("#")} <= set(ids)


def test_every_plot_says_what_it_shows(build, student, tmp_path):
    page = page_of(build, student, tmp_path / "r.html")
    plots_ = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(plots_) == 2 * len(LEAVES) + 2 + 1
    assert all(attrs["aria-label"].strip() for attrs in plots_)
    text = "".join(page.text)
    assert "tokens trained on in this phase" in text
    assert "loss (nats per token, log)" in text


def test_same_input_same_bytes_and_no_path(build, student, tmp_path):
    first = written(build, student, tmp_path / "a.html").read_bytes()
    assert first == written(build, student, tmp_path / "new" / "b.html").read_bytes()
    assert str(tmp_path).encode() not in first


def test_without_a_student(build, student, tmp_path):
    text = "".join(page_of(build, None, tmp_path / "r.html").text)
    assert "No student was evaluated" in text
    assert "No training log was found" in text
    (student / "evaluation.json").unlink()
    text = "".join(page_of(build, student, tmp_path / "r.html").text)
    assert "No student was evaluated" in text
    assert "Final loss" in text


def damage(path, how):
    text = path.read_text()
    match how:
        case "cut":
            path.write_text(text[: len(text) // 2])
        case "empty":
            path.write_text("")
        case "binary":
            path.write_bytes(b"\xff\xfe\x00")
        case "list":
            path.write_text("[]\n")
        case "other":
            path.write_text('{"stages": 3, "leaves": [{}], "fingerprint": []}')


@pytest.mark.parametrize("how", ["cut", "empty", "binary", "list", "other"])
@pytest.mark.parametrize(
    "name, code",
    [
        ("build/manifest.json", "F605"),
        ("student/run.json", "E701"),
        ("student/evaluation.json", "E704"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_written(build, student, tmp_path, name, code, how):
    damage(tmp_path / name, how)
    found = Report()
    assert not report.write(build, student, tmp_path / "r.html", found)
    (one,) = found.diagnostics
    assert (one.code.id, one.span.path) == (code, str(tmp_path / name))
    assert not (tmp_path / "r.html").exists()


def test_damaged_lines_are_named_with_their_place(build, student, tmp_path):
    log = student / "phase2" / "log.jsonl"
    with log.open("a") as file:
        file.write('{"step": 3, "lo')
    found = Report()
    assert not report.write(build, student, tmp_path / "r.html", found)
    (one,) = found.diagnostics
    assert (one.code.id, one.span.line) == ("E701", len(log.read_text().split("\n")))


def test_samples_that_the_manifest_does_not_describe(build, tmp_path):
    path = build / "manifest.json"
    manifest, samples = json.loads(path.read_text()), build / "samples.jsonl"
    files = manifest["files"]
    files["samples.jsonl"]["sha256"] = hashlib.sha256(samples.read_bytes()).hexdigest()
    dump(path, manifest)
    assert report.write(build, None, tmp_path / "r.html", Report())
    samples.write_text(samples.read_text().replace("Which", "What", 1))
    found = Report()
    assert not report.write(build, None, tmp_path / "r.html", found)
    assert [d.code.id for d in found.diagnostics] == ["F605"]


def test_the_notices(build, student, tmp_path):
    assert "no language model" in "".join(page_of(build, None, tmp_path / "r.html").text)
    assert "another build" not in "".join(page_of(build, student, tmp_path / "r.html").text)
    other = make_build(tmp_path / "other", seed=1001, teacher="llama")
    text = "".join(page_of(other, student, tmp_path / "r.html").text)
    assert "trained on another build" in text
    assert "no language model" not in text


def test_a_students_folder_is_named_without_its_place(build, student, tmp_path):
    run = json.loads((student / "run.json").read_text())
    run["recipe"]["student"] = {"model": "/home/someone/models/mine"}
    dump(student / "run.json", run)
    text = "".join(page_of(build, student, tmp_path / "r.html").text)
    assert "mine" in text
    assert "/home/someone" not in text
    assert "learned them by heart" not in text


def test_long_lists_are_cut_and_the_page_says_so(tmp_path, seed):
    build = make_build(tmp_path / "build", seed, each=150, dropped=310)
    page = page_of(build, None, tmp_path / "r.html")
    samples, drops = map(json.loads, page.scripts[:2])
    assert Counter(row["leaf"] for row in samples) == dict.fromkeys(LEAVES, 100)
    assert len(drops) == 300
    text = "".join(page.text)
    assert "300 of 450, from every leaf alike" in text
    assert "300 of 310, from every leaf alike" in text


def test_curves_keep_their_ends_and_their_number_of_points():
    log = [(100 * i, 8 / i) for i in range(1, 1001)]
    run = {"recipe": {"phases": [{"name": "phase1", "stop_at_loss": 0.01}]}}
    (panel,) = plots.panels(run, {"phase1": log, "control": log})
    points = [tuple(map(float, point.split(","))) for point in panel.curves[0].line.split()]
    assert len(points) <= plots.POINTS
    assert points[-1][0] == plots.WIDTH - plots.RIGHT
    assert all(plots.TOP <= y <= plots.HEIGHT - plots.BOTTOM for _, y in points)
    assert points == sorted(points)
    assert [curve.role for curve in panel.curves] == ["after", "control"]
    assert panel.stop[1] == "ends at a mean of 0.01"


@pytest.mark.parametrize(
    "most, ticks",
    [
        (552441, "0 100k 200k 300k 400k 500k"),
        (82546, "0 20k 40k 60k 80k"),
        (1e6, "0 200k 400k 600k 800k 1M"),
        (0, "0"),
    ],
)
def test_ticks_are_round(most, ticks):
    assert " ".join(plots.short(step) for step in plots.round_steps(most)) == ticks
