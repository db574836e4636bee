"""The mixture and the books go in; the build folder comes out, the same bytes for the same input.

A pass of its own because its files are a contract: training reads them and nothing else of the
compiler. No clock and no absolute path enters them. The manifest is written last, so a folder with
a manifest is a finished build.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compiler import __version__
from compiler.card import card
from compiler.curriculum import Curriculum
from compiler.diagnostics import Account
from compiler.documents.fetch import Document
from compiler.expand import Drop, Sample
from compiler.leaf import Leaf
from compiler.mix import Mixture, Placed

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class LeafRecord:
    """What became of one leaf; `skipped` is the code that stopped it, "" for none."""

    leaf: Leaf
    pipeline: str
    documents: tuple[Document, ...]
    chunks: int
    units: int
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """Everything that a build writes."""

    revision: str
    curriculum: Curriculum
    teacher: str
    judge: str
    pipelines: Mapping[str, str]
    leaves: tuple[LeafRecord, ...]
    samples: tuple[Sample, ...]
    drops: tuple[Drop, ...]
    held_out: tuple[Sample, ...]
    mixture: Mixture
    accounts: tuple[Account, ...]


def emit(product: Product, out: Path) -> Json:
    """Writes the build folder and returns its manifest."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    files: dict[str, Json] = {}

    def write(name: str, records: Sequence[Json]) -> None:
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
        _replace(out / name, text.encode())
        files[name] = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "count": len(records)}

    mixture = product.mixture
    replayed = sum(placed.replay for placed in mixture.phase2)
    write("samples.jsonl", [_sample(s) for s in product.samples])
    write("drops.jsonl", [_drop(d) for d in product.drops])
    write("heldout.jsonl", [_sample(s) for s in product.held_out])
    write("validation.jsonl", [_sample(s) for s in mixture.validation])
    write("phase1.jsonl", [_placed(p) for p in mixture.phase1])
    write("phase2.jsonl", [_placed(p) for p in mixture.phase2])
    write("knowledge_train_msgs.jsonl", [_instructlab(p.sample) for p in mixture.phase1])
    write("skills_train_msgs.jsonl", [_instructlab(p.sample) for p in mixture.phase2])
    files["phase2.jsonl"]["replay"] = replayed
    data = _parquet(product.samples, out / "samples.parquet")
    files["samples.parquet"] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "count": len(product.samples),
    }
    manifest = _manifest(product, files)
    _replace(out / "README.md", card(manifest).encode())
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    _replace(out / "manifest.json", text.encode())
    return manifest


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)


def _sample(sample: Sample) -> Json:
    return {
        "id": sample.id,
        "messages": [message.as_json() for message in sample.messages],
        "branch": sample.branch,
        "leaf": sample.leaf,
        "unmask": sample.unmask,
        "origin": asdict(sample.origin),
        "scores": dict(sample.scores),
    }


def _placed(placed: Placed) -> Json:
    return {**_sample(placed.sample), "replay": placed.replay}


def _drop(drop: Drop) -> Json:
    return {
        "code": drop.code.id,
        "name": drop.code.name,
        "detail": drop.detail,
        "leaf": drop.leaf,
        "stage": drop.stage,
        "text": drop.text,
        "replies": list(drop.replies),
    }


def _instructlab(sample: Sample) -> Json:
    """The line of InstructLab's `*_train_msgs` files: metadata is a JSON text."""
    metadata = {"leaf": sample.leaf, "branch": sample.branch, "origin": asdict(sample.origin)}
    return {
        "messages": [message.as_json() for message in sample.messages],
        "metadata": json.dumps(metadata, ensure_ascii=False),
        "id": sample.id,
        "unmask": sample.unmask,
    }


def _parquet(samples: Iterable[Sample], path: Path) -> bytes:
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
        ]
    )
    message = pa.struct([("role", text), ("content", text)])
    schema = pa.schema(
        [
            ("id", text),
            ("messages", pa.list_(message)),
            ("branch", text),
            ("leaf", text),
            ("unmask", pa.bool_()),
            ("origin", origin),
            ("scores", text),
        ]
    )
    records = [
        {**_sample(s), "scores": json.dumps(dict(s.scores), ensure_ascii=False)} for s in samples
    ]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.Table.from_pylist(records, schema=schema), draft, compression="zstd")
    draft.replace(path)
    return path.read_bytes()


def _manifest(product: Product, files: Mapping[str, Json]) -> Json:
    made = Counter((s.leaf, s.origin.kind) for s in product.samples)
    held = Counter(s.leaf for s in product.held_out)
    dropped: dict[str, Counter[str]] = {}
    for drop in product.drops:
        dropped.setdefault(drop.leaf, Counter())[drop.code.id] += 1
    digest = "".join(f"{name}={files[name]['sha256']}\n" for name in sorted(files))
    settings = asdict(product.curriculum)
    settings = {k: settings[k] for k in ("seed", "samples_per_leaf", "chunk_tokens", "sift", "mix")}
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
                "pipeline": record.pipeline,
                "documents": [
                    {"path": d.path, "repo": d.repo, "commit": d.commit, "blob": d.blob}
                    for d in record.documents
                ],
                "chunks": record.chunks,
                "units": record.units,
                "synthetic": made[record.leaf.path, "synthetic"],
                "human": made[record.leaf.path, "seed"],
                "held_out": held[record.leaf.path],
                "dropped": dict(sorted(dropped.get(record.leaf.path, Counter()).items())),
                "skipped": record.skipped,
            }
            for record in product.leaves
        ],
        "passes": [account.as_json() for account in product.accounts],
        "files": {name: dict(files[name]) for name in sorted(files)},
    }
