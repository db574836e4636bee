"""What `make run` must have shown; run after it, from the same folder.

Exact match on trained facts is under 0.05 before and at least 0.6 after phase 2, samples kept aside
are answered too, and the control without replay has forgotten phase 1.
"""

import json
from pathlib import Path


def main() -> None:
    """Reads `out/student/evaluation.json`; raises AssertionError where the demonstration failed."""
    sets = json.loads(Path("out/student/evaluation.json").read_text("utf-8"))["sets"]

    def score(set_: str, stage: str, *branches: str) -> float:
        scores = sets[set_][stage]
        found = [scores["branches"][b] for b in branches] if branches else [scores["all"]]
        return sum(s["n"] * s["exact_match"] for s in found) / sum(s["n"] for s in found)

    first = ("knowledge", "foundational_skills")
    checks = {
        "trained facts before, below 0.05": score("trained", "base") < 0.05,
        "trained facts after phase 2, at least 0.6": score("trained", "phase2") >= 0.6,
        "phase 1's facts after phase 2, at least 0.6": score("trained", "phase2", *first) >= 0.6,
        "phase 1's facts without replay, below 0.2": score("trained", "control", *first) < 0.2,
        "samples kept aside after phase 2, at least 0.3": score("validation", "phase2") >= 0.3,
        "the report is written": Path("out/report.html").stat().st_size > 10_000,
    }
    for name, holds in checks.items():
        print("ok  " if holds else "FAIL", name)
    assert all(checks.values())


if __name__ == "__main__":
    main()
