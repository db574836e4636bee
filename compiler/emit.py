"""The mixture and the books go in; the build folder comes out, the same bytes for the same input.

A pass of its own because its files are a contract: training reads them and nothing else of the
compiler. No clock and no absolute path enters them. Samples stream through, and are never all in
memory. Every file is a draft until all are whole, and the manifest comes last: a folder with a
manifest is a finished build.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from compiler import __version__
from compiler.card import card
from compiler.codes import M312
from compiler.curriculum import Curriculum
from compiler.diagnostics import Account
from compiler.diversity import Diversity
from compiler.expand import Drop, Origin, Sample
from compiler.licences import obligations
from compiler.mix import Mixture, Placed
from compiler.program import LeafRecord
from compiler.sources import DataSet
from compiler.spool import Kept, Spool
from compiler.worth import Worth

if TYPE_CHECKING:
    from compiler.select.numbers import Numbers

Json = dict[str, object]

_DRAFT = ".draft-"
_GROUP = 2000  # samples of a row group in Parquet
_SETTINGS = (
    "seed",
    "samples_per_leaf",
    "chunk_tokens",
    "sift",
    "select",
    "mix",
    "gate",
    "licences",
)
_ORIGIN = tuple(field.name for field in fields(Origin))


@dataclass(frozen=True, slots=True)
class Product:
    """Everything that a build writes; of the samples in the spool those that are kept."""

    revision: str
    curriculum: Curriculum
    teacher: str
    judge: str
    pipelines: Mapping[str, str]
    leaves: tuple[LeafRecord, ...]
    samples: Spool[Sample]
    drops: Spool[Drop]
    kept: tuple[Kept, ...]
    held_out: tuple[Sample, ...]
    mixture: Mixture
    accounts: tuple[Account, ...]
    data: tuple[DataSet, ...] = ()
    variety: Diversity | None = None
    numbers: "Numbers | None" = None
    worth: Worth | None = None


def emit(product: Product, out: Path) -> Json:
    """Writes the build folder and returns its manifest."""
    out.mkdir(parents=True, exist_ok=True)
    for left in filter(_is_left, out.glob(f"{_DRAFT}*")):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_DRAFT}{os.getpid()}-", dir=out) as name:
        draft = Path(name)
        manifest = _manifest(product, _write(product, draft))
        (draft / "README.md").write_bytes(card(manifest).encode())
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        (draft / "manifest.json").write_bytes(text.encode())
        _publish(draft, out)
    return manifest


def _publish(draft: Path, out: Path) -> None:
    """Puts the new files into the place of the old ones."""
    last = draft / "manifest.json"
    (out / last.name).unlink(missing_ok=True)
    for file in (*(f for f in sorted(draft.iterdir()) if f != last), last):
        file.replace(out / file.name)


def _is_left(draft: Path) -> bool:
    """Whether nobody writes this draft any more; its name holds the number of the process."""
    number = draft.name.removeprefix(_DRAFT).partition("-")[0]
    return not number.isdigit() or not Path(f"/proc/{number}").exists()


def _write(product: Product, folder: Path) -> dict[str, Json]:
    """Writes what training reads; returns each file's hash and count."""
    files: dict[str, Json] = {}

    def write(name: str, values: Iterable[Json]) -> None:
        digest, count = hashlib.sha256(), 0
        with (folder / name).open("wb") as file:
            for value in values:
                data = (json.dumps(value, ensure_ascii=False) + "\n").encode()
                digest.update(data)
                file.write(data)
                count += 1
        files[name] = {"sha256": digest.hexdigest(), "count": count}

    mixture = product.mixture

    def text(kept: Kept) -> Sample:
        return product.samples[kept.place]

    def kept() -> Iterable[Json]:
        return ({**_sample(text(k)), "cited": list(k.cited)} for k in product.kept)

    write("samples.jsonl", kept())
    write("drops.jsonl", map(_drop, product.drops))
    write("heldout.jsonl", map(_sample, product.held_out))
    write("validation.jsonl", (_sample(text(k)) for k in mixture.validation))
    write("preferences.jsonl", (_preference(s) for s in map(text, product.kept) if s.rejected))
    for name, theirs, phase in (
        ("phase1.jsonl", "knowledge_train_msgs.jsonl", mixture.phase1),
        ("phase2.jsonl", "skills_train_msgs.jsonl", mixture.phase2),
    ):
        write(name, (_placed(text(p.sample), p) for p in phase))
        write(theirs, (_instructlab(text(p.sample)) for p in phase))
    files["phase2.jsonl"]["replay"] = sum(placed.replay for placed in mixture.phase2)
    parquet = folder / "samples.parquet"
    _write_parquet(kept(), parquet)
    with parquet.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    files[parquet.name] = {"sha256": digest, "count": len(product.kept)}
    return files


def _sample(sample: Sample) -> Json:
    return {
        "id": sample.id,
        "messages": [message.as_json() for message in sample.messages],
        "question": sample.question,
        "context": sample.context,
        "branch": sample.branch,
        "leaf": sample.leaf,
        "unmask": sample.unmask,
        "origin": _origin(sample),
        "scores": dict(sample.scores),
        **({"verify": dict(sample.verify)} if sample.verify else {}),
        **_rivals(sample),
    }


def _placed(sample: Sample, placed: Placed) -> Json:
    """The line of a phase: `step` where phase 1 has two."""
    step = {"step": placed.step} if placed.step else {}
    return {**_sample(sample), "replay": placed.replay, **step}


