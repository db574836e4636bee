"""The files and the model that the settings of the sift name go in; what samples are compared with
comes out.

A file of its own because it is done before a token is spent: what cannot be read is said then, at
its place in `curriculum.yaml`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler.codes import F611, M314
from compiler.curriculum import SiftSettings
from compiler.datasets import DataError, Entry, find_file, read_samples
from compiler.diagnostics import Report
from compiler.permit import setting_span
from compiler.sift.meaning import Embed, NoModelError, load_model
from compiler.source import Source


@dataclass(frozen=True, slots=True)
class References:
    """What was made elsewhere: files by the name that the settings give them, and where they can
    be read.
    """

    known: tuple[tuple[str, Path], ...] = ()
    benchmarks: tuple[tuple[str, Path], ...] = ()
    embed: Embed | None = None


def entries(files: tuple[tuple[str, Path], ...]) -> Iterator[tuple[str, Entry]]:
    """All entries, each with the name of its file."""
    for name, path in files:
        for entry in read_samples(path):
            yield name, entry


def open_references(
    settings: SiftSettings, source: Source, cache: Path, report: Report
) -> References:
    """Reads every file through once, and loads the model: M314 for what cannot be read, F611 where
    a package is missing. Copies of a revision's files lie in `cache`.
    """
    found: dict[str, list[tuple[str, Path]]] = {"known": [], "benchmarks": []}
    for key, files in found.items():
        for at, name in enumerate(getattr(settings, key)):
            try:
                path = find_file(name, source, cache)
                for _ in read_samples(path):
                    pass
                files.append((name, path))
            except DataError as wrong:
                place = setting_span(source, "sift", key, at)
                report.add(M314, f"`{name}`: {wrong}", place, f"mend it, or take it out of `{key}`")
    embed = None
    if settings.meaning:
        try:
            embed = load_model(settings.meaning.model)
        except NoModelError as wrong:
            place = setting_span(source, "sift", "meaning", "model")
            hint = "name the folder of a model, or one of the Hugging Face hub"
            code = M314
            if wrong.package:
                code, hint = F611, "install the extra `train`, or take `meaning` out of `sift`"
            report.add(code, f"`{settings.meaning.model}`: {wrong}", place, hint)
    return References(tuple(found["known"]), tuple(found["benchmarks"]), embed)
