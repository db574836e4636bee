"""The order of a phase: every sample once an epoch, replay as it is asked for, phases as LAB has
them.
"""

import json
import os
import random
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from statistics import mean

import pytest
from rich.console import Console

from compiler.diagnostics import Report
from compiler.schema import load
from tests.conftest import SEED
from tests.training.mixed import mixed, sample
from training import recipe as recipes
from training import run
from training.ask import Answer
from training.data import Build, Sample
from training.order import order
from training.recipe import Choose, Embedded, Phase, Recipe, Replay
from training.replay import draw, samples_of

CHANCE = random.Random(os.environ[SEED])
LAYOUTS = {
    "packed": {"packing": True},
    "by length": {"packing": False, "by_length": True},
    "one by one": {"packing": False, "by_length": False},
}


STEP = CHANCE.randint(1, 5), CHANCE.randint(1, 4)


def settled(lengths, taught, seed=0, epochs=2, **layout):
    """The order of a phase, twice."""
    phase = Phase("p", "phase1", 0.1, epochs, batch=STEP[0], accumulation=STEP[1])
    recipe = Recipe(Embedded(1, 32, 2, 300), None, (phase,), max_length=128, seed=seed, **layout)
    return order(lengths, taught, phase, recipe), order(lengths, taught, phase, recipe)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_epoch_has_every_sample_once(layout):
    for _ in range(20):
        number, epochs = CHANCE.randint(1, 300), CHANCE.randint(1, 4)
        lengths = [CHANCE.randint(2, 128) for _ in range(number)]
        taught = [CHANCE.randint(1, one) for one in lengths]
        found, again = settled(lengths, taught, CHANCE.randrange(99), epochs, **LAYOUTS[layout])
        rows = [list(found[row]) for row in range(len(found))]
        assert rows == [list(again[row]) for row in range(len(again))]
        flat = [one for row in rows for one in row]
        assert len(flat) == number * epochs
        for epoch in range(epochs):
            assert sorted(flat[epoch * number : (epoch + 1) * number]) == list(range(number))
        assert len(rows) % found.step == 0
        full = [row for row in rows if row]
        assert rows[: len(full)] == full  # only the last may be empty
        assert len(rows) - len(full) < found.step
        assert list(found.tokens) == [sum(lengths[one] for one in row) for row in rows]
        assert list(found.taught) == [sum(taught[one] for one in row) for row in rows]
        assert max(found.tokens) <= 128
        if layout != "packed":
            assert {len(row) for row in full} == {1}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_seed_is_the_order(layout):
    lengths = [CHANCE.randint(2, 128) for _ in range(200)]
    one, other = (
        list(settled(lengths, lengths, seed, 2, **LAYOUTS[layout])[0].numbers) for seed in (1, 2)
    )
    assert sorted(one) == sorted(other)
    assert one != other
    assert one[:200] != one[200:]  # no epoch is like the one before


def test_what_a_layout_saves():
    """Packing leaves little room empty, and batches by length little padding; chance does not."""
    lengths = [CHANCE.randint(5, 120) for _ in range(2000)]
    phase = Phase("p", "phase1", 0.1, 1, batch=8)
    wide = {}
    for name, layout in LAYOUTS.items():
        recipe = Recipe(Embedded(1, 32, 2, 300), None, (phase,), max_length=128, **layout)
        found = order(lengths, lengths, phase, recipe)
        width = [128] if name == "packed" else found.tokens
        batches = [max(width[at : at + 8]) * 8 for at in range(0, len(width), 8)]
        wide[name] = 128 * len(found) if name == "packed" else sum(batches)
    used = sum(lengths)
    assert used / wide["packed"] > 0.95
    assert used / wide["by length"] > 0.95
    assert used / wide["one by one"] < 0.7


