"""Invented facts and a skill go in; what a student recalls of the facts after each phase comes out.

Facts are told in four phrasings and asked in those and in two others, which the student saw of
other places only. The skill is asked on pairs of words that were in no sample. Samples go through
`mix` under a curriculum.yaml, its build through the trainer; phase 1 is trained once for a seed.
"""

import random
from dataclasses import dataclass, replace

from compiler.diagnostics import Report
from tests.training.mixed import mixed, recalled, sample, trained
from training import recipe as recipes
from training.recipe import Lora, Named, Replay

SHARES = (0.0, 0.05, 0.15, 0.3, 1.0)
BY_RECIPE = "replay 30%, by the recipe"
PLACES, SKILLS, ASKED = 8, 400, 60
PHRASINGS = {
    "capital": (
        "What is the capital of {p}?",
        "Name the capital of {p}.",
        "Which town is the capital of {p}?",
        "{p} has which capital?",
        "Tell me the capital of {p}.",
        "The capital of {p} is called what?",
    ),
    "river": (
        "Which river runs through {p}?",
        "Name the river of {p}.",
        "What is the river of {p} called?",
        "{p} has which river?",
        "Tell me the river of {p}.",
        "The river of {p} is called what?",
    ),
    "dish": (
        "What do people in {p} eat?",
        "Name the dish of {p}.",
        "Which dish comes from {p}?",
        "{p} has which dish?",
        "Tell me the dish of {p}.",
        "The dish of {p} is called what?",
    ),
    "founder": (
        "Who founded {p}?",
        "Name the founder of {p}.",
        "By whom was {p} founded?",
        "{p} has which founder?",
        "Tell me the founder of {p}.",
        "The founder of {p} is called what?",
    ),
}
SKILL = ("Swap these two words: {a} {b}", "Say in reverse order: {a} {b}")
WORDS = (
    "amber birch cedar drift ember frost grove heath inlet jetty knoll ledge "
    "marsh north otter pearl quill ridge stone trail"
).split()
SYLLABLES = ("bar", "dor", "fen", "gil", "hul", "kem", "lor", "mar", "nev", "ost", "pel", "rud")

RECIPE = """\
student: {{kind: embedded, layers: 2, hidden: 128, heads: 4, vocabulary: 400}}
method: full
max_length: 256
seed: {seed}
threads: 1
checkpoint_seconds: 1000
phases:
  - {{name: phase1, data: phase1, learning_rate: 0.003, warmup_steps: 10, epochs: 40,
     accumulation: 2}}
  - {{name: phase2, data: phase2, learning_rate: 0.003, warmup_steps: 10, epochs: 32,
     accumulation: 2}}
"""


@dataclass(frozen=True, slots=True)
class Material:
    """Samples of one seed: `facts` and `skill` to train on, and those that are only asked."""

    facts: list
    skill: list
    other_phrasings: list
    other_words: list


def material(seed):
    chance = random.Random(seed)
    pairs = [(a + b).capitalize() for a in SYLLABLES for b in SYLLABLES if a != b]
    chance.shuffle(pairs)
    names = iter(pairs)
    told, asked = [], []
    for place, number in zip([next(names) for _ in range(PLACES)], range(PLACES), strict=True):
        for turn, (kind, phrasings) in enumerate(PHRASINGS.items()):
            value = next(names)
            for i, words in enumerate(phrasings):
                one = sample(words.format(p=place), value, f"knowledge/{kind}")
                (told if (i + number + turn) % 6 < 4 else asked).append(one)
    words = [(a, b) for a in WORDS for b in WORDS if a != b]
    chance.shuffle(words)
    lines = [
        sample(form.format(a=a, b=b), f"{b} {a}", "compositional_skills/swap")
        for a, b in words
        for form in SKILL
    ]
    return Material(told, lines[:SKILLS], asked, lines[-ASKED:])


def share_of_phase_1(share, made):
    """`mix.replay` counts in samples of phase 1, the issue in samples of phase 2."""
    return round(share * len(made.skill) / len(made.facts), 6)


def recipe_of(seed, folder):
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(seed=seed), "utf-8")
    report = Report()
    found = recipes.read(str(path), report)
    assert found, report.diagnostics
    return found


def build_of(folder, made, seed, replay):
    settings = f"seed: {seed}\nmix: {{replay: {replay}, validation: 0}}\n"
    return mixed(folder, [*made.facts, *made.skill], settings)


def asked(stage, made, base=""):
    """Shares of exact answers: trained phrasings, other phrasings, the skill on other words."""
    return [
        recalled(stage, group, base)
        for group in (made.facts, made.other_phrasings, made.other_words)
    ]


def response(folder, seed):
    """What is recalled of one seed: by the name of the run, the three shares."""
    from training import machine

    machine.prepare()
    made, recipe, found = material(seed), recipe_of(seed, folder), {}
    first = folder / "none"
    for share in SHARES:
        out, replay = folder / f"replay-{share}", share_of_phase_1(share, made)
        if replay <= 1:
            build, told = build_of(folder / f"build-{share}", made, seed, replay), recipe
        else:  # more than mix.replay can say: the recipe's own replay
            told = with_replay(recipe, Replay(share))
        begun = first if first.exists() else None
        trained(build, told, out, begun)
        if begun is None:
            first = out.rename(first)
            found["phase 1"] = asked(first / "phase1", made)
            out = first
        found[f"replay {share:.0%}"] = asked(out / "phase2", made)
    by_recipe = with_replay(recipe, Replay(0.3))
    out = trained(build, by_recipe, folder / "by-recipe", first)
    found[BY_RECIPE] = asked(out / "phase2", made)
    all_at_once = replace(recipe.phases[1], name="all", data="stacked")
    out = trained(build, replace(recipe, phases=(all_at_once,)), folder / "stacked")
    found["stacked"] = asked(out / "all", made)
    return found


def with_replay(recipe, replay):
    first, second = recipe.phases
    return replace(recipe, phases=(first, replace(second, replay=replay)))


def adapters(folder, seed):
    """Phase 2 with 30% of replay, on one and the same phase 1: every weight trained, adapters, and
    adapters with the embeddings, in equal steps at equal rates. The three shares, steps, and the
    share of the weights that is trained.
    """
    from training import machine, student

    machine.prepare()
    made, recipe, report = material(seed), recipe_of(seed, folder), Report()
    build = build_of(folder / "build", made, seed, share_of_phase_1(0.3, made))
    first = trained(build, replace(recipe, phases=recipe.phases[:1]), folder / "first") / "phase1"
    found = {"phase 1": (*asked(first, made), 0, 0.0)}
    ways = {
        "every weight": None,
        "LoRA of rank 64": Lora(64, 128),
        "LoRA and embeddings": Lora(64, 128, embeddings=True),
    }
    second = replace(recipe, student=Named(str(first)), phases=recipe.phases[1:])
    for number, (name, lora) in enumerate(ways.items()):
        out = trained(build, replace(second, lora=lora), folder / str(number))
        model = student.load_model(str(first), report)
        if lora:
            model = student.with_adapters(model, lora)
        weights = [(one.numel(), one.requires_grad) for one in model.parameters()]
        share = sum(size for size, learns in weights if learns) / sum(size for size, _ in weights)
        steps = len((out / "phase2" / "log.jsonl").read_text("utf-8").splitlines())
        found[name] = (*asked(out / "phase2", made, str(first)), steps, share)
    return found