def _preference(sample: Sample) -> Json:
    """What TRL's preference trainers read: the prompt, and its chosen and rejected answer."""
    *prompt, chosen = (message.as_json() for message in sample.messages)
    return {
        "id": sample.id,
        "leaf": sample.leaf,
        "prompt": prompt,
        "chosen": [chosen],
        "rejected": [{**chosen, "content": sample.rejected}],
        **_rivals(sample),
    }


def _rivals(of: Sample | Drop) -> Json:
    """The scores of all answers to one prompt, where there were several."""
    if not of.rivals:
        return {}
    return {"rivals": [[None if math.isnan(s) else s for s in pair] for pair in of.rivals]}


def _origin(sample: Sample) -> Json:
    return {name: getattr(sample.origin, name) for name in _ORIGIN}


def _drop(drop: Drop) -> Json:
    return {
        "code": drop.code.id,
        "name": drop.code.name,
        "detail": drop.detail,
        "leaf": drop.leaf,
        "stage": drop.stage,
        "text": drop.text,
        "answer": drop.answer,
        "context": drop.context,
        "scores": dict(drop.scores),
        **_rivals(drop),
        "replies": list(drop.replies),
    }


def _instructlab(sample: Sample) -> Json:
    """The line of InstructLab's `*_train_msgs` files: metadata is a JSON text."""
    metadata = {"leaf": sample.leaf, "branch": sample.branch, "origin": _origin(sample)}
    return {
        "messages": [message.as_json() for message in sample.messages],
        "metadata": json.dumps(metadata, ensure_ascii=False),
        "id": sample.id,
        "unmask": sample.unmask,
    }


def _write_parquet(samples: Iterable[Json], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, texts = pa.string(), pa.list_(pa.string())
    origin = pa.struct(
        [
            *((n, text) for n in ("kind", "file", "blob", "contributor")),
            *((n, texts) for n in ("licences", "seeds")),
            *((n, text) for n in ("document", "document_blob")),
            *((n, pa.int64()) for n in ("start", "end")),
            *((n, text) for n in ("unit", "pipeline", "prompts", "teacher", "judge")),
            ("replies", texts),
            ("generation", pa.int64()),
            *((n, text) for n in ("parent", "language")),
            ("drawn", texts),
            ("lines", pa.list_(pa.int64())),
        ]
    )
    message = pa.struct([("role", text), ("content", text)])
    schema = pa.schema(
        [
            ("id", text),
            ("messages", pa.list_(message)),
            *((n, text) for n in ("question", "context")),
            ("branch", text),
            ("leaf", text),
            ("unmask", pa.bool_()),
            ("origin", origin),
            ("scores", text),
            ("cited", pa.list_(pa.int64())),
        ]
    )
    lines = ({**s, "scores": json.dumps(s["scores"], ensure_ascii=False)} for s in samples)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(lines, _GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _manifest(product: Product, files: Mapping[str, Json]) -> Json:
    made = Counter((kept.leaf, kept.human) for kept in product.kept)
    held = Counter(s.leaf for s in product.held_out)
    dropped: dict[str, Counter[str]] = {}
    for drop in product.drops:
        dropped.setdefault(drop.leaf, Counter())[drop.code.id] += 1
    digest = "".join(f"{name}={files[name]['sha256']}\n" for name in sorted(files))
    settings = asdict(product.curriculum)
    settings = {k: settings[k] for k in _SETTINGS}
    return {
        "trivium": __version__,
        "fingerprint": hashlib.sha256(digest.encode()).hexdigest()[:16],
        "taxonomy": {"revision": product.revision},
        "curriculum": settings,
        "teacher": product.teacher,
        "judge": product.judge,
        "pipelines": dict(sorted(product.pipelines.items())),
        "leaves": [
            {
                "leaf": record.leaf.path,
                "branch": record.leaf.branch,
                "file": record.leaf.file,
                "blob": record.leaf.blob,
                "contributor": record.leaf.created_by,
                "licences": list(record.leaf.licences),
                "works": [asdict(work) for work in record.works],
                "pipelines": list(record.pipelines),
                "documents": [
                    {"path": d.path, "repo": d.repo, "commit": d.commit, "blob": d.blob}
                    for d in record.documents
                ],
                "chunks": record.chunks,
                "units": record.units,
                "synthetic": made[record.leaf.path, False],
                "human": made[record.leaf.path, True],
                "held_out": held[record.leaf.path],
                "dropped": dict(sorted(dropped.get(record.leaf.path, Counter()).items())),
                "skipped": record.skipped,
            }
            for record in product.leaves
        ],
        "sources": [{**data.as_json(), "kept": made[data.leaf, True]} for data in product.data],
        "obligations": asdict(obligations(_licences(product))),
        "mixture": {
            "human": dict(zip(("phase1", "phase2"), product.mixture.human, strict=True)),
            "diversity": product.variety.as_json() if product.variety else {},
        },
        "selection": asdict(product.numbers) if product.numbers else {},
        "worth": product.worth.as_json() if product.worth else {},
        "passes": [account.as_json() for account in product.accounts],
        "files": {name: dict(files[name]) for name in sorted(files)},
    }


def _licences(product: Product) -> set[str]:
    """Those of what was compiled and mixed in."""
    leaves = {n for r in product.leaves if r.skipped != M312.id for n in r.leaf.licences}
    return leaves | {data.settings.licence for data in product.data if not data.skipped}