@pytest.mark.parametrize("number", [999, 1000, 1001])
def test_an_epoch_that_ends_in_a_batch_costs_no_padding(number):
    lengths = [CHANCE.randint(5, 120) for _ in range(number)]
    phase = Phase("p", "phase1", 0.1, 3, batch=8)
    recipe = Recipe(Embedded(1, 32, 2, 300), None, (phase,), packing=False, by_length=True)
    tokens = order(lengths, lengths, phase, recipe).tokens
    wide = sum(max(tokens[at : at + 8]) * 8 for at in range(0, len(tokens), 8))
    assert 1 - sum(tokens) / wide < 0.02


def pool(number=400, leaves=9):
    """Samples of earlier phases: leaves of very different sizes, some written by people."""
    sizes = [CHANCE.random() ** 3 for _ in range(leaves)]
    found = []
    for place in range(number):
        leaf = f"knowledge/{CHANCE.choices(range(leaves), sizes)[0]}"
        messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "a"})
        human, quality = CHANCE.random() < 0.2, CHANCE.random()
        one = Sample(f"{place}", messages, "knowledge", leaf, human=human, quality=quality)
        found.append(one)
    return found


def of_leaf(samples):
    leaves = defaultdict(list)
    for one in samples:
        leaves[one.leaf].append(one)
    return leaves


def test_balanced_replay_gives_every_leaf_as_many():
    for _ in range(20):
        samples = pool()
        sizes = {leaf: len(group) for leaf, group in of_leaf(samples).items()}
        count = CHANCE.randint(1, 390)
        drawn = Counter(one.leaf for one in draw(samples, Replay(0.5), count, CHANCE.randrange(99)))
        most = max(drawn.values())
        assert drawn.total() == count
        assert all(drawn[leaf] >= min(size, most - 1) for leaf, size in sizes.items())


def test_replay_of_all_gives_every_sample_the_same_chance():
    """Its control is `balanced`, by which a small leaf has far more than its share."""
    samples = [replace(one, leaf="small" if i < 20 else "large") for i, one in enumerate(pool())]
    share = {
        source: mean(
            sum(one.leaf == "small" for one in draw(samples, Replay(0.1, source), 40, seed)) / 40
            for seed in range(40)
        )
        for source in ("all", "balanced")
    }
    assert 0.02 < share["all"] < 0.09  # 0.05 of the samples are of it
    assert share["balanced"] == 0.5


def test_top_replay_gives_the_best_of_every_leaf():
    """Its control is `balanced`, which takes any of a leaf."""
    for _ in range(10):
        samples, kept = pool(), {}
        for source in ("top", "balanced"):
            drawn = draw(samples, Replay(0.5, source), 100, 3)
            taken = {one.id for one in drawn}
            left = of_leaf(one for one in samples if one.id not in taken)
            kept[source] = all(
                min(one.quality for one in group)
                >= max((one.quality for one in left.get(leaf, ())), default=0)
                for leaf, group in of_leaf(drawn).items()
            )
            counts = Counter(one.leaf for one in drawn)
            assert max(counts.values()) - min(counts[leaf] for leaf in left) <= 1
        assert kept == {"top": True, "balanced": False}


@pytest.mark.parametrize("source", ["balanced", "all", "top"])
def test_people_have_at_least_their_share_of_the_replay(source):
    for floor in (0.0, 0.5, 0.9, 1.0):
        samples = pool()
        count = CHANCE.randint(80, 390)  # where people wrote too few, theirs come again
        drawn = draw(samples, Replay(0.5, source, floor), count, 5)
        share = mean(one.human for one in drawn)
        assert len(drawn) == count
        assert share >= floor
        if not floor:
            assert share < 0.5


def build_of(first, second):
    return Build(
        fingerprint="x", phase1=tuple(first), phase2=tuple(second), validation=(), heldout=()
    )


