"""A seed goes in; a small build folder comes out: invented facts, a skill, held-out phrasings.

The facts are drawn anew for every seed, so that no student can know them, and no test can be
fitted to them.
"""

import hashlib
import json
import random
from pathlib import Path

ATTRIBUTES = {
    "capital": (
        "What is the capital of {p}?",
        "Name the capital of {p}.",
        "Which town is the capital of {p}?",
        "{p} has which capital?",
    ),
    "river": (
        "Which river runs through {p}?",
        "Name the river of {p}.",
        "What is the river of {p} called?",
        "{p} has which river?",
    ),
}
ANSWERS = {"capital": "The capital of {p} is {v}.", "river": "The river of {p} is the {v}."}
SYLLABLES = ("bar", "dor", "fen", "gil", "hul", "kem", "lor", "mar", "nev", "ost", "pel", "rud")


def facts(seed: int, places: int) -> list[tuple[str, str, str]]:
    """(place, attribute, value), all names invented."""
    draw = random.Random(seed)
    names = ["".join(pair).capitalize() for pair in _pairs(draw)]
    return [
        (names[i], attribute, names[places + 2 * i + j])
        for i in range(places)
        for j, attribute in enumerate(ATTRIBUTES)
    ]


def _pairs(draw: random.Random) -> list[tuple[str, str]]:
    pairs = [(a, b) for a in SYLLABLES for b in SYLLABLES if a != b]
    draw.shuffle(pairs)
    return pairs


def sample(question: str, answer: str, branch: str, leaf: str, **more: object) -> dict:
    """One line of a phase file."""
    key = hashlib.sha256(f"{leaf}\0{question}\0{answer}".encode()).hexdigest()[:16]
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    row = {"id": key, "messages": messages, "branch": branch, "leaf": leaf}
    return {**row, "unmask": False, "replay": False, "origin": {}, "scores": {}, **more}


def make_build(
    folder: Path, seed: int = 0, places: int = 6, skills: int = 40, replay: float = 0.3
) -> Path:
    """Writes a build; each fact keeps one of its phrasings for held-out questions."""
    draw = random.Random(seed + 1)
    phase1, heldout = [], []
    for i, (place, attribute, value) in enumerate(facts(seed, places)):
        answer = ANSWERS[attribute].format(p=place, v=value)
        for j, words in enumerate(ATTRIBUTES[attribute]):
            row = sample(words.format(p=place), answer, "knowledge", f"knowledge/{attribute}")
            (heldout if j == i % 4 else phase1).append(row)
    pairs = _pairs(draw)
    phase2 = [
        sample(f"Swap: {a} {b}", f"{b} {a}", "compositional_skills", "compositional_skills/swap")
        for a, b in pairs[:skills]
    ]
    heldout += [
        sample(f"Swap: {a} {b}", f"{b} {a}", "compositional_skills", "compositional_skills/swap")
        for a, b in pairs[skills : skills + 8]
    ]
    draw.shuffle(phase1)
    phase2 += [{**row, "replay": True} for row in phase1[: round(replay * len(phase1))]]
    draw.shuffle(phase2)
    return write_build(folder, phase1, phase2, heldout)


def write_build(folder: Path, phase1: list, phase2: list, heldout: list) -> Path:
    """Writes the files and a manifest that describes them; nothing is kept aside."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    parts = {"phase1": phase1, "phase2": phase2, "validation": [], "heldout": heldout}
    for stem, rows in parts.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{stem}.jsonl").write_text(text, "utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        files[f"{stem}.jsonl"] = {"sha256": digest, "count": len(rows)}
    fingerprint = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    manifest = {"trivium": "0", "fingerprint": fingerprint, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


TINY = """\
student: {kind: embedded, layers: 1, hidden: 32, heads: 2, vocabulary: 400}
method: full
max_length: 64
threads: 1
phases:
  - {name: phase1, data: phase1, learning_rate: 0.003, epochs: 1, accumulation: 2}
  - {name: phase2, data: phase2, learning_rate: 0.003, epochs: 1, accumulation: 2}
"""
