"""A manifest goes in; the data set's card comes out, in the format that Hugging Face reads.

A file of its own because it is the one text of a build that people read first: what is in it, from
whom, under which licences, made by what, and what it is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from compiler.codes import CATALOGUE
from compiler.teacher.extractive import NOTICE

Json = Mapping[str, Any]


def card(manifest: Json) -> str:
    """Markdown with a YAML head."""
    leaves: Sequence[Json] = manifest["leaves"]
    size = {name.partition(".")[0]: file["count"] for name, file in manifest["files"].items()}
    licences = sorted({licence for leaf in leaves for licence in leaf["licences"]})
    lines = [
        "---",
        "pretty_name: Trivium curriculum",
        "license: other",
        "task_categories: [text-generation]",
        "tags: [synthetic, trivium, instruction-tuning]",
        "configs:",
        *(
            f"- {{config_name: {name}, data_files: {name}.jsonl}}"
            for name in ("phase1", "phase2", "validation", "heldout")
        ),
        "---",
        "",
        "# A Trivium curriculum",
        "",
        f"{size['samples']} samples from {len(leaves)} leaves of a taxonomy, compiled by Trivium "
        f"{manifest['trivium']}. Phase 1 has {size['phase1']} samples (knowledge and foundational "
        f"skills), phase 2 has {size['phase2']} (compositional skills and replay of phase 1). "
        f"{size['validation']} samples are kept aside for evaluation, and {size['heldout']} human "
        "questions are held out and occur in no sample.",
        "",
        f"Teacher: `{manifest['teacher']}`. Judge: `{manifest['judge']}`.",
    ]
    if str(manifest["teacher"]).startswith("extractive"):
        lines += ["", f"Note: {NOTICE}. Its questions are read off sentences and seed examples."]
    lines += [
        "",
        "## Licences and sources",
        "",
        "Licences named by the leaves: " + (", ".join(licences) or "none") + ".",
        "",
        "| leaf | contributor | licence | human | synthetic | held out |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        *(
            f"| {_cell(leaf['leaf'])} | {_cell(leaf['contributor'])} "
            f"| {_cell(', '.join(leaf['licences']) or 'none named')} "
            f"| {leaf['human']} | {leaf['synthetic']} | {leaf['held_out']} |"
            for leaf in leaves
        ),
        "",
        "## What was dropped",
        "",
        "| pass | in | kept | dropped |",
        "| --- | ---: | ---: | --- |",
        *(
            f"| {books['name']} | {books['in']} | {books['kept']} | {_reasons(books['dropped'])} |"
            for books in manifest["passes"]
        ),
        "",
        "Every sample's `origin` names its leaf, contributor, licences, document and character "
        "range, pipeline, and the replies that it was made of.",
        "",
    ]
    return "\n".join(lines)


def _reasons(dropped: Json) -> str:
    return (
        ", ".join(f"{n} {CATALOGUE[code].name} ({code})" for code, n in dropped.items()) or "none"
    )


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