def test_the_share_is_of_the_samples_of_the_phase():
    first = pool(90)
    second = [replace(one, id=f"new {one.id}", leaf="skills/a") for one in pool(130)]
    earlier = Phase("one", "phase1", 0.1, 1)
    for share in (0.0, 0.05, 0.3, 0.5, 1.0, 2.5):
        phase = Phase("two", "phase2", 0.1, 1, replay=Replay(share))
        recipe = Recipe(Embedded(1, 32, 2, 300), None, (earlier, phase))
        drawn, again, other = (
            samples_of(build_of(first, second), phase, replace(recipe, seed=n), [earlier], Report())
            for n in (4, 4, 5)
        )
        assert drawn == again
        assert len(drawn.replayed) == int(share * 130)
        assert all(one.replay for one in drawn.replayed)
        assert {one.id for one in drawn.replayed} <= {one.id for one in first}
        assert drawn.own == tuple(second)
        often = Counter(one.id for one in drawn.replayed).values()
        assert max(often, default=0) - min(often, default=0) <= 1  # again only after all others
        assert (drawn.replayed != other.replayed) == (share > 0)
        without = replace(recipe, replay=False)
        assert not samples_of(build_of(first, second), phase, without, [earlier], Report()).replayed


def test_a_floor_that_people_cannot_fill_is_told():
    nobody = [replace(one, human=False) for one in pool(90)]
    second = [replace(one, id=f"new {one.id}") for one in pool(50)]
    earlier = Phase("one", "phase1", 0.1, 1)
    phase = Phase("two", "phase2", 0.1, 1, replay=Replay(0.5, "balanced", 0.3))
    recipe = Recipe(Embedded(1, 32, 2, 300), None, (earlier, phase))
    report = Report()
    samples_of(build_of(nobody, second), phase, recipe, [earlier], report)
    assert [one.code.id for one in report.diagnostics] == ["F619"]
    assert "of the replay people wrote 0%" in report.diagnostics[0].message


SHORT = 4
WORDS = "amber birch cedar drift ember frost grove heath inlet jetty knoll ledge marsh".split()


def words(number):
    return " ".join(CHANCE.choices(WORDS, k=number))


@pytest.fixture(scope="module")
def lab_build(tmp_path_factory):
    """Knowledge with answers of 1 to 12 words, foundational skills with one, and a skill."""
    told = [(f"What is {n}?", words(CHANCE.randint(1, 12)), "knowledge/a") for n in range(24)]
    told += [(f"Add {n}.", f"{n + 1}", "foundational_skills/b") for n in range(8)]
    told += [(f"Say {n}.", words(2), "compositional_skills/c") for n in range(16)]
    told += [
        ("What is short?", words(3), "knowledge/a"),
        ("What is long?", words(9), "knowledge/a"),
    ]
    samples = [sample(*one) for one in told]
    settings = f"mix: {{validation: 0, short_answer: {SHORT}, replay: 0.5}}\n"
    return mixed(tmp_path_factory.mktemp("lab"), samples, settings)


@pytest.fixture(scope="module")
def lab():
    """The recipe `lab` for a student that a test can train: its phases but for rates and sizes."""
    found = recipes.read("lab", Report())
    kt = {"learning_rate": 0.003, "warmup_steps": 4, "epochs": 3, "batch": 1, "accumulation": 1}
    phases = [replace(phase, **kt, choose=Choose(2)) for phase in found.phases]
    phases[-1] = replace(phases[-1], learning_rate=1e-12)  # it stays what it starts from
    student = Embedded(1, 32, 2, 300)
    return replace(found, student=student, phases=tuple(phases), max_length=128, threads=1)


