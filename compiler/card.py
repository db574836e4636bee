"""A manifest goes in; the data set's card comes out, in the format that Hugging Face reads.

A file of its own because it is the one text of a build that people read first: what is in it, from
whom, under which licences, made by what, and what it is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compiler.codes import CATALOGUE
from compiler.licences import obligations
from compiler.teacher.extractive import NOTICE

Json = Mapping[str, Any]


def card(manifest: Json) -> str:
    """Markdown with a YAML head."""
    leaves: Sequence[Json] = manifest["leaves"]
    size = {name.partition(".")[0]: file["count"] for name, file in manifest["files"].items()}
    used = [leaf for leaf in leaves if leaf["human"] or leaf["synthetic"] or leaf["held_out"]]
    sources: Sequence[Json] = [one for one in manifest.get("sources", ()) if not one["skipped"]]
    licences = sorted(
        {licence for leaf in used for licence in leaf["licences"]}
        | {source["licence"] for source in sources}
    )
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
        "Licences of what it was made from: " + (", ".join(licences) or "none named") + ".",
        *_owed(licences),
        "",
        "| leaf | contributor | licence | human | synthetic | held out |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        *(
            f"| {_cell(leaf['leaf'])} | {_cell(leaf['contributor'])} "
            f"| {_cell(', '.join(leaf['licences']) or 'none named')} "
            f"| {leaf['human']} | {leaf['synthetic']} | {leaf['held_out']} |"
            for leaf in leaves
        ),
        *_sources(sources),
        *_works(used),
        *_people(manifest.get("mixture", {})),
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


def _owed(licences: Sequence[str]) -> Iterator[str]:
    """What whoever passes the data set on has to do."""
    owed = obligations(licences)
    if owed.attribution:
        yield from ("", f"Name the authors and keep the notice of: {', '.join(owed.attribution)}.")
    if owed.share_alike:
        alike = ", ".join(owed.share_alike)
        yield from ("", f"Share what is made of it under the same licence: {alike}.")


def _sources(sources: Sequence[Json]) -> Iterator[str]:
    """The data sets that were mixed in."""
    if sources:
        yield from ("", "Data sets that were made elsewhere:", "")
        yield "| data set | revision | licence | phase | size | drawn | kept |"
        yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    for one in sources:
        revision = one["revision"] or one["blob"][:12]
        yield (
            f"| {_cell(one['file'] or one['hub'])} | {_cell(revision)} "
            f"| {_cell(one['licence'])} | {one['phase']} "
            f"| {one['size']} | {one['drawn']} | {one['kept']} |"
        )


def _works(leaves: Sequence[Json]) -> Iterator[str]:
    """The works that the leaves were made from, each once."""
    named = {
        (work["title"], work["creator"], work["licence"], work["link"]): None
        for leaf in leaves
        for work in leaf.get("works", ())
    }
    if named:
        yield from ("", "Works that the leaves were made from:", "")
    for title, creator, licence, link in named:
        parts = [f"{title or 'untitled'}, by {creator or 'nobody named'}", licence, link]
        yield "- " + _cell(", ".join(part for part in parts if part.strip(" -")))


def _people(mixture: Json) -> Iterator[str]:
    """How much of it people wrote, and how varied it is."""
    if mixture:
        first, second = mixture["human"]["phase1"], mixture["human"]["phase2"]
        told = mixture["diversity"]
        yield from ("", "## People and variety", "")
        yield (
            f"People wrote {first:.1%} of the words of phase 1 and {second:.1%} of those of phase "
            f"2. Of the words of all answers {told['distinct_1']:.1%} are different ones, of the "
            f"pairs of words {told['distinct_2']:.1%}; the entropy of the leaves is "
            f"{told['entropy']:.2f} of at most {told['most_entropy']:.2f} bits."
        )


def _reasons(dropped: Json) -> str:
    return (
        ", ".join(f"{n} {CATALOGUE[code].name} ({code})" for code, n in dropped.items()) or "none"
    )


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
