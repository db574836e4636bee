"""The data sets that `mix.sources` names go in; their samples come out, drawn and with an origin.

A file of its own because these samples were made elsewhere: LAB fills its foundational skills from
public data sets (arXiv 2403.01081, section 3.1), and a set of instructions mixed into phase 2
replays what a base model could do. They pass the same gate of licences as leaves, and the same
sift. Each is read through once before a token is spent, so that a mistake in it costs nothing.
"""

import hashlib
import heapq
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compiler.codes import M312, M314
from compiler.curriculum import Curriculum, DataSource
from compiler.datasets import DataError, Entry, find_file, read_samples
from compiler.diagnostics import Report
from compiler.expand import Origin, Sample, sample_id
from compiler.permit import permit_data, setting_span
from compiler.prompt import Message
from compiler.source import Source

BRANCH = {1: "foundational_skills", 2: "compositional_skills"}
_COMMIT = r"[0-9a-f]{40}"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One of `mix.sources` and what became of it.

    `blob` is the git blob id of a file of the taxonomy, "" of a data set of the hub. `path` is
    where it can be read now, None where it is left out, for the code `skipped`. `size` counts the
    samples that it has, `drawn` those that are taken.
    """

    name: str
    settings: DataSource
    blob: str = ""
    path: Path | None = None
    size: int = 0
    skipped: str = ""

    @property
    def leaf(self) -> str:
        """The leaf of its samples."""
        return f"sources/{self.name}"

    @property
    def drawn(self) -> int:
        most = self.settings.samples
        return min(most, self.size) if most else self.size

    def as_json(self) -> dict[str, object]:
        """What the manifest says of it; no path of this machine."""
        said = self.settings
        return {
            "name": self.name,
            "file": said.file,
            "hub": said.hub,
            "subset": said.subset,
            "revision": said.revision,
            "split": said.split if said.hub else "",
            "blob": self.blob,
            "licence": said.licence,
            "phase": said.phase,
            "generation": said.generation,
            "size": self.size,
            "drawn": self.drawn,
            "skipped": self.skipped,
        }


def open_data(
    curriculum: Curriculum, source: Source, cache: Path, report: Report
) -> tuple[DataSet, ...]:
    """All of `mix.sources`, read through; M314 for what cannot be read, M312 for what may not be.

    Copies of what lies in no folder lie in `cache`.
    """
    made = []
    names: set[str] = set()
    for at, settings in enumerate(curriculum.mix.sources):
        name = _name(settings, names)
        names.add(name)
        if not permit_data(settings, at, source, curriculum.licences, report):
            made.append(DataSet(name, settings, skipped=M312.id))
            continue
        try:
            if settings.hub:
                path = _from_hub(settings, cache)
            else:
                path = find_file(settings.file, source, cache)
            size = sum(1 for _ in read_samples(path))
            blob = "" if settings.hub else source.blob(PurePosixPath(settings.file).as_posix())
            made.append(DataSet(name, settings, blob, path, size))
        except DataError as wrong:
            key = "file" if settings.file else "hub"
            report.add(
                M314,
                f"`{settings.file or settings.hub}`: {wrong}",
                setting_span(source, "mix", "sources", at, key),
                "mend it, or take it out of `mix.sources`",
            )
            made.append(DataSet(name, settings, skipped=M314.id))
    return tuple(made)


def draw(data: DataSet, seed: int) -> Iterator[Sample]:
    """The samples that are taken of a data set, in its own order; which ones depends on `seed` and
    their content alone.
    """
    if data.path is None:
        return
    made = (_sample(entry, data) for entry in read_samples(data.path))
    if data.drawn == data.size:
        yield from made
        return
    ranked = ((_rank(sample, seed), place, sample) for place, sample in enumerate(made))
    drawn = heapq.nsmallest(data.drawn, ranked, key=lambda one: one[:2])
    yield from (sample for _, _, sample in sorted(drawn, key=lambda one: one[1]))


def _rank(sample: Sample, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{sample.leaf}\0{sample.id}".encode()).digest()


def _sample(entry: Entry, data: DataSet) -> Sample:
    """An entry as a sample; one without a question or answer has an empty one, and the sift drops
    it.
    """
    turns = entry.messages
    while turns and turns[-1].role != "assistant":
        turns = turns[:-1]
    messages = turns or (Message("user", entry.question), Message("assistant", entry.answer))
    settings = data.settings
    origin = Origin(
        "source",
        settings.file or f"{settings.hub}@{settings.revision}",
        data.blob,
        data.leaf,
        (settings.licence,),
        (f"{data.leaf}#{entry.line}",),
        generation=settings.generation,
    )
    return Sample(
        sample_id(messages),
        messages,
        BRANCH[settings.phase],
        data.leaf,
        origin,
        entry.question,
        entry.answer,
        entry.context,
    )


def _name(settings: DataSource, taken: set[str]) -> str:
    """The name that is said, or the last part of the path without its endings."""
    last = PurePosixPath(settings.file or settings.hub).name
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", last.split(".")[0]).strip("-")
    name = settings.name or plain or "data"
    number = 2
    wanted = name
    while wanted in taken:
        wanted, number = f"{name}-{number}", number + 1
    return wanted


def _from_hub(settings: DataSource, cache: Path) -> Path:
    """A data set of the hub as a Parquet file; `datasets` finds its files and knows their formats.

    Raises DataError.
    """
    parts = (settings.hub, settings.subset, settings.revision, settings.split)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    copy = cache / f"{key}.parquet"
    is_local = Path(settings.hub).exists()
    if copy.exists() and re.fullmatch(_COMMIT, settings.revision) and not is_local:
        return copy  # a commit's files never change; a tag may move
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise DataError("it needs a package: `pip install 'trivium[train]'`") from None
    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(
            settings.hub, settings.subset or None, split=settings.split, revision=settings.revision
        )
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            draft = Path(folder) / copy.name
            found.to_parquet(draft)
            draft.replace(copy)
    except Exception as wrong:  # of whatever kind the hub, the network or a format has it
        said = str(wrong).strip().splitlines() or [type(wrong).__name__]
        raise DataError(f"`datasets` cannot load it: {said[0]}") from None
    return copy