@pytest.fixture(scope="module")
def lab_runs(lab_build, lab, tmp_path_factory):
    """Two runs on the same KT/1: in one the first of two checkpoints of KT/2 answers everything and
    the second nothing, in the other it is the reverse. Else the last is best.
    """
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        for best in ("first", "last"):
            knows = (
                [False, True, True, False, False, True] if best == "first" else [False, True] * 2
            )
            right = iter(knows)

            def asking(model, tokenizer, asked, right=right):
                is_right = next(right)
                for number, one in enumerate(asked):
                    yield {number: Answer(one.sample.answer if is_right else "", 0.0, 1)}

            patch.setattr("training.phase.asking", asking)
            out, report = tmp_path_factory.mktemp(best), Report()
            assert run.open_run(out, lab_build, lab, False, report)
            for name in ("base", "kt1") if folders else ():
                shutil.copytree(folders["first"] / name, out / name)
            done = run.train(lab_build, lab, out, report, Console(quiet=True))
            assert done, report.diagnostics
            folders[best] = out
    return folders


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lab_trains_on_short_answers_of_knowledge_first(lab_build, lab_runs, lab):
    """Methods, A6: what the log says of each step, held against the build."""
    known = {one.id: one for one in (*lab_build.phase1, *lab_build.phase2)}
    seen = {}
    for name in ("kt1", "kt2", "st"):
        steps = lines(lab_runs["first"] / name / "order.jsonl")
        assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
        seen[name] = Counter(one for line in steps for one in line["samples"])
    first = set(seen["kt1"])
    second = set(seen["kt2"]) - first

    def length(one):
        return len(known[one].answer.split())

    of_knowledge = {one for one in second if known[one].branch == "knowledge"}
    assert {known[one].branch for one in first} == {"knowledge"}
    assert max(map(length, first)) <= SHORT < min(map(length, of_knowledge))
    foundational = second - of_knowledge
    assert {known[one].branch for one in foundational} == {"foundational_skills"}
    assert min(map(length, foundational)) < max(map(length, first))  # whatever its length
    assert first | second == {one.id for one in lab_build.phase1}
    third = {one.id for one in lab_build.phase2 if not one.replay}
    assert {known[one].branch for one in third} == {"compositional_skills"}
    for name, own, before in (
        ("kt1", first, set()),
        ("kt2", second, first),
        ("st", third, first | second),
    ):
        assert set(seen[name]) <= own | before
        assert {seen[name][one] for one in own} == {3}  # once an epoch
        replayed = sum(seen[name][one] for one in before)
        assert replayed == 3 * int(0.5 * len(own)) * bool(before)
        told = json.loads((lab_runs["first"] / name / "stage.json").read_text())["order"]
        assert told["own"] == len(own)
        assert 3 * told["replayed"] == replayed
        told = [line["replayed"] for line in lines(lab_runs["first"] / name / "order.jsonl")]
        assert sum(told) == replayed


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def distance(one, other):
    one, other = weights(one), weights(other)
    return max((one[name] - other[name]).abs().max().item() for name in one)


def test_a_phase_starts_from_the_selected_checkpoint(lab_runs):
    """Methods, A6. The control is the run in which the last one is selected."""
    first, last = lab_runs["first"], lab_runs["last"]
    kept = [json.loads((out / "kt2" / "stage.json").read_text()) for out in (first, last)]
    assert kept[0]["choice"]["kept"] < kept[0]["steps"] == kept[1]["choice"]["kept"]
    assert distance(first / "kt2", last / "kt2") > 1e-3
    for one, other in ((first, last), (last, first)):
        assert distance(one / "st", one / "kt2") < 1e-6
        assert distance(one / "st", other / "kt2") > 1e-3


def test_the_rate_does_not_decay(lab_runs, lab, tmp_path):
    for name in ("kt1", "kt2", "st"):
        rates = [line["lr"] for line in lines(lab_runs["first"] / name / "log.jsonl")]
        assert rates[0] < max(rates)  # a warm-up
        assert rates[-1] == max(rates)
    phase = load("recipe")["properties"]["phases"]["items"]["properties"]
    assert not [key for key in phase if "decay" in key or "sched" in key]
    text = (recipes.RECIPES / "lab.yaml").read_text()
    other = tmp_path / "cosine.yaml"
    other.write_text(text.replace("    warmup_steps: 25\n", "    lr_scheduler_type: cosine\n", 1))
    assert other.read_text() != text
    assert recipes.read(str(other), Report()) is None
